"""Help with configs that mmengine does not give."""
from typing import Any

from mmengine.config import Config


def set_data_root(cfg: Config, data_root: str) -> None:
    """Point every data set of a config to another folder.

    mmengine reads ``data_root`` once, while it parses the config: setting the
    variable later, as ``--cfg-options data_root=DIR`` does, changes nothing
    of what was built from it.

    Args:
        cfg (Config): Config whose train, val and test data sets, wrapped ones
            included, are changed in place.
        data_root (str): Folder for all of them.

    Raises:
        ValueError: If no data set of the config has a ``data_root``.
    """
    loaders = [
        cfg[name]
        for name in ('train_dataloader', 'val_dataloader', 'test_dataloader')
        if cfg.get(name) is not None
    ]
    changed = [_set(loader, data_root) for loader in loaders]
    if not any(changed):
        raise ValueError('no data set of the config has a data_root to set')
    cfg.data_root = data_root


def _set(node: Any, data_root: str) -> bool:
    """Set ``data_root`` in a nested config; tells whether there was one."""
    if isinstance(node, (list, tuple)):
        return any([_set(item, data_root) for item in node])
    if not isinstance(node, dict):
        return False
    found = 'data_root' in node
    if found:
        node['data_root'] = data_root
    return any([_set(value, data_root) for value in node.values()]) or found
