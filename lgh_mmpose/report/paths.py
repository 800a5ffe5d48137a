"""Texts without the folders of the machine that made them."""
import re
from pathlib import Path
from typing import Union

# where a path may begin, and how one does that leads out of this folder
_BOUND = r'(?<![^\s=,;:(\[{<|@\'"])'
_START = _BOUND + r'(?:~[^\s/]*/|/|(?:[^\s/=\'"]+/)*\.\./)'
# up to the last slash, but not into the next path or sentence
_FOLDERS = re.compile(
    rf'{_START}(?:(?:(?!\0|[;:]\s|{_START}).)*(?!{_START})/)?'
    r'(?=[^\s/,;:)\]}\'"])')


def local_paths(text: str, work_dir: Union[str, Path]) -> str:
    """A text without the folders of this machine.

    Args:
        text (str): Any text, such as an argument of a command or an error.
        work_dir (str | Path): Absolute paths in it are given from its name
            on.

    Returns:
        str: The text, with only the last name of all other paths that are
        absolute or lead up (``..``), white space in them or not. Between such
        a path and a ``/`` further on, words may be lost rather than a folder
        be told.
    """
    work_dir = Path(work_dir).resolve()
    text = re.sub(f'{_BOUND}{re.escape(str(work_dir))}(?![^/\\s,;:)\\]}}\'"])',
                  '\0', text)
    return _FOLDERS.sub('', text).replace('\0', work_dir.name)
