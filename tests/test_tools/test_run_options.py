"""What tools/train.py and tools/test.py share: options and start."""
import argparse
import os
import re
import sys

import pytest
from helpers import REPO_ROOT, run_command, run_file, run_script

TOOLS = REPO_ROOT / 'tools'
# with what each needs beside a config
SCRIPTS = {
    'train.py': [],
    'test.py': ['weights.pth'],
}
# has all that either must have
ENOUGH = '''
model = train_dataloader = train_cfg = optim_wrapper = dict()
test_dataloader = test_cfg = test_evaluator = dict()
custom_hooks = [dict(type='NonFiniteLossHook')]
default_hooks = dict(visualization=dict(type='PoseVisualizationHook'))
'''

options = run_file(TOOLS / 'run_options.py')


@pytest.fixture(params=sorted(SCRIPTS))
def script(request):
    return request.param


@pytest.fixture
def parse(script, tmp_path, monkeypatch):
    """What a script makes of its arguments, in a folder with a config."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('LOCAL_RANK', '')
    monkeypatch.delenv('LOCAL_RANK')
    (tmp_path / 'enough.py').write_text(ENOUGH)
    (tmp_path / 'weights.pth').touch()
    parse_args = run_file(TOOLS / script)['parse_args']

    def parse(*arguments):
        monkeypatch.setattr(
            sys, 'argv', [script, 'enough.py', *SCRIPTS[script], *arguments])
        return parse_args()

    return parse


def load(args):
    return options['load_run_config'](args, ('model', ), 'this', args.show)


def actions(script, monkeypatch):
    """Options of a script by name, each as what argparse makes of it."""
    parsers = []
    with monkeypatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, 'parse_args',
                      lambda self: parsers.append(self) or sys.exit())
        with pytest.raises(SystemExit):
            run_file(TOOLS / script)['parse_args']()
    return {action.dest: action for action in parsers[0]._actions}


def test_an_option_of_both_is_the_same_in_both(monkeypatch):
    train, test = (actions(script, monkeypatch) for script in SCRIPTS)
    shared = train.keys() & test.keys()
    assert shared >= {
        'config', 'work_dir', 'cfg_options', 'show', 'show_dir', 'interval',
        'wait_time', 'compile', 'launcher', 'local_rank'
    }
    for name in shared:
        ours, theirs = dict(vars(train[name])), dict(vars(test[name]))
        for action in (ours, theirs):
            action.pop('container')
        if name in ('work_dir', 'cfg_options'):  # their helps have examples
            assert ours.pop('help') != theirs.pop('help')
        assert ours == theirs


@pytest.mark.parametrize('arguments, work_dir', [
    ([], 'work_dirs/enough'),
    (['--cfg-options', 'work_dir=of_config'], 'of_config'),
    (['--cfg-options', 'work_dir=of_config', '--work-dir', 'own'], 'own'),
])
def test_work_dir(arguments, work_dir, parse):
    assert load(parse(*arguments)).work_dir == work_dir


@pytest.mark.parametrize('mode', [None, 'reduce-overhead'])
def test_compile_adds_its_hook(mode, parse):
    args = parse('--compile', *([] if mode is None else [mode]))
    assert load(args).custom_hooks == [
        dict(type='NonFiniteLossHook'),
        dict(type='CompileHook', mode=mode or 'default')
    ]


def test_pictures_are_drawn_if_they_are_asked_for(parse):
    assert load(parse()).default_hooks.visualization == dict(
        type='PoseVisualizationHook')
    args = parse('--show-dir', 'pictures', '--interval', '3')
    assert load(args).default_hooks.visualization == dict(
        type='PoseVisualizationHook',
        enable=True,
        show=False,
        out_dir='pictures',
        interval=3,
        wait_time=1)


@pytest.mark.parametrize('spelling', ['--local_rank', '--local-rank'])
@pytest.mark.parametrize('given, expected', [(None, '3'), ('1', '1')])
def test_a_launcher_says_the_rank(spelling, given, expected, parse,
                                  monkeypatch):
    """By an option, or by the environment, which is what mmengine reads."""
    if given is not None:
        monkeypatch.setenv('LOCAL_RANK', given)
    args = parse('--launcher', 'pytorch', spelling, '3')
    assert os.environ['LOCAL_RANK'] == expected
    assert load(args).launcher == 'pytorch'


@pytest.mark.parametrize('command, message', [
    (['train.py', 'own.py', '--amp'], 'no train_dataloader, which a training'),
    (['train.py', 'own.py', '--no-amp'], 'no train_dataloader'),
    (['test.py', 'own.py', 'weights.pth', '--submission', 'out.json'],
     'no test_dataloader, which a test'),
    (['test.py', 'own.py', 'weights.pth', '--dump', 'out.pkl'],
     'no test_dataloader'),
])  # yapf: disable
def test_options_come_after_what_the_config_must_have(command, message,
                                                      tmp_path):
    """Else an option falls over what is not there, and names no key."""
    (tmp_path / 'own.py').write_text('model = dict()\n')
    (tmp_path / 'weights.pth').touch()
    script, *arguments = command
    result = run_script(TOOLS / script, *arguments, cwd=tmp_path, check=False)
    assert str(result.returncode).startswith(
        f'error: the config own.py has {message}')


def test_help_comes_at_once(script, tmp_path):
    """From any folder, and without the package, which takes seconds."""
    output = run_command(
        *(sys.executable, '-X', 'importtime', TOOLS / script, '--help'),
        cwd=tmp_path).stdout
    assert 'usage: ' in output
    imported = set(re.findall(r'\| +([\w.]+)$', output, re.MULTILINE))
    assert 'argparse' in imported
    assert not imported & {'lgh_mmpose', 'mmpose', 'torch'}
