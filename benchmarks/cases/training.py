"""Cases of training: whole steps, parts of a network, one convolution."""
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData

from lgh_mmpose.cpu import bf16_instructions

from ..networks import (Network, build_model, forward_gflop, input_size,
                        load_config, noise)
from ..timing import Case

# of a network, in the order in which they run
PARTS = ('backbone', 'stem', 'branches', 'fusion', 'head')


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
