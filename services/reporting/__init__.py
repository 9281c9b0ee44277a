"""Reporting: results, comparisons and exports of runs."""
