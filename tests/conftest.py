import os

import pytest
from helpers import write_freihand

# no test opens a window
os.environ.setdefault('MPLBACKEND', 'Agg')


@pytest.fixture(scope='session')
def freihand_root(tmp_path_factory):
    """A tiny data set in FreiHAND's layout: 8 + 4 images of 64 px.

    Shared by the whole session: read it, do not write into it.
    """
    return write_freihand(tmp_path_factory.mktemp('freihand'))
