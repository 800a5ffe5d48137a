"""Help with configs that mmengine does not give."""
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Union

from mmengine.config import Config
from mmengine.hooks import Hook


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
    """Knows that a run has begun, for which all has been built."""

    started = False

    def before_run(self, runner) -> None:
        self.started = True


@contextmanager
def exit_on_config_errors(config: Union[str, Path],
                          runner: Optional[Any] = None) -> Iterator[None]:
    """End a command with one sentence where its config is wrong.

    Args:
        config (str | Path): What the sentence names.
        runner (mmengine.runner.Runner, optional): What is run; once all is
            built and its run begins, its errors are left as they are.

    Raises:
        SystemExit: With the sentence, upon OSError, ValueError, and what
            mmengine or mmcv say of the config themselves: unknown types and
            arguments, missing keys. Other errors keep their trace.
    """
    start = _StartHook()
    if runner is not None:
        runner.register_hook(start, priority='LOWEST')
    try:
        yield
    except Exception as error:
        frame = error.__traceback__
        while frame.tb_next is not None:
            frame = frame.tb_next
        source = frame.tb_frame.f_globals.get('__name__', '').split('.')[0]
        # an argument too many comes from who calls, maybe a class for its base
        argument = isinstance(error, TypeError) and '__init__() ' in f'{error}'
        text = str(error)
        if not isinstance(error, (OSError, ValueError)):
            text = _cannot_build(config, error)
            if not argument and source not in ('mmengine', 'mmcv'):
                raise
        if start.started:
            raise
        raise SystemExit(f'error: {text}') from None


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
        raise FileNotFoundError(f'config not found: {path}')
    try:
        return Config.fromfile(path)
    except Exception as error:  # it is Python, and may raise anything
        raise ValueError(
            f'cannot read the config {path}: {_first_line(error)}') from error


def _first_line(error: Exception) -> str:
    # the str of a KeyError is a repr
    keyed = isinstance(error, KeyError) and error.args
    text = str(error.args[0] if keyed else error).strip()
    return f'{text.splitlines()[0] if text else ""} ({type(error).__name__})'


def merge_cfg_options(cfg: Config, options: Dict[str, Any]) -> None:
    """Merge what ``--cfg-options`` gives; ``data_root`` moves all data sets.

    Args:
        cfg (Config): Config to change in place.
        options (dict): Values by dotted key, as mmengine's ``DictAction``
            makes them. A data set's own ``data_root`` among them wins over
            the common one.
    """
    if 'data_root' in options:
        set_data_root(cfg, options['data_root'])
    cfg.merge_from_dict(options)


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
    if not _set(loaders, data_root):
        raise ValueError('no data set of the config has a data_root to set')
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
    cfg.param_scheduler[-1].end = epochs
    # a short run is not to be over before the learning rate has come up
    warmup = cfg.param_scheduler[0]
    warmup.end = min(warmup.end, max(epochs * per_epoch // batch // 10, 1))


def _set(node: Any, data_root: str) -> bool:
    """Set ``data_root`` in a nested config; tells whether there was one."""
    found = False
    if isinstance(node, dict):
        if 'data_root' in node:
            node['data_root'] = data_root
            found = True
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for item in node:
            found |= _set(item, data_root)
    return found
