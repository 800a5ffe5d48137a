import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import METRICS
from mmpose.structures import PoseDataSample

from lgh_mmpose.datasets import FreiHand3DDataset
from lgh_mmpose.evaluation import HandKeypoint3DMetric
from lgh_mmpose.evaluation import functional as F

DATA = Path(__file__).resolve().parents[1] / 'data'
META = parse_pose_metainfo(
    dict(from_file='configs/_base_/datasets/freihand2d.py'))
NAMES = [META['keypoint_id2name'][i] for i in range(21)]
# the reference hands are in RHD's joint order
FROM_RHD = [
    0, 4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16, 15, 14, 13, 20, 19, 18, 17
]


@pytest.fixture(scope='module')
def ref():
    with np.load(DATA / 'parity_metrics.npz') as archive:
        return dict(archive)


@pytest.fixture(scope='module')
def hands(ref):
    """Predicted and true joints in mm, (N, 21, 3) each."""
    return ref['pred'][:, FROM_RHD] * 1000, ref['gt'][:, FROM_RHD] * 1000


def make_sample(index, pred, gt, visible=None, **fields):
    sample = PoseDataSample(
        metainfo=dict(id=index, img_path=f'images/{index:08d}.jpg'))
    keypoints = np.zeros((1, len(gt), 2))
    visible = np.ones(len(gt)) if visible is None else visible
    sample.gt_instances = InstanceData(
        keypoints=keypoints,
        keypoints_cam=gt[None].copy(),
        keypoints_visible=np.asarray(visible, np.float32)[None])
    sample.pred_instances = InstanceData(
        keypoints=keypoints + [3., 4.],
        keypoints_cam=pred[None].copy(),
        **fields)
    return sample


def make_metric(**kwargs):
    metric = HandKeypoint3DMetric(**kwargs)
    metric.dataset_meta = META
    return metric


def score(samples, metric=None, **kwargs):
    metric = metric or make_metric(**kwargs)
    for start in range(0, len(samples), 7):  # the last batch is smaller
        metric.process(None, [s.to_dict() for s in samples[start:start + 7]])
    return metric.evaluate(len(samples))


@pytest.mark.parametrize('scale', [1e10, 1e40, 1e80])
def test_predictions_of_a_lost_network_have_scores(hands, scale):
    """Of depths as large as float32 holds them."""
    pred, gt = hands
    scores = score([
        make_sample(i, pred[i] * scale, gt[i]) for i in range(4)
    ], align=('none', 'root', 'procrustes'))  # yapf: disable
    assert np.isfinite(list(scores.values())).all()
    assert scores['hand/EPE'] > scale and scores['hand/PA-MPJPE'] < 100


def check_official(ref, name, scores, dump, alignment='none', prefix=''):
    """Mean, median, areas and PCK curve of one official evaluator."""
    expected = {
        f'{prefix}EPE': ref[f'{name}_mean'] * 1000,
        f'{prefix}EPE_median': ref[f'{name}_median'] * 1000,
        f'{prefix}AUC_0-50': ref[f'{name}_auc'],
    }
    if f'{name}_auc20_50' in ref:
        expected[f'{prefix}AUC_20-50'] = ref[f'{name}_auc20_50']
    for key, value in expected.items():
        assert scores[f'hand/{key}'] == pytest.approx(value, abs=1e-6), key
    np.testing.assert_allclose(
        dump[f'pck_{alignment}'], ref[f'{name}_pck'], atol=1e-6)
    np.testing.assert_allclose(
        dump['thresholds'], ref[f'{name}_thresholds'] * 1000, atol=1e-9)


@pytest.fixture
def official(samples, tmp_path):
    """Scores and dump by a protocol."""

    def run(samples=samples, **kwargs):
        path = tmp_path / 'dump.npz'
        scores = score(samples, dump_file=str(path), **kwargs)
        with np.load(path) as archive:
            return scores, dict(archive)

    return run


@pytest.fixture
def samples(hands):
    return [make_sample(i, p, g) for i, (p, g) in enumerate(zip(*hands))]


def test_rhd_protocol_gives_the_official_figures(official, ref):
    scores, dump = official(protocol='rhd')
    check_official(ref, 'lg3d', scores, dump)
    reported = [
        scores[f'hand/{name}']
        for name in ('EPE', 'EPE_median', 'AUC_0-50', 'AUC_20-50')
    ]
    np.testing.assert_allclose(
        np.round(reported, 4), ref['lg3d_reported'], atol=1e-9)
    assert dump['protocol'] == 'rhd'


def test_rhd_protocol_scores_all_joints_seen_or_not(hands, ref, official):
    samples = [
        make_sample(i, p, g, ref['vis'][i])
        for i, (p, g) in enumerate(zip(*hands))
    ]
    check_official(ref, 'lg3d', *official(samples, protocol='rhd'))


def test_rhd_protocol_in_pixels_of_the_original_image(samples, ref, official):
    scale = ref['in2d_crop_scale'][:, None, None]
    for name, part in (('gt', 'gt_instances'), ('pred', 'pred_instances')):
        uv = ref[f'in2d_uv_{name}_crop'] / scale
        for sample, points in zip(samples, uv[:, FROM_RHD]):
            sample.get(part).keypoints = points[None]
    scores, dump = official(protocol='rhd')
    for key, name in (('EPE_2d_px', 'mean'), ('EPE_2d_px_median', 'median'),
                      ('AUC_2d_0-30', 'auc')):
        assert scores[f'hand/{key}'] == pytest.approx(
            ref[f'lg2d_{name}'], abs=1e-6)
    np.testing.assert_allclose(dump['pck_2d'], ref['lg2d_pck'], atol=1e-6)
    np.testing.assert_allclose(dump['thresholds_2d'], ref['lg2d_thresholds'])


def test_stb_protocol_gives_the_official_figures(official, ref):
    scores, dump = official(protocol='stb')
    check_official(ref, 'h3d_allvis_rootrel', scores, dump, 'root', 'root-')
    # every joint is seen equally often
    assert scores['hand/MPJPE'] == pytest.approx(scores['hand/root-EPE'])
    assert dump['root_joint'] == 'wrist'


@pytest.mark.parametrize('name', ['vis', 'vis_joint20_never'])
def test_stb_protocol_heeds_visibility(hands, ref, name, official):
    samples = [
        make_sample(i, p, g, ref[name][i, FROM_RHD])
        for i, (p, g) in enumerate(zip(*hands))
    ]
    scores, dump = official(samples, protocol='stb', align='none')
    check_official(ref, f'h3d_{name}', scores, dump)


def test_freihand_protocol_gives_the_official_figures(official, ref):
    scores, dump = official(protocol='freihand')
    check_official(ref, 'fh', scores, dump)
    check_official(ref, 'fh_al', scores, dump, 'freihand', 'aligned-')
    errors = np.linalg.norm(ref['fh_aligned_pred'] - ref['gt'], axis=-1)
    np.testing.assert_allclose(
        dump['errors_freihand'], errors[:, FROM_RHD] * 1000, atol=1e-6)


TIPS = [4, 8, 12, 16, 20]


def make_dexter_samples(hands, missing):
    """The finger tips alone; ``missing`` (N, 5) tells those without truth."""
    samples = []
    for i, (pred, gt) in enumerate(zip(*hands)):
        visible = np.zeros(21)
        visible[TIPS] = ~missing[i]
        gt = np.where(visible[:, None] > 0, gt, np.nan)
        samples.append(make_sample(i, pred, gt, visible))
    return samples


def test_dexter_protocol_scores_the_tips_that_are_annotated(hands, official):
    missing = np.random.default_rng(0).random((len(hands[0]), 5)) < .3
    missing[3] = True  # a frame without any
    scores, dump = official(
        make_dexter_samples(hands, missing), protocol='dexter')
    errors = np.linalg.norm(hands[0] - hands[1], axis=-1)[:, TIPS]
    tips = [errors[~missing[:, k], k] for k in range(5)]
    assert scores['hand/EPE'] == pytest.approx(
        np.mean([e.mean() for e in tips]))
    thresholds = np.linspace(0, 100, 20)
    curve = np.mean([[(e <= t).mean() for t in thresholds] for e in tips], 0)
    np.testing.assert_allclose(dump['pck_none'], curve)
    assert scores['hand/AUC_0-100'] == pytest.approx(F.auc(curve, thresholds))


def test_dexter_protocol_leaves_out_a_tip_without_any_sample(hands, official):
    missing = np.zeros((len(hands[0]), 5), bool)
    missing[:, 2] = True
    scores, _ = official(
        make_dexter_samples(hands, missing), protocol='dexter', per_joint=True)
    errors = np.linalg.norm(hands[0] - hands[1], axis=-1)
    seen = [t for t in TIPS if t != TIPS[2]]
    assert scores['hand/EPE'] == pytest.approx(errors[:, seen].mean())
    assert {k
            for k in scores
            if '/EPE/' in k} == {f'hand/EPE/{NAMES[t]}'
                                 for t in seen}


def test_dexter_protocol_scores_tips_of_whole_hands(samples, hands):
    errors = np.linalg.norm(hands[0] - hands[1], axis=-1)
    assert score(
        samples,
        protocol='dexter')['hand/EPE'] == pytest.approx(errors[:, TIPS].mean())


def test_dexter_protocol_needs_tips(samples):
    metric = HandKeypoint3DMetric(protocol='dexter')
    metric.dataset_meta = dict(
        keypoint_id2name={i: f'joint{i}'
                          for i in range(21)})
    with pytest.raises(ValueError, match="'thumb4'.*which the data set does"):
        score(samples, metric)


def test_general_scores_are_those_of_the_functions(samples, hands):
    pred, gt = hands
    scores = score(samples)
    thresholds = np.linspace(0, 50, 101)
    for alignment, mean, prefix in (('none', 'EPE', ''), ('root', 'MPJPE',
                                                          'root-'),
                                    ('procrustes', 'PA-MPJPE', 'PA-')):
        errors = F.keypoint_errors(
            F.align(pred, gt, alignment, root_index=9), gt)
        curve = F.pck_curve(errors, thresholds)
        assert scores[f'hand/{mean}'] == pytest.approx(errors.mean())
        assert scores[f'hand/{prefix}EPE'] == pytest.approx(errors.mean())
        assert scores[f'hand/{prefix}AUC_0-50'] == pytest.approx(
            F.auc(curve, thresholds))
        late = thresholds >= 20
        assert scores[f'hand/{prefix}AUC_20-50'] == pytest.approx(
            F.auc(curve[late], thresholds[late]))
        assert scores[f'hand/{prefix}EPE_median'] == pytest.approx(
            np.median(errors, axis=0).mean())


def test_perfect_predictions(hands):
    gt = hands[1][:10]
    scores = score([make_sample(i, g, g) for i, g in enumerate(gt)])
    assert scores['hand/EPE'] == 0
    assert scores['hand/MPJPE'] < 1e-12
    assert scores['hand/PA-MPJPE'] < 1e-4
    assert scores['hand/AUC_0-50'] == scores['hand/PA-AUC_20-50'] == 1


def test_tensors_score_as_arrays_do(samples):
    expected = score(samples)
    for sample in samples:
        for part in (sample.pred_instances, sample.gt_instances):
            for key, value in part.items():
                part.set_field(torch.from_numpy(np.asarray(value)), key)
    assert score(samples) == pytest.approx(expected, rel=1e-6)


def test_root_joint_is_chosen_by_name(samples, hands):
    pred, gt = hands
    errors = F.keypoint_errors(F.root_align(pred, gt, 0), gt)
    scores = score(samples, align='root', root_joint='wrist')
    assert scores['hand/MPJPE'] == pytest.approx(errors.mean())
    assert 'hand/EPE' not in scores and 'hand/PA-MPJPE' not in scores


def test_per_joint_errors_carry_joint_names(samples, hands):
    scores = score(samples, align='none', per_joint=True, prefix='x')
    errors = F.keypoint_errors(*hands)
    for joint, name in enumerate(NAMES):
        assert scores[f'x/EPE/{name}'] == pytest.approx(errors[:,
                                                               joint].mean())


def test_joints_without_annotation_are_left_out(hands, ref):
    visible = ref['vis_joint20_never'][:, FROM_RHD]
    unseen = NAMES[FROM_RHD.index(20)]
    samples = []
    for i, (pred, gt) in enumerate(zip(*hands)):
        gt = np.where(visible[i, :, None] > 0, gt, np.nan)
        samples.append(make_sample(i, pred, gt, visible[i]))
    scores = score(samples, align='none', per_joint=True)
    name = 'h3d_vis_joint20_never'
    assert scores['hand/EPE'] == pytest.approx(
        ref[f'{name}_mean'] * 1000, abs=1e-6)
    assert scores['hand/EPE_median'] == pytest.approx(
        ref[f'{name}_median'] * 1000, abs=1e-6)
    assert f'hand/EPE/{unseen}' not in scores
    assert sum('hand/EPE/' in key for key in scores) == 20


def test_predictions_without_a_unit_get_scale_free_scores_only(hands):
    """A camera, but no bone length."""
    pred, gt = (x[:5] for x in hands)
    frame = dict(
        frame=np.array(['camera']), units=np.array(['reference bones']))
    samples = [
        make_sample(i, p / 30, g, **frame)
        for i, (p, g) in enumerate(zip(pred, gt))
    ]
    with pytest.raises(ValueError, match='reference bones'):
        score(samples, align='root')
    expected = score(
        [make_sample(i, p, g) for i, (p, g) in enumerate(zip(pred, gt))],
        align='procrustes')
    assert score(
        samples, align='procrustes')['hand/PA-MPJPE'] == pytest.approx(
            expected['hand/PA-MPJPE'], abs=1e-3)


def test_root_relative_predictions_get_aligned_scores_only(hands):
    pred, gt = (x[:5] for x in hands)
    relative = pred - pred[:, 9:10]
    frame = dict(frame=np.array(['root']), units=np.array(['mm']))
    samples = [
        make_sample(i, p, g, **frame)
        for i, (p, g) in enumerate(zip(relative, gt))
    ]
    with pytest.raises(ValueError, match=r"root frame.*align=\['none'\]"):
        score(samples)
    scores = score(samples, align=['root', 'procrustes'])
    expected = score(
        [make_sample(i, p, g) for i, (p, g) in enumerate(zip(pred, gt))],
        align=['root', 'procrustes'])
    assert scores == pytest.approx(expected)

    frame['units'] = np.array(['reference bones'])
    samples = [
        make_sample(i, p / 30, g, **frame)
        for i, (p, g) in enumerate(zip(relative, gt))
    ]
    with pytest.raises(ValueError, match='reference bones'):
        score(samples, align='root')
    assert score(
        samples, align='procrustes')['hand/PA-MPJPE'] == pytest.approx(
            expected['hand/PA-MPJPE'], abs=1e-3)


def test_2d_alone(samples):
    for sample in samples:
        del sample.gt_instances.keypoints_cam
        del sample.pred_instances.keypoints_cam
    assert score(samples, align=[]) == {'hand/EPE_2d_px': pytest.approx(5)}


def test_kept_results_are_small_and_picklable(samples):
    metric = make_metric()
    metric.process(None, [samples[0].to_dict()])
    assert len(pickle.dumps(metric.results)) < 4096


def test_built_from_a_config_in_mmengines_evaluator(samples):
    evaluator = Evaluator(
        METRICS.build(dict(type='HandKeypoint3DMetric', protocol='rhd')))
    evaluator.dataset_meta = META
    evaluator.process(samples)
    assert evaluator.evaluate(len(samples)) == score(samples, protocol='rhd')


def test_dump(samples, hands, tmp_path):
    path = tmp_path / 'new' / 'predictions.npz'
    scores = score(samples, dump_file=str(path))
    with np.load(path) as archive:  # refuses pickled objects by default
        dump = dict(archive)
    np.testing.assert_array_equal(dump['pred_keypoints_cam'], hands[0])
    np.testing.assert_array_equal(dump['gt_keypoints_cam'], hands[1])
    assert dump['img_path'][3] == 'images/00000003.jpg'
    assert dump['id'].tolist() == list(range(len(samples)))
    assert dump['joint_names'].tolist() == NAMES
    for alignment, mean in (('none', 'EPE'), ('root', 'MPJPE'), ('procrustes',
                                                                 'PA-MPJPE')):
        assert dump[f'errors_{alignment}'].mean() == pytest.approx(
            scores[f'hand/{mean}'])
    curve = dump['pck_none']
    assert F.auc(curve,
                 dump['thresholds']) == pytest.approx(scores['hand/AUC_0-50'])
    assert [p.name for p in path.parent.iterdir()] == ['predictions.npz']


# ---- several processes


def _score_on(rank, world, store, out, hands):
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{store}', rank=rank, world_size=world)
    # 9 samples on 2 ranks: the sampler pads the last with sample 0
    indices = [i % 9 for i in range(rank, 10, world)]
    metric = make_metric(dump_file=str(out / f'{rank}.npz'))
    metric.process(
        None,
        [make_sample(i, hands[0][i], hands[1][i]).to_dict() for i in indices])
    scores = metric.evaluate(9)
    (out / f'{rank}.pkl').write_bytes(pickle.dumps(scores))
    torch.distributed.destroy_process_group()


def test_two_processes_give_the_scores_of_one(hands, tmp_path):
    hands = tuple(x[:9] for x in hands)
    expected = score(
        [make_sample(i, p, g) for i, (p, g) in enumerate(zip(*hands))])
    # forked: importing the stack anew would take longer than all the rest
    mp.start_processes(
        _score_on, (2, tmp_path / 'store', tmp_path, hands),
        nprocs=2,
        start_method='fork')
    for rank in range(2):
        scores = pickle.loads((tmp_path / f'{rank}.pkl').read_bytes())
        assert scores == expected
    with np.load(tmp_path / '0.npz') as dump:
        assert dump['id'].tolist() == list(range(9))
    assert not (tmp_path / '1.npz').exists()


# ---- bad input


@pytest.mark.parametrize('side, part', [('prediction', 'pred_instances'),
                                        ('ground truth', 'gt_instances')])
@pytest.mark.parametrize('key', ['keypoints', 'keypoints_cam'])
def test_missing_field_is_named(samples, side, part, key):
    delattr(getattr(samples[2], part), key)
    with pytest.raises(
            ValueError,
            match=rf'{side} of sample 2 \(.*00000002.jpg\) .*{key}:'):
        score(samples)


@pytest.mark.parametrize('part', ['pred', 'gt'])
def test_nan_is_named(samples, part):
    getattr(samples[4], f'{part}_instances').keypoints_cam[0, 8, 1] = np.nan
    with pytest.raises(
            ValueError,
            match=f'{part} keypoints_cam of sample 4 .*joint forefinger4'):
        score(samples)


def test_wrong_shapes_are_named(hands):
    pred, gt = (x[0] for x in hands)
    with pytest.raises(ValueError, match=r'sample 0 .*\(1, 21, 3\)'):
        score([make_sample(0, pred[:20], gt)])
    with pytest.raises(ValueError, match='must hold one hand'):
        sample = make_sample(0, pred, gt).to_dict()
        for part in ('pred_instances', 'gt_instances'):
            sample[part] = {
                key: np.concatenate([value, value])
                for key, value in sample[part].items()
            }
        make_metric().process(None, [sample])


def test_root_without_annotation_cannot_be_aligned(hands):
    visible = np.ones(21)
    visible[9] = 0
    sample = make_sample(6, hands[0][6], hands[1][6], visible)
    with pytest.raises(ValueError, match='sample 6 .*middle_finger1 is not'):
        score([sample])
    assert 'hand/EPE' in score([sample], align='none')


@pytest.mark.parametrize('kwargs, message', [
    (dict(protocol='mpii'), "protocol must be one of .*'mpii'"),
    (dict(align=['none', 'affine']), r"got \['affine'\]"),
    (dict(dump_file='predictions.pkl'), 'must end with .npz'),
])
def test_unknown_arguments_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        HandKeypoint3DMetric(**kwargs)


def test_unknown_root_joint_lists_the_joints(samples):
    with pytest.raises(ValueError, match="'palm' is not .*'wrist', 'thumb1'"):
        score(samples, root_joint='palm')


def test_metainfo_of_another_hand_is_refused(samples):
    metric = HandKeypoint3DMetric()
    with pytest.raises(
            ValueError, match='21 joints, but dataset_meta names 0'):
        score(samples, metric)


@pytest.mark.parametrize('change, message', [
    (lambda names: [names[0], *names[4:0:-1], *names[5:]],
     'joint 1 of the prediction of sample 2 .*is thumb4, but thumb1'),
    (lambda names: names[:-1], 'joint 20 .*is absent, but pinky_finger4'),
    (lambda names: [*names, 'palm'], 'joint 21 .*is palm, but absent'),
])
def test_joints_of_the_prediction_must_be_the_data_sets(
        samples, change, message):
    samples[2].set_metainfo(dict(keypoint_names=NAMES))
    score(samples)
    samples[2].set_metainfo(dict(keypoint_names=change(NAMES)))
    with pytest.raises(ValueError, match=message):
        score(samples)


def test_metainfo_is_needed_for_names_only(samples):
    expected = score(samples, protocol='rhd')
    metric = HandKeypoint3DMetric(protocol='rhd')
    assert score(samples, metric) == expected


def test_no_samples_is_an_error():
    with pytest.raises(ValueError, match='no sample to score'):
        make_metric().evaluate(0)


def test_hands_placed_by_weak_perspective_are_counted(hands, tmp_path):
    pred, gt = hands
    status = ['SOLVED', 'IMPLAUSIBLE', 'AMBIGUOUS', 'FORESHORTENED']
    dump = tmp_path / 'dump.npz'
    metric = make_metric(dump_file=str(dump))
    for i, name in enumerate(status):
        metric.process(None, [
            make_sample(i, pred[i], gt[i], root_depth_status=np.array(
                [name])).to_dict()
        ])
    told = []
    metric_module = sys.modules[HandKeypoint3DMetric.__module__]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metric_module, 'print_log',
                      lambda text, *_: told.append(text))
        metric.compute_metrics(metric.results)
    assert told[0].startswith('the root depth of 2 of 4 samples')
    assert told[0].endswith('1 FORESHORTENED, 1 IMPLAUSIBLE')
    with np.load(dump) as arrays:
        assert arrays['root_depth_status'].tolist() == status


def test_sides_that_a_network_tells_are_counted(hands):
    pred, gt = hands
    told = [('right', .9), ('right', .4), ('left', .1), ('left', .2)]
    some = []
    for i, (side, right) in enumerate(told):
        sample = make_sample(i, pred[i], gt[i], right_scores=np.array([right]))
        sample.set_metainfo(dict(hand_side=side))
        some.append(sample)
    assert score(some)['hand/side_accuracy'] == .75
    assert 'hand/side_accuracy' not in score(
        [make_sample(i, pred[i], gt[i]) for i in range(4)])


def test_hands_that_are_none_are_told(studiohand_root, hands):
    """Rendered hands are hands; the same seen as of the other side are not,
    nor are hands with a finger of twice its length."""
    dataset = FreiHand3DDataset(str(studiohand_root), split='training')
    joints = dataset.annotations.keypoints_cam

    def shares(joints, side='right', mirrors=False):
        camera = np.diag([-1. if mirrors else 1., 1., 1.])
        some = [make_sample(i, hand, hand) for i, hand in enumerate(joints)]
        for sample in some:
            sample.set_metainfo(dict(hand_side=side, camera_matrix=camera))
        scores = score(some, limits=True)
        return {
            name[len('hand/beyond_'):]: value
            for name, value in scores.items() if 'beyond' in name
        }

    real = shares(joints)
    assert set(real) == {'limits', 'lengths', 'palm', 'angles'}
    assert max(real.values()) < .02
    assert shares(joints, 'left')['angles'] > .2
    # seen by a camera that mirrors
    assert shares(joints, 'left', mirrors=True) == real
    longer = joints.copy()
    longer[:, 17:21] = 2 * joints[:, 17:21] - joints[:, [17]]
    assert shares(longer)['lengths'] >= 3 / 20
    assert 'hand/beyond_limits' not in score(
        [make_sample(0, joints[0], joints[0])])


def test_limits_need_the_side(samples):
    with pytest.raises(ValueError, match='limits need 3D joints and hand_'):
        score(samples, limits=True)
