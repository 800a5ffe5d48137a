"""What a report is about: data set, checkpoint, command, versions."""
from importlib.metadata import version
from os.path import commonpath
from pathlib import Path
from typing import Any, Dict, List, Tuple

from .data import ReportData, type_name

_PACKAGES = ('lgh_mmpose', 'mmpose', 'mmengine', 'torch', 'plotly')


def list_facts(data: ReportData, command: str,
               more: Dict[str, str]) -> List[Tuple[str, Any]]:
    """What stands at the top of the page.

    Args:
        data (ReportData): The training and its tests.
        command (str): What made the report; empty for a call from Python.
        more (dict[str, str]): Further facts.

    Returns:
        list[tuple[str, Any]]: Names and facts.
    """
    return [
        ('Data set', _data_set(data)),
        ('Config', data.config.name),
        *_checkpoint(data),
        ('Protocol', f'{data.protocol}, root joint {data.root_joint}'),
        ('Predictions', '; '.join(data.dumps)),
        *more.items(),
        ('Made by', command or 'a call of write_report()'),
        ('Versions', ', '.join(f'{name} {version(name)}'
                               for name in _PACKAGES)),
    ]


def _data_set(data: ReportData) -> str:
    dataset = data.cfg.test_dataloader.dataset
    split = dataset.get('split') or dataset.get('ann_file') or ''
    images = data.first['img_path']
    folder = Path(commonpath([str(Path(p).parent) for p in images]))
    root = Path(dataset.get('data_root') or '')
    # a report is sent to others: their machine has other folders
    folder = (
        folder.relative_to(root)
        if folder.is_relative_to(root) else Path(folder.name))
    return (f'{type_name(dataset)} {split}: {len(images)} samples from '
            f'{folder}')


def _checkpoint(data: ReportData) -> List[Tuple[str, Any]]:
    if not data.known:
        return [('Checkpoint', 'not known: predictions do not tell of which '
                 'they are, and --checkpoint was not given')]
    facts = data.facts
    epoch = ('not recorded' if facts.epoch is None else
             f'{facts.epoch} ({facts.iteration} iterations)')
    seed = 'not recorded' if facts.seed is None else facts.seed
    return [('Checkpoint', data.checkpoint.name), ('Epoch', epoch),
            ('Seed', seed)]
