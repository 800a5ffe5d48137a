import sys

from helpers import REPO_ROOT

# last, so that `lgh_mmpose` is the one that is installed
sys.path.append(str(REPO_ROOT))
