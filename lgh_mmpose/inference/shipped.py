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
    folder = _weights()
    if not (folder / name).is_dir():
        what = {POSE: 'network', DETECTOR: 'detector of hands'}[name]
        raise FileNotFoundError(
            f'no {what} ships with this version of lgh_mmpose: give one, such '
            'as a directory that tools/deployment/export.py wrote')
    return folder / name


def shipped_checkpoint(name: str) -> Path:
    """The weights of a model that lies in the package, to train on from.

    mmengine knows them as ``lgh_mmpose://NAME``.

    Args:
        name (str): Such as :data:`POSE`.

    Returns:
        Path: What ``tools/misc/publish_model.py`` wrote.

    Raises:
        FileNotFoundError: If none of that name ships with this version; those
            that do are named.
    """
    files = {path.stem: path for path in sorted(_weights().glob('*/*.pth'))}
    if name not in files:
        names = ', '.join(f'lgh_mmpose://{name}' for name in files)
        raise FileNotFoundError(
            f'no checkpoint lgh_mmpose://{name} ships with this version of '
            f'lgh_mmpose, {"only " + names if files else "nor any other"}')
    return files[name]


def _weights() -> Path:
    return Path(str(resources.files('lgh_mmpose'))) / WEIGHTS
