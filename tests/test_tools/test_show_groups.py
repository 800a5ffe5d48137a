import pytest
from helpers import REPO_ROOT, run_script
from mmengine.config import Config
from work_dir_writer import write_work_dir

SHOW = REPO_ROOT / 'tools/analysis_tools/show_groups.py'


def show(folder, *arguments, check=True):
    return run_script(SHOW, *arguments, cwd=folder, check=check)


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    """Two runs with the same groups by other numbers, and a third."""
    folder = tmp_path_factory.mktemp('runs')
    for name, groups in (('a', (0, 1, 2) * 7), ('b', (2, 0, 1) * 7),
                         ('c', (0, ) * 7 + (1, ) * 7 + (2, ) * 7)):
        write_work_dir(folder / name, Config(dict()), groups=groups)
    return folder


def test_groups_history_and_agreement_of_seeds(runs, tmp_path):
    output = show(tmp_path, *(runs / name for name in 'abc')).stdout
    assert '  group 0: wrist, thumb3, forefinger2' in output
    assert 'switches of a joint between 10 logs' in output
    rows = [
        line.split() for line in output.splitlines()
        if line.endswith(('  a', '  b', '  c'))
    ]
    assert [row[:2] for row in rows[:2]] == [['1.000', '1.000']] * 2
    assert -.2 < float(rows[0][2]) < .1
    assert float(rows[2][2]) == 1
    for name in ('groups', 'agreement', 'a_history', 'b_history'):
        path = f'groups/{name}.png'
        assert (tmp_path / path).stat().st_size and f'wrote {path}' in output


def test_a_checkpoint_alone_has_no_history(runs, tmp_path):
    output = show(tmp_path, runs / 'a/epoch_2.pth', '--out-dir', 'out',
                  '--label', 'seed 0').stdout
    assert output.startswith('seed 0 (epoch_2.pth)')
    assert [p.name for p in (tmp_path / 'out').iterdir()] == ['groups.png']


@pytest.mark.parametrize('arguments, message', [
    (['nowhere'], 'no such work dir'),
    (['a', 'b/epoch_2.pth', '--label', 'x', 'x'], 'different names'),
    (['a', '--label', '../x'], 'labels become file names'),
    (['a/toy.py'], 'toy.py: it is no file of torch.save, or damaged'),
])
def test_wrong_arguments_are_named(runs, arguments, message):
    result = show(runs, *arguments, check=False)
    assert result.returncode
    assert message in f'{result.stdout}{result.returncode}'
