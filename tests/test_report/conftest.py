from pathlib import Path

import pytest
from report_pages import IMAGE, MARKUP, toy_config
from work_dir_writer import write_predictions, write_work_dir

from lgh_mmpose.evaluation.breakdown import load_predictions
from lgh_mmpose.report import write_report
from lgh_mmpose.report.data import ReportData
from lgh_mmpose.visualization.groups import CheckpointFacts


@pytest.fixture(scope='session')
def config(freihand_root):
    return toy_config(freihand_root)


@pytest.fixture(scope='session')
def predictions(tmp_path_factory):
    folder = tmp_path_factory.mktemp('predictions')
    return write_predictions(folder / 'run.npz', image_name=f'{{}}{IMAGE}.jpg')


@pytest.fixture(scope='session')
def report(config, predictions, tmp_path_factory):
    """A report of two tests, with markup in every name from outside."""
    folder = tmp_path_factory.mktemp('report')
    worse = write_predictions(folder / 'worse.npz', noise=30.)
    write_work_dir(folder / 'work', config)
    return write_report(
        folder / 'work',
        folder / 'out/report.html',
        predictions={
            'first': predictions,
            f'second {MARKUP}': worse
        },
        num_samples=2,
        command=['make', MARKUP])


@pytest.fixture
def data(config, predictions):
    """What sections are computed from: one test, no log, no mean pose."""
    return ReportData(config, Path('toy.py'), Path('epoch_2.pth'), True,
                      CheckpointFacts(None, None, None, None, None),
                      dict(ours=load_predictions(predictions)), 'root', None,
                      {}, 'nobody asked')
