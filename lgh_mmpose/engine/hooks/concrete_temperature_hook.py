"""Schedule and log of the Concrete selector."""
from contextlib import contextmanager
from typing import Iterator, Optional, Sequence, Union

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmpose.registry import HOOKS
from torch.distributed.fsdp import FullyShardedDataParallel

from ...models.layers import ConcreteSelector, FixedSelector

_SCHEDULES = ('constant', 'exp', 'linear')


@HOOKS.register_module()
class ConcreteTemperatureHook(Hook):
    """Sets the selector's temperature, prunes it, logs what it has learned.

    The temperature depends on the iteration alone, so that a resumed run
    goes on as if it had never stopped. Logged under ``selector/``: the
    temperature, the mean entropy of the assignment in nats (log G: nothing
    learned, 0: decided), the mean over joints of the largest probability,
    every probability as ``probability/<joint>/<group>`` (what
    ``tools/analysis_tools/show_groups.py`` draws) and the group sizes; the
    assignment is written to the log by joint name when it changes. Each
    group's own error is logged by the head as ``uv_error_px/group{g}``.

    Before each log it has the selector :meth:`~ConcreteSelector.prune` its
    starved groups, where its ``min_joints`` allows that, and logs
    ``num_alive_groups`` and which group died.

    A :class:`FixedSelector` has no temperature and learns nothing: of it the
    hook checks the number of groups alone.

    Args:
        start (float): Temperature at the first iteration. Defaults to 1.
        end (float, optional): Temperature from ``until`` on. Defaults to
            ``start``.
        schedule (str): ``'constant'``, ``'exp'`` or ``'linear'`` decay from
            ``start`` to ``end``. Defaults to ``'constant'``.
        until (float): Share of the training after which ``end`` is kept, in
            (0, 1]. Defaults to 0.8.
        interval (int): Iterations between two logs, or checks for starved
            groups. Defaults to 50.

    Raises:
        ValueError: On a temperature that is not positive, an unknown schedule
            or a share outside (0, 1]; before a run, if the model has no
            selector or its neck and head differ in ``num_groups``.
    """

    priority = 'ABOVE_NORMAL'

    def __init__(self,
                 start: float = 1.0,
                 end: Optional[float] = None,
                 schedule: str = 'constant',
                 until: float = 0.8,
                 interval: int = 50) -> None:
        end = start if end is None else end
        for name, value in (('start', start), ('end', end)):
            if not 0 < value < float('inf'):
                raise ValueError(f'the temperature {name} must be positive '
                                 f'and finite, got {value}')
        if schedule not in _SCHEDULES:
            raise ValueError(
                f'schedule must be one of {_SCHEDULES}, got {schedule!r}')
        if not 0 < until <= 1:
            raise ValueError(f'until must lie in (0, 1], got {until}')
        self.start = start
        self.end = end
        self.schedule = schedule
        self.until = until
        self.interval = interval
        self._joint_groups: Optional[torch.Tensor] = None

    def temperature_at(self, progress: float) -> float:
        """Temperature after a share ``progress`` (0..1) of the training."""
        step = min(progress / self.until, 1.0)
        if self.schedule == 'exp':
            return self.start * (self.end / self.start)**step
        if self.schedule == 'linear':
            return self.start + (self.end - self.start) * step
        return self.start

    def before_train(self, runner: Runner) -> None:
        model = _unwrap(runner)
        selector = _find_selector(runner)
        with _whole_parameters(runner):
            num_groups = selector.probabilities.shape[1]
        # twice as many with separate_depth
        expected = getattr(model.head, 'num_features', num_groups)
        groups = getattr(model.neck, 'num_groups', expected)
        if groups != expected:
            raise ValueError(f'num_groups of neck ({groups}) and head '
                             f'({expected}) must agree')

    def before_train_iter(self,
                          runner: Runner,
                          batch_idx: int,
                          data_batch: Optional[dict] = None) -> None:
        progress = runner.iter / max(runner.max_iters, 1)
        selector = _find_selector(runner)
        if isinstance(selector, ConcreteSelector):
            selector.set_temperature(self.temperature_at(progress))

    def after_train_iter(self,
                         runner: Runner,
                         batch_idx: int,
                         data_batch: Optional[dict] = None,
                         outputs: Optional[dict] = None) -> None:
        last = runner.iter + 1 >= runner.max_iters
        due = self.every_n_train_iters(runner, self.interval) or last
        selector = _find_selector(runner)
        if due and isinstance(selector, ConcreteSelector):
            with _whole_parameters(runner):
                died = selector.prune()
                self._log(runner, selector)
            if died:
                runner.logger.info(
                    f'selector: group {", ".join(map(str, died))} died in '
                    f'iteration {runner.iter + 1}, '
                    f'{int(selector.alive.sum())} are alive')

    def _log(self, runner: Runner, selector: ConcreteSelector) -> None:
        probabilities = selector.probabilities.cpu()
        largest = probabilities.amax(-1)
        entropy = -(probabilities *
                    probabilities.clamp_min(1e-12).log()).sum(-1).mean()
        names = _joint_names(runner, len(probabilities))
        hub = runner.message_hub
        scalars = {
            'temperature': float(selector.temperature),
            'entropy': float(entropy),
            'largest_probability': float(largest.mean())
        }
        if selector.alive is not None:
            scalars['num_alive_groups'] = int(selector.alive.sum())
        scalars.update({
            f'probability/{name}/{g}': float(p)
            for name, row in zip(names, probabilities)
            for g, p in enumerate(row)
        })
        joint_groups = selector.joint_groups.cpu()
        sizes = torch.bincount(joint_groups, minlength=probabilities.shape[1])
        scalars.update({
            f'group_size/{g}': int(size)
            for g, size in enumerate(sizes)
        })
        if runner.visualizer is not None and runner.rank == 0:
            runner.visualizer.add_scalars(
                {
                    f'selector/{k}': v
                    for k, v in scalars.items()
                },
                step=runner.iter + 1)
        hub.update_info('selector/probabilities', probabilities.tolist())
        if self._joint_groups is None or not torch.equal(
                joint_groups, self._joint_groups):
            self._joint_groups = joint_groups
            groups = '; '.join(f'group {g}: ' + (', '.join(
                n for n, k in zip(names, joint_groups) if k == g) or 'empty')
                               for g in range(len(sizes)))
            runner.logger.info(
                f'selector: temperature {float(selector.temperature):.3f}, '
                f'entropy {float(entropy):.3f}, largest probability '
                f'{float(largest.mean()):.3f}; {groups}')


@contextmanager
def _whole_parameters(runner: Runner) -> Iterator[None]:
    """Gather what FSDP has divided among the processes."""
    if isinstance(runner.model, FullyShardedDataParallel):
        with FullyShardedDataParallel.summon_full_params(
                runner.model, writeback=False):
            yield
    else:
        yield


def _unwrap(runner: Runner):
    model = runner.model
    return model.module if is_model_wrapper(model) else model


def _find_selector(runner: Runner) -> Union[ConcreteSelector, FixedSelector]:
    selector = getattr(
        getattr(_unwrap(runner), 'head', None), 'selector', None)
    if not isinstance(selector, (ConcreteSelector, FixedSelector)):
        raise ValueError('ConcreteTemperatureHook needs a head with a '
                         'selector, such as GroupedJointHead')
    return selector


def _joint_names(runner: Runner, num_joints: int) -> Sequence[str]:
    metainfo = getattr(runner.train_dataloader.dataset, 'metainfo', {})
    names = metainfo.get('keypoint_id2name', {})
    return [names.get(k, f'joint{k}') for k in range(num_joints)]
