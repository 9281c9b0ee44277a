"""The images: what they are built from, and what is process 1 in them."""
