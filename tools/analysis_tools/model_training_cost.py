"""Calculate memory and time of a training on many GPUs.

Counted on this machine's CPU, for the network of a config: parameters, state
of the optimizer, what the backward pass keeps per sample (saved tensors of
autograd, each storage once) and operations per sample (forward and backward).
All that follows is **calculated** from these and from assumptions about the
machine, which are options: the share of the peak that is reached, and the
bandwidth of the exchange of gradients, a ring, which is given once as wholly
hidden behind the backward pass and once as not at all. Nothing here is
measured on a GPU.

Example::

    python tools/analysis_tools/model_training_cost.py configs/lgh_freihand.py
"""
import argparse
import warnings
from pathlib import Path
from typing import Dict, Iterable, List

import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from torch.utils.flop_counter import FlopCounterMode

import lgh_mmpose  # noqa: F401  (registers the components)
from lgh_mmpose.fileio import write_json

GB = 1e9


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file')
    parser.add_argument('--gpus', nargs='+', type=int, default=[1, 8, 64])
    parser.add_argument(
        '--batch-size', type=int, help='per GPU (default: config)')
    parser.add_argument(
        '--num-samples',
        type=int,
        default=130240,
        help="of an epoch (default: FreiHAND's 130240)")
    parser.add_argument(
        '--tflops',
        type=float,
        default=312.,
        help='peak of a GPU in bf16, 10^12/s (default: 312, an A100)')
    parser.add_argument(
        '--efficiency',
        type=float,
        default=.25,
        help='share of the peak that is reached (default: 0.25)')
    parser.add_argument(
        '--gpus-per-node', type=int, default=8, help='(default: 8)')
    parser.add_argument(
        '--bandwidth',
        nargs=2,
        type=float,
        default=[300., 25.],
        metavar=('INSIDE', 'BETWEEN'),
        help='GB/s of the ring inside a node and between nodes, per '
        'direction (default: 300 25, NVLink and one 200 Gbit/s link)')
    parser.add_argument(
        '--loader-ms',
        type=float,
        default=2.,
        help='CPU time of the data pipeline per sample (default: 2)')
    parser.add_argument('--json', type=Path, help='file for the figures')
    return parser.parse_args()


def _samples(cfg: Config, model: torch.nn.Module, batch: int) -> dict:
    """Noise with labels, as the data preprocessor gives it."""
    from mmpose.structures import PoseDataSample
    width, height = model.head.decoder.input_size
    num_joints = model.head.num_joints
    samples = []
    for _ in range(batch):
        sample = PoseDataSample()
        sample.gt_instance_labels = InstanceData(
            keypoint_labels=torch.rand(1, num_joints, 3) * height,
            keypoint_weights=torch.ones(1, num_joints))
        samples.append(sample)
    inputs = torch.randn(batch, 3, height, width)
    return dict(
        inputs=inputs.to(memory_format=torch.channels_last),
        data_samples=samples)


def _loss(model: torch.nn.Module, data: dict, bf16: bool) -> torch.Tensor:
    with torch.autocast('cpu', torch.bfloat16, enabled=bf16):
        return model.parse_losses(model(**data, mode='loss'))[0]


def saved_bytes(model: torch.nn.Module, data: dict, bf16: bool) -> int:
    """Memory that the backward pass waits for, without the weights."""
    weights = {
        t.untyped_storage().data_ptr()
        for t in [*model.parameters(), *model.buffers()]
    }
    # the tensors are held, so that no address is given away twice
    held = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        _loss(model, data, bf16)
    return sum(t.untyped_storage().nbytes() for t in held.values())


def count(cfg: Config) -> Dict[str, float]:
    """What can be counted here.

    Returns:
        dict: ``parameters``; bytes of ``weights``, ``gradients``,
        ``optimizer`` and per sample ``activations_fp32`` and
        ``activations_bf16``; ``gflop`` per sample, three forward passes, a
        multiplication with an addition being two.
    """
    from mmpose.registry import MODELS
    model = MODELS.build(cfg.model)
    model.train().to(memory_format=torch.channels_last)
    one, two = (_samples(cfg, model, batch) for batch in (2, 4))
    result = {}
    for bf16, name in ((False, 'fp32'), (True, 'bf16')):
        # copies of the weights, as autocast makes, do not grow with the batch
        low, high = (saved_bytes(model, data, bf16) for data in (one, two))
        result[f'activations_{name}'] = (high - low) / 2
    counter = FlopCounterMode(display=False)
    with counter:
        loss = _loss(model, one, False)
    # one step, for the optimizer to make its state
    loss.backward()
    wrapper = build_optim_wrapper(
        model,
        dict(type='OptimWrapper', optimizer=cfg.optim_wrapper.optimizer))
    wrapper.step()
    state = [
        value for values in wrapper.optimizer.state.values()
        for value in values.values() if torch.is_tensor(value)
    ]
    weights = _bytes(model.parameters())
    result.update(
        parameters=sum(p.numel() for p in model.parameters()),
        weights=weights,
        gradients=weights,
        optimizer=_bytes(state),
        # the gradients of weights and of activations cost a forward pass each;
        # torch counts the former G times too often in grouped convolutions
        gflop=3 * counter.get_total_flops() / 2 / 1e9)
    return result


def _bytes(tensors: Iterable[torch.Tensor]) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)


def calculate(counted: Dict[str, float], gpus: int, batch: int,
              args: argparse.Namespace) -> Dict[str, float]:
    """Memory and time with so many GPUs; bf16 autocast.

    Returns:
        dict: ``memory_ddp`` and ``memory_fsdp`` per GPU in bytes, without
        what the libraries themselves need; ``step_ms`` of computing;
        ``exchange_ms`` of the gradients; samples per second with the
        exchange wholly hidden (``best``) and not at all (``worst``);
        ``epoch_minutes`` of the latter; ``loader_cores`` that feed one GPU at
        its best.
    """
    activations = batch * counted['activations_bf16']
    fixed = (counted['weights'] + counted['gradients'] + counted['optimizer'])
    step = batch * counted['gflop'] / (args.tflops * 1e3 * args.efficiency)
    # the slowest link of the ring decides
    link = args.bandwidth[gpus > args.gpus_per_node] * GB
    exchange = 2 * (gpus - 1) / gpus * counted['gradients'] / link
    best = gpus * batch / max(step, exchange)
    worst = gpus * batch / (step + exchange)
    return dict(
        gpus=gpus,
        memory_ddp=fixed + activations,
        memory_fsdp=fixed / gpus + activations,
        step_ms=1e3 * step,
        exchange_ms=1e3 * exchange,
        best=best,
        worst=worst,
        epoch_minutes=args.num_samples / worst / 60,
        loader_cores=best / gpus * args.loader_ms / 1e3)


def main() -> None:
    # mmpose tells that it found its own metainfo file, at every turn
    warnings.filterwarnings('ignore', 'The metainfo config file')
    args = parse_args()
    cfg = Config.fromfile(args.config)
    init_default_scope('mmpose')
    batch = args.batch_size or cfg.train_dataloader.batch_size
    counted = count(cfg)
    print(f'counted here: {counted["parameters"] / 1e6:.1f} M parameters '
          f'({counted["weights"] / 1e6:.0f} MB), '
          f'{counted["optimizer"] / 1e6:.0f} MB of optimizer state, '
          f'{counted["gflop"]:.1f} GFLOP forward and backward, kept for the '
          f'backward pass {counted["activations_fp32"] / 1e6:.0f} MB (fp32) '
          f'or {counted["activations_bf16"] / 1e6:.0f} MB (bf16); the last '
          'three per sample')
    print(f'calculated, {batch} samples per GPU:')
    print('GPUs  GB (DDP)  GB (FSDP)  step ms  exchange ms  samples/s       '
          'epoch min  loader cores/GPU')
    rows: List[dict] = []
    for gpus in args.gpus:
        row = calculate(counted, gpus, batch, args)
        rows.append(row)
        samples = f'{row["worst"]:.0f}-{row["best"]:.0f}'
        print(f'{gpus:4d}  {row["memory_ddp"] / GB:8.2f}  '
              f'{row["memory_fsdp"] / GB:9.2f}  {row["step_ms"]:7.1f}  '
              f'{row["exchange_ms"]:11.2f}  {samples:14s}  '
              f'{row["epoch_minutes"]:9.2f}  {row["loader_cores"]:16.1f}')
    if args.json is not None:
        result = dict(counted=counted, batch_size=batch, calculated=rows)
        write_json(args.json, result, indent=2)


if __name__ == '__main__':
    main()
