"""Mutual information with known answers; the file it writes."""
import importlib.util
import json

import numpy as np
import pytest
from helpers import REPO_ROOT, run_script, write_freihand

from lgh_mmpose.models import FileSelector

SCRIPT = REPO_ROOT / 'tools/analysis_tools/joint_mutual_information.py'


def load():
    spec = importlib.util.spec_from_file_location('joint_mi', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tool = load()


def correlated(num, rho, seed=0):
    """Three joints; two correlate, component by component."""
    rng = np.random.default_rng(seed)
    a, noise, alone = rng.standard_normal((3, num, 3))
    b = rho * a + np.sqrt(1 - rho**2) * noise
    return np.stack([a, b, alone], 1)


@pytest.mark.parametrize('estimate, tolerance',
                         [(tool.gaussian_information, .03),
                          (tool.knn_information, .12)])
def test_information_of_normal_variables(estimate, tolerance):
    """-3/2 log(1 - rho^2) nats for three independent components."""
    information = estimate(correlated(4000, .8))
    expected = -1.5 * np.log(1 - .8**2)
    assert information[0, 1] == pytest.approx(expected, abs=tolerance)
    assert information[0, 2] == pytest.approx(0, abs=tolerance)
    assert np.array_equal(information, information.T)
    assert (np.diag(information) == 0).all()


def test_neighbours_see_what_is_not_linear():
    rng = np.random.default_rng(0)
    a = rng.standard_normal((2000, 3))
    points = np.stack([a, np.abs(a)], 1)
    assert tool.gaussian_information(points)[0, 1] < .1
    assert tool.knn_information(points)[0, 1] > 1


def test_hands_lie_alike_wherever_they_were():
    rng = np.random.default_rng(0)
    hand = rng.standard_normal((21, 3)) * 30
    hands = []
    for _ in range(8):
        turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
        turn *= np.sign(np.linalg.det(turn))
        hands.append(rng.uniform(.8, 1.2) * hand @ turn + [5, -7, 600])
    found = tool.normalize_hands(np.array(hands))
    assert np.abs(found - found[0]).max() < 1e-6
    assert np.sqrt((found[0]**2).sum(1).mean()) == pytest.approx(1)


def test_writes_what_the_selector_reads(tmp_path):
    write_freihand(tmp_path / 'data', num_train=120, num_eval=1, size=16)
    arguments = [
        SCRIPT, REPO_ROOT / 'configs/lgh_studiohand.py', '--num-groups', 4,
        '--out', 'groups.json', '--estimator', 'gaussian', '--cfg-options',
        f'data_root={tmp_path / "data"}'
    ]
    output = run_script(*arguments, cwd=tmp_path).stdout
    path = tmp_path / 'groups.json'
    first = path.read_bytes()
    content = json.loads(first)
    assert 'gaussian' in content['source'] and '120 hands' in content['source']
    assert str(tmp_path) not in content['source']
    selector = FileSelector(21, 4, str(path))
    # the toy's fingers bend independently of each other
    assert selector.joint_groups.max() == 3
    for g, group in enumerate(content['groups']):
        assert f'group {g}: {", ".join(group)}' in output
    run_script(*arguments, cwd=tmp_path)
    assert path.read_bytes() == first


def test_too_few_hands(tmp_path, freihand_root):
    failed = run_script(
        *(SCRIPT, REPO_ROOT / 'configs/lgh_studiohand.py', '--num-groups', 3),
        *('--out', 'groups.json', '--cfg-options'),
        f'data_root={freihand_root}',
        cwd=tmp_path,
        check=False)
    assert 'only 8 hands' in str(failed.returncode)
    assert not (tmp_path / 'groups.json').exists()
