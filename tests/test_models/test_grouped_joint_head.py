"""The head's formulas, losses and way back to the image."""
import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.structures import PoseDataSample

from lgh_mmpose.models import GroupedJointHead
from lgh_mmpose.models.heads.grouped_joint_head import GroupEstimates

CODEC = dict(
    type='Hand25DLabel',
    input_size=(64, 64),
    metainfo=dict(from_file='configs/_base_/datasets/freihand2d.py'),
    root_joint='middle_finger1',
    reference_bone=('middle_finger1', 'middle_finger2'))
HEATMAP_LOSS = dict(type='SpatialCrossEntropyLoss')


def build(groups=3, **kwargs):
    torch.manual_seed(0)
    head = GroupedJointHead(
        in_channels=4,
        num_joints=21,
        num_groups=groups,
        decoder=CODEC,
        hidden_channels=4,
        **kwargs)
    for p in head.parameters():
        if p.ndim > 1:
            torch.nn.init.normal_(p, std=0.5)
    return head


def features(groups=3, channels=4):
    torch.manual_seed(1)
    return (torch.randn(2, 6, 16, 16), torch.randn(2, groups * channels, 16,
                                                   16))


def samples(batch=2, weights=1.):
    torch.manual_seed(2)
    out = []
    for _ in range(batch):
        labels = torch.rand(1, 21, 3) * torch.tensor([63., 63., 2.])
        sample = PoseDataSample()
        sample.gt_instance_labels = InstanceData(
            keypoint_labels=labels,
            keypoint_weights=torch.full((1, 21), weights))
        out.append(sample)
    return out


@pytest.mark.parametrize('groups', [1, 3, 21])
def test_forward_gives_plain_uv_and_depth(groups):
    uv, depth = build(groups)(features(groups))
    assert uv.shape == (2, 21, 2) and depth.shape == (2, 21)
    assert (uv > 0).all() and (uv < 63).all()


def test_equals_the_formulas_written_as_loops():
    """method: H = softmax(beta h), uv = sum H (x, y), d = sum H D, sum S."""
    head, feats = build(), features()
    torch.nn.init.normal_(head.beta)
    assignment = torch.rand(21, 3).softmax(-1)
    uv = torch.zeros(2, 21, 2)
    depth = torch.zeros(2, 21)
    grid = 4 * torch.arange(16.) + 1.5
    for g in range(3):
        own = feats[-1][:, 4 * g:4 * g + 4]

        def layers(stack, x=own, g=g):
            for conv, width in ((stack[0], 4), (stack[2], 21)):
                rows = slice(g * width, (g + 1) * width)
                x = torch.nn.functional.conv2d(
                    x, conv.weight[rows], conv.bias[rows], padding=1)
                x = x.relu() if conv is stack[0] else x
            return x

        scores, maps = layers(head.heatmap_layers), layers(head.depth_layers)
        for j in range(21):
            h = (head.beta[g, j] * scores[:, j]).flatten(1).softmax(-1)
            h = h.view(2, 16, 16)
            s = assignment[j, g]
            uv[:, j, 0] += s * (h * grid[None, None, :]).sum((1, 2))
            uv[:, j, 1] += s * (h * grid[None, :, None]).sum((1, 2))
            depth[:, j] += s * (h * maps[:, j]).sum((1, 2))
    got = head(feats, assignment)
    assert torch.allclose(got[0], uv, atol=1e-4)
    assert torch.allclose(got[1], depth, atol=1e-5)


def test_a_hard_assignment_takes_each_joint_from_its_group():
    head, feats = build(), features()
    joint_groups = torch.arange(21) % 3
    uv, depth = head(feats, torch.eye(3)[joint_groups])
    estimates = head.estimate(feats)
    for j, g in enumerate(joint_groups):
        assert torch.allclose(uv[:, j], estimates.uv[:, g, j], atol=1e-5)
        assert torch.allclose(depth[:, j], estimates.depth[:, g, j])


def test_depths_of_features_of_their_own():
    head = build(separate_depth=True)
    shared, pixels = features()
    depths = torch.randn_like(pixels)
    assignment = torch.rand(21, 3).softmax(-1)
    uv, depth = head((shared, torch.cat([pixels, depths], 1)), assignment)
    torch.manual_seed(0)  # of the same layers
    plain = build()
    plain.load_state_dict(head.state_dict())
    torch.testing.assert_close(uv, plain((shared, pixels), assignment)[0])
    # weighted by the heat maps of the pixels
    heatmaps = plain.estimate((shared, pixels)).heatmaps
    maps = plain.depth_layers(depths).unflatten(1, (3, 21))
    expected = (heatmaps * maps).sum((-2, -1))
    torch.testing.assert_close(depth, (expected * assignment.T).sum(1))
    with pytest.raises(ValueError, match='separate_depth the neck has twice'):
        head((shared, pixels))


def test_without_an_assignment_the_selector_decides():
    head, feats = build().eval(), features()
    torch.nn.init.normal_(head.selector.logits)
    own = torch.eye(3)[head.selector.joint_groups]
    for a, b in zip(head(feats), head(feats, own)):
        assert torch.equal(a, b)
    head.train()
    assert not torch.equal(head(feats)[0], head(feats)[0])


def test_losses_of_the_joints_add_up_to_the_loss():
    head = build(
        selector=dict(
            type='FixedSelector', joint_groups=[k % 3 for k in range(21)]))
    hands = samples()
    hands[0].gt_instance_labels.keypoint_weights[0, 5] = 0
    hands[1].gt_instance_labels.keypoint_labels[0, 7, 2] = torch.nan
    for hand in hands:
        labels = hand.gt_instance_labels
        labels.depth_weights = labels.keypoint_weights.clone()
        labels.depth_weights[0, 7] = 0
    whole = head.loss(features(), hands)
    joints = head.joint_losses(features(), hands)
    for name in ('uv', 'depth'):
        assert joints[name].shape == (21, )
        torch.testing.assert_close(joints[name].sum(), whole[f'loss_{name}'])
    assert joints['depth'][7] == 0 != joints['uv'][7]


def test_losses_reach_every_parameter_and_diagnostics_none():
    head = build(
        heatmap_loss=HEATMAP_LOSS,
        shared_heatmap_loss=HEATMAP_LOSS,
        shared_channels=6,
        balance_loss_weight=1.,
        sparsity_loss_weight=1.,
        entropy_loss_weight=1.)
    losses = head.loss(features(), samples())
    terms = {k: v for k, v in losses.items() if 'loss' in k}
    assert set(terms) == {
        'loss_uv', 'loss_depth', 'loss_heatmap', 'loss_shared_heatmap',
        'loss_balance', 'loss_sparsity', 'loss_entropy'
    }
    sum(terms.values()).backward()
    assert all(
        p.grad is not None and torch.isfinite(p.grad).all()
        for p in head.parameters())
    assert head.selector.logits.grad.abs().max() > 0
    others = {k: v for k, v in losses.items() if 'loss' not in k}
    assert {f'uv_error_px/group{g}' for g in range(3)} <= set(others)
    assert not any(v.requires_grad for v in others.values())


def test_terms_of_the_selector_have_their_weights():
    head = build(
        balance_loss_weight=.5,
        sparsity_loss_weight=.125,
        entropy_loss_weight=.25)
    losses = head.loss(features(), samples())
    for name, value, weight in (('balance', head.selector.imbalance(), .5),
                                ('sparsity', head.selector.spread(), .125),
                                ('entropy', head.selector.entropy(), .25)):
        assert value > 0
        assert losses[f'loss_{name}'] == weight * value
    plain = build().loss(features(), samples())
    assert not any(f'loss_{name}' in plain
                   for name in ('balance', 'sparsity', 'entropy'))


def test_losses_vanish_at_the_truth():
    head, feats, batch = build(1).eval(), features(1), samples()
    uv, depth = head(feats)
    for i, sample in enumerate(batch):
        sample.gt_instance_labels.keypoint_labels = torch.cat(
            [uv[i], depth[i, :, None]], -1)[None].detach()
    losses = head.loss(feats, batch)
    for key in ('loss_uv', 'loss_depth', 'uv_error_px', 'depth_error'):
        assert losses[key].item() < 1e-5


def test_joints_without_weight_cost_nothing():
    losses = build().loss(features(), samples(weights=0.))
    assert all(v.item() == 0 for v in losses.values())


def test_what_has_no_weight_may_be_nan():
    """0 times NaN is NaN, in the loss and in every gradient."""
    head = build(heatmap_loss=HEATMAP_LOSS)
    known, unknown = samples(), samples()
    for clean, sample in zip(known, unknown):
        for instances in (clean.gt_instance_labels, sample.gt_instance_labels):
            instances.keypoint_weights[0, 3:5] = 0
        sample.gt_instance_labels.keypoint_labels[0, 3:5] = torch.nan
    expected, got = (
        head.loss(features(), batch) for batch in (known, unknown))
    for name, value in expected.items():
        torch.testing.assert_close(got[name], value)
    sum(v for k, v in got.items() if 'loss' in k).backward()
    assert all(
        torch.isfinite(p.grad).all() for p in head.parameters()
        if p.grad is not None)


def test_depths_have_weights_of_their_own():
    """A sample with pixels alone adds to their loss, not to that of depth."""
    head, batch = build(heatmap_loss=HEATMAP_LOSS), samples()
    whole = head.loss(features(), batch)
    for sample in batch:
        sample.gt_instance_labels.depth_weights = torch.zeros(1, 21)
        sample.gt_instance_labels.keypoint_labels[..., 2] = torch.nan
    flat = head.loss(features(), batch)
    for key in ('loss_uv', 'loss_heatmap', 'uv_error_px'):
        torch.testing.assert_close(flat[key], whole[key])
    assert flat['loss_depth'] == 0 and flat['depth_error'] == 0
    assert whole['loss_depth'] > 0


def test_an_empty_batch_is_named():
    with pytest.raises(ValueError, match='batch is empty'):
        build().loss(features(), [])
    empty = tuple(f[:0] for f in features())
    assert build().predict(empty, []) == []


@pytest.mark.parametrize('num_joints', [20, 22])
def test_joints_of_head_and_codec_must_agree(num_joints):
    with pytest.raises(ValueError, match='its codec has 21 joints'):
        GroupedJointHead(
            in_channels=4, num_joints=num_joints, num_groups=3, decoder=CODEC)


def test_groups_of_neck_and_head_must_agree():
    with pytest.raises(ValueError, match='neck and head must agree'):
        build(3)(features(groups=2))


@pytest.mark.parametrize('groups', [0, 22])
def test_refuses_a_number_of_groups_that_cannot_be(groups):
    with pytest.raises(ValueError, match='num_groups must lie in'):
        build(groups)


def test_refuses_an_assignment_of_another_shape():
    with pytest.raises(ValueError, match='num_joints, num_groups'):
        build()(features(), torch.ones(3, 21))


def test_shared_heatmap_loss_needs_the_width_of_the_shared_feature():
    with pytest.raises(ValueError, match='shared_channels'):
        build(shared_heatmap_loss=HEATMAP_LOSS)


# -- from the input back to the image and to millimetres ---------------------


def annotated(warp_mat, camera_matrix, bone_length, **meta):
    sample = PoseDataSample()
    sample.gt_instances = InstanceData(
        bboxes=np.zeros((1, 4)), bbox_scores=np.ones(1))
    sample.set_metainfo(
        dict(
            warp_mat=warp_mat,
            camera_matrix=camera_matrix,
            bone_length=bone_length,
            input_size=(64, 64),
            input_center=np.array([100., 90.]),
            input_scale=np.array([128., 128.]),
            **meta))
    return sample


def known_case():
    """Feature maps whose soft-argmax is known, and a rotating, mirroring
    warp."""
    head, feats = build().eval(), features()
    angle = 0.7
    warp = np.array([[-np.cos(angle), np.sin(angle), 90.],
                     [np.sin(angle), np.cos(angle), -40.], [0, 0, 1.]])
    warp[:2] *= 0.5
    camera = np.array([[480., 0, 112], [0, 470., 108], [0, 0, 1.]])
    uv, depth = (t.double().detach().numpy() for t in head(feats))
    return head, feats, warp, camera, uv, depth


def to_image(estimator_keypoints, sample):
    meta = sample.metainfo
    return (estimator_keypoints / meta['input_size'] * meta['input_scale'] +
            meta['input_center'] - 0.5 * meta['input_scale'])


def test_predictions_go_back_through_any_warp():
    head, feats, warp, camera, uv, depth = known_case()
    batch = [annotated(warp, camera, 30., root_depth=600.) for _ in range(2)]
    preds = head.predict(feats, batch, dict(root_depth='given'))
    for i, (pred, sample) in enumerate(zip(preds, batch)):
        image = np.linalg.solve(warp, np.c_[uv[i], np.ones(21)].T)[:2].T
        np.testing.assert_allclose(
            to_image(pred.keypoints[0], sample), image, atol=1e-4)
        z = 600 + 30 * depth[i]
        rays = np.linalg.solve(camera, np.c_[image, np.ones(21)].T).T
        np.testing.assert_allclose(
            pred.keypoints_cam[0], rays * z[:, None], atol=1e-3)
        assert pred.units[0] == 'mm' and pred.frame[0] == 'camera'
        assert pred.keypoint_scores.shape == (1, 21)
        assert ((0 < pred.keypoint_scores) & (pred.keypoint_scores <= 1)).all()
        assert (
            sample.joint_groups == head.selector.joint_groups.numpy()).all()


def test_root_depth_is_solved_from_the_bone_unless_given(monkeypatch):
    """A frontal hand: the bone is 8 px long, 30 mm, f = 480 * 0.5."""
    head, feats, _, _, _, _ = known_case()
    uv = torch.rand(2, 21, 2) + 20
    uv[:, 10] = uv[:, 9] + torch.tensor([8., 0.])
    estimates = GroupEstimates(
        torch.full((2, 3, 21, 16, 16), 1 / 256), uv[:,
                                                    None].expand(2, 3, 21, 2),
        torch.zeros(2, 3, 21))
    monkeypatch.setattr(head, 'estimate', lambda _: estimates)
    camera = np.diag([240., 240., 1.])
    batch = [annotated(np.eye(3), camera, 30.) for _ in range(2)]
    for pred in head.predict(feats, batch):
        xyz = pred.keypoints_cam[0]
        assert np.linalg.norm(xyz[10] - xyz[9]) == pytest.approx(30, rel=1e-4)
        assert xyz[:, 2] == pytest.approx(240 * 30 / 8, rel=1e-4)
        assert pred.root_depth_status[0] in ('SOLVED', 'AMBIGUOUS')
    # a bone along the viewing ray tells no depth, which is not hidden
    uv[:, 10] = uv[:, 9]
    pred = head.predict(feats, batch)[0]
    assert pred.root_depth_status[0] == 'FORESHORTENED'
    batch = [annotated(np.eye(3), camera, 30., root_depth=600.)]
    pred = head.predict(feats, batch * 2, dict(root_depth='given'))[0]
    assert 'root_depth_status' not in pred


def test_without_a_camera_joints_are_relative_to_the_root_and_say_so():
    head, feats, warp, _, _, _ = known_case()
    batch = [annotated(warp, None, None) for _ in range(2)]
    for pred in head.predict(feats, batch):
        assert pred.frame[0] == 'root'
        assert pred.units[0] == 'reference bones'
        np.testing.assert_allclose(pred.keypoints_cam[0, 9], 0, atol=1e-9)


def test_given_root_depth_must_be_there():
    head, feats, warp, camera, _, _ = known_case()
    batch = [annotated(warp, camera, 30., img_path='a.jpg') for _ in range(2)]
    with pytest.raises(ValueError, match=r"a\.jpg lacks \['root_depth'\]"):
        head.predict(feats, batch, dict(root_depth='given'))
    with pytest.raises(ValueError, match='root_depth must be one of'):
        head.predict(feats, batch, dict(root_depth='guess'))


def test_flip_test_is_refused():
    head, feats = build(), features()
    with pytest.raises(ValueError, match='flip_test'):
        head.predict([feats, feats], samples())


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_joints_keep_their_precision_under_autocast(dtype):
    """bf16 has steps of a whole pixel beyond 128 px."""
    head, feats = build(), features()
    assignment = torch.rand(21, 3).softmax(-1)
    exact = head.estimate(feats)
    with torch.autocast('cpu', dtype):
        head.estimate = lambda _: exact
        uv, depth = head(feats, assignment)
    assert uv.dtype == depth.dtype == torch.float32
    expected = sum(exact.uv[:, g].double() * assignment[:, g, None]
                   for g in range(3))
    torch.testing.assert_close(uv.double(), expected, atol=1e-4, rtol=0)


# -- the side of the hand ----------------------------------------------------

SIDE_LOSS = dict(type='BCELoss', loss_weight=2.)


def sided_samples(right):
    out = samples(len(right))
    for sample, value in zip(out, right):
        sample.gt_instance_labels.side_labels = torch.tensor([value])
    return out


def test_the_side_is_learned_from_the_groups_features():
    head, feats = build(side_loss=SIDE_LOSS), features()
    losses = head.loss(feats, sided_samples([1., 0.]))
    right = head.estimate_joints(feats).side
    assert right.shape == (2, ) and ((right > 0) & (right < 1)).all()
    expected = -2 * (right[0].log() + (1 - right[1]).log()) / 2
    assert losses['loss_side'].item() == pytest.approx(expected.item(), 1e-4)
    accuracy = ((right[0] > .5).float() + (right[1] <= .5).float()) / 2
    assert losses['side_accuracy'] == accuracy
    losses['loss_side'].backward()
    assert all(p.grad.abs().sum() > 0 for p in head.side_layers.parameters())


def test_without_its_loss_there_is_no_side():
    head, feats = build(), features()
    assert 'loss_side' not in head.loss(feats, samples())
    assert head.estimate_joints(feats).side is None


def test_a_hand_of_unknown_side_teaches_nothing_of_sides():
    head, feats = build(side_loss=SIDE_LOSS), features()
    batch = sided_samples([1., 0.])
    del batch[1].gt_instance_labels.side_labels
    losses = head.loss(feats, batch)
    right = head.estimate_joints(feats).side
    assert losses['loss_side'].item() == pytest.approx(
        -2 * right[0].log().item(), 1e-4)
    assert losses['side_accuracy'] == (right[0] > .5).float()


def test_a_batch_of_unknown_sides_is_no_error():
    head, feats = build(side_loss=SIDE_LOSS, side_specific=True), features()
    losses = head.loss(feats, samples())
    assert losses['loss_side'] == 0 and losses['loss_uv'] > 0
    assert 'side_accuracy' not in losses
    # as several processes need it
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    assert all(p.grad is not None for p in head.side_layers.parameters())


# -- what hands can do -------------------------------------------------------


def placed(batch, **metainfo):
    """Samples of which it is known where they lie in their image."""
    for sample in batch:
        sample.set_metainfo(
            dict(
                dict(warp_mat=np.eye(3), ori_shape=(64, 64), flip=False),
                **metainfo))
    return batch


@pytest.mark.parametrize('side_loss', [None, SIDE_LOSS])
def test_limits_of_hands_need_no_depths(side_loss):
    head = build(
        side_loss=side_loss, biomechanics_loss=dict(type='BiomechanicsLoss'))
    batch = placed(samples(), hand_side='left')
    for sample in batch:
        sample.gt_instance_labels.depth_weights = torch.zeros(1, 21)
    losses = head.loss(features(), batch)
    assert losses['loss_biomechanics'] > 0
    losses['loss_biomechanics'].backward()
    assert head.depth_layers[-1].weight.grad.abs().sum() > 0


@pytest.mark.parametrize('side, flip, right', [
    ('right', False, True),
    ('left', True, True),
    ('left', False, False),
    ('right', True, False),
])
def test_limits_are_those_of_the_hand_in_the_input(side, flip, right):
    """Told by the data set where the network does not."""
    head, told = build(biomechanics_loss=dict(type='BiomechanicsLoss')), []

    def loss(uv, depth, right, skeleton, metas):
        told.extend(right.tolist())
        return uv.sum()

    head.biomechanics_loss.forward = loss
    head.loss(features(), placed(samples(), hand_side=side, flip=flip))
    assert told == [right, right]


def two_answers(head):
    """The same head with the answers of ``head`` for hands of both sides."""
    both = build(side_loss=SIDE_LOSS, side_specific=True)
    state = head.state_dict()
    for name in ('heatmap_layers.2', 'depth_layers.2'):
        for part in ('weight', 'bias'):
            value = state[f'{name}.{part}'].unflatten(0, (3, 1, 21))
            state[f'{name}.{part}'] = torch.cat([value, value],
                                                1).flatten(0, 2)
    both.load_state_dict(state)
    return both.eval()


def test_equal_answers_for_both_sides_are_one_answer():
    head, feats = build(side_loss=SIDE_LOSS).eval(), features()
    for expected, found in zip(head(feats), two_answers(head)(feats)):
        torch.testing.assert_close(found, expected)


def test_the_side_that_is_told_decides_which_answer_counts():
    head, feats = two_answers(build(side_loss=SIDE_LOSS)), features()
    right = head.estimate_joints(feats).side >= .5
    of_side = [head.estimate(feats, side).uv for side in (right, ~right)]
    torch.nn.init.normal_(head.heatmap_layers[2].weight, std=.5)
    told, other = (head.estimate(feats, side).uv for side in (right, ~right))
    assert not torch.allclose(told, other, atol=1)
    torch.testing.assert_close(*of_side)
    torch.testing.assert_close(head.estimate(feats).uv, told)


def test_only_the_answer_for_the_labels_side_learns():
    head, feats = two_answers(build(side_loss=SIDE_LOSS)), features()
    head.loss(feats, sided_samples([1., 1.]))['loss_uv'].backward()
    left, right = head.heatmap_layers[2].weight.grad.unflatten(
        0, (3, 2, 21)).abs().sum((0, 2, 3, 4, 5))
    assert left == 0 and right > 0


def test_two_answers_need_the_side():
    with pytest.raises(ValueError, match='side_specific needs a side_loss'):
        build(side_specific=True)


def test_the_side_is_told_of_the_original_image():
    head, feats = build(side_loss=SIDE_LOSS).eval(), features()
    right = head.estimate_joints(feats).side.detach().numpy()
    batch = [
        annotated(np.diag([-1. if flip else 1., 1, 1]), None, None, flip=flip)
        for flip in (False, True)
    ]
    told = [pred.right_scores for pred in head.predict(feats, batch)]
    np.testing.assert_allclose(told, [[right[0]], [1 - right[1]]], rtol=1e-6)
    assert 'right_scores' not in build().predict(feats, batch)[0]
