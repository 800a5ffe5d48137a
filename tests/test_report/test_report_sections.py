import re
import shutil

import numpy as np
from report_pages import page_data, visible_text
from work_dir_writer import write_work_dir

from lgh_mmpose.evaluation import functional as F
from lgh_mmpose.report import write_report


def test_figures_are_those_of_the_predictions(report, predictions):
    text = visible_text(report)
    dump = np.load(predictions)
    for alignment, name in (('root', 'MPJPE: root-aligned at middle_finger1'),
                            ('procrustes', 'PA-MPJPE')):
        value = F.mpjpe(dump[f'errors_{alignment}'])
        assert re.search(f'{re.escape(name)}.{{0,90}}?{value:.1f} mm', text,
                         re.DOTALL)
    worst = dump['errors_root'][:, 1:].mean(axis=0)
    assert f'{worst.max():.1f} mm (light' in text
    # the mean pose of the training set, which has other hands
    assert 'the same answer for every image' in text


def test_samples_are_worst_median_and_best(report, predictions):
    samples = page_data(report)['samples']
    errors = np.load(predictions)['errors_root'].mean(axis=1)
    order = np.argsort(errors)
    expected = [*order[::-1][:2], *order[3:5], *order[:2]]
    assert [int(re.search(r'sample (\d+)', s['title'])[1])
            for s in samples] == expected
    for sample in samples:
        assert sample['image'].startswith('data:image/jpeg;base64,')
        assert len(sample['joints']) == 21
        assert len(sample['prediction']) == len(sample['truth']) == 21


def test_pck_curves_stand_beside_the_mean_pose(report):
    chart = page_data(report)['charts']['pck-chart']
    names = [trace['name'] for trace in chart['data']]
    assert names[0] == 'first, MPJPE' and 'mean pose, PA-MPJPE' in names
    first = np.array(chart['data'][0]['y'], float)
    assert (np.diff(first) >= 0).all() and 0 <= first[0] and first[-1] <= 1


def test_published_curves_join_their_own_protocol(config, predictions,
                                                  tmp_path):
    """Dexter+Object: finger tips alone, so that much is not known."""
    arrays = dict(np.load(predictions), protocol=np.array('dexter'))
    for name in ('errors_root', 'errors_procrustes'):
        del arrays[name]
    tips = np.isin(arrays['joint_names'], F.PROTOCOLS['dexter'].joints)
    arrays['annotated'] = arrays['annotated'] & tips
    for name in ('errors_none', 'errors_2d'):
        arrays[name] = np.where(tips, arrays[name], np.nan)
    np.savez(tmp_path / 'dexter.npz', **arrays)
    write_work_dir(tmp_path / 'work', config)
    shutil.rmtree(tmp_path / 'work/20200101_000000')
    out = write_report(
        tmp_path / 'work',
        tmp_path / 'dexter.html',
        predictions=dict(ours=tmp_path / 'dexter.npz'),
        num_samples=1)
    charts = page_data(out)['charts']
    assert list(charts) == ['pck-chart']
    names = [trace['name'] for trace in charts['pck-chart']['data']]
    assert names[0] == 'ours, EPE' and len(names) > 3
    text = visible_text(out)
    # what there is not is said
    for sentence in ('No mean pose as a baseline', 'The depth of',
                     'The view of the palm is not known',
                     'Occlusion by the hand is not known',
                     'holds no log of a training',
                     'how the groups came about is not shown'):
        assert sentence in text
    sample = page_data(out)['samples'][0]
    assert sum(point is not None for point in sample['truth']) == 5
