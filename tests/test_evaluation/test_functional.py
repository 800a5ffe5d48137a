from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from lgh_mmpose.evaluation import functional as F

DATA = Path(__file__).resolve().parents[1] / 'data'
MM = 1000.  # the reference figures are in metres


@pytest.fixture(scope='module')
def ref():
    with np.load(DATA / 'parity_metrics.npz') as archive:
        return dict(archive)


def close(actual, desired):
    np.testing.assert_allclose(actual, desired, rtol=0, atol=1e-6)


def check_report(ref, name, errors, unit=1.):
    """Mean, median, PCK curve and areas of one official evaluator."""
    thresholds = ref[f'{name}_thresholds'] * unit
    close(F.epe(errors) / unit, ref[f'{name}_mean'])
    close(F.epe(errors, 'median') / unit, ref[f'{name}_median'])
    curve = F.pck_curve(errors, thresholds)
    close(curve, ref[f'{name}_pck'])
    close(F.auc(curve, thresholds), ref[f'{name}_auc'])
    if f'{name}_auc20_50' in ref:
        close(F.auc(curve[8:], thresholds[8:]), ref[f'{name}_auc20_50'])


# ---- parity with the official score scripts


def test_learnable_groups_rhd_3d(ref):
    errors = F.keypoint_errors(ref['pred'] * MM, ref['gt'] * MM)
    check_report(ref, 'lg3d', errors, MM)
    protocol = F.PROTOCOLS['rhd']
    thresholds = protocol.threshold_values()
    close(thresholds, ref['lg3d_thresholds'] * MM)
    start = protocol.auc_starts['AUC_20-50']
    assert len(thresholds) - start == ref['lg3d_auc20_50_steps']
    close(thresholds[start], ref['lg3d_auc20_50_first_threshold_mm'])
    curve = F.pck_curve(errors, thresholds)
    reported = [
        F.epe(errors),
        F.epe(errors, 'median'),
        F.auc(curve, thresholds),
        F.auc(curve[start:], thresholds[start:])
    ]
    close(np.round(reported, 4), ref['lg3d_reported'])


def test_learnable_groups_rhd_2d(ref):
    scale = ref['in2d_crop_scale'][:, None, None]
    errors = F.keypoint_errors(ref['in2d_uv_pred_crop'] / scale,
                               ref['in2d_uv_gt_crop'] / scale)
    check_report(ref, 'lg2d', errors)


def test_freihand_raw(ref):
    errors = F.keypoint_errors(ref['pred'] * MM, ref['gt'] * MM)
    check_report(ref, 'fh', errors, MM)
    close(F.epe(errors) / 10, ref['fh_mean_cm'])
    close(F.PROTOCOLS['freihand'].threshold_values(),
          ref['fh_thresholds'] * MM)


def test_freihand_aligned(ref):
    gt = ref['gt'] * MM
    pred = F.procrustes_align(ref['pred'] * MM, gt, allow_reflection=True)
    close(pred / MM, ref['fh_aligned_pred'])
    errors = F.keypoint_errors(pred, gt)
    check_report(ref, 'fh_al', errors, MM)
    close(F.epe(errors) / 10, ref['fh_al_mean_cm'])


def test_freihand_alignment_is_the_official_transformation(ref):
    gt, pred = ref['gt'] * MM, ref['pred'] * MM
    # the official factors: centre, normalise, rotate, scale, move
    centred = ref['pred'] - ref['pred'].mean(axis=1, keepdims=True)
    centred /= np.linalg.norm(centred, axis=(1, 2), keepdims=True)
    official = np.einsum('nki,nji->nkj', centred, ref['fh_trafo_R'])
    official *= (ref['fh_trafo_s'] * ref['fh_trafo_s1'])[:, None, None]
    official += ref['gt'].mean(axis=1, keepdims=True)
    close(F.align(pred, gt, 'freihand') / MM, official)


def test_freihand_scores_a_mirrored_prediction_equal(ref):
    gt, mirrored = ref['gt'] * MM, ref['pred'] * MM * [-1, 1, 1]
    errors = F.keypoint_errors(F.align(mirrored, gt, 'freihand'), gt)
    close(F.epe(errors) / 10, ref['fh_al_mirrored_mean_cm'])
    # ... which is what the proper alignment must not do
    proper = F.keypoint_errors(F.align(mirrored, gt, 'procrustes'), gt)
    assert F.mpjpe(proper) > F.mpjpe(errors) + 5


@pytest.mark.parametrize('name', ['fh', 'fh_al'])
def test_freihand_f_score(ref, name):
    pred = ref['pred'] if name == 'fh' else ref['fh_aligned_pred']
    scores = F.f_score(pred * MM, ref['gt'] * MM, [5, 15])
    for i, threshold in enumerate((5, 15)):
        score, precision, recall = (x[:, i] for x in scores)
        close(score, ref[f'{name}_fscore_{threshold}mm'])
        close(score.mean(), ref[f'{name}_fscore_{threshold}mm_mean'])
        # the official names of the two are swapped
        close(
            np.stack([recall, precision], 1),
            ref[f'{name}_prec_rec_{threshold}mm'])


@pytest.mark.parametrize('name, vis',
                         [('h3d_vis', 'vis'),
                          ('h3d_vis_joint20_never', 'vis_joint20_never')])
def test_hand3d_with_visibility(ref, name, vis):
    errors = F.keypoint_errors(ref['pred'] * MM, ref['gt'] * MM, ref[vis])
    check_report(ref, name, errors, MM)


def test_hand3d_root_relative(ref):
    gt = ref['gt'] * MM
    errors = F.keypoint_errors(F.root_align(ref['pred'] * MM, gt, 0), gt)
    check_report(ref, 'h3d_allvis_rootrel', errors, MM)


# ---- known answers


def test_errors_are_distances():
    pred = np.zeros((1, 2, 3))
    gt = np.array([[[3., 4., 0.], [0., 0., 2.]]])
    close(F.keypoint_errors(pred, gt), [[5., 2.]])


def test_joints_count_alike_however_often_they_are_seen():
    errors = np.array([[1., 10.], [3., np.nan], [8., np.nan]])
    close(F.joint_epe(errors), [4., 10.])
    close(F.epe(errors), 7.)
    close(F.epe(errors, 'median'), 6.5)
    close(F.mpjpe(errors), 5.5)


def test_pck_counts_the_threshold_itself():
    errors = np.array([[0.], [10.], [20.], [30.]])
    close(F.pck_curve(errors, [0, 9.99, 10, 30]), [.25, .25, .5, 1.])


def test_joint_without_samples_is_left_out():
    errors = np.array([[1., np.nan], [3., np.nan]])
    assert np.isnan(F.joint_epe(errors)[1])
    assert np.isnan(F.joint_pck(errors, [2])[1]).all()
    close(F.pck_curve(errors, [2]), [.5])
    close(F.epe(errors), 2.)


def test_auc_of_known_curves():
    close(F.auc([1, 1, 1], [0, 1, 50]), 1.)
    close(F.auc([0, 1], [20, 50]), .5)
    close(F.auc([0, 0, 1], [0, 30, 40]), .125)


def test_prediction_without_extent_becomes_the_centre(ref):
    gt = ref['gt'][:2] * MM
    aligned = F.procrustes_align(np.ones_like(gt), gt)
    close(aligned, np.broadcast_to(gt.mean(1, keepdims=True), gt.shape))


def test_masked_joints_do_not_steer_the_alignment(ref):
    gt, pred = ref['gt'][:5] * MM, ref['pred'][:5] * MM
    mask = np.ones(gt.shape[:2], bool)
    mask[:, 20] = False
    spoiled = gt.copy()
    spoiled[:, 20] = np.nan
    close(
        F.procrustes_align(pred, spoiled, mask)[:, :20],
        F.procrustes_align(pred[:, :20], gt[:, :20]))


# ---- invariants

hands = arrays(np.float64, (2, 21, 3), elements=st.floats(-100, 100, width=32))
shifts = arrays(np.float64, 3, elements=st.floats(-500, 500))
seeds = st.integers(0, 2**32 - 1)


@st.composite
def pairs(draw):
    """Ground truth and prediction of hand size, in general position."""
    rng = np.random.default_rng(draw(seeds))
    gt = rng.normal(0, 40, (3, 21, 3))
    return gt, gt + rng.normal(0, draw(st.floats(.1, 60)), gt.shape)


@settings(deadline=None, max_examples=50)
@given(pairs(), seeds, st.floats(.2, 5), shifts)
def test_procrustes_ignores_similarities(pair, seed, scale, shift):
    gt, pred = pair
    rotation = Rotation.random(random_state=seed).as_matrix()
    moved = scale * pred @ rotation.T + shift
    # looser than rounding: FreiHAND's 1e-8 m in the norm is not scale free
    np.testing.assert_allclose(
        F.procrustes_align(moved, gt), F.procrustes_align(pred, gt), atol=1e-3)


@settings(deadline=None, max_examples=50)
@given(pairs(), seeds)
def test_procrustes_is_the_best_similarity(pair, seed):
    gt, pred = pair
    rng = np.random.default_rng(seed)
    best = ((F.procrustes_align(pred, gt) - gt)**2).sum(axis=(1, 2))
    rotation = Rotation.random(random_state=seed).as_matrix()
    for candidate in (pred, pred + rng.normal(0, 20, 3),
                      rng.uniform(.5, 2) * pred @ rotation.T,
                      F.root_align(pred, gt, 9)):
        assert (best <= ((candidate - gt)**2).sum(axis=(1, 2)) + 1e-3).all()


@settings(deadline=None, max_examples=50)
@given(pairs())
def test_reflections_can_only_help(pair):
    gt, pred = pair
    proper, official = (((F.align(pred, gt, name) - gt)**2).sum(axis=(1, 2))
                        for name in ('procrustes', 'freihand'))
    assert (official <= proper + 1e-6).all()


@settings(deadline=None, max_examples=50)
@given(pairs(), st.sampled_from([[-1, 1, 1], [1, -1, 1], [-1, -1, -1]]))
def test_freihand_alignment_ignores_mirroring(pair, mirror):
    gt, pred = pair
    np.testing.assert_allclose(
        F.align(pred * mirror, gt, 'freihand'),
        F.align(pred, gt, 'freihand'),
        atol=1e-6)


@settings(deadline=None, max_examples=50)
@given(hands, hands, shifts, st.integers(0, 20))
def test_root_alignment_ignores_translation(pred, gt, shift, root):
    aligned = F.root_align(pred + shift, gt, root)
    np.testing.assert_allclose(
        aligned, F.root_align(pred, gt, root), atol=1e-9)
    np.testing.assert_allclose(aligned[:, root], gt[:, root], atol=1e-9)


@settings(deadline=None, max_examples=50)
@given(
    arrays(np.float64, (5, 4), elements=st.floats(0, 100)),
    arrays(np.float64, (5, 4), elements=st.floats(0, 100)))
def test_larger_errors_never_raise_the_curve(errors, extra):
    thresholds = np.linspace(0, 50, 20)
    small, large = (
        F.pck_curve(e, thresholds) for e in (errors, errors + extra))
    assert (large <= small + 1e-12).all()
    assert (np.diff(small) >= 0).all()
    assert 0 <= F.auc(large, thresholds) <= F.auc(small, thresholds) + 1e-12


@settings(deadline=None, max_examples=30)
@given(hands, st.floats(.1, 50))
def test_f_score_of_a_hand_with_itself_is_one(hand, threshold):
    close(np.stack(F.f_score(hand, hand, [threshold])), 1.)


# ---- bad input


@pytest.mark.parametrize('which', ['prediction', 'ground truth'])
@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_values_that_are_not_finite_are_named(which, value):
    points = dict(prediction=np.zeros((4, 21, 3)))
    points['ground truth'] = points['prediction'].copy()
    points[which][2, 7, 1] = value
    with pytest.raises(ValueError, match=f'{which} of sample 2, joint 7'):
        F.keypoint_errors(points['prediction'], points['ground truth'])
    with pytest.raises(ValueError, match='sample 2, joint 7'):
        F.procrustes_align(points['prediction'], points['ground truth'])
    mask = np.ones((4, 21), bool)
    mask[2, 7] = False
    errors = F.keypoint_errors(points['prediction'], points['ground truth'],
                               mask)
    assert np.isnan(errors[2, 7]) and np.isfinite(errors[mask]).all()


def test_shapes_must_fit():
    with pytest.raises(ValueError, match=r'\(4, 21, 3\) and \(4, 20, 3\)'):
        F.keypoint_errors(np.zeros((4, 21, 3)), np.zeros((4, 20, 3)))
    with pytest.raises(ValueError, match=r'mask must have shape \(4, 21\)'):
        F.keypoint_errors(
            np.zeros((4, 21, 3)), np.zeros((4, 21, 3)), np.ones((4, 20)))
    with pytest.raises(ValueError, match='point sets must have shapes'):
        F.f_score(np.zeros((4, 21, 3)), np.zeros((3, 21, 3)), [5])
    with pytest.raises(ValueError, match='sample 1, point 4 is not finite'):
        bad = np.zeros((2, 5, 3))
        bad[1, 4, 0] = np.nan
        F.f_score(np.zeros((2, 5, 3)), bad, [5])


def test_nothing_to_score_is_an_error():
    for errors in (np.zeros((0, 21)), np.full((3, 21), np.nan)):
        for score in (F.epe, F.mpjpe, lambda e: F.pck_curve(e, [1, 2])):
            with pytest.raises(ValueError, match='nothing to score'):
                score(errors)


def test_unknown_names_are_refused():
    points = np.zeros((1, 21, 3))
    with pytest.raises(ValueError, match="got 'affine'"):
        F.align(points, points, 'affine')
    with pytest.raises(ValueError, match='needs root_index'):
        F.align(points, points, 'root')
    with pytest.raises(ValueError, match="got 'mode'"):
        F.epe(np.zeros((1, 21)), 'mode')


@pytest.mark.parametrize('curve, thresholds', [([1], [0]), ([1, 1], [0]),
                                               ([0, 1], [5, 5]),
                                               ([0, 1], [5, 4])])
def test_areas_need_increasing_thresholds(curve, thresholds):
    with pytest.raises(ValueError, match='thresholds'):
        F.auc(curve, thresholds)
