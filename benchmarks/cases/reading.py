"""Cases of reading: samples as they come out of the data pipelines."""
import time
from pathlib import Path
from typing import Dict, List, Sequence

import numpy as np
from mmengine.config import Config
from mmengine.dataset import BaseDataset

from ..networks import CONFIGS
from ..timing import Case

# the data set and split whose pipeline each is
PIPELINES = {
    'plain': ('freihand', 'val'),
    'augmented': ('freihand', 'train'),
    'rhd_plain': ('rhd', 'val'),
    'rhd_augmented': ('rhd', 'train'),
}
# what mmpose has in the place of our stages
MMPOSE_STAGES = {
    'FastRandomBBoxTransform': 'RandomBBoxTransform',
    'TopdownAffineCamera': 'TopdownAffine',
    'FastPhotometricDistortion': 'PhotometricDistortion',
    'PackHandInputs': 'PackPoseInputs',
}


def write_images(root: Path, layout: str) -> None:
    """Render images of the layout's usual size, if that is not done."""
    from lgh_mmpose.rendering import write_studiohand
    write_studiohand(
        root / f'studiohand_{layout}',
        num_train=32,
        num_eval=32,
        layout=layout,
        quiet=True)


def build_dataset(root: Path, name: str) -> BaseDataset:
    """A config's data set over rendered images.

    Args:
        root (Path): Folder of :func:`write_images`.
        name (str): One of :data:`PIPELINES`; with ``'mmpose_'`` before it the
            stages are mmpose's own, with the same settings.
    """
    from mmpose.registry import DATASETS

    from lgh_mmpose.config import set_data_root
    layout, split = PIPELINES[name.replace('mmpose_', '')]
    cfg = Config.fromfile(CONFIGS / f'lgh_{layout}.py')
    set_data_root(cfg, str(root / f'studiohand_{layout}'))
    dataset = cfg[f'{split}_dataloader'].dataset
    if name.startswith('mmpose_'):
        dataset.pipeline = mmpose_pipeline(dataset.pipeline)
    return DATASETS.build(dataset)


def mmpose_pipeline(steps: Sequence[dict]) -> List[dict]:
    """The stages of a pipeline as mmpose has them.

    The camera does not follow the crop in these, and left hands stay left.
    """
    own = [dict(type='LoadImage')]
    for step in steps:
        if step['type'] not in ('LoadHandImage', 'CanonicalizeHandSide'):
            own.append(
                dict(step, type=MMPOSE_STAGES.get(step['type'], step['type'])))
    return own


def pipeline(root: Path, name: str) -> Case:
    """Reading one sample as a worker of the data loader does."""

    def setup():
        dataset = build_dataset(root, name)
        state = dict(index=0)

        def call():
            state['index'] = (state['index'] + 1) % len(dataset)
            return dataset[state['index']]

        return call

    layout, _ = PIPELINES[name.replace('mmpose_', '')]
    return Case(setup, prepare=lambda: write_images(root, layout))


def pipeline_stages(root: Path, name: str, rounds: int) -> Dict[str, float]:
    """CPU time of each stage of a pipeline, ms per sample.

    The median over the rounds of the mean over the samples.
    """
    dataset = build_dataset(root, name)
    transforms = dataset.pipeline.transforms
    names = ['record', *(type(t).__name__ for t in transforms)]
    totals = np.zeros((rounds + 1, len(names)))
    for row in totals:
        for i in range(len(dataset)):
            start = time.process_time()
            data = dataset.get_data_info(i)
            for column, transform in enumerate([None, *transforms]):
                if transform is not None:
                    data = transform(data)
                end = time.process_time()
                row[column] += end - start
                start = end
    # the first round warms up
    medians = 1e3 * np.median(totals[1:], 0) / len(dataset)
    return dict(zip(names, medians.tolist()))
