import importlib.util

import pytest
from helpers import REPO_ROOT, run_file


def test_without_mmpose_a_tool_ends_in_a_sentence(monkeypatch):
    script = REPO_ROOT / 'tools/needs_mmpose.py'
    run_file(script)  # which is installed here
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(SystemExit, match=r'lgh_mmpose\[openmmlab\]'):
        run_file(script)
