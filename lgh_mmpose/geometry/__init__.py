"""Cameras, crops and hands as plain geometry: NumPy alone, nothing above."""
