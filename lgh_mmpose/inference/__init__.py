"""From photos and films to hands: NumPy and OpenCV, no torch."""
