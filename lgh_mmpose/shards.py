"""Data sets in shards: parts that are rendered on their own.

A sharded data set is a folder of ``shard-0001-of-0010`` to
``shard-0010-of-0010``, each of them a whole data set in its layout, whose
parameters' file tells which part it is. Nothing has to be joined: the data
sets of this package read all shards as one, in order.
"""
import bisect
import json
import os
import re
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence, Tuple, Union

PARAMETERS_FILE = 'studiohand.json'
SPLITS = ('training', 'evaluation')
COUNTS = ('num_train', 'num_eval')
"""Keys of the parameters' file for the number of samples of each split."""

_NAME = re.compile(r'shard-(\d{4,})-of-(\d{4,})')


class Part(NamedTuple):
    """A folder with consecutive samples of a split.

    Attributes:
        folder (str): The folder, in the layout of the data set.
        start (int): First sample, counted over the whole split.
        stop (int): The one after the last.
    """
    folder: str
    start: int
    stop: int


class Parts:
    """Where the samples of a split lie: in one folder or in shards.

    Args:
        data_root (str): Folder of the data set.
        split (str): ``'training'`` or ``'evaluation'``.

    Raises:
        ValueError: If the folder holds shards that are not one whole data set
            with samples of this split, see :func:`find_shards`.
    """

    def __init__(self, data_root: str, split: str) -> None:
        self.data_root = data_root
        self.shards = _shards_of_split(data_root, split)
        self._stops = [part.stop for part in self.shards]

    @property
    def folders(self) -> List[str]:
        """The folders with samples of the split, in order."""
        return [part.folder for part in self.shards] or [self.data_root]

    def check_sizes(self, sizes: Sequence[int]) -> None:
        """Check how many samples each folder has.

        Args:
            sizes (Sequence[int]): Number of samples in each of the folders.

        Raises:
            ValueError: If a shard has not as many as it must have.
        """
        for part, size in zip(self.shards, sizes):
            if size != part.stop - part.start:
                raise ValueError(
                    f'{part.folder} must have {part.stop - part.start} '
                    f'samples by its {PARAMETERS_FILE}, but has {size}')

    def locate(self, number: int) -> Tuple[str, int]:
        """Folder of a file and its number there.

        Args:
            number (int): Number of the file in the whole split: that of its
                sample, or N times v more for version v of N samples.

        Returns:
            tuple[str, int]: Folder and number.
        """
        if not self.shards:
            return self.data_root, number
        version, sample = divmod(number, self._stops[-1])
        part = self.shards[bisect.bisect(self._stops, sample)]
        return part.folder, (
            sample - part.start + version * (part.stop - part.start))


def _shards_of_split(data_root: str, split: str) -> List[Part]:
    folders = find_shards(data_root)
    if not folders:
        return []
    parameters = read_parameters(folders[0])
    num = parameters[COUNTS[SPLITS.index(split)]]
    parts = []
    for index, folder in enumerate(folders, 1):
        part = shard_range(num, index, len(folders))
        if part:  # there may be more shards than samples
            parts.append(Part(str(folder), part.start, part.stop))
    if not parts:
        raise ValueError(f'{data_root}: its shards have no {split} samples')
    return parts


def parse_shard(text: str) -> Tuple[int, int]:
    """Read ``'3/10'``, the third of ten shards.

    Args:
        text (str): Two numbers from 1 on, the first at most the second.

    Returns:
        tuple[int, int]: Both.

    Raises:
        ValueError: If it is something else.
    """
    match = re.fullmatch(r'([0-9]{1,9})/([0-9]{1,9})', text)
    if match:
        index, count = map(int, match.groups())
        if 1 <= index <= count:
            return index, count
    raise ValueError(f'a shard is I/N with I from 1 to N, such as 3/10, not '
                     f'{text!r}')


def shard_name(index: int, count: int) -> str:
    """Name of the folder of shard ``index``, from 1 on, of ``count``."""
    return f'shard-{index:04d}-of-{count:04d}'


def shard_range(num: int, index: int, count: int) -> range:
    """The samples of ``num`` that are in shard ``index`` of ``count``."""
    return range((index - 1) * num // count, index * num // count)


def read_parameters(folder: Union[str, Path]) -> Optional[dict]:
    """Read the parameters of a rendered data set.

    Args:
        folder (str | Path): Its folder.

    Returns:
        dict | None: What it was rendered with; None if it has no such file.
    """
    try:
        text = (Path(folder) / PARAMETERS_FILE).read_text()
        parameters = json.loads(text)
    except (OSError, ValueError, RecursionError):
        return None
    return parameters if isinstance(parameters, dict) else None


def common_parameters(parameters: dict) -> dict:
    """Parameters without those that tell shards of one set apart."""
    return {key: parameters[key] for key in parameters if key != 'shard'}


def list_shards(folder: Union[str, Path]) -> List[Tuple[int, int]]:
    """Index and number of all shards whose folders are there, in order."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    matches = filter(None, map(_NAME.fullmatch, names))
    shards = {match[0]: (int(match[1]), int(match[2])) for match in matches}
    return sorted((index, count) for name, (index, count) in shards.items()
                  if 1 <= index <= count and name == shard_name(index, count))


def find_shards(folder: Union[str, Path]) -> List[Path]:
    """Find the shards of a data set.

    Args:
        folder (str | Path): Folder of the data set.

    Returns:
        list[Path]: Their folders in order; none where there are no shards.

    Raises:
        ValueError: Naming a shard that is missing, is of another data set or
            not what its name says.
    """
    shards = list_shards(folder)
    if not shards:
        return []
    folder, count = Path(folder), shards[0][1]
    other = next((shard for shard in shards if shard[1] != count), None)
    if other is not None:
        raise ValueError(
            f'{folder} holds shards of two data sets, such as '
            f'{shard_name(*shards[0])} and {shard_name(*other)}; move those '
            'of one away')
    if len(shards) < count:
        present = {index for index, _ in shards}
        missing = next(i for i in range(1, count + 1) if i not in present)
        more = count - len(shards) - 1
        raise ValueError(
            f'{folder} is not whole: {shard_name(missing, count)}'
            f'{f" and {more} more" if more else ""} missing; render it with '
            f'--shard {missing}/{count}, or all that are missing with '
            f'--shards {count}')
    folders = [folder / shard_name(*shard) for shard in shards]
    _check_same_set(folders)
    return folders


def _check_same_set(folders: Sequence[Path]) -> None:
    first = None
    for index, folder in enumerate(folders, 1):
        parameters = read_parameters(folder)
        if parameters is None or any(
                type(parameters.get(key)) is not int for key in COUNTS):
            raise ValueError(f'{folder} is no shard of a rendered data set: '
                             f'{PARAMETERS_FILE} is missing or damaged')
        if parameters.get('shard') != [index, len(folders)]:
            raise ValueError(
                f'{folder} is not what its name says: by {PARAMETERS_FILE} it '
                f'is shard {parameters.get("shard")}')
        common = common_parameters(parameters)
        if first is None:
            first = common
        elif common != first:
            key = next(
                key for key in (*first, *common)
                if first.get(key) != common.get(key))
            raise ValueError(
                f'{folder} is of another data set than {folders[0]}: {key} is '
                f'{common.get(key)!r}, not {first.get(key)!r}')
