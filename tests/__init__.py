"""Tests of Assay; the folders mirror services/ and shared/."""
