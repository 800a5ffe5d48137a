"""Rotations about the axes of a frame."""
import numpy as np


def axis_rotation(axis: int, angle: float) -> np.ndarray:
    """Return the rotation about a coordinate axis.

    Args:
        axis: 0, 1 or 2.
        angle: Degrees, from the next axis towards the one after it.

    Returns:
        np.ndarray: (3, 3).
    """
    i, j = (axis + 1) % 3, (axis + 2) % 3
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = cos
    matrix[j, i], matrix[i, j] = sin, -sin
    return matrix
