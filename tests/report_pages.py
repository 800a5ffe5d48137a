"""Reports of a toy size, and what stands on their pages."""
import json
import re
from pathlib import Path
from typing import Union

from helpers import REPO_ROOT
from mmengine.config import Config

from lgh_mmpose.config import set_data_root

CONFIG = REPO_ROOT / 'configs/lgh_studiohand.py'
# in names that come from files
IMAGE = '<img src=x onerror=alert(1)>'
MARKUP = f'</script>{IMAGE}'


def toy_config(data_root: Union[str, Path]) -> Config:
    """The config of a training on a data set in FreiHAND's layout."""
    cfg = Config.fromfile(CONFIG)
    set_data_root(cfg, str(data_root))
    return cfg


def page_data(path: Union[str, Path]) -> dict:
    """What the page's script draws."""
    text = Path(path).read_text(encoding='utf-8')
    return json.loads(
        re.search(
            '<script type="application/json" id="report-data">(.*?)'
            '</script>', text, re.DOTALL)[1])


def visible_text(path: Union[str, Path]) -> str:
    """What stands on the page, with its scripts and styles left out."""
    text = Path(path).read_text(encoding='utf-8')
    text = re.sub('<(script|style).*?</\\1>', '', text, flags=re.DOTALL)
    return ' '.join(re.sub('<[^>]*>', ' ', text).split())
