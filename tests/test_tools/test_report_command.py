import html
import shlex
import sys

import numpy as np
import pytest
from helpers import REPO_ROOT, run_command, run_script
from mmengine.config import Config
from report_pages import CONFIG, page_data, toy_config, visible_text
from work_dir_writer import write_predictions, write_work_dir

REPORT = REPO_ROOT / 'tools/analysis_tools/report.py'


@pytest.fixture(scope='module')
def config(freihand_root):
    return toy_config(freihand_root)


@pytest.fixture(scope='module')
def predictions(tmp_path_factory):
    return write_predictions(tmp_path_factory.mktemp('test') / 'run.npz')


def test_command_tests_the_checkpoint_and_writes_one_file(config, tmp_path):
    from mmengine.registry import init_default_scope
    from mmpose.registry import MODELS
    init_default_scope('mmpose')
    model = MODELS.build(config.model)
    # what a resumed training writes: the report is to test, not to resume
    resumed = Config(dict(config.to_dict(), resume=True))
    write_work_dir(tmp_path / 'work', resumed, model.state_dict())
    output = run_command(
        *(sys.executable, REPORT, 'work', '--num-samples', 1),
        *('--cfg-options', 'model.test_cfg.root_depth=given'),
        *('test_dataloader.num_workers=0',
          'test_dataloader.persistent_workers=False'),
        cwd=tmp_path).stdout
    assert 'wrote work/report.html' in output
    assert 'resumed epoch' not in output
    # nothing of the test is left
    assert sorted(p.name for p in (tmp_path / 'work').iterdir()) == [
        '20200101_000000', 'epoch_2.pth', 'last_checkpoint', 'report.html',
        'toy.py'
    ]
    text = visible_text(tmp_path / 'work/report.html')
    assert 'toy, epoch 2: report' in text and '20 iterations' in text
    assert 'root depth given' in text and '4 samples' in text
    assert 'report.py work --num-samples 1' in text
    assert 'mean pose (baseline)' in text
    assert [
        s['title'].split(':')[0]
        for s in page_data(tmp_path / 'work/report.html')['samples']
    ] == ['worst', 'median', 'best']


def test_page_tells_nothing_of_the_machine(freihand_root, predictions,
                                           tmp_path):
    """It is made to be sent to others."""
    tmp_path = tmp_path / 'jane doe/private data'
    tmp_path.mkdir(parents=True)
    write_work_dir(tmp_path / 'work', toy_config(tmp_path / 'data set'))
    arrays = dict(np.load(predictions))
    arrays['img_path'] = np.array([
        str(freihand_root / f'evaluation/rgb/{i % 4:08d}.jpg')
        for i in range(len(arrays['id']))
    ])
    np.savez(tmp_path / 'given.npz', **arrays)
    work = tmp_path / 'work'
    for dataset, folder in ((freihand_root, 'evaluation/rgb'),
                            (tmp_path / 'data set', 'rgb')):
        run_script(
            *(REPORT, work, '--predictions', tmp_path / 'given.npz'),
            *('--checkpoint', work / 'epoch_2.pth', '--config'),
            *(work / 'toy.py', '--out', work / 'out.html', '--dataset'),
            *(dataset, '--cfg-options',
              f'test_evaluator.0.dump_file={work}/a'),
            cwd=tmp_path)
        text = (work / 'out.html').read_text(encoding='utf-8')
        for private in (tmp_path, freihand_root, REPO_ROOT):
            assert str(private) not in text
        text = html.unescape(visible_text(work / 'out.html'))
        assert 'jane' not in text and 'private' not in text
        assert f'--dataset {shlex.quote(dataset.name)} ' in text
        assert f'samples from {folder} ' in text
        assert ('python report.py work --predictions given.npz --checkpoint '
                'work/epoch_2.pth --config work/toy.py --out work/out.html'
                ) in text
        assert 'test_evaluator.0.dump_file=work/a' in text
    # what cannot be read is said, without where
    assert 'the training set cannot be read' in text


@pytest.mark.parametrize('change, message', [
    (dict(joint_names=np.array(['x'] * 21)), 'differ from the first in'),
    (dict(id=np.arange(9) + 1), 'differ from the first in id'),
    (dict(protocol=np.array('mine')), 'unknown protocol'),
])
def test_predictions_of_another_test_are_refused(config, predictions, change,
                                                 message, tmp_path):
    np.savez(tmp_path / 'other.npz', **dict(np.load(predictions), **change))
    write_work_dir(tmp_path / 'work', config)
    result = run_script(
        REPORT,
        *('work', '--predictions', predictions, 'other.npz'),
        cwd=tmp_path,
        check=False)
    assert message in str(result.returncode)
    assert not (tmp_path / 'work/report.html').exists()


@pytest.mark.parametrize('arguments, message', [
    (['nowhere'], 'no such work dir'),
    (['.'], 'names no checkpoint'),
    (['.', '--checkpoint', 'none.pth'], 'file not found: none.pth'),
    (['.', '--num-samples', '0'], 'must be 1 or more'),
    (['.', '--dataset', 'nowhere'], 'no such data set: nowhere'),
    (['.', '--protocol', 'rhd', '--predictions', 'a.npz'], 'not found'),
])
def test_wrong_arguments_are_named(tmp_path, arguments, message):
    result = run_script(REPORT, *arguments, cwd=tmp_path, check=False)
    assert message in f'{result.stdout}{result.returncode}'


@pytest.mark.parametrize('text, message', [
    ('model = dict(\n', 'cannot read the config work/toy.py'),
    ("_base_ = ['nothing.py']\n", 'nothing.py'),
    (f'_base_ = [{str(CONFIG)!r}]\nmodel = dict(backbone=dict('
     "_delete_=True, type='NoSuchNet'))\n", 'NoSuchNet is not in the'),
    (f'_base_ = [{str(CONFIG)!r}]\ntest_dataloader = dict(dataset=dict('
     "_delete_=True, type='NoSuchSet'))\n", 'NoSuchSet is not in the'),
])
def test_a_wrong_config_is_one_sentence(config, text, message, tmp_path):
    write_work_dir(tmp_path / 'work', config)
    (tmp_path / 'work/toy.py').write_text(text)
    result = run_script(REPORT, 'work', cwd=tmp_path, check=False)
    error = str(result.returncode)
    assert error.startswith('error: ') and len(error.splitlines()) == 1
    assert 'toy.py' in error and message in error


@pytest.mark.parametrize(
    'key', ['model', 'test_dataloader', 'test_cfg', 'test_evaluator'])
def test_a_config_without_a_test_is_one_sentence(config, key, tmp_path):
    write_work_dir(tmp_path / 'work',
                   Config(dict(config.to_dict(), **{key: None})))
    result = run_script(REPORT, 'work', cwd=tmp_path, check=False)
    error = str(result.returncode)
    assert error.startswith(f'error: the config work/toy.py has no {key},')
    assert len(error.splitlines()) == 1
