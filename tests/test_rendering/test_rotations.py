import numpy as np
import pytest

from lgh_mmpose.rendering.rotations import axis_rotation


@pytest.mark.parametrize('axis, source, target', [(0, 1, 2), (1, 2, 0),
                                                  (2, 0, 1)])
def test_axis_rotation_turns_one_axis_into_the_next(axis, source, target):
    np.testing.assert_allclose(
        axis_rotation(axis, 90) @ np.eye(3)[source],
        np.eye(3)[target],
        atol=1e-12)
