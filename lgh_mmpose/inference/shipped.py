"""The models that lie in the package."""
from importlib import resources
from pathlib import Path

POSE = 'hand_pose'
DETECTOR = 'hand_detector'
WEIGHTS = 'weights'
"""The folder of the package that holds a directory of each."""


def shipped_model(name: str) -> Path:
    """The directory of a model that lies in the package.

    Args:
        name (str): :data:`POSE` or :data:`DETECTOR`.

    Returns:
        Path: What ``tools/deployment/export.py`` wrote.

    Raises:
        FileNotFoundError: If this version comes without.
    """
    folder = Path(str(resources.files('lgh_mmpose'))) / WEIGHTS
    if not (folder / name).is_dir():
        what = {POSE: 'network', DETECTOR: 'detector of hands'}[name]
        raise FileNotFoundError(
            f'no {what} ships with this version of lgh_mmpose: give one, such '
            'as a directory that tools/deployment/export.py wrote')
    return folder / name
