"""Plans: which variants of a config are trained, on what budget."""
import hashlib
import json
import os.path as osp
import re
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Tuple, Union

import yaml
from mmengine.config import Config

from ..config import merge_cfg_options, set_data_root
from ..models.layers.fixed_selectors import (find_groups_file, joint_names,
                                             read_groups)
from ..reading import read_small_file, reason

BUDGETS = ('samples', 'cpu_seconds')


class Run(NamedTuple):
    """One training of a plan."""
    variant: str
    seed: int


class Plan(NamedTuple):
    """Variants of one config, trained on the same budget with each seed.

    Attributes:
        name (str): Name of the plan, that of its file.
        title (str): What it asks, one line.
        config (Path): The config that all variants change.
        budget (dict): ``{'samples': n}``, training samples of each run, or
            ``{'cpu_seconds': s}``, CPU time of each training from its first
            iteration on.
        seeds (tuple[int]): Seeds of each variant.
        baselines (tuple[str]): Variants that the others are compared with;
            the first one in the table, the pictures and all else.
        variants (dict): Settings of each variant by name: values by dotted
            key, as of ``--cfg-options``.
    """
    name: str
    title: str
    config: Path
    budget: Dict[str, float]
    seeds: Tuple[int, ...]
    baselines: Tuple[str, ...]
    variants: Dict[str, Dict[str, Any]]

    @property
    def runs(self) -> List[Run]:
        """All runs; the seed outermost, so that partial results compare."""
        return [
            Run(name, seed) for seed in self.seeds for name in self.variants
        ]

    def variant_config(self,
                       variant: str,
                       data_root: Optional[str] = None) -> Config:
        """The config of a variant, on the data in ``data_root``."""
        cfg = deepcopy(_read_config(self.config))
        # mmengine takes _delete_ out of what it merges
        merge_cfg_options(cfg, deepcopy(self.variants[variant]))
        if data_root is not None:
            set_data_root(cfg, data_root)
        return cfg

    def settings(self, variant: str) -> str:
        """Fingerprint of all that a run is made of but seed and data.

        A result counts for a plan if it has the plan's: a change of config,
        budget or of the groups in a file asks for new runs.

        Raises:
            FileNotFoundError: If there is no such file of groups.
            ValueError: If it is damaged.
        """
        return _fingerprint(self.variant_config(variant, ''), self.budget)

    @property
    def base_settings(self) -> str:
        """The same of the config as it is, without a variant's settings."""
        cfg = deepcopy(_read_config(self.config))
        set_data_root(cfg, '')
        return _fingerprint(cfg, self.budget)


@lru_cache(maxsize=None)
def _read_config(path: Path) -> Config:
    """Read a config once: a plan asks for it again and again."""
    return Config.fromfile(path)


def _fingerprint(cfg: Config, budget: Dict[str, float]) -> str:
    settings = cfg.to_dict()
    # an end that is left to the runner is that of the training
    for scheduler in settings.get('param_scheduler') or ():
        if scheduler.get('by_epoch', True):
            scheduler.setdefault('end',
                                 settings['train_cfg'].get('max_epochs'))
    text = json.dumps([_read_group_files(settings), budget],
                      sort_keys=True,
                      default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _read_group_files(value: Any) -> Any:
    """Put the groups themselves in place of the files that name them."""
    if isinstance(value, (list, tuple)):
        return [_read_group_files(v) for v in value]
    if not isinstance(value, dict):
        return value
    if str(value.get('type')).split('.')[-1] == 'FileSelector' and \
            'file' in value:
        names = joint_names(value.get('metainfo'))
        path = find_groups_file(value['file'])
        try:
            return dict(value, file=read_groups(path, names))
        except ValueError as error:
            raise ValueError(f'{path}: {error}') from None
    return {key: _read_group_files(v) for key, v in value.items()}


def read_plan(path: Union[str, Path]) -> Plan:
    """Read and check a plan.

    Args:
        path (str | Path): YAML file with the keys ``title``, ``config`` (a
            path from the file's folder), ``budget``, ``seeds``, ``baseline``
            (a variant or a list of them) and ``variants``, see :class:`Plan`.

    Returns:
        Plan: The plan.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: Naming the file and the key that is missing, unknown or
            has no meaning.
    """
    path = Path(path)
    content = read_small_file(path)
    try:
        data = yaml.safe_load(content.decode('utf-8'))
    except Exception as error:  # of a date or a number it raises anything
        raise ValueError(f'{path} is not YAML: {reason(error)}') from None
    if not isinstance(data, dict):
        raise ValueError(f'{path} must be a mapping of keys')
    keys = ('title', 'config', 'budget', 'seeds', 'baseline', 'variants')
    for key in keys:
        if key not in data:
            raise ValueError(f'{path}: the key {key!r} is missing')
    unknown = sorted(set(map(str, data)) - set(keys))
    if unknown:
        raise ValueError(f'{path}: unknown key {unknown[0]!r}; a plan has '
                         f'{", ".join(keys)}')
    for key in ('title', 'config'):
        if not isinstance(data[key], str):
            raise ValueError(f'{path}: {key} must be text, got {data[key]!r}')
    config = path.parent / data['config']
    if not osp.isfile(config):  # unlike Path, False where the name is too long
        raise ValueError(f'{path}: config not found: {config}')
    variants = _check_variants(path, data['variants'])
    return Plan(path.stem, data['title'], config,
                _check_budget(path, data['budget']),
                _check_seeds(path, data['seeds']),
                _check_baselines(path, data['baseline'], variants), variants)


def _check_budget(path: Path, budget: Any) -> Dict[str, float]:
    if not isinstance(budget, dict) or len(budget) != 1 or \
            next(iter(budget)) not in BUDGETS:
        raise ValueError(f'{path}: budget must be one of '
                         f'{" or ".join(BUDGETS)}, got {budget!r}')
    value = next(iter(budget.values()))
    if isinstance(value, bool) or not isinstance(value, (int, float)) or \
            not 0 < value <= 1e15:
        raise ValueError(f'{path}: the budget must be a positive number, got '
                         f'{value!r}')
    return budget


def _check_seeds(path: Path, seeds: Any) -> Tuple[int, ...]:
    if not isinstance(seeds, list) or not seeds or \
            any(type(seed) is not int or not 0 <= seed < 2**32
                for seed in seeds) or \
            len(set(seeds)) < len(seeds):
        raise ValueError(f'{path}: seeds must be a list of different numbers '
                         f'from 0 to 2^32 - 1, got {seeds!r}')
    return tuple(seeds)


def _check_variants(path: Path, variants: Any) -> Dict[str, Dict[str, Any]]:
    if not isinstance(variants, dict) or not variants:
        raise ValueError(f'{path}: variants must map names to settings')
    for name, options in variants.items():
        # names become folders
        if not isinstance(name, str) or not re.fullmatch(r'\w[\w.-]*', name):
            raise ValueError(f'{path}: a variant is named by letters, digits, '
                             f'-, _ and ., not {name!r}')
        if options is None:
            variants[name] = {}
        elif not isinstance(options, dict) or not all(
                isinstance(key, str) for key in options):
            raise ValueError(f'{path}: the variant {name} must map dotted '
                             f'keys to values, got {options!r}')
    return variants


def _check_baselines(path: Path, baselines: Any,
                     variants: Dict[str, Dict[str, Any]]) -> Tuple[str, ...]:
    if not isinstance(baselines, list):
        baselines = [baselines]
    if not baselines:
        raise ValueError(f'{path}: baseline names no variant')
    for name in baselines:
        if not isinstance(name, str) or name not in variants:
            raise ValueError(f'{path}: the baseline {name!r} is no variant; '
                             f'they are {", ".join(variants)}')
        if baselines.count(name) > 1:
            raise ValueError(f'{path}: the baseline {name!r} stands there '
                             'twice')
    return tuple(baselines)
