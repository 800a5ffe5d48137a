import re
import shutil

import numpy as np
import pytest
from report_pages import page_data, visible_text
from work_dir_writer import write_work_dir

from lgh_mmpose.evaluation import functional as F
from lgh_mmpose.report import write_report
from lgh_mmpose.report.facts import list_facts
from lgh_mmpose.report.groups import groups_section
from lgh_mmpose.report.headline import headline_section
from lgh_mmpose.report.joints import joint_section
from lgh_mmpose.report.training import training_section


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


def with_errors(data, errors):
    """The same test with other errors, (K,), of all samples."""
    return data._replace(
        dumps=dict(ours=dict(data.first, errors_root=np.tile(errors, (9, 1)))))


def test_headline_figures_are_means_over_joints(data):
    """A mean pose has no place, and so no error in the camera's frame."""
    data = with_errors(data, np.full(21, 12.))._replace(
        baseline=dict(root=np.full((9, 21), 34.)), no_baseline='')
    table = headline_section(data).data['table']
    assert table.headers == ['figure', 'ours', 'mean pose (baseline)']
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows['MPJPE: root-aligned at middle_finger1'] == [
        '12.0 mm', '34.0 mm'
    ]
    ours, baseline = rows["EPE: in the camera's frame, nothing aligned"]
    assert ours.endswith(' mm') and baseline == '–'
    assert rows['2D error, px of the original image'][1] == '–'


def test_joints_and_fingers_have_their_own_errors(data):
    names = data.joint_names
    errors = np.arange(21.)
    errors[names.index('pinky_finger4')] = np.nan
    section = joint_section(with_errors(data, errors))
    assert (section.data['low'], section.data['high']) == ('0.0', '19.0')
    assert section.data['worst'] == names[19]
    fingers = dict(section.data['by_finger'].rows)
    thumb = [i for i, name in enumerate(names) if name.startswith('thumb')]
    assert fingers['thumb'] == f'{np.mean(thumb):.1f}'
    assert [row[1] for row in section.data['by_joint'].rows
            ] == [*(f'{i}.0' for i in range(20)), '–']
    # the darkest of the colours is the smallest error's
    discs = section.data['drawing'].discs
    assert discs[0].fill == '#00224d' and discs[19].fill == '#fde737'


def test_a_selector_of_other_joints_is_refused(data):
    facts = data.facts._replace(probabilities=np.full((5, 3), 1 / 3))
    with pytest.raises(ValueError, match='has 5 joints.* have 21'):
        groups_section(data._replace(facts=facts))


def test_groups_are_those_of_the_largest_probability(data):
    probabilities = np.full((21, 3), .1)
    probabilities[np.arange(21), [0] * 20 + [2]] = .8
    section = groups_section(
        data._replace(facts=data.facts._replace(probabilities=probabilities)))
    members = dict(section.data['members'])
    assert members['group 0'] == ', '.join(data.joint_names[:20])
    assert members['group 1'] == '(empty)'
    assert members['group 2'] == data.joint_names[20]
    # nothing was logged
    assert section.charts == [] and not section.data['history']


def test_facts_that_are_not_recorded_are_said_to_be(data):
    facts = dict(list_facts(data, '', dict(CPU='fast')))
    assert facts['Epoch'] == facts['Seed'] == 'not recorded'
    assert facts['Made by'] == 'a call of write_report()'
    assert facts['CPU'] == 'fast' and facts['Checkpoint'] == 'epoch_2.pth'
    known = data._replace(
        facts=data.facts._replace(epoch=2, iteration=20, seed=0))
    facts = dict(list_facts(known, 'python a.py', {}))
    assert facts['Epoch'] == '2 (20 iterations)' and facts['Seed'] == 0
    unknown = dict(list_facts(known._replace(known=False), '', {}))
    assert 'not known' in unknown['Checkpoint'] and 'Epoch' not in unknown


def test_a_training_without_validation_has_losses(data):
    records = [dict(loss=3 / i, step=i) for i in (1, 2, 4)]
    section = training_section(data._replace(records=records))
    assert [chart.key for chart in section.charts] == ['loss-chart']
    assert section.charts[0].table.rows == [[
        'loss', '1', '3', '4', '0.75', '0.75'
    ]]
    assert section.data['score'] is None
