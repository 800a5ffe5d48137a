"""Reading files that come from outside."""
from pathlib import Path
from typing import Union

SMALL_FILE = 2**20
"""Bytes that a file has at most which holds a few numbers."""


def read_small_file(path: Union[str, Path],
                    max_bytes: int = SMALL_FILE) -> bytes:
    """Read a file, but no more of it than makes sense.

    Args:
        path (str | Path): The file.
        max_bytes (int): Bytes that such a file has at most.

    Returns:
        bytes: All of it.

    Raises:
        OSError: If there is no such file, or it may not be read.
        ValueError: If it is larger.
    """
    with open(path, 'rb') as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ValueError(f'{path} has more than {max_bytes} bytes, too many '
                         'for what it should be')
    return content


def reason(error: BaseException) -> str:
    """What an error says, on one short line: it may quote a whole file."""
    text = ' '.join(str(error).split())
    text = text if len(text) <= 200 else f'{text[:200]} ...'
    if text and isinstance(error, (ValueError, OSError)):
        return text
    return f'{type(error).__name__}: {text}' if text else type(error).__name__
