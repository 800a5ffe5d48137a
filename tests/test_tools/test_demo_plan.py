"""How the demo spends its time."""
import runpy

import pytest
from helpers import REPO_ROOT
from hypothesis import given
from hypothesis import strategies as st

plan_epochs = runpy.run_path(str(REPO_ROOT / 'tools/demo.py'))['plan_epochs']


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
