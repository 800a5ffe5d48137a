"""How fast trainings are, on a toy network."""
import json
import subprocess

import numpy as np
import pytest
from helpers import REPO_ROOT, run_script
from mmengine.config import Config

SCRIPT = REPO_ROOT / 'benchmarks/training_speed.py'
TOY = [
    'model.backbone.stem_channels=8', 'model.backbone.base_channels=8',
    'model.neck.in_channels=(8,16,32)', 'model.neck.stem_channels=16',
    'model.neck.shared_channels=(16,)', 'model.neck.group_channels=8',
    'model.head.in_channels=8'
]


def test_a_training_is_measured(freihand_root, tmp_path, monkeypatch):
    commands, run = [], subprocess.run

    def run_here(command, **kwargs):
        if '--child' not in command:  # mmengine's own
            return run(command, **kwargs)
        commands.append(command)
        return run_script(*command[1:], cwd=tmp_path)

    # a process costs seconds of imports; what it prints is the same
    monkeypatch.setattr(subprocess, 'run', run_here)
    out = run_script(
        SCRIPT,
        REPO_ROOT / 'configs/lgh_studiohand.py',
        *('--data-root', freihand_root, '--iters', 3, '--warm-up', 1),
        *('--batch-size', 2, '--rounds', 1, '--json', 'out.json'),
        # the other one changes this process's allocator for good
        *('--variants', 'fp32', '--cfg-options', *TOY),
        cwd=tmp_path).stdout
    assert len(commands) == 1
    summary = json.loads((tmp_path / 'out.json').read_text())
    assert list(summary) == ['fp32 x1']
    for value in summary['fp32 x1'].values():
        assert value > 0
    assert '1.00   1.00' in out.splitlines()[-1]


# of a made-up run: seconds of wall and CPU time of each iteration and process
STEPS = {
    ('fp32', 1): [[[.4, .4]]],
    ('fp32', 2): [[[.5, .4]], [[.5, .4]]],
    ('fast', 1): [[[.2, .1]]],
    ('fast', 2): [[[.2, .1]], [[.3, .1]]],
}


@pytest.mark.parametrize('cpu_bf16', ['AMX', 'none'], indirect=True)
def test_variants_take_turns(freihand_root, tmp_path, monkeypatch, cpu_bf16):
    order = []

    def made_up(command, **kwargs):
        if '--child' not in command:  # mmengine's own
            return run(command, **kwargs)
        cfg = Config.fromfile(command[-1])
        hooks = {hook.type for hook in cfg.custom_hooks}
        variant = 'fast' if 'KeepMemoryHook' in hooks else 'fp32'
        # where the CPU has none, bf16 would not be fast
        assert cfg.optim_wrapper.enabled == (
            variant == 'fast' and bool(cpu_bf16))
        processes = 1 + ('--nproc_per_node=2' in command)
        order.append((variant, processes))
        # the second round, of three, is disturbed
        slower = 7 if 4 < len(order) <= 8 else 1
        steps = np.multiply(STEPS[order[-1]], slower).tolist()
        return subprocess.CompletedProcess(
            command, 0, f'training_speed: {json.dumps(steps)}\n')

    run = subprocess.run
    monkeypatch.setattr(subprocess, 'run', made_up)
    out = run_script(
        SCRIPT,
        REPO_ROOT / 'configs/lgh_studiohand.py',
        *('--data-root', freihand_root, '--batch-size', 2, '--rounds', 3),
        *('--variants', 'fp32', 'fast', '--processes', 1, 2),
        *('--json', 'out.json'),
        cwd=tmp_path).stdout
    assert order == list(STEPS) * 3
    summary = json.loads((tmp_path / 'out.json').read_text())
    expected = {
        'fp32 x1': (5, 200),
        'fp32 x2': (8, 200),
        'fast x1': (10, 50),
        'fast x2': (16, 50)  # the mean of both processes
    }
    assert list(summary) == list(expected)
    for name, values in expected.items():
        assert tuple(summary[name].values()) == pytest.approx(values)
    # as fast as the first: by wall time, by CPU time
    assert out.splitlines()[-1].split()[-2:] == ['3.20', '4.00']


def test_too_few_iterations_are_refused(tmp_path):
    result = run_script(
        *(SCRIPT, 'none.py', '--iters', 4), cwd=tmp_path, check=False)
    assert result.returncode == 2
    assert '--iters must exceed --warm-up by 2' in result.stdout
