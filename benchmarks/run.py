"""What everything costs, each beside what it is to be compared with.

Cases that are compared run by turns in one process, round by round, on the
same cores, so that whatever disturbs one of them disturbs all. Reported are
medians over the rounds: wall time, CPU time of the process (the better figure
on a busy machine) and, measured in a process of its own, by how much the case
raises the peak of the memory. Networks have random weights and their joints
spread evenly over the groups. All cases keep freed memory, the baselines too,
as :class:`KeepMemoryHook` does; set ``MALLOC_MMAP_MAX_`` or
``MALLOC_TRIM_THRESHOLD_`` in the environment to decide yourself.

Example::

    python benchmarks/run.py --json bench.json
    python benchmarks/run.py --only g3_vs_g1_step infer/lite --rounds 20
    python benchmarks/run.py --scaling --json scaling.json

The json holds ``ms`` and ``cpu_ms`` per call by case, ``peak_mb``, ``gflops``
(reached, in 10^9 floating-point operations per second of CPU), which of the
cases compute in ``bf16`` and which were ``left_out`` for want of it, and
``ratio``: by how many times the first is faster, but for ``g3_vs_g1_*``, which
say how many times as much three groups cost as one. ``cpu_ratio`` has the same
from the CPU times. On a CPU without bf16 the exported networks and the steps
of training run in fp32, as the package runs them there, and what is about bf16
is left out. ``difference_px`` says how far a joint of an exported network lies
at most from that of the network in PyTorch, in fp32, on noise.
"""
import argparse
import contextlib
import gc
import io
import json
import math
import multiprocessing
import os
import platform
import re
import shlex
import signal
import sys
import tempfile
import threading
import time
import traceback
import warnings
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.hub import get_config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

import lgh_mmpose  # noqa: F401  (registers the components)
from lgh_mmpose.cpu import bf16_instructions, describe_bf16
from lgh_mmpose.engine.hooks.keep_memory_hook import (VARIABLES, keep_memory,
                                                      trim_memory)
from lgh_mmpose.fileio import atomic_write

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
SCHEMA = 'lgh_mmpose/benchmark/1'
NUM_VERSIONS = 4  # of each image in FreiHAND's training set
_ROUND_SECONDS = 0.05  # shorter calls are repeated within a round
_CASE_SECONDS = 60.  # a case that has taken so long has no further rounds
_GROUP_SECONDS = 100.  # nor has a group of cases, but for the first three

# for processes that run together; one that was killed would be waited for
_PROCESS_SECONDS = 900

INTERNET = ('mmpose::hand_3d_keypoint/internet/interhand3d/'
            'internet_res50_4xb16-20e_interhand3d-256x256.py')
HEATMAP_2D = ('mmpose::hand_2d_keypoint/topdown_heatmap/freihand2d/'
              'td-hm_res50_8xb64-100e_freihand2d-224x224.py')

# by how many times the second case of each is faster than the first
RATIOS = {
    'exported_vs_official': ('infer/official', 'infer/exported'),
    'exported_fp32_vs_official': ('infer/official', 'infer/exported_fp32'),
    'lite_vs_official': ('infer/official', 'infer/lite'),
    'exported_vs_official_batch16': ('infer16/official', 'infer16/exported'),
    'lite_vs_official_batch16': ('infer16/official', 'infer16/lite'),
    'train_step_bf16_vs_fp32': ('step/freihand_fp32', 'step/freihand'),
    'official_train_step_bf16_vs_fp32':
    ('step/official_fp32', 'step/official'),
    'synthhand_train_step_bf16_vs_fp32':
    ('step/synthhand_fp32', 'step/synthhand'),
    'index_vs_coco': ('index/coco', 'index/ours'),
}
# how many times as much G=3 costs as its holistic twin
for _mode in ('step', 'infer'):
    RATIOS[f'g3_vs_g1_{_mode}'] = (f'{_mode}/freihand', f'{_mode}/freihand_g1')
    for _config in ('official', 'synthhand'):
        RATIOS[f'g3_vs_g1_{_mode}_{_config}'] = (f'{_mode}/{_config}',
                                                 f'{_mode}/{_config}_g1')

# of a network, in the order in which they run
PARTS = ('backbone', 'stem', 'branches', 'fusion', 'head')

# the data set and split whose pipeline each is
PIPELINES = {
    'plain': ('freihand', 'val'),
    'augmented': ('freihand', 'train'),
    'rhd_plain': ('rhd', 'val'),
    'rhd_augmented': ('rhd', 'train'),
}
# ms per sample of the reader in the authors' release, which cannot be run
# here: measured once, on another occasion, as the names of the ratios say
RELEASE_READER = {}
for _name, (_, _split) in PIPELINES.items():
    _ms = 6.2 if _split == 'val' else 9.2
    RELEASE_READER[f'pipeline_{_name}_vs_{_ms}ms_of_release_elsewhere'] = (
        f'pipeline/{_name}', _ms)
    RATIOS[f'pipeline_{_name}_vs_mmpose'] = (f'pipeline/mmpose_{_name}',
                                             f'pipeline/{_name}')
# what mmpose has in the place of our stages
MMPOSE_STAGES = {
    'FastRandomBBoxTransform': 'RandomBBoxTransform',
    'TopdownAffineCamera': 'TopdownAffine',
    'FastPhotometricDistortion': 'PhotometricDistortion',
    'PackHandInputs': 'PackPoseInputs',
}


class Case(NamedTuple):
    """Something to time."""
    setup: Callable[[], Callable[[], object]]  # gives what is called
    samples: int = 1  # that one call treats
    gflop: Callable[[], Optional[float]] = lambda: None  # of one call
    # writes the files it reads; tells by how many px an export is off
    prepare: Callable[[], Optional[float]] = lambda: None
    bf16: bool = False  # whether it computes in it


class Timing(NamedTuple):
    """Seconds of one call, in each round."""
    wall: List[float]
    cpu: List[float]


# -- measuring ---------------------------------------------------------------


def measure(calls: Dict[str, Callable[[], object]],
            rounds: int,
            round_seconds: float = _ROUND_SECONDS,
            group_seconds: float = _GROUP_SECONDS) -> Dict[str, Timing]:
    """Time functions by turns.

    Args:
        calls (dict[str, Callable]): The functions, by name.
        rounds (int): How often each has its turn, at most.
        round_seconds (float): A turn lasts so long at least: a function that
            is faster is called several times. Defaults to 0.05.
        group_seconds (float): When all together have taken so long, the third
            round or the present one is the last. Defaults to 100.

    Returns:
        dict[str, Timing]: Seconds per call.
    """
    repeats, timings = {}, {}
    for name, call in calls.items():
        # the first call may compile or allocate
        warm_up = _warm_up(call)
        seconds = max(min(warm_up.wall), 1e-6)
        repeats[name] = max(1, math.ceil(round_seconds / seconds))
        # of the longest no other call is made
        timings[name] = warm_up if seconds > _CASE_SECONDS else Timing([], [])
    start = time.perf_counter()
    for number in range(rounds):
        if number >= 3 and time.perf_counter() - start > group_seconds:
            break
        for name, call in calls.items():
            if sum(timings[name].wall) * repeats[name] > _CASE_SECONDS:
                continue
            gc.collect()
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(repeats[name]):
                call()
            timings[name].cpu.append(
                (time.process_time() - cpu) / repeats[name])
            timings[name].wall.append(
                (time.perf_counter() - wall) / repeats[name])
    return timings


def _warm_up(call: Callable[[], object]) -> Timing:
    """Call twice, or once if it takes long."""
    timing = Timing([], [])
    while len(timing.wall) < 2 and sum(timing.wall) < 5:
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        timing.cpu.append(time.process_time() - cpu)
        timing.wall.append(time.perf_counter() - wall)
    return timing


def peak_memory(case: Case) -> float:
    """MB by which a case raises the peak of its process's memory.

    What the case holds while it runs counts, its network for one; what only
    getting ready for it took does not, nor do the files mapped into memory,
    such as libraries. Measured in a forked process, on Linux.
    """

    def run() -> float:
        # what this process has freed before is no memory of the case
        gc.collect()
        trim_memory()
        before = _memory('RssAnon', 'RssShmem')
        call = case.setup()
        gc.collect()
        trim_memory()
        Path('/proc/self/clear_refs').write_text('5')  # the peak, says Linux
        # the second training step has the optimizer's state beside it
        _warm_up(call)
        return _memory('VmHWM') - _memory('RssFile') - before

    return forked(run)


def _memory(*names: str) -> float:
    """Sum of entries of this process's status, MB."""
    status = Path('/proc/self/status').read_text()
    return sum(
        int(re.search(fr'^{name}:\s+(\d+) kB', status, re.M)[1])
        for name in names) / 1024


def forked(function: Callable[[], object]) -> object:
    """What a function returns in a process of its own.

    Raises:
        RuntimeError: If it fails there.
    """
    context = multiprocessing.get_context('fork')
    receiver, sender = context.Pipe(duplex=False)

    def run() -> None:
        try:
            sender.send((function(), None))
        except Exception:
            sender.send((None, traceback.format_exc()))

    process = context.Process(target=run)
    process.start()
    sender.close()
    try:
        result, error = receiver.recv()
    except EOFError:
        process.join()
        raise RuntimeError('a case ended its process with exit code '
                           f'{process.exitcode}') from None
    except BaseException:
        process.terminate()
        raise
    finally:
        process.join()
    if error is not None:
        raise RuntimeError(f'a case failed in its process:\n{error}')
    return result


# -- networks ----------------------------------------------------------------


class Network(NamedTuple):
    """Which network, and what it is fed."""
    config: str
    batch: int = 1
    groups: Optional[int] = None  # instead of the config's
    size: Optional[int] = None  # of the input, instead of the config's


def load_config(network: Network) -> Config:
    """The config of a network, without weights to be downloaded."""
    if '::' in network.config:
        cfg = get_config(network.config)
        cfg.model.backbone.init_cfg = None
    else:
        cfg = Config.fromfile(CONFIGS / f'{network.config}.py')
    if network.groups is not None:
        cfg.model.neck.num_groups = network.groups
        cfg.model.head.num_groups = network.groups
    # no configured format of the input: each case has its own
    cfg.model.data_preprocessor.type = 'PoseDataPreprocessor'
    if network.size is not None:
        for codec in (cfg.get('codec'), cfg.model.head.get('decoder')):
            if codec is not None and 'input_size' in codec:
                codec.input_size = (network.size, network.size)
    return cfg


def input_size(cfg: Config) -> Tuple[int, int]:
    """Width and height of a network's input, px."""
    codec = cfg.get('codec') or cfg.model.head.decoder
    width, height = codec['input_size' if 'input_size' in
                          codec else 'image_size'][:2]
    return width, height


def build_model(cfg: Config) -> torch.nn.Module:
    """A model with random weights and batch statistics of noise."""
    from mmpose.registry import MODELS
    torch.manual_seed(0)
    with contextlib.redirect_stdout(io.StringIO()):
        model = MODELS.build(cfg.model)
    model.init_weights()
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.
    with torch.no_grad():
        # or activations would grow or vanish from layer to layer
        model.train()(noise(cfg, 2), None, mode='tensor')
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum
    _deal_joints(model)
    return model.eval()


@torch.no_grad()
def _deal_joints(model: torch.nn.Module) -> None:
    """Deal the joints to the groups in turn.

    Logits that are all equal put all joints into the first group, and the
    exported network would have nothing of the others.
    """
    selector = getattr(getattr(model, 'head', None), 'selector', None)
    if selector is not None:
        joints = torch.arange(len(selector.logits))
        selector.logits[joints, joints % selector.logits.shape[1]] += 1


def noise(cfg: Config, batch: int) -> torch.Tensor:
    """Normalised images (B, 3, H, W)."""
    width, height = input_size(cfg)
    return torch.randn(batch, 3, height, width)


@lru_cache(maxsize=None)
def forward_gflop(network: Network) -> float:
    """10^9 floating-point operations of one image's forward pass."""
    from torch.utils.flop_counter import FlopCounterMode
    cfg = load_config(network._replace(batch=1))
    model = build_model(cfg)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(noise(cfg, 1), None, mode='tensor')
    return counter.get_total_flops() / 1e9


def eager(network: Network) -> Case:
    """Inference in PyTorch, fp32 and NCHW, on normalised images."""

    def setup():
        cfg = load_config(network)
        model, images = build_model(cfg), noise(cfg, network.batch)

        def call():
            with torch.no_grad():
                return model(images, None, mode='tensor')

        return call

    return Case(setup, network.batch,
                lambda: network.batch * forward_gflop(network))


def exported(network: Network, backend: str, precision: str, root: Path,
             threads: int) -> Case:
    """Inference of the exported network, on images of bytes."""
    from lgh_mmpose.deployment import choose_precision
    precision, _ = choose_precision(backend, precision)
    path = root / f'{network.config}_{backend}_{precision}'

    def load():
        from lgh_mmpose.deployment import load_exported
        run = load_exported(path, num_threads=threads)
        width, height = run.input_size
        images = np.random.default_rng(0).integers(
            0, 256, (network.batch, 3, height, width), dtype=np.uint8)
        return run, images

    def prepare():
        from lgh_mmpose.deployment import export
        model = build_model(load_config(network))
        if not path.exists():
            with contextlib.redirect_stdout(io.StringIO()):
                export(model, path, backend, precision)
        run, images = load()
        return difference_px(model, images, run(images)[0])

    def setup():
        run, images = load()
        return lambda: run(images)

    return Case(setup, network.batch,
                lambda: network.batch * forward_gflop(network), prepare,
                precision == 'bf16')


def difference_px(model: torch.nn.Module, images: np.ndarray,
                  uv: np.ndarray) -> float:
    """The largest distance of joints from those of a model in PyTorch.

    Args:
        model (nn.Module): The model, in fp32.
        images (np.ndarray): (B, 3, H, W), uint8, BGR.
        uv (np.ndarray): The joints to compare (B, K, 2), px.

    Returns:
        float: In px of the input.
    """
    from mmpose.structures import PoseDataSample
    data = model.data_preprocessor(
        dict(
            inputs=list(torch.from_numpy(images)),
            data_samples=[PoseDataSample() for _ in images]))
    with torch.no_grad():
        expected = model(data['inputs'], None, mode='tensor')[0].numpy()
    return float(np.linalg.norm(uv - expected, axis=-1).max())


def training_samples(cfg: Config, batch: int) -> list:
    """Data samples with random labels."""
    from mmpose.structures import PoseDataSample
    width, height = input_size(cfg)
    num_joints = cfg.model.head.num_joints
    samples = []
    for _ in range(batch):
        labels = torch.rand(1, num_joints, 3)
        labels[..., :2] *= labels.new_tensor([width, height])
        samples.append(
            PoseDataSample(
                gt_instance_labels=InstanceData(
                    keypoint_labels=labels,
                    keypoint_weights=torch.ones(1, num_joints))))
    return samples


def training_step(network: Network, plain: bool = False) -> Case:
    """Forward, backward and optimizer, as mmengine's runner does them.

    As the configs have it, in bf16 where this CPU computes it, weights and
    images in channels_last; or ``plain``, eager PyTorch in fp32 as it comes.
    """
    bf16 = not plain and bool(bf16_instructions())

    def setup():
        from mmengine.optim import build_optim_wrapper
        cfg = load_config(network)
        model = build_model(cfg).train()
        wrapper = dict(
            cfg.optim_wrapper, type='Bf16OptimWrapper', enabled=bf16)
        if not plain:
            model.to(memory_format=torch.channels_last)
        optim_wrapper = build_optim_wrapper(model, wrapper)
        samples = training_samples(cfg, network.batch)
        images = noise(cfg, network.batch)
        if not plain:
            images = images.contiguous(memory_format=torch.channels_last)

        def call():
            # the images come ready: the reader has cases of its own
            with optim_wrapper.optim_context(model):
                losses = model(images, samples, mode='loss')
            loss, _ = model.parse_losses(losses)
            optim_wrapper.update_params(loss)

        return call

    # the backward pass computes the gradients of weights and of activations
    return Case(
        setup,
        network.batch,
        lambda: 3 * network.batch * forward_gflop(network),
        bf16=bf16)


def training_part(network: Network, part: str) -> Case:
    """Forward and backward pass of one part of a network, bf16.

    Args:
        network (Network): The network, with :class:`GroupFusionNeck`.
        part (str): One of :data:`PARTS`.
    """

    def setup():
        cfg = load_config(network)
        model = build_model(cfg).train().to(memory_format=torch.channels_last)
        neck, head = model.neck, model.head
        samples = training_samples(cfg, network.batch)
        parts = dict(
            backbone=model.backbone,
            stem=lambda feats: neck.shared(
                neck.upsample(neck._merge_levels(feats))),
            branches=neck.branches,
            fusion=neck.fusion or torch.nn.Identity(),
            head=lambda grouped: head.loss((grouped, ), samples))
        value = noise(
            cfg, network.batch).contiguous(memory_format=torch.channels_last)
        # the images need no gradient
        for name in PARTS[:PARTS.index(part)]:
            with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
                value = parts[name](value)
        if isinstance(value, tuple):
            value = tuple(v.requires_grad_() for v in value)
        elif part != 'backbone':
            value.requires_grad_()

        def call():
            with torch.autocast('cpu', torch.bfloat16):
                outputs = parts[part](value)
            if part == 'head':
                outputs = model.parse_losses(outputs)[0]
            if isinstance(outputs, torch.Tensor):
                outputs = (outputs, )
            torch.autograd.backward(outputs,
                                    [torch.ones_like(o) for o in outputs])
            model.zero_grad()
            for leaf in value if isinstance(value, tuple) else (value, ):
                leaf.grad = None

        return call

    return Case(setup, network.batch, bf16=True)


def branch_convolution(layout: str, batch: int, side: int) -> Case:
    """Forward and backward pass of one 3x3 convolution of three branches.

    Args:
        layout (str): ``'grouped'``, as the branches have it; ``'separate'``:
            one convolution per group and tensor; ``'dense'``: one whose
            weight is zero between the groups.
        batch (int): Images.
        side (int): Side of the maps.
    """
    groups, channels = 3, 32

    def setup():
        from torch.nn.functional import conv2d

        def tensor(*shape):
            return torch.randn(*shape).bfloat16().contiguous(
                memory_format=torch.channels_last)

        images = tensor(batch, groups * channels, side, side)
        gradient = torch.randn_like(images)
        weight = tensor(groups * channels, channels, 3, 3)
        triples = [(images, weight, gradient)]
        if layout == 'separate':
            triples = [
                tuple(
                    t.contiguous(memory_format=torch.channels_last)
                    for t in triple) for triple in zip(
                        images.chunk(groups, 1), weight.chunk(groups, 0),
                        gradient.chunk(groups, 1))
            ]
        elif layout == 'dense':
            # as if it were parameters: the zeros stay where they are
            blocks = torch.block_diag(
                *torch.ones(groups, channels, channels)).bool()
            dense = tensor(groups * channels, groups * channels, 3, 3)
            triples = [(images, dense * blocks[..., None, None], gradient)]
        for x, w, _ in triples:
            x.requires_grad_()
            w.requires_grad_()

        def call():
            for x, w, dy in triples:
                y = conv2d(
                    x,
                    w,
                    padding=1,
                    groups=groups if layout == 'grouped' else 1)
                torch.autograd.grad(y, (x, w), dy)

        return call

    return Case(setup, batch, bf16=True)


# -- data, metric, renderer --------------------------------------------------


def write_freihand(root: Path, num_unique: int) -> None:
    """Write hands that differ a little in FreiHAND's layout, and four images.
    """
    rng = np.random.default_rng(0)
    camera = [[480., 0., 112.], [0., 480., 112.], [0., 0., 1.]]
    # a flat hand: straight fingers from the wrist
    angles = np.deg2rad([-50., -14., 0., 13., 26.])
    ends = np.cumsum([.09, .045, .027, .018])
    hand = np.zeros((21, 3))
    directions = np.stack([np.sin(angles), -np.cos(angles)], axis=-1)
    hand[1:, :2] = (directions[:, None] * ends[:, None]).reshape(20, 2)
    xyz = rng.normal(hand + [0, .05, .7], .002, (num_unique, 21, 3))
    # of the middle finger's first bone, which the data set compares
    bones = np.linalg.norm(xyz[:, 10] - xyz[:, 9], axis=-1)
    image_dir = root / 'training' / 'rgb'
    image_dir.mkdir(parents=True)
    for name, data in (('K', [camera] * num_unique), ('xyz', xyz.tolist()),
                       ('scale', bones.tolist())):
        (root / f'training_{name}.json').write_text(json.dumps(data))
    for version in range(NUM_VERSIONS):
        name = f'{num_unique * version:08d}.jpg'
        cv2.imwrite(str(image_dir / name), np.zeros((224, 224, 3), np.uint8))


def write_coco(root: Path, num_samples: int) -> None:
    """Write as many samples as mmpose's json of FreiHAND holds them."""
    rng = np.random.default_rng(0)
    keypoints = np.ones((num_samples, 21, 3))
    keypoints[..., :2] = rng.uniform(20, 200, (num_samples, 21, 2))
    images = [
        dict(
            id=i, file_name=f'training/rgb/{i:08d}.jpg', width=224, height=224)
        for i in range(num_samples)
    ]
    annotations = [
        dict(
            id=i,
            image_id=i,
            category_id=1,
            iscrowd=0,
            area=5e4,
            bbox=[0, 0, 224, 224],
            segmentation=None,
            keypoints=keypoints[i].reshape(-1).tolist())
        for i in range(num_samples)
    ]
    with open(root / 'coco.json', 'w') as file:
        json.dump(
            dict(
                images=images,
                annotations=annotations,
                categories=[dict(id=1, name='hand')]), file)


def index(kind: str, root: Path, num_samples: int) -> Case:
    """Building ``FreiHand3DDataset`` or mmpose's ``FreiHandDataset``."""
    folder = root / f'index_{kind}_{num_samples}'

    def prepare():
        folder.mkdir()
        if kind == 'ours':
            write_freihand(folder, num_samples // NUM_VERSIONS)
        else:
            write_coco(folder, num_samples)

    def setup():
        from mmpose.datasets import FreiHandDataset

        from lgh_mmpose.datasets import FreiHand3DDataset

        def call():
            with contextlib.redirect_stdout(io.StringIO()):
                if kind == 'ours':
                    return FreiHand3DDataset(data_root=str(folder))
                return FreiHandDataset(ann_file=str(folder / 'coco.json'))

        return call

    return Case(setup, num_samples, prepare=prepare)


def metric(num_samples: int) -> Case:
    """Taking up predictions and scoring them, as a test on FreiHAND does."""

    def setup():
        from mmengine.evaluator import Evaluator
        from mmpose.datasets.datasets.utils import parse_pose_metainfo

        from lgh_mmpose.datasets import FreiHand3DDataset
        rng = np.random.default_rng(0)
        evaluator = Evaluator(
            load_config(Network('lgh_freihand')).test_evaluator)
        with contextlib.redirect_stderr(io.StringIO()):
            evaluator.dataset_meta = parse_pose_metainfo(
                FreiHand3DDataset.METAINFO)
        truth = rng.normal([0, 0, 700], 30, (num_samples, 1, 21, 3))
        joints = truth + rng.normal(0, 10, truth.shape)
        uv = rng.uniform(0, 224, (num_samples, 1, 21, 2))
        visible = np.ones((1, 21), np.float32)

        def call():
            for i in range(num_samples):
                evaluator.process([
                    dict(
                        id=i,
                        img_path='hand.jpg',
                        pred_instances=dict(
                            keypoints=uv[i] + 1, keypoints_cam=joints[i]),
                        gt_instances=dict(
                            keypoints=uv[i],
                            keypoints_cam=truth[i],
                            keypoints_visible=visible))
                ])
            return evaluator.evaluate(num_samples)

        return call

    return Case(setup, num_samples)


def render(difficulty: str) -> Case:
    """One image of SynthHand, 224 x 224, with its annotation."""

    def setup():
        from lgh_mmpose.synthesis import SceneGenerator
        scenes = SceneGenerator(0, 'training', 224, difficulty)
        state = dict(index=0)

        def call():
            state['index'] += 1
            return scenes.sample(state['index'] % 32)

        for _ in range(4):  # compiles, and reads the backgrounds
            call()
        return call

    return Case(setup)


def write_images(root: Path, layout: str) -> None:
    """Render images of the layout's usual size, if that is not done."""
    from lgh_mmpose.synthesis import write_synthhand
    write_synthhand(
        root / f'synthhand_{layout}',
        num_train=32,
        num_eval=32,
        layout=layout,
        quiet=True)


def build_dataset(root: Path, name: str) -> BaseDataset:
    """A config's data set over rendered images.

    Args:
        root (Path): Folder of :func:`write_images`.
        name (str): One of :data:`PIPELINES`; with ``'mmpose_'`` before it the
            stages are mmpose's own, with the same settings.
    """
    from mmpose.registry import DATASETS

    from lgh_mmpose.config import set_data_root
    layout, split = PIPELINES[name.replace('mmpose_', '')]
    cfg = Config.fromfile(CONFIGS / f'lgh_{layout}.py')
    set_data_root(cfg, str(root / f'synthhand_{layout}'))
    dataset = cfg[f'{split}_dataloader'].dataset
    if name.startswith('mmpose_'):
        dataset.pipeline = mmpose_pipeline(dataset.pipeline)
    return DATASETS.build(dataset)


def mmpose_pipeline(steps: Sequence[dict]) -> List[dict]:
    """The stages of a pipeline as mmpose has them.

    The camera does not follow the crop in these, and left hands stay left.
    """
    own = [dict(type='LoadImage')]
    for step in steps:
        if step['type'] not in ('LoadHandImage', 'CanonicalizeHandSide'):
            own.append(
                dict(step, type=MMPOSE_STAGES.get(step['type'], step['type'])))
    return own


def pipeline(root: Path, name: str) -> Case:
    """Reading one sample as a worker of the data loader does."""

    def setup():
        dataset = build_dataset(root, name)
        state = dict(index=0)

        def call():
            state['index'] = (state['index'] + 1) % len(dataset)
            return dataset[state['index']]

        return call

    layout, _ = PIPELINES[name.replace('mmpose_', '')]
    return Case(setup, prepare=lambda: write_images(root, layout))


def pipeline_stages(root: Path, name: str, rounds: int) -> Dict[str, float]:
    """CPU time of each stage of a pipeline, ms per sample.

    The median over the rounds of the mean over the samples.
    """
    dataset = build_dataset(root, name)
    transforms = dataset.pipeline.transforms
    names = ['record', *(type(t).__name__ for t in transforms)]
    totals = np.zeros((rounds + 1, len(names)))
    for row in totals:
        for i in range(len(dataset)):
            start = time.process_time()
            data = dataset.get_data_info(i)
            for column, transform in enumerate([None, *transforms]):
                if transform is not None:
                    data = transform(data)
                end = time.process_time()
                row[column] += end - start
                start = end
    # the first round warms up
    medians = 1e3 * np.median(totals[1:], 0) / len(dataset)
    return dict(zip(names, medians.tolist()))


# -- what the hardware can do ------------------------------------------------


def plain_convolution(dtype: torch.dtype) -> Case:
    """3x3, 256 to 256 channels, 64 x 64, batch 4: what such hardware is for"""

    def setup():
        conv = torch.nn.Conv2d(256, 256, 3, padding=1, bias=False)
        conv = conv.to(dtype).to(memory_format=torch.channels_last)
        images = torch.randn(
            4, 256, 64,
            64).to(dtype).contiguous(memory_format=torch.channels_last)

        def call():
            with torch.no_grad():
                return conv(images)

        return call

    return Case(
        setup,
        4,
        lambda: 2e-9 * 4 * 64**2 * 9 * 256**2,
        bf16=dtype is torch.bfloat16)


def plain_matmul(dtype: torch.dtype) -> Case:
    """Product of two matrices of 2048 x 2048."""

    def setup():
        a, b = torch.randn(2, 2048, 2048).to(dtype)
        return lambda: a @ b

    return Case(setup, 1, lambda: 2e-9 * 2048**3, bf16=dtype is torch.bfloat16)


# -- what is measured --------------------------------------------------------


def all_cases(root: Path, args: argparse.Namespace) -> Dict[str, Case]:
    """Every case by name; those with the same prefix run by turns."""
    size, threads = args.input_size, args.threads
    networks = {
        'official': Network('lgh_rhd_official', size=size),
        'freihand': Network('lgh_freihand', size=size),
        'synthhand': Network('lgh_synthhand', size=size),
    }
    twins = {
        name + '_g1': network._replace(groups=1)
        for name, network in networks.items()
    }
    lite = Network('lgh_lite_freihand', size=size)
    exports = {
        'exported': (networks['official'], 'openvino', 'auto'),
        'exported_fp32': (networks['official'], 'onnx', 'fp32'),
        'exported_openvino_fp32': (networks['official'], 'openvino', 'fp32'),
        'lite': (lite, 'openvino', 'auto'),
    }
    others = {'internet': Network(INTERNET), 'heatmap2d': Network(HEATMAP_2D)}
    cases = {}
    for prefix, batch in (('infer', 1), ('infer16', 16)):
        for name, network in {**networks, **twins, **others}.items():
            if batch == 1 or name not in twins:
                cases[f'{prefix}/{name}'] = eager(
                    network._replace(batch=batch))
        for name, (network, backend, precision) in exports.items():
            cases[f'{prefix}/{name}'] = exported(
                network._replace(batch=batch), backend, precision, root,
                threads)
    for name, network in {**networks, **twins}.items():
        batch = 48 if name.startswith('synthhand') else 8
        network = network._replace(batch=args.batch or batch)
        cases[f'step/{name}'] = training_step(network)
        if network.groups is None:
            cases[f'step/{name}_fp32'] = training_step(network, plain=True)
        if not name.startswith('official'):
            for part in PARTS:
                # a single group has nothing to be fused with
                if part != 'fusion' or network.groups is None:
                    cases[f'part/{name}/{part}'] = training_part(network, part)
    for batch, side in ((48, 12), (8, 64)):
        for layout in ('grouped', 'separate', 'dense'):
            cases[f'conv/{batch}x{side}/{layout}'] = branch_convolution(
                layout, batch, side)
    for name in PIPELINES:
        for kind in (name, f'mmpose_{name}'):
            cases[f'pipeline/{kind}'] = pipeline(root, kind)
    for kind in ('ours', 'coco'):
        cases[f'index/{kind}'] = index(kind, root, args.index_samples)
    cases['metric/freihand'] = metric(args.metric_samples)
    for difficulty in ('easy', 'full'):
        cases[f'render/{difficulty}'] = render(difficulty)
    for name, dtype in (('fp32', torch.float32), ('bf16', torch.bfloat16)):
        cases[f'limit/conv_{name}'] = plain_convolution(dtype)
        cases[f'limit/matmul_{name}'] = plain_matmul(dtype)
    return cases


def scaling_cases(root: Path, args: argparse.Namespace) -> Dict[str, Case]:
    """How cost grows: cases ``scaling/<what>/<series>/<value>``."""
    size = args.input_size
    base = Network('lgh_freihand', size=size)
    cases = {}

    def add(what: str, value: int, network: Network) -> None:
        prefix = f'scaling/{what}'
        cases[f'{prefix}/infer/{value}'] = eager(network)
        cases[f'{prefix}/step/{value}'] = training_step(
            network._replace(batch=network.batch if what == 'batch' else 8))

    for groups in range(1, 8):
        add('groups', groups, base._replace(groups=groups))
    for side in (128, 192, 256, 320, 384):
        add('size', side, base._replace(size=side))
    for batch in (1, 2, 4, 8, 16, 32):
        add('batch', batch, base._replace(batch=batch))
    for exponent in range(3, args.max_exponent + 1):
        number = 10**exponent
        # as many as COCO's json fits into memory while it is written
        kinds = ('ours', 'coco') if exponent <= 5 else ('ours', )
        for kind in kinds:
            cases[f'scaling/samples/index_{kind}/{number}'] = index(
                kind, root, number)
        cases[f'scaling/samples/metric/{number}'] = metric(number)
    return cases


def process_throughput(args: argparse.Namespace) -> Dict[str, dict]:
    """Images per second of wall time that N processes train on together.

    Each trains its own copy on one thread and, where there are enough, on a
    core of its own; nothing is exchanged. ``infer`` is inference. All numbers
    of processes have their turn in each round; the median over the rounds.
    """
    result = {}
    network = Network('lgh_freihand', 8, size=args.input_size)
    cases = dict(
        step=training_step(network), infer=eager(network._replace(batch=1)))
    counts = range(1, 2 * _num_cores() + 1)
    for name, case in cases.items():
        print(f'{name} by up to {counts[-1]} processes', file=sys.stderr)
        rates = [[run_processes(case, n) for n in counts]
                 for _ in range(args.rounds)]
        medians = np.median(rates, axis=0)
        result[name] = dict(zip(map(str, counts), medians.tolist()))
    return result


def run_processes(case: Case, count: int, calls: int = 3) -> float:
    """Samples per second of wall time that processes treat together.

    Each calls as often as the others; the last one to finish counts.

    Raises:
        RuntimeError: If one of them fails.
    """
    context = multiprocessing.get_context('fork')
    barrier = context.Barrier(count + 1)

    def run(number: int) -> None:
        _pin(1, number)
        try:
            call = case.setup()
            call()
            barrier.wait()
            for _ in range(calls):
                call()
            barrier.wait()
        except BaseException:
            barrier.abort()  # or the others would wait for this process
            raise

    processes = [
        context.Process(target=run, args=(i, ), daemon=True)
        for i in range(count)
    ]
    for process in processes:
        process.start()
    try:
        barrier.wait(_PROCESS_SECONDS)
        start = time.perf_counter()
        barrier.wait(_PROCESS_SECONDS)
        seconds = time.perf_counter() - start
    except threading.BrokenBarrierError:
        raise RuntimeError('a process failed, see above') from None
    for process in processes:
        process.join()
    return count * calls * case.samples / seconds


# -- command line ------------------------------------------------------------


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--only',
        nargs='+',
        metavar='NAME',
        help='cases (infer/lite), all of a kind (infer, infer16, step, part, '
        'conv, pipeline, index, metric, render, limit) or ratios '
        '(g3_vs_g1_step)')
    parser.add_argument(
        '--scaling',
        action='store_true',
        help='instead of the table, how cost grows with groups, input size, '
        'batch, number of samples and processes')
    parser.add_argument('--json', metavar='OUT', help='write the figures here')
    parser.add_argument(
        '--rounds',
        type=int,
        help='rounds, of which the median counts; slow cases have fewer, but '
        'three (default: 11; with --quick or --scaling 3)')
    parser.add_argument(
        '--quick',
        action='store_true',
        help='few rounds, small indices, no memory: a first look')
    parser.add_argument(
        '--threads',
        type=int,
        default=1,
        help='threads, and cores that they are pinned to (default: 1)')
    parser.add_argument(
        '--no-memory',
        action='store_true',
        help='do not measure the memory, for which cases run once more')
    parser.add_argument(
        '--input-size',
        type=int,
        metavar='PX',
        help="input of our networks (default: each config's)")
    parser.add_argument(
        '--batch',
        type=int,
        help='images of a training step (default: 8, synthhand 48)')
    parser.add_argument(
        '--index-samples',
        type=int,
        help="samples of the index (default: 130240, FreiHAND's; with "
        '--quick 8000)')
    parser.add_argument(
        '--metric-samples',
        type=int,
        default=1000,
        help='samples that are scored (default: 1000)')
    parser.add_argument(
        '--max-exponent',
        type=int,
        default=6,
        choices=range(3, 7),
        help='--scaling goes to so many powers of ten of samples (default: 6)')
    args = parser.parse_args(argv)
    if args.rounds is None:
        args.rounds = 3 if args.quick or args.scaling else 11
    if args.index_samples is None:
        args.index_samples = 8000 if args.quick else 130240
    for name in ('rounds', 'threads', 'metric_samples', 'batch'):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            parser.error(f'--{name.replace("_", "-")} must be at least 1, got '
                         f'{getattr(args, name)}')
    if args.index_samples < 1 or args.index_samples % NUM_VERSIONS:
        parser.error(f'--index-samples must be a multiple of {NUM_VERSIONS}, '
                     f'got {args.index_samples}')
    if args.threads > _num_cores():
        parser.error(f'--threads {args.threads} needs as many cores, there '
                     f'are {_num_cores()}')
    return args


def select(names: Optional[Sequence[str]], cases: Dict[str, Case]) -> list:
    """Cases that ``--only`` names, in their usual order.

    Raises:
        ValueError: If a name is no case, no kind of cases and no ratio.
    """
    if not names:
        return list(cases)
    kinds = {case.split('/')[0] for case in cases}
    wanted = set()
    for name in names:
        chosen = [c for c in cases if c == name or c.startswith(f'{name}/')]
        if chosen:
            wanted.update(chosen)
        elif name in RATIOS and set(RATIOS[name]) <= set(cases):
            wanted.update(RATIOS[name])
        else:
            known = sorted(kinds) + sorted(cases) + sorted(RATIOS)
            raise ValueError(f'--only: there is no {name!r}; choose from '
                             f'{", ".join(known)}')
    return [name for name in cases if name in wanted]


def leave_out(names: Sequence[str], cases: Dict[str, Case]) -> List[str]:
    """Cases, and ratios of them, that make no sense on a CPU without bf16."""
    if bf16_instructions():
        return []
    return [
        *(name for name in names if cases[name].bf16),
        *(name for name, pair in RATIOS.items()
          if 'bf16' in name and set(pair) <= set(names))
    ]


def _num_cores() -> int:
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _pin(threads: int, first: int = 0) -> None:
    """Keep this process on so many cores, where the system can do so."""
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    if hasattr(os, 'sched_setaffinity'):
        cores = sorted(_ALL_CORES)
        os.sched_setaffinity(
            0, {cores[(first + i) % len(cores)]
                for i in range(threads)})


_ALL_CORES = os.sched_getaffinity(0) if hasattr(os,
                                                'sched_getaffinity') else ()


def environment(args: argparse.Namespace, kept: bool) -> dict:
    """What the figures depend on.

    Args:
        args (argparse.Namespace): The command line.
        kept (bool): Whether the process keeps freed memory.
    """
    versions = {}
    for package in ('torch', 'openvino', 'onnxruntime', 'mmengine', 'mmpose'):
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    model = platform.processor() or platform.machine()
    with contextlib.suppress(OSError):
        lines = Path('/proc/cpuinfo').read_text().splitlines()
        model = next((line.split(': ', 1)[1]
                      for line in lines if line.startswith('model name')),
                     model)
    return dict(
        command=shlex.join(['benchmarks/run.py', *sys.argv[1:]]),
        cpu=model,
        cores=len(_ALL_CORES) or os.cpu_count(),
        instructions=torch.backends.cpu.get_cpu_capability(),
        bf16=bf16_instructions(),
        threads=args.threads,
        python=platform.python_version(),
        versions=versions,
        allocator=' '.join(f'{name}={os.environ[name]}'
                           for name in VARIABLES if name in os.environ)
        or ('memory is kept' if kept else "the system's"))


def run(names: Sequence[str], cases: Dict[str, Case], args: argparse.Namespace,
        group_depth: int) -> dict:
    """Measure cases, those of one group by turns.

    Args:
        names (Sequence[str]): Which.
        cases (dict[str, Case]): All cases by name.
        args (argparse.Namespace): The command line.
        group_depth (int): Cases whose names agree up to so many slashes are
            of one group.
    """
    left_out = leave_out(names, cases)
    groups: Dict[str, List[str]] = {}
    for name in names:
        groups.setdefault('/'.join(name.split('/')[:group_depth]),
                          []).append(name)
    result: Dict[str, dict] = dict(
        ms={},
        cpu_ms={},
        per_second={},
        peak_mb={},
        gflops={},
        rounds={},
        difference_px={})
    # before and apart from all else: what this process has freed, its forks
    # would not ask for
    for name in names:
        difference = forked(cases[name].prepare)
        if difference is not None:
            result['difference_px'][name] = difference
    memory = not (args.no_memory or args.quick)
    if memory and not Path('/proc/self/clear_refs').exists():
        print('no memory is measured: that needs Linux', file=sys.stderr)
        memory = False
    for name in names if memory else []:
        if not args.scaling or name.startswith('scaling/samples'):
            print(f'memory of {name}', file=sys.stderr, flush=True)
            result['peak_mb'][name] = peak_memory(cases[name])
    for group, members in groups.items():
        print(f'{group}: {len(members)} cases', file=sys.stderr, flush=True)

        def time_members(members=members) -> dict:
            calls = {name: cases[name].setup() for name in members}
            return {
                name: (*timing, cases[name].gflop())
                for name, timing in measure(calls, args.rounds).items()
            }

        # so that each kind gives its memory back
        for name, (*timing, gflop) in forked(time_members).items():
            wall, cpu = map(np.median, timing)
            result['rounds'][name] = len(timing[0])
            result['ms'][name] = 1e3 * wall
            result['cpu_ms'][name] = 1e3 * cpu
            result['per_second'][name] = cases[name].samples / wall
            if gflop is not None:
                result['gflops'][name] = gflop / cpu
    for key, source in (('ratio', 'ms'), ('cpu_ratio', 'cpu_ms')):
        values = result[source]
        result[key] = {
            name: values[a] / values[b]
            for name, (a, b) in RATIOS.items()
            if a in values and b in values and name not in left_out
        }
        for name, (case, reference) in RELEASE_READER.items():
            if case in values:
                result[key][name] = reference / values[case]
    return result


def table(result: dict) -> str:
    """The figures as text."""
    lines = [
        f'{"case":40s} {"ms":>10s} {"CPU ms":>10s} {"per s":>9s} '
        f'{"GFLOP/s":>8s} {"peak MB":>8s}'
    ]
    for name, ms in result['ms'].items():
        optional = (f'{result[key][name]:8.0f}'
                    if name in result[key] else f'{"-":>8s}'
                    for key in ('gflops', 'peak_mb'))
        lines.append(f'{name:40s} {ms:10.3f} {result["cpu_ms"][name]:10.3f} '
                     f'{result["per_second"][name]:9.1f} '
                     f'{" ".join(optional)}')
    if result['difference_px']:
        lines += ['', 'largest distance from the joints of PyTorch in fp32']
        lines += [
            f'{name:40s} {px:10.5f} px'
            for name, px in result['difference_px'].items()
        ]
    for split, stages in result.get('stages', {}).items():
        lines += ['', f'pipeline/{split}, CPU ms by stage']
        lines += [f'{"  " + k:40s} {v:10.3f}' for k, v in stages.items()]
    if result['ratio']:
        lines += ['', f'{"ratio":50s} {"wall":>10s} {"CPU":>10s}']
        lines += [
            f'{name:50s} {value:10.2f} {result["cpu_ratio"][name]:10.2f}'
            for name, value in result['ratio'].items()
        ]
    for name, values in result.get('processes', {}).items():
        lines += ['', f'{name} by so many processes, images per second']
        lines += [f'{"  " + k:40s} {v:10.2f}' for k, v in values.items()]
    return '\n'.join(lines)


def main() -> None:
    args = parse_args()
    # ends the processes too, which would wait for each other for ever
    signal.signal(signal.SIGTERM, lambda *_: sys.exit('terminated'))
    # mmpose finds its own file in another place
    warnings.filterwarnings('ignore', 'The metainfo config file')
    init_default_scope('mmpose')
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make, depth = (scaling_cases, 3) if args.scaling else (all_cases, 1)
        try:
            cases = make(root, args)
            names = select(args.only, cases)
        except ValueError as error:
            sys.exit(f'error: {error}')
        left_out = leave_out(names, cases)
        names = [name for name in names if name not in left_out]
        if left_out:
            print(
                f'{describe_bf16()}; left out are {", ".join(left_out)}',
                file=sys.stderr)
        if not names:
            sys.exit('error: nothing is left to measure')
        kept = keep_memory()
        started = time.perf_counter()
        cores = _ALL_CORES
        processes = {}
        if args.scaling and not args.only:
            processes = process_throughput(args)
        _pin(args.threads)
        try:
            result = run(names, cases, args, depth)
            stages = {
                name: pipeline_stages(root, name, args.rounds)
                for kind, name in (case.split('/', 1) for case in names)
                if kind == 'pipeline'
            }
        finally:
            if cores:
                os.sched_setaffinity(0, cores)
    result.update(
        schema=SCHEMA,
        seconds=time.perf_counter() - started,
        left_out=left_out,
        bf16=[name for name in names if cases[name].bf16],
        environment=environment(args, kept))
    for key, value in (('stages', stages), ('processes', processes)):
        if value:
            result[key] = value
    print(table(result))
    if args.json:
        with atomic_write(args.json) as file:
            text = json.dumps(result, indent=1, allow_nan=False)
            file.write((text + '\n').encode())


if __name__ == '__main__':
    main()
