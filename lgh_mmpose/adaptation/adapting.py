"""Adaptation of the network that ships to a folder of photographs."""
import hashlib
import logging
import os.path as osp
import shutil
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import (Any, Dict, Iterable, List, NamedTuple, Optional, Sequence,
                    Tuple)

import numpy as np
from mmengine.config import Config
from tqdm import tqdm

from ..deployment import export_config
from ..deployment.publishing import publish_file
from ..evaluation.photographs import (PhotoHand, PhotoPrediction,
                                      compare_photos, predict_photos)
from ..fileio import claim, put_in_place, unfinished_directory, write_json
from ..geometry.hand import SIDES
from ..geometry.plausibility import find_placement_fault
from ..inference.images import (IMAGE_EXTENSIONS, find_decoding_fault,
                                find_file_fault, read_image, read_image_size)
from ..inference.pipeline import HandPose
from ..rendering import write_studiohand
from ..shards import list_shards, read_parameters, shard_name
from .consensus import Consensus, find_consensus
from .labels import (TrainingHand, choose, read_labels, write_hands,
                     write_labels)
from .training import check_checkpoint, make_config, mix, score_rendered, train

_LOGGER = logging.getLogger(__name__)

SHIPPED = 'lgh_mmpose://hand_pose'
MIN_HANDS = 20
"""Fewest hands from which there is something to learn."""
HELD_OUT = 5
"""Every so many-th photograph is kept back, to see what the others taught."""
SHARE = .75
"""How much of the weights that a round has come to is taken; the rest is of
those that the first one began from, so that less is forgotten."""
MIN_LABELS = 10
"""Fewest labelled hands that were held out by which a verdict is given."""
# hands as the network that ships was trained on
_RENDERED = dict(
    num_train=12000, num_eval=500, size=160, fill=(.4, .6), seed=1)

# a photograph, its width and height, and a hand on it
_Found = Tuple[str, Tuple[int, int], Consensus]


def adapt(folder: Path,
          out: Path,
          labels: Optional[Path] = None,
          checkpoint: str = SHIPPED,
          rounds: int = 2,
          max_epochs: int = 3,
          seed: int = 0,
          work_dir: Optional[Path] = None,
          rendered: Optional[Path] = None,
          workers: int = 1) -> Dict[str, Any]:
    """Adapt a network to photographs.

    Args:
        folder (Path): The photographs, of any size, with any number of hands.
        out (Path): Directory to make: an export of the adapted network, its
            checkpoint ``hand_pose.pth`` and ``adaptation.json``.
        labels (Path, optional): 2D joints of hands on some of them, see
            :func:`~lgh_mmpose.adaptation.labels.read_labels`.
        checkpoint (str): What to start from. Defaults to the network that
            ships.
        rounds (int): How often the photographs are labelled and learned from.
            Defaults to 2.
        max_epochs (int): Length of each training. Defaults to 3.
        seed (int): Defaults to 0.
        work_dir (Path, optional): Where logs, labels and checkpoints go.
            Defaults to ``work_dirs/adapt/NAME``.
        rendered (Path, optional): StudioHand in FreiHAND's layout, to learn
            from beside the photographs. Defaults to one that is rendered into
            the work dir.
        workers (int): Processes that render. Defaults to 1.

    Returns:
        dict: What ``adaptation.json`` holds.

    Raises:
        FileExistsError: If ``out`` is there already.
        FileNotFoundError: If there is no such folder, file or photograph.
        ValueError: If there are too few photographs or hands, the labels do
            not fit them, or the checkpoint is of another network.
    """
    if out.exists():
        raise FileExistsError(f'{out} exists: remove it, or give another '
                              'directory')
    with unfinished_directory(out):
        pass  # whether it can be written is better told now
    work_dir = work_dir or Path('work_dirs') / 'adapt' / out.name
    if rendered is not None:
        _check_rendered(rendered)
    check_checkpoint(make_config(Path(), [], work_dir, seed, 1), checkpoint)
    images = list_photographs(folder)
    labelled = [] if labels is None else read_labels(labels, folder)
    for hand in labelled:
        fault = find_decoding_fault(hand.image) or find_placement_fault(
            read_image_size(hand.image), hand.box, hand.keypoints[hand.seen])
        if fault is not None:
            raise ValueError(f'{labels}: the label on {hand.image}: {fault}')
    work_dir.mkdir(parents=True, exist_ok=True)
    with claim(work_dir / 'adapt'):
        for path in work_dir.iterdir():  # of an earlier run
            if path.name != 'rendered' and path.is_dir():
                shutil.rmtree(path)
        run = _Adaptation(images, labelled, checkpoint, work_dir, rendered
                          or work_dir / 'rendered', seed, max_epochs)

        def render() -> None:
            if rendered is None:
                write_studiohand(run.rendered, workers=workers, **_RENDERED)

        if checkpoint != SHIPPED:
            render()  # its export is compared on them
            run.export(checkpoint, 'start')
        run.look('looking at the photographs')
        run.check_enough()  # before minutes go by
        render()
        run.measure_before()
        for number in range(1, rounds + 1):
            title = f'round {number} of {rounds}'
            if number > 1:
                run.look(f'{title}: looking')
                if len(run.chosen) + len(run.labels_to_learn) < MIN_HANDS:
                    break  # the last round has not made it surer
            run.learn(number, title)
        report = run.report()
        _write(out, run.model_dir, run.checkpoint, report)
    return report


def list_photographs(folder: Path) -> List[str]:
    """Paths of the photographs in a folder, in the order of their names.

    Films, other files and folders within are left out; photographs that
    cannot be read are named, and left out as well.

    Raises:
        FileNotFoundError: If there is no such folder.
        ValueError: If it holds no photograph that can be read.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f'{folder} is no folder of photographs')
    names = []
    inner = sum(path.is_dir() for path in folder.iterdir())
    if inner:
        _LOGGER.warning(f'{inner} folder(s) within {folder} are left out: '
                        'copy or link what is to be learned from into one')
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in IMAGE_EXTENSIONS:
            continue
        fault = find_file_fault(str(path)) or find_decoding_fault(str(path))
        if fault is None:
            names.append(osp.realpath(path))
        else:
            _LOGGER.warning(f'{path} is left out: {fault}')
    if not names:
        raise ValueError(f'{folder} holds no photograph that can be read')
    return names


def _check_rendered(folder: Path) -> None:
    """Raise ValueError if hands can be neither learned from nor scored."""
    shards = list_shards(folder)
    part = folder / shard_name(*shards[0]) if shards else folder
    parameters = read_parameters(part) or {}
    if parameters.get('layout') != 'freihand' or not parameters.get(
            'num_train') or not parameters.get('num_eval'):
        raise ValueError(
            f'{folder} is no StudioHand in FreiHAND\'s layout with images to '
            'train and to evaluate on: make one with '
            'tools/dataset_converters/make_studiohand.py, or leave --rendered '
            'out')


def _in_lasting_order(paths: Iterable[str]) -> List[str]:
    """Shuffle paths, in the same way among others and in another folder."""
    return sorted(
        paths,
        key=lambda path: hashlib.sha256(osp.basename(path).encode()).digest())


class _Adaptation:
    """What an adaptation knows so far."""

    def __init__(self, images: List[str], labelled: List[PhotoHand],
                 checkpoint: str, work_dir: Path, rendered: Path, seed: int,
                 max_epochs: int) -> None:
        self.images, self.labelled = images, labelled
        self.start = self.checkpoint = checkpoint
        self.work_dir = work_dir
        self.rendered, self.seed = rendered, seed
        self.max_epochs = max_epochs
        self.model_dir: Optional[Path] = None  # None: the one that ships
        self.rounds: List[dict] = []
        with_labels = sorted({hand.image for hand in labelled})
        without = sorted(set(images) - set(with_labels))
        # with labels and without, each, a part of the photographs
        held_out = {
            name
            for names in (with_labels, without)
            for name in _in_lasting_order(names)[:len(names) // HELD_OUT]
        }
        self.to_learn = [name for name in without if name not in held_out]
        self.to_check = [name for name in without if name in held_out]
        self.labels_to_learn, self.labels_to_check = ([
            hand for hand in labelled if (hand.image in held_out) is held
        ] for held in (False, True))
        self.found: List[_Found] = []
        self.chosen: List[TrainingHand] = []
        # of the hands that were held out
        self.boxes: Optional[Dict[str, np.ndarray]] = None

    # -- steps ---------------------------------------------------------------

    def look(self, title: str) -> None:
        """Label the photographs with the network as it is."""
        self.found = self._look(self.to_learn, title)
        chosen = [choose(hand, *image) for *image, hand in self.found]
        self.chosen = [hand for hand in chosen if hand is not None]

    def check_enough(self) -> None:
        """Raise ValueError if there is too little to learn from."""
        if len(self.chosen) + len(self.labels_to_learn) >= MIN_HANDS:
            return
        raise ValueError(
            f'on {len(self.to_learn)} photographs without labels '
            f'{len(self.found)} hands were found, of which the network is '
            f'sure of {len(self.chosen)}; with {len(self.labels_to_learn)} '
            'labelled ones that is too little to learn from: at least '
            f'{MIN_HANDS} are needed')

    def measure_before(self) -> None:
        """Score the network to start from."""
        self.before = self._measure('looking at those held out')
        self.rendered_before = score_rendered(self._config(), self.checkpoint)

    def learn(self, number: int, title: str) -> None:
        """Train on with what was labelled, and export."""
        folder = self.work_dir / f'round_{number}'
        folder.mkdir(parents=True, exist_ok=True)
        cfg = make_config(self.rendered, self._write_sets(folder), folder,
                          self.seed + number, self.max_epochs)
        trained = train(cfg, self.checkpoint, f'{title}: training')
        self.checkpoint = str(mix(self.start, trained, SHARE))
        self.export(self.checkpoint, folder.name)
        self.rounds.append(
            dict(found=len(self.found), learned_from=len(self.chosen)))

    def report(self) -> Dict[str, Any]:
        """What the adaptation came to."""
        before, after = self.before, self._measure('looking once more')
        rendered_after = score_rendered(self._config(), self.checkpoint)
        report = dict(
            photographs=len(self.images),
            labelled_hands=len(self.labelled),
            rounds=self.rounds,
            seed=self.seed,
            rendered=dict(
                before_mm=self.rendered_before['hand/MPJPE'],
                after_mm=rendered_after['hand/MPJPE']),
            doubt=dict(before=before.doubt, after=after.doubt),
            labels=None)
        if self.labels_to_check:
            both = compare_photos(
                self.labels_to_check,
                dict(before=[before.predictions],
                     after=[after.predictions]))['true']
            report['labels'] = dict(
                hands=both['after']['count'],
                before=both['before']['error'],
                after=both['after']['error'],
                ratio=both['after']['ratio'],
                ratio_interval=both['after']['ratio_interval'])
        report['verdict'] = verdict(report)
        return report

    def export(self, checkpoint: str, name: str) -> None:
        """Put a checkpoint into the form that :class:`HandPose` runs."""
        path = self.work_dir / f'{name}_export'
        shutil.rmtree(path, ignore_errors=True)
        export_config(
            self._config(), checkpoint, path, backend='onnx', precision='fp16')
        self.model_dir = path

    # -- parts ---------------------------------------------------------------

    def _config(self) -> Config:
        """Of a test, not of a training."""
        return make_config(self.rendered, [], self.work_dir, self.seed, 1)

    def _pose(self) -> HandPose:
        return HandPose(self.model_dir, detector='shipped')

    def _look(self,
              names: Sequence[str],
              title: str,
              boxes: Optional[Dict[str, np.ndarray]] = None) -> List[_Found]:
        """Hands of some photographs, in boxes or where they are found."""
        pose, found = self._pose(), []
        for name in tqdm(names, title, unit='picture'):
            image = read_image(name)
            size = image.shape[1], image.shape[0]
            found += [(name, size, hand) for hand in find_consensus(
                pose, image, None if boxes is None else boxes[name])]
        return found

    def _measure(self, title: str) -> '_Measured':
        """What the network as it is says of what was held out."""
        # before and after: in the same places
        names = self.to_check if self.boxes is None else self.boxes
        found = self._look(list(names), title, self.boxes)
        if self.boxes is None:
            self.boxes = {
                name: np.stack([hand.box for _, _, hand in hands])
                for name, hands in groupby(found, key=itemgetter(0))
            }
        doubts = [hand.doubt.mean() for _, _, hand in found]
        return _Measured(
            float(np.mean(doubts)) if doubts else None,
            predict_photos(self._pose(), self.labels_to_check))

    def _write_sets(self, folder: Path) -> List[Tuple[dict, int]]:
        """Data sets of a round, and how many hands they have."""
        sets = []
        if self.chosen:
            write_hands(folder / 'hands.json', self.chosen)
            sets.append((dict(
                type='Hand3DJsonDataset',
                data_root=str(folder),
                ann_file='hands.json',
                bbox_mode='keypoints'), len(self.chosen)))
        for side in (*SIDES, None):
            hands = [h for h in self.labels_to_learn if h.hand_side == side]
            if not hands:
                continue
            name = f'labels_{side or "unknown"}.json'
            write_labels(folder / name, hands)
            sets.append((dict(
                type='Hand2DDataset',
                hand_side=side,
                bbox_mode='annotation',
                dataset=dict(
                    type='OneHand10KDataset',
                    data_root=str(folder),
                    ann_file=name)), len(hands)))
        return sets


class _Measured(NamedTuple):
    """What a network says of photographs that were held out."""
    doubt: Optional[float]
    predictions: List[Optional[PhotoPrediction]]


def verdict(report: Dict[str, Any]) -> str:
    """Whether it got better, in a sentence or two.

    Args:
        report (dict): As :func:`adapt` makes it.
    """
    rendered = report['rendered']
    kept = (f'Rendered hands: {rendered["before_mm"]:.1f} mm before, '
            f'{rendered["after_mm"]:.1f} mm after.')
    labels = report['labels']
    if labels is None:
        doubt = report['doubt']
        few = 'too few' if report['labelled_hands'] else 'no'
        told = f'There are {few} labels to tell whether it got better.'
        if doubt['before'] is None or doubt['after'] is None:
            return (f'{told} No hand was found on the photographs that were '
                    f'held out. {kept}')
        return (f'{told} On photographs that were held out, several looks at '
                f'a hand differ by {100 * doubt["before"]:.1f} % of its size '
                f'before and {100 * doubt["after"]:.1f} % after: a sign, no '
                f'proof. {kept}')
    low, high = labels['ratio_interval']
    how = 'Whether it got better cannot be told from so few labels'
    if labels['hands'] >= MIN_LABELS:
        how = 'It got better' if high < 1 else \
            'It got worse' if low > 1 else how
    return (f'{how}: on {labels["hands"]} labelled hands that were held out '
            f'the error is {100 * labels["before"]:.1f} % of the hand\'s size '
            f'before and {100 * labels["after"]:.1f} % after, '
            f'{labels["ratio"]:.2f} of it ({low:.2f} to {high:.2f}). {kept}')


def _write(out: Path, model_dir: Path, checkpoint: str,
           report: Dict[str, Any]) -> None:
    """Make the directory of the result, whole or not at all."""
    with unfinished_directory(out) as folder:
        for path in model_dir.iterdir():
            shutil.copy(path, folder / path.name)
        publish_file(checkpoint, folder / 'hand_pose.pth', fp16=True)
        write_json(folder / 'adaptation.json', report, indent=1)
        put_in_place(folder, out)
