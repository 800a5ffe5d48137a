"""Clusters of items that are alike."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lgh_mmpose.clustering import spectral_clusters


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31 - 1), st.integers(2, 4))
def test_clusters_find_blocks_in_any_order(seed, groups):
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.arange(12) % groups)
    affinity = np.where(truth[:, None] == truth, 1., .02)
    np.fill_diagonal(affinity, 0)
    found = spectral_clusters(affinity, groups, rng)
    assert len({*zip(truth, found)}) == groups
    # numbered as they come
    assert list(dict.fromkeys(found)) == list(range(groups))


def test_clusters_refuse_what_they_cannot_find():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match='1..3'):
        spectral_clusters(np.ones((3, 3)), 4, rng)
    with pytest.raises(ValueError, match='item 2'):
        spectral_clusters(np.array([[0., 1, 0], [1, 0, 0], [0, 0, 0]]), 2, rng)
