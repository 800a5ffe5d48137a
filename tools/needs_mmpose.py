"""Ends a tool in a sentence where only the base is installed.

To be imported before torch and mmengine. The package says the same, but takes
seconds to import where mmpose is installed.
"""
import importlib.util

if importlib.util.find_spec('mmpose') is None:
    raise SystemExit('this needs torch and mmpose, which are not installed: '
                     "pip install 'lgh_mmpose[openmmlab]' (Python 3.9 to "
                     '3.11)')
