"""The small baked files in ``assets/rendering``."""
from pathlib import Path


def asset_path(name: str) -> Path:
    """Return the path of a file in ``assets/rendering``.

    Raises:
        FileNotFoundError: If neither the installed package nor the source
            tree holds it.
    """
    package = Path(__file__).resolve().parents[1]
    candidates = [
        root / 'assets' / 'rendering' / name
        for root in (package / '.mim', package.parent)
    ]
    for path in candidates:
        if path.is_file():
            return path
    raise FileNotFoundError(
        f'{name} of the rendered hands is missing, looked for '
        f'{" and ".join(map(str, candidates))}. Reinstall lgh_mmpose or '
        'restore assets/rendering from the source tree.')
