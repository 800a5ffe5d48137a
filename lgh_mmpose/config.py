"""Help with configs that mmengine does not give."""
import copy
import difflib
import os.path as osp
import re
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple, Union

from mmengine.config import Config
from mmengine.hooks import Hook

# What mmengine's runners, mmpose and this package read of a config. All other
# keys are variables: parsing has copied them to where they are used.
RUN_KEYS = frozenset(
    ('activation_checkpointing', 'auto_scale_lr', 'backend_args', 'compile',
     'custom_hooks', 'custom_imports', 'data_mode', 'data_preprocessor',
     'default_hooks', 'default_scope', 'efficient_conv_bn_eval', 'env_cfg',
     'experiment_name', 'find_unused_parameters', 'launcher', 'load_from',
     'log_level', 'log_processor', 'model', 'model_wrapper_cfg',
     'optim_wrapper', 'param_scheduler', 'randomness', 'resume', 'runner_type',
     'strategy', 'sync_bn', 'test_cfg', 'test_dataloader', 'test_evaluator',
     'train_cfg', 'train_dataloader', 'tta_model', 'tta_pipeline', 'val_cfg',
     'val_dataloader', 'val_evaluator', 'visualizer', 'work_dir'))
_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
# a number is known by its name: where it is set, whatever stands there
_NAMED = {
    'data_root': _LOADERS,
    'max_epochs': ('train_cfg', ),
    'num_groups': ('model', ),
    'codec.input_size': ('model', *_LOADERS),
}


@contextmanager
def config_errors(config: Union[str, Path]) -> Iterator[None]:
    """Let what a config is wrong about be one sentence that names it.

    To build from a config can raise anything, since it names classes and
    their arguments.

    Args:
        config (str | Path): What the sentence names.

    Raises:
        ValueError: Instead of any error but OSError and ValueError, which are
            sentences already.
    """
    try:
        yield
    except (OSError, ValueError):
        raise
    except Exception as error:
        raise ValueError(_cannot_build(config, error)) from error


def _cannot_build(config: Union[str, Path], error: Exception) -> str:
    return (f'cannot build what the config {config} names: '
            f'{_first_line(error)}')


class _StartHook(Hook):
    """Knows that a run has its first batch: what it needs is there."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.started = False

    def _begin(self, *args: Any, **kwargs: Any) -> None:
        self.started = True

    before_train_iter = before_val_iter = before_test_iter = _begin


@contextmanager
def exit_on_config_errors(config: Union[str, Path],
                          runner: Optional[Any] = None) -> Iterator[None]:
    """End a command with one sentence where its config is wrong.

    Args:
        config (str | Path): What the sentence names.
        runner (mmengine.runner.Runner, optional): What is run; once its first
            batch has come, its errors are left as they are.

    Raises:
        SystemExit: With the sentence, upon OSError, ValueError, and what
            mmengine or mmcv say of the config themselves: unknown types and
            arguments, missing keys. Other errors keep their trace.
    """
    start = _StartHook()
    if runner is not None:
        runner.register_hook(start)
    try:
        yield
    except Exception as error:
        frame = error.__traceback__
        while frame.tb_next is not None:
            frame = frame.tb_next
        source = frame.tb_frame.f_globals.get('__name__', '').split('.')[0]
        # an argument too many comes from who calls, maybe a class for its base
        argument = isinstance(error, TypeError) and '__init__() ' in f'{error}'
        text = _of_worker(error)
        if not isinstance(error, (OSError, ValueError)):
            text = _cannot_build(config, error)
            if not argument and source not in ('mmengine', 'mmcv'):
                raise
        if start.started:
            raise
        raise SystemExit(f'error: {text}') from None


def _of_worker(error: Exception) -> str:
    """What an error says; of one in a worker of a data loader, without the
    trace that torch has put before it."""
    text = str(error).strip()
    if text.startswith('Caught ') and 'Original Traceback' in text:
        text = text.splitlines()[-1].partition(': ')[2]
    return text


def require_keys(cfg: Config, config: Union[str, Path], keys: Sequence[str],
                 what: str) -> None:
    """Check that a config has what is needed.

    Args:
        cfg (Config): The config.
        config (str | Path): Its name, for the error.
        keys (Sequence[str]): Keys that it must have.
        what (str): What needs them, for the error.

    Raises:
        ValueError: If one is missing or None; it is named.
    """
    for key in keys:
        if cfg.get(key) is None:
            raise ValueError(f'the config {config} has no {key}, which {what} '
                             'needs; give it there, or another config')


def check_decay(cfg: Config) -> None:
    """Check that a weight decay that is scaled is given.

    Args:
        cfg (Config): The config of a training.

    Raises:
        ValueError: If ``paramwise_cfg`` scales a decay that the optimizer's
            config does not name, and mmengine could not.
    """
    wrapper = cfg.optim_wrapper
    optimizer = wrapper.get('optimizer')
    if not isinstance(optimizer, dict) or 'weight_decay' in optimizer:
        return
    scaled = next(
        _paths(
            wrapper.get('paramwise_cfg'),
            lambda name, _: str(name).endswith('decay_mult')), None)
    if scaled is not None:
        raise ValueError(
            f'optim_wrapper.paramwise_cfg scales the weight decay ({scaled}), '
            f'but optim_wrapper.optimizer, {optimizer.get("type")}, has no '
            'weight_decay: set optim_wrapper.optimizer.weight_decay, to 0 '
            'for none')


def check_pretrained(cfg: Config) -> None:
    """Check that the files which parts of a model start from are there.

    Args:
        cfg (Config): The config of a training.

    Raises:
        FileNotFoundError: Naming the key and the file that is missing.
    """
    missing = []

    def is_missing(name: str, value: Any) -> bool:
        if name == 'checkpoint' and isinstance(
                value, str) and '://' not in value and not osp.exists(value):
            missing.append(value)
            return True
        return False

    key = next(_paths(cfg.model, is_missing), None)
    if key is not None:
        raise FileNotFoundError(
            f'model.{key} of the config names {missing[0]}, which is missing: '
            'the beginning of the config tells where it is from; to start '
            'from random weights, --cfg-options '
            f'model.{key.rpartition(".")[0]}=None')


def check_length(cfg: Config) -> None:
    """Check that a training has a length.

    Args:
        cfg (Config): The config of a training.

    Raises:
        ValueError: If its number of epochs or iterations is none.
    """
    for key in ('max_epochs', 'max_iters'):
        value = cfg.train_cfg.get(key)
        if value is not None and (type(value) is not int or value < 1):
            raise ValueError(f'train_cfg.{key} must be a whole number, 1 or '
                             f'more, got {value!r}')


def load_config(path: Union[str, Path]) -> Config:
    """Read a config file.

    Args:
        path (str | Path): The file.

    Returns:
        Config: The config.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it, or one that it is based on, cannot be read.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f'config not found: {path}{_new_name(str(path))}')
    try:
        return Config.fromfile(path)
    except Exception as error:  # it is Python, and may raise anything
        line = _first_line(error)
        raise ValueError(f'cannot read the config {path}: {line}'
                         f'{_new_name(line)}') from error


def _new_name(text: str) -> str:
    """What to use instead of a config of the former rendered data set."""
    old = re.search(r'\w*synthhand[\w-]*\.py', text)
    if old is None:
        return ''
    return ('; StudioHand has taken the place of SynthHand: '
            f'{old[0].replace("synthhand", "studiohand")}')


def _first_line(error: Exception) -> str:
    # the str of a KeyError is a repr
    keyed = isinstance(error, KeyError) and error.args
    text = str(error.args[0] if keyed else error).strip()
    return f'{text.splitlines()[0] if text else ""} ({type(error).__name__})'


def merge_cfg_options(cfg: Config, options: Dict[str, Any]) -> None:
    """Merge what ``--cfg-options`` gives, variables of the config included.

    mmengine reads ``num_groups = 3`` of a config once, while it parses it:
    to set the variable later changes nothing of what it was copied to. Here
    it does: ``data_root``, ``num_groups``, ``max_epochs`` and the codec's
    ``input_size`` are set wherever the data sets, the model, the loop and
    the pipelines have them; any other variable that is a dict or a list,
    such as ``codec`` or ``train_pipeline``, where its value stands.

    Args:
        cfg (Config): Config to change in place.
        options (dict): Values by dotted key, as mmengine's ``DictAction``
            makes them. A place that is named itself, such as
            ``model.head.num_groups``, wins over the variable.

    Raises:
        ValueError: If a key is nothing that is run and no variable that has
            been used; the keys to set instead are named.
    """
    variables = {
        key: value
        for key, value in options.items() if key.split('.')[0] not in RUN_KEYS
    }
    for key, value in variables.items():
        _set_variable(cfg, key, value)
    cfg.merge_from_dict(
        {key: options[key]
         for key in options if key not in variables})


def _set_variable(cfg: Config, key: str, value: Any) -> None:
    name = key.split('.')[0]
    run = {k: v for k, v in cfg.items() if k in RUN_KEYS}
    old, found = cfg.get(name), False
    if old is not None:
        changed = Config({name: copy.deepcopy(old)})
        changed.merge_from_dict({key: value})
        new = changed[name]
        if old and isinstance(old, (dict, list, tuple)):
            found = any(_paths(run, lambda _, node: node == old))
            # other variables hold it as well
            everything = dict(cfg.items())
            _replace(everything, old, new)
            for other, node in everything.items():
                cfg[other] = node
        cfg[name] = new
        if key == 'codec' and isinstance(new, dict) and 'input_size' in new:
            key, value = 'codec.input_size', new['input_size']
    leaf = key.split('.')[-1]
    for part, node in cfg.items():
        if key in _NAMED and (part in _NAMED[key] or part not in RUN_KEYS):
            found |= _set(node, leaf, value) and part in RUN_KEYS
    if not found:
        raise ValueError(_without_effect(run, key, old))


def _without_effect(run: Dict[str, Any], key: str, old: Any) -> str:
    if key == 'data_root':
        return 'no data set of the config has a data_root to set'
    leaf = key.split('.')[-1]
    places = list(
        _paths(
            run, lambda name, node: name == leaf or isinstance(old, str) and
            node == old))
    text = f'the option {key} has no effect: nothing that is run reads it'
    if not places:
        known = {str(name): path for path, name in _names(run)}
        known.update((name, name) for name in _NAMED)
        close = difflib.get_close_matches(leaf, known, 1)
        return f'{text}; did you mean {known[close[0]]}?' if close else \
            f'{text}, and the config has no other {leaf}'
    return f'{text}; set {" or ".join(places[:4])} instead'


def _paths(node: Any, test: Any, path: str = '') -> Iterator[str]:
    """Dotted keys of what passes ``test(name, value)`` in a nested config."""
    for name, value in _items(node):
        here = f'{path}.{name}' if path else str(name)
        if test(name, value):
            yield here
        else:
            yield from _paths(value, test, here)


def _names(node: Any, path: str = '') -> Iterator[Tuple[str, str]]:
    """Dotted keys of all that a nested config holds, with their last names."""
    for name, value in _items(node):
        here = f'{path}.{name}' if path else str(name)
        yield here, name
        yield from _names(value, here)


def _items(node: Any) -> List[Tuple[Any, Any]]:
    if isinstance(node, dict):
        return list(node.items())
    return list(enumerate(node)) if isinstance(node, (list, tuple)) else []


def _replace(node: Any, old: Any, new: Any) -> None:
    """Put ``new`` wherever ``old`` stands in a nested config."""
    for name, value in _items(node):
        if value == old and not isinstance(node, tuple):
            node[name] = copy.deepcopy(new)
        else:
            _replace(value, old, new)


def set_data_root(cfg: Config, data_root: str) -> None:
    """Point every data set of a config to another folder.

    Args:
        cfg (Config): Config whose train, val and test data sets, wrapped ones
            included, are changed in place.
        data_root (str): Folder for all of them.

    Raises:
        ValueError: If no data set of the config has a ``data_root``.
    """
    merge_cfg_options(cfg, dict(data_root=data_root))
    cfg.data_root = data_root


def enable_visualization(cfg: Config, show: bool, out_dir: Optional[str],
                         interval: int, wait_time: float) -> None:
    """Switch the visualization hook on, for ``--show`` and ``--show-dir``.

    Args:
        cfg (Config): Config to change in place.
        show (bool): Whether to show the pictures in a window.
        out_dir (str, optional): Folder to save them to.
        interval (int): Every so many samples are drawn.
        wait_time (float): Seconds for which a window stays.

    Raises:
        ValueError: If the config has no such hook.
    """
    if 'visualization' not in cfg.get('default_hooks', {}):
        raise ValueError(
            '--show and --show-dir need '
            'visualization=dict(type="PoseVisualizationHook") among the '
            'default_hooks of the config')
    cfg.default_hooks.visualization.update(
        enable=True,
        show=show,
        out_dir=out_dir,
        interval=interval,
        wait_time=wait_time)


def with_codec(pipeline: List[dict], codec: dict) -> List[dict]:
    """A pipeline for another codec, and so for another input size.

    For configs that inherit their pipelines, whose steps have been given the
    codec of the config below.

    Args:
        pipeline (list[dict]): Configs of transforms.
        codec (dict): Config of the codec, with ``input_size``.

    Returns:
        list[dict]: The same, with this codec in each step that has an encoder
        and its input size in each that has one.
    """
    new = dict(encoder=codec, input_size=codec['input_size'])
    return [
        dict(step, **{key: new[key]
                      for key in new if key in step}) for step in pipeline
    ]


def with_steps(pipeline: List[dict],
               **steps: Optional[Dict[str, Any]]) -> List[dict]:
    """A pipeline with other arguments for some of its steps.

    For configs that inherit their pipelines, which mmengine can only replace
    as a whole.

    Args:
        pipeline (list[dict]): Configs of transforms.
        **steps (dict | None): New values of arguments by the type of the
            step, or None to do without it; other arguments stay as they are.

    Returns:
        list[dict]: The same with these arguments.

    Raises:
        ValueError: If the pipeline has no step of a type.
    """
    types = [step['type'] for step in pipeline]
    for name in steps:
        if name not in types:
            raise ValueError(f'the pipeline has no {name} to change, only '
                             f'{", ".join(types)}')
    return [
        dict(step, **steps.get(step['type'], {})) for step in pipeline
        if steps.get(step['type'], {}) is not None
    ]


def limit_samples(cfg: Config, num_samples: int, num_available: int) -> None:
    """Let a training see ``num_samples`` samples, in equal epochs.

    Args:
        cfg (Config): Config to change in place.
        num_samples (int): Samples in all, cut to whole batches per epoch.
        num_available (int): Samples of the training set.

    Raises:
        ValueError: If they do not fill one batch.
    """
    batch = cfg.train_dataloader.batch_size
    epochs = -(-num_samples // num_available)
    per_epoch = num_samples // epochs // batch * batch
    if not per_epoch:
        raise ValueError(f'{num_samples} samples do not fill one batch of '
                         f'{batch}')
    cfg.train_dataloader.dataset.indices = per_epoch
    cfg.max_epochs = cfg.train_cfg.max_epochs = epochs
    # it ends with the training
    cfg.param_scheduler[-1].pop('end', None)
    # a short run is not to be over before the learning rate has come up
    warmup = cfg.param_scheduler[0]
    warmup.end = min(warmup.end, max(epochs * per_epoch // batch // 10, 1))


def _set(node: Any, key: str, value: Any) -> bool:
    """Set a key wherever a nested config has it; tells whether it had one."""
    found = False
    for name, child in _items(node):
        if name == key:
            node[key] = value
            found = True
        else:
            found |= _set(child, key, value)
    return found
