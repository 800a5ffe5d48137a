"""The picture and the groups of what GradientConflictHook has measured."""
import json

import numpy as np
import pytest
from helpers import REPO_ROOT, run_script

from lgh_mmpose.models import FileSelector
from lgh_mmpose.models.layers.fixed_selectors import joint_names
from lgh_mmpose.visualization.conflicts import read_conflicts

SHOW = REPO_ROOT / 'tools/analysis_tools/show_conflicts.py'
NAMES = list(joint_names())
GROUPS = np.arange(21) % 3


def write_run(folder, num=8):
    """Joints of a group pull together, others against each other; at first
    all together."""
    folder.mkdir()
    signs = np.where(GROUPS[:, None] == GROUPS, .9, -.3)
    np.fill_diagonal(signs, 1)
    lines = []
    for t in range(num):
        cosines = np.tile(signs if t >= num // 2 else np.ones((21, 21)),
                          (2, 2)).tolist()
        cosines[3] = [None] * 42  # a joint that no hand of the batch shows
        if t % 2:
            cosines = np.tile(signs, (2, 2)).tolist()
        lines.append(
            json.dumps(
                dict(
                    iter=10 * t + 10,
                    joints=NAMES,
                    norms=dict(uv=[1.] * 21, depth=[2.] * 21),
                    cosines=cosines)) + '\n')
    (folder / 'gradient_conflicts.jsonl').write_text(''.join(lines))


def show(folder, *arguments, check=True):
    return run_script(SHOW, *arguments, cwd=folder, check=check)


def test_draws_and_groups(tmp_path):
    write_run(tmp_path / 'run')
    output = show(tmp_path, 'run', '--num-groups', 3, '--groups',
                  'groups.json').stdout
    assert '8 measurements; in the second half 70% of 210 pairs' in output
    assert 'depth pulls 2.00 times as hard as uv' in output
    assert (tmp_path / 'conflicts.png').stat().st_size > 10000
    selector = FileSelector(21, 3, str(tmp_path / 'groups.json'))
    assert selector.joint_groups.tolist() == GROUPS.tolist()


def test_reads_what_was_written(tmp_path):
    write_run(tmp_path / 'run')
    found = read_conflicts(tmp_path / 'run')
    assert found.steps.tolist() == list(range(10, 90, 10))
    assert found.joint_names == NAMES
    assert found.norms.shape == (8, 2, 21)
    assert found.cosines.shape == (8, 42, 42)
    between = found.between_joints()
    assert between[0, 3] == pytest.approx(.9)
    assert between[0, 1] == pytest.approx(-.3)


@pytest.mark.parametrize('text, message', [
    (None, 'GradientConflictHook writes it'),
    ('', 'holds no measurement yet'),
    ('{"iter": 3}\n', 'gradient_conflicts.jsonl is damaged'),
    ('{"iter": 3', 'gradient_conflicts.jsonl is damaged'),
])
def test_what_is_no_measurement_is_named(tmp_path, text, message):
    if text is not None:
        (tmp_path / 'gradient_conflicts.jsonl').write_text(text)
    result = show(tmp_path, '.', check=False)
    assert message in str(result.returncode)
    assert not (tmp_path / 'conflicts.png').exists()


def test_groups_need_their_number(tmp_path):
    result = show(tmp_path, '.', '--num-groups', 3, check=False)
    assert result.returncode == 2
