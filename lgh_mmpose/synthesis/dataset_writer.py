"""Write SynthHand, whatever its layout, and ``synthhand.json`` with the
parameters."""
import json
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from pathlib import Path
from typing import Iterator, List, Optional, Sequence, Tuple, Union

import cv2
from tqdm import tqdm

from .freihand_writer import FreiHandLayout
from .layout import Layout
from .rhd_writer import RhdLayout
from .scene import SPLITS, SceneGenerator

GENERATOR_VERSION = 2
"""To be raised whenever the same parameters give other pictures."""

PARAMETERS_FILE = 'synthhand.json'
_CHUNK = 32  # samples a worker makes at a time
LAYOUTS = (FreiHandLayout.name, RhdLayout.name)

_generators = {}  # one per split, in each worker process


def write_synthhand(out_dir: Union[str, Path],
                    num_train: int,
                    num_eval: int,
                    seed: int = 0,
                    size: Optional[int] = None,
                    difficulty: str = 'full',
                    workers: int = 1,
                    overwrite: bool = False,
                    quiet: bool = False,
                    layout: str = 'freihand',
                    depth: bool = False) -> bool:
    """Render a data set and write it in the layout of a real one.

    The bytes depend on the parameters, not on the number of workers. The data
    set is built in a hidden directory beside ``out_dir`` and renamed when it
    is whole; on failure or interruption that directory is removed. A killed
    process leaves it behind as ``.{name}.*.partial``, which may be deleted.

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
        overwrite: Replace a SynthHand data set with other parameters.
        quiet: Show no progress.
        layout: 'freihand' or 'rhd', see :class:`FreiHandLayout` and
            :class:`RhdLayout`.
        depth: Write depth maps too; in RHD's layout only.

    Returns:
        bool: False if the very data set was already there.

    Raises:
        ValueError: If a parameter is out of its range.
        FileExistsError: If ``out_dir`` holds something else.
        RuntimeError: If a worker fails; names the sample.
    """
    if num_train < 0 or num_eval < 0 or num_train + num_eval == 0:
        raise ValueError('The numbers of images are to be 0 or more and not '
                         f'both 0, got {num_train} and {num_eval}.')
    if workers < 1:
        raise ValueError(f'The number of workers is {workers}, expected 1 or '
                         'more.')
    layout = _make_layout(layout, depth)
    size = layout.image_size if size is None else size
    parameters = {
        'generator_version': GENERATOR_VERSION,
        **layout.parameters(),
        'seed': seed,
        'difficulty': difficulty,
        'size': size,
        'num_train': num_train,
        'num_eval': num_eval,
    }
    SceneGenerator(seed, SPLITS[0], size, difficulty)  # checks its arguments

    out_dir = Path(os.path.realpath(out_dir))
    if not overwrite and _is_complete(out_dir, parameters, layout):
        return False
    _check_replaceable(out_dir, overwrite)
    out_dir.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(
        tempfile.mkdtemp(
            prefix=f'.{out_dir.name}.', suffix='.partial', dir=out_dir.parent))
    try:
        os.chmod(partial, 0o777 & ~_umask())  # mkdtemp makes it private
        _write_splits(partial, layout, (num_train, num_eval),
                      (seed, size, difficulty), workers, quiet)
        with open(partial / PARAMETERS_FILE, 'w') as file:
            json.dump(parameters, file, indent=2, allow_nan=False)
            file.write('\n')
        _move_into_place(partial, out_dir)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return True


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _read_parameters(directory: Path) -> Union[dict, None]:
    """Parameters of the data set in ``directory``; None if it has none."""
    try:
        parameters = json.loads((directory / PARAMETERS_FILE).read_text())
    except (OSError, ValueError, RecursionError):
        return None
    return parameters if isinstance(parameters, dict) else None


def _make_layout(name: str, depth: bool) -> Layout:
    if name not in LAYOUTS:
        raise ValueError(f'layout is {name!r}, expected one of {LAYOUTS}')
    if name == RhdLayout.name:
        return RhdLayout(depth)
    if depth:
        raise ValueError(f'the layout {name!r} has no depth maps')
    return FreiHandLayout()


def _is_complete(directory: Path, parameters: dict, layout: Layout) -> bool:
    """Whether ``directory`` holds the data set with these parameters."""
    if _read_parameters(directory) != parameters:
        return False
    for split, key in zip(SPLITS, ('num_train', 'num_eval')):
        names = set(map(layout.image_name, range(parameters[key])))
        for kind in layout.folders:
            folder = directory / split / kind
            if not folder.is_dir() or not names <= set(os.listdir(folder)):
                return False
        if not all((directory / name).is_file()
                   for name in layout.annotation_files(split)):
            return False
    return True


def _check_replaceable(directory: Path, overwrite: bool) -> None:
    if not directory.exists() or (directory.is_dir()
                                  and not os.listdir(directory)):
        return
    if _read_parameters(directory) is None:
        raise FileExistsError(
            f'{directory} exists and is no SynthHand data set; it is left '
            'alone. Choose another directory.')
    if not overwrite:
        raise FileExistsError(
            f'{directory} holds a SynthHand data set with other parameters '
            'or missing files. Choose another directory or pass --overwrite.')


def _move_into_place(partial: Path, out_dir: Path) -> None:
    if not out_dir.exists() or not os.listdir(out_dir):
        os.replace(partial, out_dir)
        return
    # A directory with content cannot be replaced in one step.
    retired = Path(
        tempfile.mkdtemp(
            prefix=f'.{out_dir.name}.', suffix='.old', dir=out_dir.parent))
    os.replace(out_dir, retired)
    os.replace(partial, out_dir)
    shutil.rmtree(retired, ignore_errors=True)


def _write_splits(root: Path, layout: Layout, counts: Sequence[int],
                  scene: tuple, workers: int, quiet: bool) -> None:
    annotations, tasks = {}, []
    for split, count in zip(SPLITS, counts):
        for kind in layout.folders:
            (root / split / kind).mkdir(parents=True)
        annotations[split] = [None] * count
        tasks += [(root, layout, split, start, min(start + _CHUNK,
                                                   count), scene)
                  for start in range(0, count, _CHUNK)]
    with _progress(sum(counts), quiet) as progress:
        for (_, _, split, start, stop, _), chunk in _run(tasks, workers):
            annotations[split][start:stop] = chunk
            progress.update(len(chunk))
    for split, samples in annotations.items():
        layout.write_annotations(root, split, samples)


def _progress(count: int, quiet: bool) -> tqdm:
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
        total=count, desc='SynthHand', unit=' images', disable=quiet, **style)


def _run(tasks: List[tuple], workers: int) -> Iterator[Tuple[tuple, list]]:
    """Yield each task with the annotations of its samples, in any order."""
    if workers == 1:
        for task in tasks:
            yield task, _write_samples(*task)
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


def _write_samples(root: Path, layout: Layout, split: str, start: int,
                   stop: int, scene: tuple) -> list:
    """Write the images of some samples, return the annotation of each."""
    key = (split, scene)
    if key not in _generators:
        seed, size, difficulty = scene
        _generators.clear()  # backgrounds of the last split take room
        _generators[key] = SceneGenerator(seed, split, size, difficulty)
    annotations = []
    for index in range(start, stop):
        try:
            sample = layout.make_sample(_generators[key], index)
            annotations.append(
                layout.write_images(root / split, index, sample))
        except Exception as error:
            raise RuntimeError(f'SynthHand {split} sample {index} failed: '
                               f'{type(error).__name__}: {error}') from error
    return annotations
