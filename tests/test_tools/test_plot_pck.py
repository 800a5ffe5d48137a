import runpy
import sys

import numpy as np
import pytest
from helpers import REPO_ROOT, run_command

from lgh_mmpose.evaluation import functional as F

PLOT = REPO_ROOT / 'tools/analysis_tools/plot_pck.py'
TIPS = F.PROTOCOLS['dexter'].joints


@pytest.fixture
def dump(tmp_path):
    """Two joints, the wrist wrong by far, seen in another alignment too."""
    rng = np.random.default_rng(0)
    errors = np.concatenate(
        [np.full((40, 1), 500.),
         rng.uniform(0, 60, (40, len(TIPS)))], axis=1)
    np.savez(
        tmp_path / 'run.npz',
        errors_none=errors,
        errors_root=errors / 2,
        errors_2d=errors,
        joint_names=np.array(['wrist', *TIPS]),
        protocol=np.array('dexter'),
        root_joint=np.array('wrist'))
    return tmp_path / 'run.npz', errors


def plot(folder, *arguments, check=True):
    return run_command(
        sys.executable, PLOT, *arguments, cwd=folder, check=check).stdout


def printed_areas(output):
    return {
        line.split('  ')[1]: float(line.split()[0])
        for line in output.splitlines() if line[0] in '01'
    }


def test_run_stands_among_the_published(dump, tmp_path):
    path, errors = dump
    output = plot(tmp_path, path, '--label', 'mine', '--out', 'out/dexter')
    areas = printed_areas(output)
    thresholds = np.linspace(0, 100, 20)
    # the tips alone, by the protocol of the dump
    expected = F.auc(F.pck_curve(errors[:, 1:], thresholds), thresholds)
    assert areas['mine'] == pytest.approx(expected, abs=1e-4)
    assert areas['Li et al. 2021, this method'] == .8626
    assert list(areas.values()) == sorted(areas.values(), reverse=True)
    assert (tmp_path / 'out/dexter.png').read_bytes()[1:4] == b'PNG'
    assert (tmp_path / 'out/dexter.pdf').read_bytes()[:4] == b'%PDF'


def test_several_runs_by_another_protocol(dump, tmp_path):
    path, errors = dump
    np.savez(
        tmp_path / 'better.npz',
        errors_root=errors / 20,
        joint_names=np.array(['wrist', *TIPS]),
        root_joint=np.array('wrist'))
    output = plot(tmp_path, path, 'better.npz', '--protocol', 'stb')
    areas = printed_areas(output)
    thresholds = np.linspace(0, 50, 20)
    for name, factor in (('run', 2), ('better', 20)):
        curve = F.pck_curve(errors / factor, thresholds)
        assert areas[name] == pytest.approx(
            F.auc(curve[8:], thresholds[8:]), abs=1e-4)
    assert (tmp_path / 'pck.png').is_file()


def test_what_cannot_be_drawn_is_named(dump, tmp_path, monkeypatch):
    path, _ = dump
    (tmp_path / 'text.npz').write_text('no archive')
    with np.load(path) as archive:
        content = dict(archive)
    np.savez(tmp_path / 'general.npz', **dict(content, protocol='general'))
    np.savez(tmp_path / 'pickled.npz',
             **dict(content, errors_none=np.array([{}], object)))
    np.savez(tmp_path / 'flat.npz', **dict(content, errors_none=np.zeros(6)))
    np.savez(
        tmp_path / 'tipless.npz',
        **dict(content, joint_names=np.array([f'j{i}' for i in range(6)])))
    np.savez(tmp_path / 'elsewhere.npz',
             **dict(content, protocol='general', root_joint='middle_finger1'))
    del content['root_joint']
    np.savez(tmp_path / 'rootless.npz', **content)
    content['errors_none'][3, 2] = np.nan
    np.savez(tmp_path / 'unseen.npz', **content)
    # in this process: starting each would take seconds
    main = runpy.run_path(str(PLOT))['main']
    monkeypatch.chdir(tmp_path)
    for arguments, message in (
        (['text.npz'], 'text.npz is not what'),
        (['general.npz'], "protocol 'general', which has no published"),
        (['pickled.npz'], 'pickled.npz is not what'),
        (['flat.npz'], 'flat.npz: errors_none must be'),
        (['tipless.npz'], r"the joints \['forefinger4'"),
        (['run.npz', '--align', 'procrustes'], r"only \['none', 'root'\]"),
        (['elsewhere.npz', '--protocol',
          'stb'], 'elsewhere.npz is aligned at middle_finger1, .* at wrist'),
        (['rootless.npz', '--protocol', 'stb'], 'rootless.npz .*root_joint'),
        (['unseen.npz', '--protocol', 'rhd'], 'unseen.npz leaves out joints'),
    ):
        monkeypatch.setattr(sys, 'argv', ['plot_pck.py', *arguments])
        with pytest.raises(SystemExit, match=message):
            main()
    assert not list(tmp_path.glob('pck.*'))


@pytest.mark.parametrize('arguments, message', [
    (['missing.npz'], 'file not found: missing.npz'),
    (['run.npz', 'run.npz'], 'need different names'),
    (['run.npz', '--label', 'a', 'b'], '1 runs, but 2 labels'),
])
def test_bad_arguments_are_refused_at_once(dump, tmp_path, arguments, message):
    result = run_command(
        sys.executable, PLOT, *arguments, cwd=tmp_path, check=False)
    assert result.returncode == 2
    assert message in result.stdout.splitlines()[-1]
