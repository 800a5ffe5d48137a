"""How the demo spends its time."""
import re
import runpy
import sys
from types import SimpleNamespace

import pytest
import torch
from helpers import REPO_ROOT
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(REPO_ROOT / 'tools'))  # as of a script
demo = SimpleNamespace(**runpy.run_path(str(REPO_ROOT / 'tools/demo.py')))
del sys.path[0]
plan_epochs = demo.plan_epochs


@pytest.mark.parametrize('iters, expected', [
    (1000, (3, 333)),
    (801, (3, 267)),
    (800, (2, 400)),
    (399, (1, 399)),
    (0, (1, 1)),
    (-3, (1, 1)),
    (10**6, (24, 400)),
])
def test_plan(iters, expected):
    assert plan_epochs(iters, 400, 24) == expected


@given(st.integers(1, 10**5), st.integers(1, 1000), st.integers(1, 50))
def test_plan_uses_the_time_but_no_more(iters, iters_per_epoch, max_epochs):
    epochs, length = plan_epochs(iters, iters_per_epoch, max_epochs)
    assert 1 <= epochs <= max_epochs and 1 <= length <= iters_per_epoch
    planned = epochs * length
    assert planned <= iters
    # at most an iteration of every epoch is lost to rounding
    assert planned > iters - epochs or planned == max_epochs * iters_per_epoch


class Network(torch.nn.Module):
    """Notes what a convolution computes in."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 1, 1)
        self.head = SimpleNamespace(decoder=SimpleNamespace(input_size=(4, 4)))
        self.dtypes = set()

    def forward(self, images, data_samples, mode):
        self.dtypes.add(self.conv(images).dtype)


def test_the_network_is_timed_in_what_the_cpu_computes(cpu_bf16, monkeypatch):
    monkeypatch.setattr(torch, 'set_num_threads', lambda number: None)
    network = Network()
    assert demo.images_per_second(network, 32) > 0
    assert network.dtypes == {torch.bfloat16 if cpu_bf16 else torch.float32}


def test_the_summary_tells_what_the_cpu_can_do(cpu_bf16, capsys):
    names = ('mean_pose_mpjpe_mm', 'mpjpe_mm', 'pa_mpjpe_mm', 'auc_0_50',
             'epe_2d_px', 'mpjpe_solved_root_mm', 'epe_solved_root_mm',
             'images_per_second', 'train_images_per_second', 'seconds_total')
    demo.report(
        dict(
            dict.fromkeys(names, 1.),
            groups=[['wrist']],
            cpu='what it computes',
            cpu_bf16=cpu_bf16,
            epochs=4,
            train_images=14250,
            train_samples=57000,
            photos=None), [])
    rows = dict(
        re.split('  +', line, maxsplit=1)
        for line in capsys.readouterr().out.splitlines()
        if re.match(r'\w.*  ', line))
    assert rows['CPU'] == 'what it computes'
    assert rows['trained on'] == '57,000 samples, 4 epochs of 14,250'
    assert f'network, one core, {"bf16" if cpu_bf16 else "fp32"}' in rows
