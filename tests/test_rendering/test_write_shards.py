"""StudioHand in shards: the same samples, byte by byte, and nothing lost."""
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
from helpers import REPO_ROOT, run_script, start_command
from mmpose.registry import DATASETS

from lgh_mmpose.cluster import make_executor
from lgh_mmpose.rendering import dataset_writer, write_shards, write_studiohand

SCRIPT = REPO_ROOT / 'tools/dataset_converters/make_studiohand.py'
PARAMETERS = dict(num_train=7, num_eval=3, seed=5, size=48, quiet=True)
LAYOUTS = dict(freihand='FreiHand3DDataset', rhd='Rhd3DDataset')


def records(root, layout, split, **options):
    """Image bytes and annotations of all samples, in order."""
    dataset = DATASETS.build(
        dict(
            type=LAYOUTS[layout], data_root=str(root), split=split, **options))
    found = []
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        found.append((Path(info['img_path']).read_bytes(), info['id'],
                      info['hand_side'], info['camera_matrix'].tobytes(),
                      info['keypoints_cam'].tobytes()))
    return found


@pytest.mark.parametrize('layout', LAYOUTS)
def test_samples_depend_on_no_split(tmp_path, layout):
    """One worker, three workers, four shards: the same bytes."""
    write_studiohand(tmp_path / 'one', layout=layout, **PARAMETERS)
    write_studiohand(
        tmp_path / 'workers', layout=layout, workers=3, **PARAMETERS)
    assert write_shards(
        tmp_path / 'shards', 4, layout=layout, **PARAMETERS) == 4
    options = [{}] if layout == 'freihand' else [{}, dict(both_hands=True)]
    for split in ('training', 'evaluation'):
        for more in options:
            one, workers, shards = (
                records(tmp_path / name, layout, split, **more)
                for name in ('one', 'workers', 'shards'))
            assert len(one) == len(shards) and one == workers == shards
    assert sorted(os.listdir(tmp_path / 'shards')) == [
        f'shard-000{i}-of-0004' for i in (1, 2, 3, 4)
    ]


def test_more_shards_than_samples(tmp_path):
    small = dict(PARAMETERS, num_train=2, num_eval=1)
    write_studiohand(tmp_path / 'one', **small)
    write_shards(tmp_path / 'shards', 3, **small)
    for split in ('training', 'evaluation'):
        assert records(tmp_path / 'one', 'freihand',
                       split) == records(tmp_path / 'shards', 'freihand',
                                         split)


@pytest.fixture
def shards(tmp_path):
    write_shards(tmp_path / 'data', 3, **PARAMETERS)
    return tmp_path / 'data'


def stamps(root):
    return {
        path: path.stat().st_mtime_ns
        for path in root.rglob('*') if path.is_file()
    }


def test_what_is_there_is_kept(shards):
    before = stamps(shards)
    lost = shards / 'shard-0002-of-0003'
    shutil.rmtree(lost)
    assert write_shards(shards, 3, **PARAMETERS) == 1
    after = stamps(shards)
    assert after.keys() == before.keys()
    assert {path
            for path in before if before[path] != after[path]
            } == {path
                  for path in before if lost in path.parents}
    assert write_shards(shards, 3, **PARAMETERS) == 0
    assert write_studiohand(shards, shard=(2, 3), **PARAMETERS) is False


@pytest.mark.parametrize('change, message', [
    (dict(seed=6), 'shard-0001-of-0003 with other parameters'),
    (dict(shard=(1, 4)), 'shard-0001-of-0003, of 3 shards, not 4'),
    (dict(shard=(4, 3)), 'shard is 4 of 3'),
    (dict(shard=(0, 3)), 'shard is 0 of 3'),
])
def test_a_shard_that_does_not_fit_is_refused(shards, change, message):
    before = stamps(shards)
    change = dict(dict(shard=(2, 3)), **change)
    with pytest.raises((FileExistsError, ValueError), match=message):
        write_studiohand(shards, **dict(PARAMETERS, **change))
    assert stamps(shards) == before


def test_overwrite_replaces_all_shards(shards):
    changed = dict(PARAMETERS, seed=6)
    assert write_shards(shards, 3, overwrite=True, **changed) == 3
    assert write_shards(shards, 3, **changed) == 0


def test_shards_and_a_whole_set_do_not_mix(shards, tmp_path):
    with pytest.raises(FileExistsError, match='holds shards of a data set'):
        write_studiohand(shards, overwrite=True, **PARAMETERS)
    write_studiohand(tmp_path / 'one', **PARAMETERS)
    with pytest.raises(FileExistsError, match='not in shards'):
        write_shards(tmp_path / 'one', 3, **PARAMETERS)
    with pytest.raises(ValueError, match='number of shards is 0'):
        write_shards(tmp_path / 'none', 0, **PARAMETERS)
    assert not (tmp_path / 'none').exists()


def test_a_data_set_with_a_foreign_shard_is_not_read(shards, tmp_path):
    write_shards(tmp_path / 'other', 3, **dict(PARAMETERS, seed=6))
    name = 'shard-0003-of-0003'
    shutil.rmtree(shards / name)
    with pytest.raises(ValueError, match=f'{name} missing'):
        records(shards, 'freihand', 'training')
    shutil.copytree(tmp_path / 'other' / name, shards / name)
    with pytest.raises(ValueError, match=f'{name} is of another .* seed is 6'):
        records(shards, 'freihand', 'training')


@pytest.mark.parametrize('layout', LAYOUTS)
def test_a_shard_with_fewer_annotations_is_named(tmp_path, layout):
    write_shards(tmp_path / 'data', 2, layout=layout, **PARAMETERS)
    part = tmp_path / 'data/shard-0001-of-0002'
    other = tmp_path / 'other'
    write_studiohand(other, layout=layout, **dict(PARAMETERS, num_train=2))
    shutil.rmtree(part / 'training')
    shutil.copytree(other / 'training', part / 'training')
    for path in other.glob('training_*.json'):
        shutil.copy(path, part)
    with pytest.raises(
            ValueError,
            match=f'{part} must have 3 samples by '
            'its studiohand.json, but has 2'):
        records(tmp_path / 'data', layout, 'training')


# -- jobs --------------------------------------------------------------------


def test_each_shard_is_a_job(tmp_path):
    pytest.importorskip('submitit', reason="needs '.[cluster]'")
    executor = make_executor('debug', tmp_path / 'jobs', extra='cluster')
    assert write_shards(
        tmp_path / 'data', 2, executor, workers=2, **PARAMETERS) == 2
    write_studiohand(tmp_path / 'one', **PARAMETERS)
    assert records(tmp_path / 'data', 'freihand',
                   'training') == records(tmp_path / 'one', 'freihand',
                                          'training')
    # and is not done twice
    assert write_shards(tmp_path / 'data', 2, executor, **PARAMETERS) == 0


# what submitit asks of slurm, in processes of this machine
SLURM = """#!{python}
import os, pathlib, re, subprocess, sys
here = pathlib.Path(__file__).parent
name, arguments = pathlib.Path(sys.argv[0]).name, sys.argv[1:]
if name == 'sbatch':
    script = pathlib.Path(arguments[0]).read_text()
    (here / 'script').write_text(script)
    first, last = re.search(r'--array=(\\d+)-(\\d+)', script).groups()
    for task in range(int(first), int(last) + 1):
        subprocess.Popen(
            ['bash', arguments[0]], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=dict(os.environ, SLURM_JOB_ID='7', SLURM_ARRAY_JOB_ID='7',
                     SLURM_ARRAY_TASK_ID=str(task), SLURM_NTASKS='1',
                     SLURM_JOB_NUM_NODES='1', SLURM_NODEID='0',
                     SLURM_PROCID='0', SLURM_LOCALID='0'))
    print('Submitted batch job 7')
elif name == 'srun':
    output = arguments[arguments.index('--output') + 1]
    task = os.environ['SLURM_ARRAY_TASK_ID']
    for mark, value in (('%A', '7'), ('%a', task), ('%t', '0')):
        output = output.replace(mark, value)
    command = arguments[arguments.index('--output') + 2:]
    with open(output, 'a') as log:
        subprocess.run(command, stdout=log, stderr=log)
elif name == 'sacct':
    print('JobID|State|NodeList')
"""


def test_the_command_sends_jobs_to_slurm(tmp_path, monkeypatch, signals):
    pytest.importorskip('submitit', reason="needs '.[cluster]'")
    programs = tmp_path / 'bin'
    programs.mkdir()
    for name in ('sbatch', 'srun', 'sacct', 'scancel'):
        (programs / name).write_text(SLURM.format(python=sys.executable))
        (programs / name).chmod(0o755)
    monkeypatch.setenv('PATH', f'{programs}{os.pathsep}{os.environ["PATH"]}')
    output = run_script(
        SCRIPT,
        *command('data', '--shards', 2, '--executor', 'slurm'),
        *('--workers', 3, '--executor-options', 'slurm_partition=short'),
        cwd=tmp_path).stdout
    assert 'data: 4 training and 2 evaluation images' in output
    assert 'StudioHand: 2/2' in output
    script = (programs / 'script').read_text()
    for line in ('--partition=short', '--cpus-per-task=3', '--time=1440'):
        assert f'#SBATCH {line}\n' in script
    # a whole data set, and no logs of what went well
    assert sorted(os.listdir(
        tmp_path / 'data')) == ['shard-0001-of-0002', 'shard-0002-of-0002']
    assert len(records(tmp_path / 'data', 'freihand', 'training')) == 4


def test_a_job_that_fails_costs_no_other(tmp_path, monkeypatch):
    pytest.importorskip('submitit', reason="needs '.[cluster]'")
    write = dataset_writer._write_samples

    def fail(root, *task):
        if '0002-of' in str(root):
            raise RuntimeError('the disk is full')
        return write(root, *task)

    executor = make_executor('debug', tmp_path / 'jobs', extra='cluster')
    monkeypatch.setattr(dataset_writer, '_write_samples', fail)
    with pytest.raises(
            RuntimeError,
            match='1 of 3 shards failed.* shard-0002-of-0003: .*the disk is '
            'full; its log'):
        write_shards(tmp_path / 'data', 3, executor, **PARAMETERS)
    monkeypatch.undo()
    assert sorted(os.listdir(
        tmp_path / 'data')) == ['shard-0001-of-0003', 'shard-0003-of-0003']
    assert write_shards(tmp_path / 'data', 3, **PARAMETERS) == 1


def test_an_unknown_cluster_is_one_sentence(tmp_path):
    pytest.importorskip('submitit', reason="needs '.[cluster]'")
    with pytest.raises(ValueError, match='submitit: .*nowhere'):
        make_executor('nowhere', tmp_path / 'jobs', extra='cluster')


@pytest.mark.parametrize('option', [{
    'slurm_partitoin': 'a'
}, {
    'foo': 1
}, {
    'timeout_min': 'long'
}])
def test_a_wrong_option_of_a_job_is_one_sentence(tmp_path, option):
    pytest.importorskip('submitit', reason="needs '.[cluster]'")
    with pytest.raises(
            ValueError, match=f'^submitit: .*{next(iter(option))}') as error:
        make_executor('debug', tmp_path / 'jobs', extra='cluster', **option)
    message = str(error.value)
    assert len(message.splitlines()) == 1 and "<class 'str'>" not in message


# -- the command -------------------------------------------------------------


def command(out, *more):
    return [
        out, '--num-train', 4, '--num-eval', 2, '--size', 32, '--difficulty',
        'easy', *more
    ]


@pytest.fixture
def signals():
    """Gives the handler back that the command replaces."""
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


def test_the_command_makes_one_or_all(tmp_path, signals):
    output = run_script(
        SCRIPT, *command('data', '--shard', '2/2'), cwd=tmp_path).stdout
    assert 'data: shard 2/2 of 4 training and 2 evaluation images' in output
    assert os.listdir(tmp_path / 'data') == ['shard-0002-of-0002']
    pytest.importorskip('submitit', reason="needs '.[cluster]'")
    for _ in range(2):
        output = run_script(
            SCRIPT,
            *command('data', '--shards', 2, '--executor', 'debug'),
            cwd=tmp_path).stdout
    assert 'data is already there' in output
    assert sorted(os.listdir(
        tmp_path / 'data')) == ['shard-0001-of-0002', 'shard-0002-of-0002']


@pytest.mark.parametrize('options, message', [
    (('--shard', '3/2'), "I from 1 to N, such as 3/10, not '3/2'"),
    (('--shard', 'two'), "not 'two'"),
    (('--shards', '2', '--shard', '1/2'), 'not allowed with'),
    (('--executor', 'slurm'), 'needs --shards N'),
    (('--executor-options', 'slurm_partition=a'), 'are for --executor slurm'),
    (('--without', 'fingers'), "invalid choice: 'fingers'"),
])
def test_wrong_options_are_told_at_once(tmp_path, options, message):
    result = run_script(
        SCRIPT, *command('data', *options), cwd=tmp_path, check=False)
    assert result.returncode == 2 and message in result.stdout
    assert os.listdir(tmp_path) == []


def test_a_killed_command_goes_on(tmp_path):
    """Whole shards are kept, and the one it was at is done again."""
    arguments = [
        sys.executable, SCRIPT, 'data', '--num-train', 60, '--num-eval', 0,
        '--size', 64, '--shards', 3
    ]
    process = start_command(
        *arguments, cwd=tmp_path, output=open(os.devnull, 'w'))
    try:
        first = tmp_path / 'data/shard-0001-of-0003'
        deadline = time.monotonic() + 180
        while not any(tmp_path.glob('data/.shard-0002*/training/rgb/*.jpg')):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(.01)
    finally:
        process.kill()
        process.wait()
    names = {path.name for path in (tmp_path / 'data').glob('shard-*')}
    assert first.name in names and 'shard-0003-of-0003' not in names
    before = stamps(first)
    parameters = dict(num_train=60, num_eval=0, size=64, quiet=True)
    assert write_shards(tmp_path / 'data', 3, **parameters) == 3 - len(names)
    assert stamps(first) == before
    assert len(os.listdir(tmp_path / 'data')) == 3
    write_studiohand(tmp_path / 'one', **parameters)
    assert records(tmp_path / 'data', 'freihand',
                   'training') == records(tmp_path / 'one', 'freihand',
                                          'training')
