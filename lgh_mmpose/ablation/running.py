"""One run of a plan: train a variant, score it, add the result."""
import hashlib
import json
import multiprocessing
import os
import socket
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple, Union

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import DATASETS, init_default_scope
from mmengine.runner import Runner
from torch.utils.flop_counter import FlopCounterMode

from ..checkpoint import DamagedCheckpointError, latest_checkpoint
from ..config import limit_samples
from ..fileio import write_json
from ..models.layers import ConcreteSelector
from ..version import __version__
from ..visualization.figures import read_run
from .plan import Plan, Run, read_plan
from .results import append_result, locked, read_results

# iterations that tell how long one takes, and those before them
PROBE_ITERS, WARM_UP_ITERS = 40, 10
_CPU, _WALL = 'ablation/cpu_seconds', 'ablation/wall_seconds'


def run_folder(work_dir: Union[str, Path], plan: Plan, run: Run,
               data: Dict[str, Any]) -> Path:
    """Where a run keeps its checkpoints, log, lock and progress.

    Args:
        work_dir (str | Path): Folder of all runs.
        plan (Plan): The plan.
        run (Run): Variant and seed.
        data (dict): See :func:`describe_data`; a run on other data must not
            go on from these checkpoints.

    Returns:
        Path: Its name ends in fingerprints of settings and data.
    """
    return (Path(work_dir) / plan.name /
            f'{run.variant}_seed{run.seed}_{plan.settings(run.variant)}_'
            f'{data_id(data)}')


def data_id(data: Dict[str, Any]) -> str:
    """A short name of data, by what :func:`describe_data` tells of them."""
    text = json.dumps(data, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def is_done(plan: Plan, run: Run, data: Dict[str, Any],
            results: List[Dict[str, Any]]) -> bool:
    """Whether there is a result of a run, as the plan now has it.

    Args:
        plan (Plan): The plan.
        run (Run): Variant and seed.
        data (dict): See :func:`describe_data`.
        results (list[dict]): All results of the plan's file.
    """
    wanted = (*run, plan.settings(run.variant), data)
    return any((r['variant'], r['seed'], r['settings'], r['data']) == wanted
               for r in results)


def run_variant(plan_file: Union[str, Path],
                run: Run,
                data_root: Optional[str],
                work_dir: Union[str, Path],
                results_file: Union[str, Path],
                cores: Optional[List[int]] = None) -> None:
    """Train and score a variant, once; goes on where a killed run stopped.

    The last weights are scored, not the best: the test set chooses nothing.
    The root's depth is given. Nothing happens if the result is there already
    or another process is at it.

    Args:
        plan_file (str | Path): The plan.
        run (Run): Variant and seed.
        data_root (str, optional): Folder of the data; that of the config by
            default.
        work_dir (str | Path): Folder of all runs.
        results_file (str | Path): File that the result is added to.
        cores (list[int], optional): Cores of which the run takes one for
            itself. Defaults to all that this process may use.

    Raises:
        ValueError: If a file of groups changes while the run waits for a core.
    """
    plan, run = read_plan(plan_file), Run(*run)
    settings = plan.settings(run.variant)
    data = describe_data(plan.variant_config(run.variant, data_root))
    folder = run_folder(work_dir, plan, run, data)
    with locked(folder / 'lock', wait=False) as mine:
        if not mine or is_done(plan, run, data, read_results(results_file)):
            return
        with own_core(Path(work_dir) / 'cores', cores):
            if plan.settings(run.variant) != settings:
                raise ValueError(f'the groups in a file of {run.variant} have '
                                 'changed while the run waited for a core: '
                                 'start the command again')
            append_result(results_file,
                          _train_and_score(plan, run, data_root, data, folder))


@contextmanager
def own_core(lock_dir: Path,
             cores: Optional[List[int]] = None) -> Iterator[int]:
    """Run on one core, which no other run has; waits until there is one."""
    before = os.sched_getaffinity(0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        while True:
            for core in sorted(cores or before):
                path = lock_dir / f'{socket.gethostname()}_{core}.lock'
                with locked(path, wait=False) as mine:
                    if mine:
                        os.sched_setaffinity(0, {core})
                        yield core
                        return
            time.sleep(1)
    finally:
        os.sched_setaffinity(0, before)
        torch.set_num_threads(threads)


class ProgressHook(Hook):
    """Counts the time of the training alone and tells how far it is.

    The times are kept in the message hub, hence in the checkpoints: a run
    that was killed goes on counting from where it goes on training.

    Args:
        file (Path): File for the iteration and the number of all, every 10
            iterations.
    """

    priority = 'LOWEST'

    def __init__(self, file: Path) -> None:
        self.file = file
        self.iter_seconds: List[float] = []

    def before_train_epoch(self, runner: Runner) -> None:
        hub = runner.message_hub
        self._base = [hub.get_info(key) or 0. for key in (_CPU, _WALL)]
        self._start = self._now()
        self._last = self._start[0]

    @staticmethod
    def _now() -> Tuple[float, float]:
        return time.process_time(), time.perf_counter()

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        now = self._now()
        for key, base, start, end in zip((_CPU, _WALL), self._base,
                                         self._start, now):
            runner.message_hub.update_info(key, base + end - start)
        self.iter_seconds.append(now[0] - self._last)
        self._last = now[0]
        if runner.iter % 10 == 0 or runner.iter + 1 == runner.max_iters:
            self.file.write_text(f'{runner.iter + 1} {runner.max_iters}')


def read_progress(folder: Path) -> Optional[Tuple[int, int]]:
    """Iterations a run has done and has to do; None if it has not begun."""
    try:
        done, total = (folder / 'progress').read_text().split()
        return int(done), int(total)
    except (OSError, ValueError):  # not there, or just being written
        return None


def _run_config(plan: Plan, variant: str, seed: int, data_root: Optional[str],
                folder: Path) -> Config:
    cfg = plan.variant_config(variant, data_root)
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        # the run has one core
        cfg[name].num_workers = 0
        cfg[name].persistent_workers = False
    cfg.randomness.seed = seed
    cfg.model.test_cfg.root_depth = 'given'
    cfg.val_evaluator = dict(type='HandKeypoint3DMetric', per_joint=True)
    cfg.train_cfg.val_interval = 1
    # of two one is whole, whenever the run is killed
    cfg.default_hooks.checkpoint = dict(
        type='CheckpointHook', interval=1, max_keep_ckpts=2)
    cfg.work_dir = str(folder)
    cfg.experiment_name = f'{plan.name}_{variant}_{seed}_{time.time_ns()}'
    # mmengine has one visualizer for each name
    cfg.visualizer.name = cfg.experiment_name
    return cfg


def describe_data(cfg: Config) -> Dict[str, Any]:
    """What tells whether two results are of the same data.

    Args:
        cfg (Config): Config of a run.

    Returns:
        dict: ``training`` and ``evaluation``, the samples of the sets, and
        ``evaluation_joints``, the hash of the latter's 3D joints.

    Raises:
        OSError, ValueError: If the data are not there, or damaged.
    """
    init_default_scope(cfg.get('default_scope', 'mmpose'))
    training, evaluation = (
        DATASETS.build(cfg[f'{name}_dataloader'].dataset)
        for name in ('train', 'val'))
    joints = evaluation.annotations.keypoints_cam.astype('<f4')
    return dict(
        training=len(training),
        evaluation=len(evaluation),
        evaluation_joints=hashlib.sha256(joints.tobytes()).hexdigest()[:12])


def num_samples(plan: Plan, variant: str, data_root: Optional[str],
                folder: Path) -> int:
    """Training samples that the plan's budget holds.

    Args:
        plan (Plan): The plan.
        variant (str): The variant; a budget of CPU time holds fewer samples
            of a slower one, as measured once for all seeds.
        data_root (str, optional): Folder of the data.
        folder (Path): Folder to keep the measurement in.

    Returns:
        int: Their number.
    """
    if 'samples' in plan.budget:
        return int(plan.budget['samples'])
    path = folder / f'{variant}_{plan.settings(variant)}.json'
    with locked(path.with_suffix('.lock')):
        if not path.is_file():
            # in a process of its own: this one is to train as all others do
            with ProcessPoolExecutor(
                    1,
                    mp_context=multiprocessing.get_context('spawn')) as pool:
                seconds = pool.submit(measure_speed, plan, variant, data_root,
                                      folder / f'{variant}_probe').result()
            write_json(path, seconds)
        seconds = json.loads(path.read_text())
    return int(plan.budget['cpu_seconds'] / seconds)


def measure_speed(plan: Plan, variant: str, data_root: Optional[str],
                  folder: Path) -> float:
    """CPU seconds of a training sample, from a short training."""
    torch.set_num_threads(1)
    cfg = _run_config(plan, variant, 0, data_root, folder)
    batch = cfg.train_dataloader.batch_size
    limit_samples(cfg, PROBE_ITERS * batch, describe_data(cfg)['training'])
    cfg.default_hooks.checkpoint.update(interval=-1, save_last=False)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    hook = ProgressHook(folder / 'progress')
    runner = Runner.from_cfg(cfg)
    runner.register_hook(hook)
    runner.train()
    measured = hook.iter_seconds[WARM_UP_ITERS:] or hook.iter_seconds
    return statistics.mean(measured) / batch


def _train_and_score(plan: Plan, run: Run, data_root: Optional[str],
                     data: Dict[str, Any], folder: Path) -> Dict[str, Any]:
    # as they are now: files may change while it trains
    settings = dict(
        settings=plan.settings(run.variant), base=plan.base_settings)
    cfg = _run_config(plan, run.variant, run.seed, data_root, folder)
    limit_samples(cfg, num_samples(plan, run.variant, data_root,
                                   folder.parent), data['training'])
    try:
        checkpoint = latest_checkpoint(folder)
    except DamagedCheckpointError:  # the first was cut off: begin anew
        checkpoint = None
    if checkpoint is not None:
        cfg.resume, cfg.load_from = True, str(checkpoint)
    runner = Runner.from_cfg(cfg)
    runner.register_hook(ProgressHook(folder / 'progress'))
    runner.train()
    metrics = runner.val()

    model = runner.model
    model = model.module if is_model_wrapper(model) else model
    selector = model.head.selector
    id2name = runner.val_dataloader.dataset.metainfo['keypoint_id2name']
    names = [id2name[k] for k in range(len(id2name))]
    per_epoch = cfg.train_dataloader.dataset.indices
    batch = cfg.train_dataloader.batch_size
    records = read_run(folder)
    # the last validation is there twice
    curve = {r['step']: r['hand/MPJPE'] for r in records if 'hand/MPJPE' in r}
    return dict(
        plan=plan.name,
        variant=run.variant,
        seed=run.seed,
        **settings,
        budget=plan.budget,
        config=plan.config.name,
        options=plan.variants[run.variant],
        samples=per_epoch * cfg.train_cfg.max_epochs,
        batch_size=batch,
        mpjpe_mm=metrics['hand/MPJPE'],
        pa_mpjpe_mm=metrics['hand/PA-MPJPE'],
        epe_2d_px=metrics['hand/EPE_2d_px'],
        joint_names=names,
        joint_mpjpe_mm=[metrics[f'hand/MPJPE/{name}'] for name in names],
        groups=selector.joint_groups.tolist(),
        learned=isinstance(selector, ConcreteSelector)
        and model.head.num_groups > 1,
        probabilities=[[round(p, 4) for p in row]
                       for row in selector.probabilities.tolist()],
        curve=[[epoch * per_epoch, value] for epoch, value in curve.items()],
        train_curve=[[r['step'] * batch, r['uv_error_px']] for r in records
                     if 'uv_error_px' in r],
        params=sum(p.numel() for p in model.parameters()),
        gmacs=count_gmacs(model),
        cpu_seconds=runner.message_hub.get_info(_CPU),
        wall_seconds=runner.message_hub.get_info(_WALL),
        resumed_from=0 if checkpoint is None else
        int(checkpoint.stem.rsplit('_', 1)[1]) * per_epoch,
        data=data,
        versions=dict(lgh_mmpose=__version__, torch=torch.__version__),
        finished=datetime.now(timezone.utc).isoformat(timespec='seconds'))


def count_gmacs(model: torch.nn.Module) -> float:
    """10^9 multiply-adds of the network on one image."""
    width, height = model.head.decoder.input_size
    image = torch.zeros(1, 3, height, width)
    image = image.to(next(model.parameters()).device)
    training = model.training
    model.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(image, None, mode='tensor')
    model.train(training)
    return counter.get_total_flops() / 2e9
