"""The form of a trained model that is shipped: the same answers, less work."""
from copy import deepcopy
from operator import attrgetter, getitem
from typing import List, Optional, Sequence, Tuple

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn
from torch.fx import GraphModule, Node
from torch.nn import functional as F

from ..models.heads import GroupedJointHead
from ..models.layers import NDDRFusion, peak_mass
from ..models.necks import GroupFusionNeck

_aten = torch.ops.aten


class DeployForm(nn.Module):
    """A hand pose network ready to be exported: raw images in, joints out.

    Made by :func:`to_deploy`.

    Args:
        input_size (tuple[int, int]): Width and height of the network input.
        mean (Tensor): Mean of the channels as the network reads them,
            (3, 1, 1).
        std (Tensor): Standard deviation of the same, (3, 1, 1).
        swap_channels (bool): Whether the network reads RGB.
        trunk (nn.Module): From normalised images to the score maps and the
            depth maps of the joints, both (B, K, h, w), joints by groups,
            and, where the network tells the side, the logit of a right hand
            (B,).
        joint_groups (Tensor): Group of each joint, int64 (K,).
        positions (tuple[Tensor, Tensor]): Where the cells stand in the
            network input, px: u (w,) and v (h,).
        gives_side (bool): Whether the network tells the side.

    Shape:
        images (B, 3, H, W), BGR, 0 to 255, uint8 or float32 -> ``uv``
        (B, K, 2) in px of the network input, ``depth`` (B, K) relative to the
        root in reference bones, ``scores`` (B, K), the mass of the heat map's
        peak, in [0, 1], and perhaps ``right`` (B,), the probability of a
        right hand; all float32
    """

    def __init__(self,
                 input_size: Tuple[int, int],
                 mean: Tensor,
                 std: Tensor,
                 swap_channels: bool,
                 trunk: nn.Module,
                 joint_groups: Tensor,
                 positions: Tuple[Tensor, Tensor],
                 gives_side: bool = False) -> None:
        super().__init__()
        self.input_size = tuple(input_size)
        self.trunk = trunk
        self.swap_channels = swap_channels
        self.gives_side = gives_side
        self.register_buffer('mean', mean)
        self.register_buffer('std', std)
        self.register_buffer('joint_groups', joint_groups)
        # from the order by groups, in which the maps come, to the joints'
        self.register_buffer('order',
                             joint_groups.argsort(stable=True).argsort())
        self.register_buffer('u', positions[0])
        self.register_buffer('v', positions[1])

    @property
    def dtype(self) -> torch.dtype:
        """What the trunk computes in; all around it is float32."""
        return next(self.trunk.parameters()).dtype

    def forward(self, images: Tensor) -> Tuple[Tensor, ...]:
        images = images.float()
        if self.swap_channels:
            images = images.flip(1)
        images = (images - self.mean) / self.std
        logits, depth_maps, *right = self.trunk(images.to(self.dtype))
        heatmaps = logits.float().flatten(2).softmax(-1).view_as(logits)
        # products and sums, no matrix products: backends that compute these
        # in 16 bits would round pixels
        u = (heatmaps.sum(-2) * self.u).sum(-1)
        v = (heatmaps.sum(-1) * self.v).sum(-1)
        depth = (heatmaps * depth_maps.float()).sum((-2, -1))
        scores = peak_mass(heatmaps)
        joints = torch.stack([u, v, depth, scores], -1)
        joints = joints.index_select(1, self.order)
        return (joints[..., :2], joints[..., 2], joints[..., 3],
                *(logit.float().sigmoid() for logit in right))


def to_deploy(model: BaseModel) -> DeployForm:
    """Bring a model into the form that is shipped.

    Each joint belongs to its most probable group for good (the selector's
    ``argmax``), so that its maps are computed in that group only; of a group
    without joints only that remains which others read through the fusion.
    Batch norms are folded into the convolutions before them, ``beta`` into
    that of the score maps, and the normalisation of the image is part of the
    network.

    Args:
        model (BaseModel): A ``TopdownPoseEstimator`` with
            :class:`GroupFusionNeck` and :class:`GroupedJointHead`, which
            stays as it is.

    Returns:
        DeployForm: On the CPU, in float32 and channels-last memory, in
        evaluation mode. It gives what ``model`` gives in evaluation, up to
        rounding.

    Raises:
        TypeError: If the model has another neck or head.
        ValueError: If its selector does not put each joint into one group at
            inference, always the same.
    """
    check_kind(model)
    model = deepcopy(model).cpu().float().eval()
    # what is looked for in the traced network depends on the layout
    model.to(memory_format=torch.contiguous_format)
    neck, head = model.neck, model.head
    joint_groups = _joint_groups(head)
    used = joint_groups.unique().tolist()
    if head.side_layers is not None:  # the side is read off all groups
        used = list(range(head.num_groups))
    if head.separate_depth:
        used += [head.num_groups + group for group in used]
    groups = _prune_neck(neck, used)
    trunk = nn.Sequential(model.backbone, neck,
                          _JointMaps(head, joint_groups, groups))
    width, height = head.decoder.input_size
    with torch.no_grad():
        graph = _trace(trunk, torch.zeros(2, 3, height, width))
        for simplify in (_fold_batch_norms, _absorb_pointwise,
                         _split_group_concats):
            graph = simplify(graph)
        h, w = graph(torch.zeros(2, 3, height, width))[0].shape[-2:]
    preprocessor = model.data_preprocessor
    mean, std, swap = torch.zeros(3, 1, 1), torch.ones(3, 1, 1), False
    if preprocessor is not None:
        swap = bool(preprocessor._channel_conversion)
        if preprocessor._enable_normalize:
            mean, std = preprocessor.mean, preprocessor.std
    form = DeployForm((width, height), mean, std, swap, graph, joint_groups,
                      (_positions(w, width, head.pixel_centers),
                       _positions(h, height, head.pixel_centers)),
                      head.side_layers is not None)
    form.requires_grad_(False)
    return form.to(memory_format=torch.channels_last).eval()


def check_kind(model: BaseModel) -> None:
    """Raise TypeError if a model has another neck or head."""
    neck, head = getattr(model, 'neck', None), getattr(model, 'head', None)
    if not isinstance(neck, GroupFusionNeck) or not isinstance(
            head, GroupedJointHead):
        raise TypeError(
            'the deploy form is that of a model with GroupFusionNeck and '
            f'GroupedJointHead, got {type(neck).__name__} and '
            f'{type(head).__name__}')


def _joint_groups(head: GroupedJointHead) -> Tensor:
    """The group of each joint (K,) that a selector in evaluation takes."""
    mode = getattr(head.selector, 'inference', 'argmax')
    with torch.no_grad():
        assignment = head.selector()
    if mode != 'argmax' or not torch.equal(
            assignment.amax(-1),
            assignment.abs().sum(-1)):
        raise ValueError(
            'the deploy form assigns each joint to one group, but the '
            f'selector of this model mixes or draws (inference={mode!r}): set '
            "model.head.selector.inference='argmax', and test the model so")
    return assignment.argmax(-1)


def _positions(cells: int, pixels: int, pixel_centers: bool) -> Tensor:
    """Where :func:`~lgh_mmpose.models.layers.soft_argmax` sees the cells."""
    stride = pixels / cells
    offset = (stride - 1) / 2 if pixel_centers else 0.
    return torch.arange(cells) * stride + offset


# -- joints in one group each ------------------------------------------------


class _JointMaps(nn.Module):
    """Score and depth maps of each joint, from its own group alone.

    Args:
        head (GroupedJointHead): The head.
        joint_groups (Tensor): Group of each joint (K,).
        groups (list[int]): The features that the neck gives.

    Shape:
        the neck's outputs -> score maps times beta (logits) and depth maps,
        both (B, K, H, W), the joints of the first group first, and, with
        layers for it, the logit of a right hand (B,)
    """

    def __init__(self, head: GroupedJointHead, joint_groups: Tensor,
                 groups: List[int]) -> None:
        super().__init__()
        pairs = [(head.heatmap_layers[i], head.depth_layers[i])
                 for i in (0, 2)]
        first, last = (
            dict(
                weight=torch.stack([_by_group(c.weight, head)
                                    for c in convs], 1),
                bias=torch.stack([_by_group(c.bias, head) for c in convs], 1))
            for convs in pairs)
        self.in_channels = head.in_channels
        self.side_layers = head.side_layers
        self.num_answers = head.num_answers
        self.used = []
        self.hidden, self.maps = nn.ModuleList(), nn.ModuleList()
        for group in range(head.num_groups):
            joints = (joint_groups == group).nonzero()[:, 0]
            if not len(joints):
                continue
            # both kinds of maps side by side, be it of two features
            features = [group]
            if head.separate_depth:
                features.append(head.num_groups + group)
            self.used.append([groups.index(feature) for feature in features])
            self.hidden.append(
                _conv(first['weight'][group].flatten(0, 1),
                      first['bias'][group].flatten(), len(features)))
            beta = head.beta[group, joints].repeat(self.num_answers)
            # with two answers those of a left hand come first
            joints = torch.cat([
                joints + side * head.num_joints
                for side in range(self.num_answers)
            ])
            score, depth = last['weight'][group][:, joints]
            bias = last['bias'][group][:, joints].clone()
            bias[0] *= beta
            weight = torch.zeros(2 * len(joints), 2 * score.shape[1],
                                 *score.shape[2:])
            weight[:len(joints), :score.shape[1]] = \
                score * beta[:, None, None, None]
            weight[len(joints):, score.shape[1]:] = depth
            self.maps.append(_conv(weight, bias.flatten()))

    def forward(self, feats: Tuple[Tensor, ...]) -> Tuple[Tensor, ...]:
        groups = feats[-1].split(self.in_channels, 1)
        maps = []
        for used, first, last in zip(self.used, self.hidden, self.maps):
            own = groups[used[0]] if len(used) == 1 else torch.cat(
                [groups[index] for index in used], 1)
            maps.append(last(first(own).relu()).chunk(2, 1))
        logits, depth_maps = zip(*maps)
        if self.side_layers is None:
            return torch.cat(logits, 1), torch.cat(depth_maps, 1)
        right = self.side_layers(feats[-1])
        return (self._of_side(logits, right), self._of_side(depth_maps,
                                                            right), right)

    def _of_side(self, maps: Sequence[Tensor], right: Tensor) -> Tensor:
        """The groups' maps in one, those of the side that was told."""
        if self.num_answers == 1:
            return torch.cat(maps, 1)
        left, right_maps = (
            torch.cat(parts, 1)
            for parts in zip(*(part.chunk(2, 1) for part in maps)))
        return torch.where(right[:, None, None, None] >= 0, right_maps, left)


def _by_group(tensor: Tensor, head: GroupedJointHead) -> Tensor:
    return tensor.detach().unflatten(0, (head.num_groups, -1))


def _conv(weight: Tensor, bias: Tensor, groups: int = 1) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size."""
    conv = nn.Conv2d(
        groups * weight.shape[1], weight.shape[0], 3, padding=1, groups=groups)
    conv.weight.data.copy_(weight)
    conv.bias.data.copy_(bias)
    return conv


def _prune_neck(neck: GroupFusionNeck, used: List[int]) -> List[int]:
    """Drop what only groups without joints need; gives the groups left."""
    if len(used) == neck.num_groups:
        return used
    if neck.fusion is None:
        _keep_groups(neck.branches, neck.num_groups, used)
        return used
    if isinstance(neck.fusion, NDDRFusion):
        # the branches of all groups are read, but not all is asked for
        _keep_groups(neck.fusion, neck.num_groups, used)
        return used
    return list(range(neck.num_groups))


def _keep_groups(module: nn.Module, num_groups: int, used: List[int]) -> None:
    """Keep the groups' outputs; all tensors are group-major."""
    for part in module.modules():
        for tensors in (part._parameters, part._buffers):
            for name, tensor in tensors.items():
                if tensor is not None and tensor.ndim:
                    tensor = tensor.detach().unflatten(0, (num_groups, -1))
                    tensor = tensor[used].flatten(0, 1)
                    if name in part._parameters:
                        tensor = nn.Parameter(tensor)
                    tensors[name] = tensor
        if getattr(part, 'groups', None) == num_groups:
            part.groups = len(used)


# -- folding -----------------------------------------------------------------

# input, weight, bias, stride, padding, dilation or output padding, groups, ...
_CONVS = (_aten.conv2d.default, _aten.conv2d.padding,
          _aten.conv_transpose2d.input)


def _trace(module: nn.Module, images: Tensor) -> GraphModule:
    """Operators of a module in evaluation, for any number of images."""
    program = torch.export.export(
        module, (images, ), dynamic_shapes=({
            0: torch.export.Dim.DYNAMIC
        }, ))
    return program.module(check_guards=False)


def _tensor(module: GraphModule, node: Optional[Node]) -> Optional[Tensor]:
    """The parameter or buffer that a node stands for."""
    return None if node is None else attrgetter(node.target)(module).detach()


def _conv_args(conv: Node) -> list:
    """All seven, which a graph need not name."""
    defaults = (None, [1, 1], [0, 0], [1, 1], 1)
    return [*conv.args, *defaults[len(conv.args) - 2:]]


def _replace(node: Node, new: Node) -> None:
    node.replace_all_uses_with(new)
    node.graph.erase_node(node)


def _fold_batch_norms(module: GraphModule) -> GraphModule:
    """Put batch norms into the convolutions whose output only they read.

    What reads what is asked of the traced operators: the order in which a
    backbone registers its modules need not be that in which it calls them.
    A batch norm that follows anything else stays.
    """
    graph = module.graph
    for i, node in enumerate(list(graph.nodes)):
        if node.target is not _aten.batch_norm.default:
            continue
        conv = node.args[0]
        if conv.target not in _CONVS or len(conv.users) > 1:
            continue
        args = list(_conv_args(conv))
        folded = _fold(
            *(_tensor(module, arg) for arg in (*args[1:3], *node.args[1:5])),
            eps=node.args[7],
            groups=args[6],
            transposed=conv.target is _aten.conv_transpose2d.input)
        with graph.inserting_before(conv):
            for index, tensor in enumerate(folded, 1):
                # under a name of its own: weights may be shared
                name = f'folded_{i}_{("weight", "bias")[index - 1]}'
                module.register_parameter(name, nn.Parameter(tensor))
                args[index] = graph.get_attr(name)
        conv.args = (*args[:3], *conv.args[3:])
        _replace(node, conv)
    graph.eliminate_dead_code()
    # a new module takes over only what the graph still reads
    return GraphModule(module, graph)


def _absorb_pointwise(module: GraphModule) -> GraphModule:
    """Take 1x1 convolutions into those that read them beside their input.

    The release's hourglass hands on its heat maps, a 1x1 convolution of its
    feature, together with the feature. Both being linear, what reads
    ``cat(A f + b, f)`` is a convolution of f alone, whose channels suit the
    hardware, and what b gives: a constant but for the padded border.
    """
    graph = module.graph
    for i, cat in enumerate(list(graph.nodes)):
        pointwise = _pointwise_beside_its_input(module, cat)
        if pointwise is None:
            continue
        members = list(cat.args[0])
        channels = [member.meta['val'].shape[1] for member in members]
        source = members.index(pointwise.args[0])
        at = members.index(pointwise)
        matrix, bias = (_tensor(module, arg) for arg in pointwise.args[1:3])
        bias_maps = bias[None, :, None,
                         None].expand(-1, -1, *cat.meta['val'].shape[2:])
        rest = [member for member in members if member is not pointwise]
        for j, conv in enumerate(list(cat.users)):
            args = _conv_args(conv)
            weights = list(_tensor(module, args[1]).split(channels, 1))
            weights[source] = weights[source] + torch.einsum(
                'ohxy,hf->ofxy', weights[at], matrix[..., 0, 0])
            constant = F.conv2d(bias_maps, weights.pop(at), None, *args[3:])
            if weights[0].shape[2:] == (1, 1):
                constant = constant[:, :, :1, :1]
            names = [f'absorbed_{i}_{j}_{what}' for what in ('weight', 'bias')]
            module.register_parameter(names[0],
                                      nn.Parameter(torch.cat(weights, 1)))
            module.register_buffer(names[1], constant)
            with graph.inserting_before(conv):
                read = rest[0] if len(rest) == 1 else graph.call_function(
                    cat.target, (rest, 1))
                new = graph.call_function(
                    conv.target, (read, graph.get_attr(names[0]), *args[2:]))
                new = graph.call_function(_aten.add.Tensor,
                                          (new, graph.get_attr(names[1])))
            _replace(conv, new)
    graph.eliminate_dead_code()
    return GraphModule(module, graph)


def _pointwise_beside_its_input(module: GraphModule,
                                cat: Node) -> Optional[Node]:
    """A 1x1 convolution in a concatenation that holds its input too."""
    if cat.target is not _aten.cat.default or cat.args[1:] != (1, ) or any(
            user.target is not _aten.conv2d.default or _conv_args(user)[6] != 1
            for user in cat.users):
        return None
    for node in cat.args[0]:
        if node.target is _aten.conv2d.default and len(
                node.users) == 1 and node.args[0] in cat.args[0]:
            _, weight, bias, *options = _conv_args(node)
            if bias is not None and options == [[1, 1], [0, 0], [1, 1], 1] \
                    and _tensor(module, weight).shape[2:] == (1, 1):
                return node
    return None


def _split_group_concats(module: GraphModule) -> GraphModule:
    """Replace convolutions of what was concatenated within groups by sums.

    ``conv(cat(a, b)) = conv_a(a) + conv_b(b)``: nothing is cut up and put
    together again, and each tensor keeps a scale of its own when quantised
    (OpenVINO 2026.4 gives wrong results on the CPU for the concatenation of
    three tensors by groups in int8).
    """
    graph = module.graph
    for i, node in enumerate(list(graph.nodes)):
        if node.target is not _aten.conv2d.default:
            continue
        args = _conv_args(node)
        sources = _concatenated_within_groups(args[0], args[6])
        if sources is None:
            continue
        tensors, channels = zip(*sources)
        weights = _tensor(module, args[1]).split(channels, 1)
        total = None
        with graph.inserting_before(node):
            for j, (tensor, weight) in enumerate(zip(tensors, weights)):
                name = f'split_{i}_{j}'
                module.register_parameter(name, nn.Parameter(weight.clone()))
                bias = args[2] if j == 0 else None
                term = graph.call_function(
                    node.target,
                    (tensor, graph.get_attr(name), bias, *args[3:]))
                total = term if total is None else graph.call_function(
                    _aten.add.Tensor, (total, term))
        _replace(node, total)
    graph.eliminate_dead_code()
    return GraphModule(module, graph)


def _concatenated_within_groups(
        cat: Node, groups: int) -> Optional[List[Tuple[Node, int]]]:
    """The tensors of ``concat_within_groups`` and their channels by group."""
    if cat.target is not _aten.cat.default or len(cat.users) > 1 or \
            cat.args[1:] != (1, ):
        return None
    pieces = cat.args[0]
    num = len(pieces) // groups
    sources = []
    for j in range(num):
        own = pieces[j::num]
        chunk = own[0].args[0] if own[0].target is getitem else None
        if chunk is None or chunk.target is not _aten.chunk.default or \
                chunk.args[1:] != (groups, 1) or \
                [piece.args for piece in own] != [
                    (chunk, g) for g in range(groups)]:
            return None
        sources.append((chunk.args[0], own[0].meta['val'].shape[1]))
    return sources


def _fold(weight: Tensor, bias: Optional[Tensor], gamma: Optional[Tensor],
          beta: Optional[Tensor], mean: Tensor, var: Tensor, eps: float,
          groups: int, transposed: bool) -> Tuple[Tensor, Tensor]:
    """Weight and bias of a convolution and the batch norm after it.

    By hand: torch's own ``fuse_conv_bn_weights`` mistakes the channels of a
    transposed convolution with groups, whose weight is
    (in, out / groups, ...).
    """
    scale = (var.double() + eps).rsqrt()
    if gamma is not None:
        scale = scale * gamma
    shift = -mean * scale
    if bias is not None:
        shift = shift + bias * scale
    if beta is not None:
        shift = shift + beta
    if transposed:
        by_group = weight.unflatten(0, (groups, -1))
        folded = by_group * scale.view(groups, 1, -1, 1, 1)
        folded = folded.flatten(0, 1)
    else:
        folded = weight * scale[:, None, None, None]
    return folded.float(), shift.float()
