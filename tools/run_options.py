"""Options and start that ``train.py`` and ``test.py`` share.

Beside them and not in the package, whose import takes seconds: ``--help`` and
a wrong option answer at once.
"""
import argparse
import os
import os.path as osp
from typing import TYPE_CHECKING, Sequence, Union

from mmengine.config import Config, DictAction

if TYPE_CHECKING:
    from mmengine.runner import Runner


def add_config(parser: argparse.ArgumentParser, outputs: str) -> None:
    """Add the config and its work dir.

    Args:
        parser (argparse.ArgumentParser): Parser of the command.
        outputs (str): What the work dir holds beside logs.
    """
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--work-dir',
        help=f'folder for logs and {outputs} (default: work_dir of the '
        'config, else ./work_dirs/<config name>)')


def add_cfg_options(parser: argparse.ArgumentParser, example: str) -> None:
    """Add ``--cfg-options``, with an example for its help."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help=f'override settings of the config, e.g. {example}; lists as '
        'key="[a,b]" without white space')


def add_pictures(parser: argparse.ArgumentParser) -> None:
    """Add what pictures of predictions are shown and saved by."""
    parser.add_argument(
        '--show-dir', help='folder to save pictures of predictions to')
    parser.add_argument(
        '--show',
        action='store_true',
        help='show pictures of predictions in a window')
    parser.add_argument(
        '--interval',
        type=int,
        default=1,
        help='draw every n-th sample (default: 1)')
    parser.add_argument(
        '--wait-time',
        type=float,
        default=1,
        help='seconds for which a window stays (default: 1)')


def add_running(parser: argparse.ArgumentParser) -> None:
    """Add what says how a run computes: compilation and processes."""
    parser.add_argument(
        '--compile',
        nargs='?',
        const='default',
        choices=['default', 'reduce-overhead', 'max-autotune'],
        help='compile backbone and neck by torch.compile, in this mode; '
        '"reduce-overhead" replays CUDA graphs on a GPU')
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher (default: none)')
    # torch.distributed.launch passes --local-rank since torch 2.0
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Parse the command line, for mmengine to find the process's rank."""
    args = parser.parse_args()
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    return args


def load_run_config(args: argparse.Namespace, keys: Sequence[str], what: str,
                    show: bool) -> Config:
    """Read the config of a run and put the shared options into it.

    Args:
        args (argparse.Namespace): The command line, of all functions above.
        keys (Sequence[str]): Keys that the config must have.
        what (str): What needs them, for the error.
        show (bool): Whether pictures of predictions come to a window.

    Returns:
        Config: The config.

    Raises:
        FileNotFoundError: If there is no such config.
        ValueError: If it cannot be read, or lacks what is needed.
    """
    from lgh_mmpose import config
    cfg = config.load_config(args.config)
    # first, for the other options to build on
    if args.cfg_options is not None:
        config.merge_cfg_options(cfg, args.cfg_options)
    config.require_keys(cfg, args.config, keys, what)
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        name = osp.splitext(osp.basename(args.config))[0]
        cfg.work_dir = osp.join('work_dirs', name)
    if args.compile is not None:
        cfg.custom_hooks = [
            *(cfg.get('custom_hooks') or []),
            dict(type='CompileHook', mode=args.compile)
        ]
    if show or args.show_dir is not None:
        config.enable_visualization(cfg, show, args.show_dir, args.interval,
                                    args.wait_time)
    return cfg


def build_runner(cfg: Config, kind: Union[str, type] = 'Runner') -> 'Runner':
    """Set up the processes and build what runs the config.

    Args:
        cfg (Config): The config, known to be good: this takes seconds.
        kind (str | type): The runner's class, or its name in mmengine's
            registry.

    Returns:
        mmengine.runner.Runner: The runner.
    """
    from mmengine.registry import RUNNERS

    from lgh_mmpose.compat import setup_cpu_distributed
    setup_cpu_distributed(cfg)
    cls = RUNNERS.get(kind) if isinstance(kind, str) else kind
    return cls.from_cfg(cfg)
