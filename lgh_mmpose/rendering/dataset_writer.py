"""Write StudioHand, whatever its layout, and ``studiohand.json`` with the
parameters."""
import contextlib
import functools
import hashlib
import json
import multiprocessing
import os
import re
import signal
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from itertools import filterfalse
from multiprocessing.connection import wait
from pathlib import Path
from typing import (Any, Collection, Iterable, Iterator, List, Optional,
                    Sequence, Tuple, Union)

import cv2
from tqdm import tqdm

from ..fileio import list_files, put_in_place, unfinished_directory
from ..inference.images import list_pictures
from ..shards import (COUNTS, PARAMETERS_FILE, common_parameters, list_shards,
                      read_parameters, shard_name, shard_range)
from .coco_writer import CocoLayout
from .freihand_writer import FreiHandLayout
from .layout import Layout
from .numba_utils import heed_interrupts
from .rhd_writer import RhdLayout
from .scene import FILL, SPLITS

GENERATOR_VERSION = 1
"""To be raised whenever the same parameters give other pictures."""

_CHUNK = 32  # samples a worker makes at a time
LAYOUTS = (FreiHandLayout.name, RhdLayout.name, CocoLayout.name)

_WARM_UP = 8  # samples that need nearly all that is compiled
_PATIENCE = 3.  # seconds, longer than loading what was compiled takes
_COMPILING = ('StudioHand: compiling, which takes a minute or so in the first '
              'run ...')
_warm = set()  # names of layouts
_generators = {}  # one per split, in each worker process


def write_studiohand(out_dir: Union[str, Path],
                     num_train: int,
                     num_eval: int,
                     seed: int = 0,
                     size: Optional[int] = None,
                     difficulty: str = 'full',
                     workers: int = 1,
                     overwrite: bool = False,
                     quiet: bool = False,
                     layout: str = 'freihand',
                     depth: bool = False,
                     backgrounds: Optional[Union[str, Path]] = None,
                     without: Collection[str] = (),
                     fill: Optional[Sequence[float]] = None,
                     shard: Optional[Tuple[int, int]] = None) -> bool:
    """Render a data set and write it in the layout of a real one.

    The bytes depend on the parameters, neither on the number of workers nor
    on that of the shards, on machines of one kind; with another processor or
    other versions of NumPy and OpenCV a last digit or a grey level may differ
    by one. The data set is built in a hidden directory beside
    ``out_dir`` and renamed when it is whole; on failure or interruption that
    directory is removed. A killed process leaves it behind as
    ``.{name}.partial``, which the next run removes. What is put at
    ``out_dir`` while it works is left alone, and the data set gets a name
    beside it.

    Args:
        out_dir: Directory to create.
        num_train: Number of training images.
        num_eval: Number of evaluation images.
        seed: Seed of the data set.
        size: Side of the images in pixels; by default that of the layout's
            data set.
        difficulty: 'easy' or 'full', see :class:`SceneGenerator`.
        workers: Number of processes; 1 works in this one. With more, a
            script that calls this needs ``if __name__ == '__main__'``.
        overwrite: Replace a StudioHand data set with other parameters.
        quiet: Show no progress.
        layout: 'freihand', 'rhd' or 'coco', see :class:`FreiHandLayout`,
            :class:`RhdLayout` and :class:`CocoLayout`.
        depth: Write depth maps too; in RHD's layout only.
        backgrounds: Folder of pictures to put behind the hands. Their number
            and a digest of names and contents are among the parameters; other
            files in it do not matter.
        without: What is left out of the pictures, see
            :class:`SceneGenerator`.
        fill: Least and largest share of the image that a hand spans; in
            FreiHAND's layout only. By default 0.5 and 0.85.
        shard: Index, from 1 on, and number of shards: only this part of the
            data set is made, in ``out_dir/shard-0003-of-0010`` for (3, 10).
            See :func:`write_shards`.

    Returns:
        bool: False if the very data set was already there.

    Raises:
        ValueError: If a parameter is out of its range.
        FileExistsError: If ``out_dir`` holds something else, from the
            beginning or at the end, or another run is writing it.
        RuntimeError: If a worker fails; names the sample.
    """
    if num_train < 0 or num_eval < 0 or num_train + num_eval == 0:
        raise ValueError('The numbers of images are to be 0 or more and not '
                         f'both 0, got {num_train} and {num_eval}.')
    if workers < 1:
        raise ValueError(f'The number of workers is {workers}, expected 1 or '
                         'more.')
    layout = _make_layout(layout, depth, fill)
    size = layout.image_size if size is None else size
    if isinstance(without, str):
        without = (without, )
    without = tuple(sorted(set(without)))
    scene = dict(
        seed=seed,
        size=size,
        difficulty=difficulty,
        backgrounds=None if backgrounds is None else str(backgrounds),
        without=without)
    with heed_interrupts():
        # checks its arguments
        scenes = layout.make_generator(split=SPLITS[0], **scene)
    pictures = None if backgrounds is None else _describe_folder(backgrounds)
    parameters = {
        'generator_version': GENERATOR_VERSION,
        **layout.parameters(),
        **scene,
        'backgrounds': pictures,
        'without': list(without),
        'num_train': num_train,
        'num_eval': num_eval,
    }

    out_dir = Path(os.path.realpath(out_dir))
    if shard is not None:
        _check_shard(out_dir, shard, parameters, overwrite)
        out_dir = out_dir / shard_name(*shard)
        parameters['shard'] = list(shard)
    if not overwrite and _is_complete(out_dir, parameters, layout):
        return False
    with unfinished_directory(out_dir) as partial:
        # before the check: what comes after it is seen at the end
        former = list_files(out_dir)
        _check_replaceable(out_dir, overwrite, former)
        _warm_up(scenes, layout, quiet)
        _write_splits(partial, layout, _ranges(parameters), scene, workers,
                      quiet)
        with open(partial / PARAMETERS_FILE, 'w') as file:
            json.dump(parameters, file, indent=2, allow_nan=False)
            file.write('\n')
        put_in_place(partial, out_dir, former)
    return True


def write_shards(out_dir: Union[str, Path],
                 num_shards: int,
                 executor: Any = None,
                 quiet: bool = False,
                 **parameters) -> int:
    """Render a data set in shards, which may be done on many machines.

    Each is a folder ``out_dir/shard-0003-of-0010``, in the layout of the data
    set and numbered from 0 on; the data sets of this package read
    ``out_dir`` as one. Sample k of the whole is the same, byte by byte on
    machines of one kind, with any number of shards, none included. Shards
    that are there are kept, so that the same call goes on where it was
    interrupted.

    Args:
        out_dir: Directory to create, on a file system that all machines
            share.
        num_shards: Number of shards.
        executor: submitit's executor, to which each shard is a job; by
            default they are done here, one after the other.
        quiet: Show no progress.
        **parameters: See :func:`write_studiohand`.

    Returns:
        int: Number of shards that were not there already.

    Raises:
        ValueError, FileExistsError: See :func:`write_studiohand`.
        RuntimeError: If a shard fails; the others are done all the same.
    """
    if num_shards < 1:
        raise ValueError(f'The number of shards is {num_shards}, expected 1 '
                         'or more.')
    out_dir = Path(os.path.realpath(out_dir))
    if parameters.get('backgrounds') is not None:
        # jobs may have another working directory
        parameters['backgrounds'] = os.path.abspath(parameters['backgrounds'])
    shards = [(index, num_shards) for index in range(1, num_shards + 1)]
    if executor is not None:
        return _submit_shards(executor, out_dir, shards, quiet, parameters)
    written = 0
    for shard in shards:
        if not quiet and num_shards > 1:
            print(shard_name(*shard), file=sys.stderr)
        written += write_studiohand(
            out_dir, shard=shard, quiet=quiet, **parameters)
    return written


def _submit_shards(executor: Any, out_dir: Path, shards: List[Tuple[int, int]],
                   quiet: bool, parameters: dict) -> int:
    with executor.batch():  # one array of jobs
        jobs = [
            executor.submit(
                write_studiohand,
                out_dir,
                shard=shard,
                quiet=True,
                **parameters) for shard in shards
        ]
    written, failed = 0, []
    try:
        with _progress(len(jobs), quiet, ' shards') as progress:
            for job, shard in zip(jobs, shards):
                error = job.exception()
                if error is None:
                    written += job.result()
                else:
                    failed.append(f'{shard_name(*shard)}: {_why(error)}; its '
                                  f'log: {job.paths.stderr}')
                progress.update()
    except BaseException:
        for job in jobs:
            job.cancel()
        raise
    if failed:
        raise RuntimeError(
            f'{len(failed)} of {len(jobs)} shards failed, which the same '
            f'command does again. {failed[0]}')
    return written


def _why(error: Exception) -> str:
    """The end of a job in a sentence; without a traceback it tells its log."""
    if type(error).__name__ == 'UncompletedJobError':
        return 'was killed'
    return str(error).strip().splitlines()[-1]


def _describe_folder(folder: Union[str, Path]) -> dict:
    """Number of the pictures in a folder, digest of names and contents."""
    paths, digest = list_pictures(folder), hashlib.sha256()
    for path in paths:
        name = os.fsencode(Path(path).relative_to(folder).as_posix())
        try:
            status = os.stat(path)
            content = _hash_file(path, status.st_size, status.st_mtime_ns,
                                 status.st_ino)
        except OSError:  # it is in no background either
            content = b''
        digest.update(b'%s\0%s' % (name, content))
    return {'files': len(paths), 'sha256': digest.hexdigest()}


@functools.lru_cache(maxsize=None)
def _hash_file(path: str, *status: int) -> bytes:
    """Hash a file; once, as long as its status, its time, say, is the same.

    For each shard the folder is looked at anew.
    """
    content = hashlib.sha256()
    with open(path, 'rb') as file:
        for block in iter(lambda: file.read(1 << 20), b''):
            content.update(block)
    return content.digest()


def _ranges(parameters: dict) -> List[range]:
    """Samples of each split that are in a data set or its shard."""
    shard = parameters.get('shard', (1, 1))
    return [shard_range(parameters[key], *shard) for key in COUNTS]


def _check_shard(out_dir: Path, shard: Tuple[int, int], parameters: dict,
                 overwrite: bool) -> None:
    """Check that a shard fits the others in ``out_dir``."""
    index, count = shard
    if not 1 <= index <= count:
        raise ValueError(f'shard is {index} of {count}, expected one from 1 '
                         f'to {count}')
    if (out_dir / PARAMETERS_FILE).exists():
        raise FileExistsError(f'{out_dir} holds a data set that is not in '
                              'shards. Choose another directory.')
    for other in list_shards(out_dir):
        name = shard_name(*other)
        if other[1] != count:
            raise FileExistsError(
                f'{out_dir} holds {name}, of {other[1]} shards, not {count}. '
                'Move it away or choose another directory.')
        found = read_parameters(out_dir / name)
        if not overwrite and found is not None and \
                common_parameters(found) != parameters:
            raise FileExistsError(
                f'{out_dir} holds {name} with other parameters. Choose '
                'another directory or pass --overwrite.')


def _make_layout(name: str, depth: bool,
                 fill: Optional[Sequence[float]]) -> Layout:
    if name not in LAYOUTS:
        raise ValueError(f'layout is {name!r}, expected one of {LAYOUTS}')
    if depth and name != RhdLayout.name:
        raise ValueError(f'the layout {name!r} has no depth maps')
    if fill is not None and name != FreiHandLayout.name:
        raise ValueError(f'the layout {name!r} has no fill: its hands are of '
                         'many sizes')
    if name == RhdLayout.name:
        return RhdLayout(depth)
    if name == CocoLayout.name:
        return CocoLayout()
    return FreiHandLayout(FILL if fill is None else fill)


def _is_complete(directory: Path, parameters: dict, layout: Layout) -> bool:
    """Whether ``directory`` holds the data set with these parameters."""
    if read_parameters(directory) != parameters:
        return False
    for split, samples in zip(SPLITS, _ranges(parameters)):
        names = set(map(layout.image_name, range(len(samples))))
        for kind in layout.folders:
            folder = directory / split / kind
            if not folder.is_dir() or not names <= set(os.listdir(folder)):
                return False
        if not all((directory / name).is_file()
                   for name in layout.annotation_files(split)):
            return False
    return True


def _check_replaceable(directory: Path, overwrite: bool,
                       names: Iterable[str]) -> None:
    if not directory.exists() or (directory.is_dir() and not names):
        return
    if read_parameters(directory) is None:
        what = 'holds shards of a data set' if list_shards(directory) else \
            'exists and is no StudioHand data set'
        raise FileExistsError(f'{directory} {what}; it is left alone. Choose '
                              'another directory.')
    if not overwrite:
        raise FileExistsError(
            f'{directory} holds a StudioHand data set with other parameters '
            'or missing files. Choose another directory or pass --overwrite.')
    foreign = sorted(filterfalse(_own_files().fullmatch, names))
    if foreign:
        raise FileExistsError(
            f'{directory} holds {foreign[0]} too, which is not of a '
            'StudioHand data set; it is left alone. Move that away or choose '
            'another directory.')


def _own_files() -> 're.Pattern':
    """All paths in a data set, of whichever layout."""
    layouts = FreiHandLayout(), RhdLayout(depth=True), CocoLayout()
    splits = '|'.join(SPLITS)
    folders = '|'.join(kind for layout in layouts for kind in layout.folders)
    files = '|'.join(
        re.escape(name) for layout in layouts for split in SPLITS
        for name in (PARAMETERS_FILE, *layout.annotation_files(split)))
    return re.compile(
        rf'(?:{splits})(?:/(?:{folders})(?:/\d+\.(?:jpg|png))?)?|{files}|'
        'annotations')


def _warm_up(scenes: Any, layout: Layout, quiet: bool) -> None:
    """Compile what draws, once: not in each worker, nor in the bar's time."""
    if layout.name in _warm:
        return
    notice = threading.Timer(_PATIENCE, print, [_COMPILING],
                             {'file': sys.stderr})
    if not quiet:
        notice.start()
    try:
        for index in range(_WARM_UP):
            # a sample that fails is named when it is written
            with contextlib.suppress(Exception), heed_interrupts():
                layout.make_sample(scenes, index)
    finally:
        notice.cancel()
    _warm.add(layout.name)


def _write_splits(root: Path, layout: Layout, ranges: Sequence[range],
                  scene: dict, workers: int, quiet: bool) -> None:
    annotations, tasks = {}, []
    for split, samples in zip(SPLITS, ranges):
        for kind in layout.folders:
            (root / split / kind).mkdir(parents=True)
        annotations[split] = [None] * len(samples)
        tasks += [(root, layout, split, samples.start,
                   samples[start:start + _CHUNK], scene)
                  for start in range(0, len(samples), _CHUNK)]
    with _progress(sum(map(len, ranges)), quiet, ' images') as progress:
        for (_, _, split, first, samples, _), chunk in _run(tasks, workers):
            start = samples.start - first
            annotations[split][start:start + len(chunk)] = chunk
            progress.update(len(chunk))
    for split, samples in annotations.items():
        layout.write_annotations(root, split, samples)


def _progress(count: int, quiet: bool, unit: str) -> tqdm:
    style = {}
    if not sys.stderr.isatty():
        # A log file gets a line now and then instead of a bar.
        style = {
            'mininterval':
            10,
            'bar_format':
            '{desc}: {n_fmt}/{total_fmt}, {rate_fmt}, '
            '{remaining} left\n'
        }
    return tqdm(
        total=count, desc='StudioHand', unit=unit, disable=quiet, **style)


def _run(tasks: List[tuple], workers: int) -> Iterator[Tuple[tuple, list]]:
    """Yield each task with the annotations of its samples, in any order."""
    if workers == 1:
        try:
            for task in tasks:
                yield task, _write_samples(*task)
        finally:  # the folder of backgrounds may change until the next call
            _generators.clear()
        return
    executor = ProcessPoolExecutor(
        min(workers, len(tasks)),
        mp_context=_worker_context(),
        initializer=_initialize_worker)
    futures = {}
    try:
        for task in tasks:
            futures[executor.submit(_write_samples, *task)] = task
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool as error:
        raise RuntimeError(
            'A process that rendered images ended unexpectedly, maybe for '
            'lack of memory. Try fewer workers.') from error
    finally:
        for future in futures:
            future.cancel()
        executor.shutdown()


def _worker_context() -> multiprocessing.context.BaseContext:
    # A fork of this process would inherit locks of OpenCV's threads and hang.
    if 'forkserver' not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context('spawn')
    context = multiprocessing.get_context('forkserver')
    # Imported once, not by each worker.
    context.set_forkserver_preload([__name__])
    return context


def _initialize_worker() -> None:
    # Ctrl-C reaches every process; the parent alone is to act on it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    parent = multiprocessing.parent_process()

    def exit_with_parent() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=exit_with_parent, daemon=True).start()


def _write_samples(root: Path, layout: Layout, split: str, first: int,
                   samples: range, scene: dict) -> list:
    """Write the images of some samples, return the annotation of each.

    Args:
        root: Folder of the data set.
        layout: Its layout.
        split: Its split.
        first: Sample whose files have the number 0.
        samples: The samples.
        scene: Arguments of the :class:`SceneGenerator` but the split.
    """
    key = (layout.name, split, *scene.items())
    if key not in _generators:
        _generators.clear()  # backgrounds of the last split take room
        with heed_interrupts():
            _generators[key] = layout.make_generator(split=split, **scene)
    annotations = []
    for index in samples:
        try:
            with heed_interrupts():
                sample = layout.make_sample(_generators[key], index)
            annotations.append(
                layout.write_images(root / split, index - first, sample))
        except Exception as error:
            raise RuntimeError(f'StudioHand {split} sample {index} failed: '
                               f'{type(error).__name__}: {error}') from error
    return annotations
