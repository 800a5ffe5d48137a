"""Every command that a document shows is one that its program takes.

Each command of the fenced ``bash`` blocks goes through the program's own
argument parser, in this process and without the work behind it; configs and
the keys of ``--cfg-options`` must exist, at their full size.
test_commands_run.py runs them in a toy size. That no tool is without a test is
checked here as well.
"""
import argparse
import ast
import os
import re
import runpy
import shlex
import sys
from functools import lru_cache
from pathlib import Path

import pytest
import setuptools
from helpers import REPO_ROOT, run_command, run_file
from mmengine.config import Config

from lgh_mmpose import __main__ as mmpose_tool
from lgh_mmpose.adaptation import command as adapt_command
from lgh_mmpose.config import merge_cfg_options

DOCUMENTS = sorted([
    *REPO_ROOT.glob('*.md'), *REPO_ROOT.glob('configs/*.md'),
    *REPO_ROOT.glob('docs/**/*.md')
])


def is_script(path):
    """Whether a file is to be run; what the benchmarks import is not."""
    return path.suffix == '.sh' or path.suffix == '.py' and (
        path.relative_to(REPO_ROOT).parts[0] != 'benchmarks'
        or '__main__' in path.read_text())


SCRIPTS = sorted(
    path.relative_to(REPO_ROOT).as_posix()
    for folder in ('tools', 'benchmarks', 'demo')
    for path in (REPO_ROOT / folder).rglob('*') if is_script(path))

_BLOCK = re.compile(r'^( *)```bash\n(.*?)^\1```', re.MULTILINE | re.DOTALL)
# calls that run a script, as a process or in this one
_RUNNERS = {
    'run_command', 'run_file', 'run_script', 'run', 'Popen', 'run_path',
    'spec_from_file_location'
}
_ASSIGNMENT = re.compile(r'[A-Za-z_]\w*=')


def commands_of(markdown):
    """Commands as lists of words, of all bash blocks."""
    for _, block in _BLOCK.findall(markdown):
        for line in block.replace('\\\n', ' ').splitlines():
            lexer = shlex.shlex(line, posix=True, punctuation_chars='&|;')
            lexer.whitespace_split = True
            command = []
            for word in [*lexer, '&&']:
                if set(word) <= set('&|;'):
                    if command:
                        yield command
                    command = []
                else:
                    command.append(word)


def documented_commands():
    return [
        pytest.param(
            command,
            id=f'{document.relative_to(REPO_ROOT)}: {" ".join(command)}')
        for document in DOCUMENTS
        for command in commands_of(document.read_text())
    ]


# -- what takes them ---------------------------------------------------------


class Parsed(Exception):
    """Carries what a script's parser made of its arguments."""


def parse(script, arguments, monkeypatch):
    """What a script's own parser makes of arguments; SystemExit if refused."""
    original = argparse.ArgumentParser.parse_args

    def parse_args(self, args=None, namespace=None):
        raise Parsed(original(self, args, namespace))

    with monkeypatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, 'parse_args', parse_args)
        patch.setattr(sys, 'argv', [script, *arguments])
        with pytest.raises(Parsed) as parsed:
            run_file(REPO_ROOT / script, run_name='__main__')
    return parsed.value.args[0]


def check_script(script, arguments, monkeypatch):
    assert script in SCRIPTS, f'there is no {script}'
    args = parse(script, arguments, monkeypatch)
    for value in vars(args).values():
        for word in value if isinstance(value, list) else [value]:
            if isinstance(word, (str, Path)) and re.fullmatch(
                    r'configs/.*\.py', str(word)):
                check_config(str(word), getattr(args, 'cfg_options', None))


@lru_cache(maxsize=None)
def load_config(name):
    return Config.fromfile(REPO_ROOT / name)


def check_config(name, cfg_options):
    if not (REPO_ROOT / name).is_file():
        # the examples of "Extending" are files of the reader's own
        assert f'`{name}`:' in (REPO_ROOT /
                                'docs/how_to/extend.md').read_text()
        return
    cfg = load_config(name).copy()
    for key in cfg_options or {}:
        node = cfg._cfg_dict
        for part in key.split('.')[:-1]:
            node = node[int(part)] if isinstance(node, list) else node[part]
        assert isinstance(node, (dict, list)), f'{key} is not in {name}'
    # of the type that the config has
    merge_cfg_options(cfg, cfg_options or {})


def check_python(arguments, monkeypatch):
    if arguments[0] == '-m':
        check_module(monkeypatch, *arguments[1:])
    else:
        check_script(arguments[0], arguments[1:], monkeypatch)


def check_module(monkeypatch, module, *arguments):
    if module == 'lgh_mmpose':
        # one of mmpose's own tools
        script, = mmpose_tool.TOOLS.rglob(f'{arguments[0]}.py')
        parse(script, arguments[1:], monkeypatch)
        return
    assert module == 'mkdocs', f'python -m {module} is not checked yet'
    from mkdocs.__main__ import cli
    cli.commands[arguments[0]].make_context(arguments[0], list(arguments[1:]))


def check_launcher(arguments, monkeypatch, tmp_path):
    """Run ``tools/*_*.sh`` with stand-ins that print what they are to run."""
    launcher = arguments[0]
    assert launcher in SCRIPTS, f'there is no {launcher}'
    srun = tmp_path / 'srun'
    srun.write_text('#!/bin/sh\necho "$@"\n')
    srun.chmod(0o755)
    output = run_command(
        *('bash', REPO_ROOT / launcher, *arguments[1:]),
        cwd=tmp_path,
        PYTHON='echo',
        PATH=f'{tmp_path}:{os.environ["PATH"]}').stdout
    *_, command = output.splitlines()
    command, _, arguments = command.partition('.py ')
    processes = re.search(r'--(?:nproc_per_node|ntasks)=(\S+)', command)[1]
    assert processes.isdigit(), f'{processes} is no number of processes'
    check_script(f'tools/{Path(command).name}.py', shlex.split(arguments),
                 monkeypatch)


def check_make(arguments):
    makefile = (REPO_ROOT / 'Makefile').read_text()
    for word in arguments:
        if '=' in word:
            name = word.split('=')[0]
            assert re.search(rf'^{name} \?=', makefile, re.MULTILINE)
        else:
            assert re.search(rf'^{word}:', makefile, re.MULTILINE)


def check_pip(arguments, monkeypatch):
    action, *arguments = arguments
    assert action == 'install'
    for requirement in arguments:
        name, extras = re.fullmatch(r'(-e|\.|[\w-]+)(?:\[([\w,-]+)\])?',
                                    requirement).groups()
        if name in ('.', 'lgh_mmpose') and extras:
            check_extras(extras.split(','), monkeypatch)


def check_extras(extras, monkeypatch):
    setup = {}
    with monkeypatch.context() as patch:
        patch.setattr(setuptools, 'setup',
                      lambda **kwargs: setup.update(kwargs))
        runpy.run_path(str(REPO_ROOT / 'setup.py'))
    assert set(extras) <= set(setup['extras_require'])


def check_mim(arguments, monkeypatch):
    """``mim train|test PACKAGE CONFIG [-C CHECKPOINT]``."""
    parser = argparse.ArgumentParser()
    parser.add_argument('action', choices=['train', 'test'])
    parser.add_argument('package', choices=['lgh_mmpose', 'mmpose'])
    parser.add_argument('config')
    parser.add_argument('-C', '--checkpoint')
    args, rest = parser.parse_known_args(arguments)
    check_config(args.config, None)
    assert (args.checkpoint is None) == (args.action == 'train')
    if args.package == 'lgh_mmpose':
        checkpoint = [args.checkpoint] if args.checkpoint else []
        check_script(f'tools/{args.action}.py',
                     [args.config, *checkpoint, *rest], monkeypatch)
    else:
        assert not rest, "mmpose's own scripts are not looked at"


# -- the tests ---------------------------------------------------------------


@pytest.mark.parametrize('command', documented_commands())
def test_command_is_one(command, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    while _ASSIGNMENT.match(command[0]):
        command = command[1:]
    program, *arguments = command
    if program == 'python':
        check_python(arguments, monkeypatch)
    elif program == 'bash':
        check_launcher(arguments, monkeypatch, tmp_path)
    elif program == 'export':
        assert all(_ASSIGNMENT.match(word) for word in arguments)
    elif program == 'make':
        check_make(arguments)
    elif program == 'lgh-hands':
        parse('demo/hand3d_demo.py', arguments, monkeypatch)
    elif program == 'lgh-adapt':
        adapt_command.parse_args(arguments)
    elif program == 'pip':
        check_pip(arguments, monkeypatch)
    elif program == 'mim':
        check_mim(arguments, monkeypatch)
    else:
        pytest.fail(f'no check for {program}: add it here')


@pytest.mark.parametrize('command, complaint', [
    ('python tools/trian.py configs/lgh_rhd.py', 'there is no'),
    ('python tools/train.py configs/lgh_rdh.py', 'lgh_rdh'),
    ('python tools/train.py configs/lgh_rhd.py --no-valid8', None),
    ('python tools/train.py configs/lgh_rhd.py --cfg-options a.b.c=1', 'a'),
    ('bash tools/dist_train.sh configs/lgh_rhd.py eight', ''),
    ('make everything', 'everything'),
    ("pip install -e '.[nothing]'", 'nothing'),
    ('mim train lgh_mmpose configs/lgh_rdh.py', 'lgh_rdh'),
])
def test_a_wrong_command_would_be_noticed(command, complaint, monkeypatch,
                                          tmp_path):
    command, = commands_of(f'```bash\n{command}\n```\n')
    with pytest.raises((AssertionError, KeyError, SystemExit)) as error:
        test_command_is_one(command, monkeypatch, tmp_path)
    if complaint is not None:
        assert complaint in str(error.value)


def test_blocks_are_split_into_commands():
    text = ('```bash\nA=1 python a.py \\\n    --b "c d"  # why\n\n'
            'make x && make y | z\n```\n```\nnot this\n```\n')
    assert list(commands_of(text)) == [['A=1', 'python', 'a.py', '--b', 'c d'],
                                       ['make', 'x'], ['make', 'y'], ['z']]


@lru_cache(maxsize=None)
def scripts_run_by_tests():
    """Scripts whose names stand in test modules that run scripts."""
    run = set()
    for path in (REPO_ROOT / 'tests').rglob('*.py'):
        if path.parent.name == 'test_docs':
            continue
        nodes = list(ast.walk(ast.parse(path.read_text())))
        calls = {
            getattr(node.func, 'id', getattr(node.func, 'attr', None))
            for node in nodes if isinstance(node, ast.Call)
        }
        if calls & _RUNNERS:
            texts = [
                node.value for node in nodes if isinstance(node, ast.Constant)
                and isinstance(node.value, str)
            ]
            run |= {
                s
                for s in SCRIPTS
                for t in texts
                if t.endswith('.py') and f'/{s}'.endswith(f'/{t}')
            }
    return run


@pytest.mark.parametrize(
    'script',
    # launchers are run below
    [s for s in SCRIPTS if s.endswith('.py')])
def test_script_is_run_by_a_test(script):
    assert script in scripts_run_by_tests()


@pytest.mark.parametrize('launcher', [
    'tools/dist_train.sh configs/lgh_rhd.py 2 --amp',
    'tools/dist_test.sh configs/lgh_rhd.py CHECKPOINT 2 --out scores.json',
    'tools/slurm_train.sh partition job configs/lgh_rhd.py work_dir --amp',
    'tools/slurm_test.sh partition job configs/lgh_rhd.py CHECKPOINT',
])
def test_launcher_passes_on_its_arguments(launcher, monkeypatch, tmp_path):
    check_launcher(launcher.split(), monkeypatch, tmp_path)
