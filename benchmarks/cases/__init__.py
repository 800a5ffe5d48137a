"""What is measured, by subject; the names are in `catalogue`."""
