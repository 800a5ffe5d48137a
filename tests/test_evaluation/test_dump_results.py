import os
import pickle

import numpy as np
import pytest
from helpers import full_disk
from mmpose.registry import METRICS

import lgh_mmpose  # noqa: F401  (registers the metric)


@pytest.fixture
def dump(tmp_path):
    metric = METRICS.build(
        dict(
            type='AtomicDumpResults', out_file_path=str(tmp_path / 'all.pkl')))
    samples = [dict(id=i, keypoints=np.full((9, 21, 2), i)) for i in range(3)]
    metric.process(None, samples)
    return metric


def test_predictions_are_written(dump, tmp_path):
    assert dump.evaluate(size=3) == {}
    with open(tmp_path / 'all.pkl', 'rb') as file:
        samples = pickle.load(file)
    assert [sample['id'] for sample in samples] == [0, 1, 2]
    np.testing.assert_array_equal(samples[2]['keypoints'], 2)


def test_an_input_under_another_name_is_not_written_to(dump, tmp_path):
    (tmp_path / 'data.pkl').write_text('data')
    os.link(tmp_path / 'data.pkl', tmp_path / 'all.pkl')
    dump.evaluate(size=3)
    assert (tmp_path / 'data.pkl').read_text() == 'data'


def test_on_a_full_disk_the_old_file_stays(dump, tmp_path):
    (tmp_path / 'all.pkl').write_text('old')
    with full_disk(4000), pytest.raises(
            OSError, match='cannot write .*all.pkl: File too large'):
        dump.evaluate(size=3)
    assert (tmp_path / 'all.pkl').read_text() == 'old'
    assert os.listdir(tmp_path) == ['all.pkl']
