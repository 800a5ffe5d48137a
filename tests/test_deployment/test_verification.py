"""What is judged when a written model is compared with its original."""
import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from deploy_models import toy_config
from mmpose.registry import DATASETS

from lgh_mmpose.deployment import (ExportError, Tolerance, read_crop,
                                   select_samples, to_deploy, verify,
                                   verify_crop)
from lgh_mmpose.inference.backends.torch import network_info

ANYTHING = Tolerance(*[np.inf] * 5)


@pytest.fixture(scope='module')
def samples(toy):
    return select_samples(toy.dataset)  # 6 hands, 126 joints


def written(toy, change=lambda uv, depth, scores: None):
    """A written model that gives something else than the original."""

    def network(image):
        with torch.no_grad():
            outputs = [
                x.numpy().copy() for x in toy.form(torch.from_numpy(image))
            ]
        change(*outputs)
        return outputs

    return network


def test_the_same_passes_and_is_reported(toy, samples):
    report = verify(toy.model, written(toy), samples, Tolerance.of('fp32'))
    assert report['num_samples'] == 6
    for key in ('px', 'mm', 'scores'):
        difference = report[key]
        assert 0 <= difference['mean'] <= difference['p99'] <= \
            difference['max'] < 1e-4
    assert report['MPJPE']['exported'] == pytest.approx(
        report['MPJPE']['original'], rel=1e-5)


@pytest.mark.parametrize('precision', ['fp32', 'fp16', 'bf16', 'int8'])
@pytest.mark.parametrize('what', ['px', 'mm', 'scores'])
def test_each_difference_is_judged(toy, samples, precision, what):
    tolerance = Tolerance.of(precision)
    # more than the tolerance alone, and the others are waved through
    tolerance = ANYTHING._replace(
        judged=tolerance.judged, **{what: getattr(tolerance, what)})

    def change(uv, depth, scores):
        if what == 'px':
            uv[..., 0] += 2 * tolerance.px
        elif what == 'mm':
            # relative to a bone of some 40 mm at most
            depth += tolerance.mm
        else:
            scores += 2 * tolerance.scores

    verify(toy.model, written(toy), samples, tolerance)
    with pytest.raises(ExportError, match='differs .* 6 samples, more than'):
        verify(toy.model, written(toy, change), samples, tolerance)


def test_one_joint_in_a_hundred_may_go_far_with_int8_alone(toy, samples):

    def network():
        number = iter(range(len(samples)))

        def change(uv, depth, scores):
            if next(number) == 0:
                uv[0, 0] += 30.

        return written(toy, change)

    report = verify(toy.model, network(), samples,
                    Tolerance.of('int8')._replace(mpjpe=np.inf))
    assert report['px']['max'] > 30 and report['px']['p99'] < 1e-3
    with pytest.raises(ExportError, match='px on 6 samples'):
        verify(toy.model, network(), samples,
               Tolerance.of('bf16')._replace(mpjpe=np.inf))


@pytest.mark.parametrize('precision', ['fp32', 'int8'])
@pytest.mark.parametrize('value', [np.nan, np.inf])
@pytest.mark.parametrize('index, name', [(0, 'uv'), (1, 'depth'),
                                         (2, 'scores')])
def test_outputs_must_be_finite(toy, samples, precision, index, name, value):

    def network():
        number = iter(range(len(samples)))

        def change(*outputs):
            if next(number) == 0:
                outputs[index][0, 0] = value

        return written(toy, change)

    message = f'written model gives {name} that is not finite on 1 of 6'
    with pytest.raises(ExportError, match=message):
        verify(toy.model, network(), samples, Tolerance.of(precision))


def test_original_must_be_finite(toy, samples):
    model = copy.deepcopy(toy.model)
    model.head.depth_layers[-1].bias.data[:] = np.nan
    with pytest.raises(ExportError, match='original model gives depth that'):
        verify(model, written(toy), samples, Tolerance.of('fp32'))


def test_an_untrained_network_is_compared_at_the_true_depth(toy, samples):
    """Its joints lie within a pixel, as of a hand that is 30 m away."""
    model = copy.deepcopy(toy.model)
    model.head.heatmap_layers[-1].weight.data *= .02
    depths = []

    def change(uv, depth, scores):
        uv += 1e-5
        # of lengths of the reference bone, as large as a bone is
        bone = np.linalg.norm(uv[0, 9] - uv[0, 10])
        depths.append(bone)

    network = written(SimpleNamespace(form=to_deploy(model)), change)
    report = verify(model, network, samples, Tolerance.of('fp32'))
    assert max(depths) < .5
    # 1e-5 px of 96 that are 128 px, at some 0.7 m
    assert 0 < report['mm']['max'] < 1e-4
    # without the truth it is at the depth that the network gives
    for sample in (hidden := copy.deepcopy(samples)):
        sample['data_samples'].set_metainfo(dict(root_depth=None))
    report = verify(model, network, hidden, ANYTHING)
    assert report['mm']['max'] > 1e-3


def test_growth_of_the_error_is_judged(toy, samples):

    def change(uv, depth, scores):
        depth[:, ::2] += 3.
        depth[:, 1::2] -= 3.

    network = written(toy, change)
    report = verify(toy.model, network, samples, ANYTHING)
    before, after = (
        report['MPJPE'][kind] for kind in ('original', 'exported'))
    assert after > 1.1 * before
    with pytest.raises(ExportError, match='MPJPE is .* with the written'):
        verify(toy.model, network, samples, ANYTHING._replace(mpjpe=.1))


def test_joints_that_are_not_visible_do_not_count(toy, samples):

    def score(place):
        hidden = copy.deepcopy(samples)
        for sample in hidden:
            gt = sample['data_samples'].gt_instances
            gt.keypoints_visible[:, 4] = 0
            gt.keypoints_cam[:, 4] += place
        return verify(toy.model, written(toy), hidden, ANYTHING)['MPJPE']

    assert score(1e5) == score(0.)


@pytest.mark.parametrize('training', [True, False])
def test_the_model_stays_in_its_mode(toy, samples, training):
    model = copy.deepcopy(toy.model).train(training)
    verify(model, written(toy), samples[:1], Tolerance.of('fp32'))
    assert model.training is training


# -- where millimetres are not known -----------------------------------------


def without(samples, *keys):
    samples = copy.deepcopy(samples)
    for sample in samples:
        for key in keys:
            sample['data_samples'].set_metainfo({key: None})
    return samples


@pytest.mark.parametrize('keys', [('camera_matrix', ), ('bone_length', ),
                                  ('camera_matrix', 'bone_length')])
def test_without_camera_or_bone_it_is_reference_bones(toy, samples, keys):
    samples = without(samples, *keys)

    def change(uv, depth, scores):
        depth[:, 3] += .01

    report = verify(toy.model, written(toy, change), samples, ANYTHING)
    assert report['bones']['max'] == pytest.approx(.01, abs=1e-5)
    assert report['bones']['mean'] == pytest.approx(.01 / 21, abs=1e-5)
    # the depth is part of the joint
    assert report['bones_own_scale']['max'] >= .01 - 1e-5
    # no number that would be of an unknown scale
    assert not {'mm', 'mm_own_root', 'MPJPE', 'PA-MPJPE'} & set(report)
    with pytest.raises(
            ExportError, match='by 0.01 lengths of the reference bone on 6'):
        verify(toy.model, written(toy, change), samples,
               ANYTHING._replace(bones=.0099))


def test_samples_of_both_kinds_are_judged_in_their_units(toy, samples):
    mixed = [*samples[:4], *without(samples[4:], 'camera_matrix')]

    def network(number):
        images = iter(range(6))

        def change(uv, depth, scores):
            if next(images) == number:
                depth += .5

        return written(toy, change)

    for number, key, other in ((0, 'mm', 'bones'), (5, 'bones', 'mm')):
        report = verify(toy.model, network(number), mixed, ANYTHING)
        assert report[key]['max'] > .4 and report[other]['max'] < 1e-3
        # of those that are in mm
        assert report['MPJPE']['original'] == pytest.approx(
            verify(toy.model, written(toy), samples[:4],
                   ANYTHING)['MPJPE']['original'])


# -- the crop ----------------------------------------------------------------


def info_of(toy, **crop):
    """What a written model is given, whose crop may be another."""
    return network_info(toy.model, read_crop(toy_config())._replace(**crop))


def samples_of(toy, steps=()):
    """Samples of a test set whose pipeline has steps more."""
    cfg = toy_config().test_dataloader.dataset
    cfg.pipeline = [cfg.pipeline[0], *steps, *cfg.pipeline[1:]]
    cfg.data_root = toy.dataset.data_root
    return select_samples(DATASETS.build(cfg), 2)


def test_crop_of_the_pipeline_is_what_is_written_down(toy):
    report = verify_crop(info_of(toy), samples_of(toy))
    assert report['num_samples'] == 2 and report['px'] < 1e-3


def test_left_hands_are_compared_mirrored(toy):
    samples = samples_of(toy)
    for sample in samples:
        record = dict(sample['record'], hand_side='left')
        sample.update(toy.dataset.pipeline(dict(record)), record=record)
    assert samples[0]['data_samples'].metainfo['flip']
    assert verify_crop(info_of(toy), samples)['px'] < 1e-3
    with pytest.raises(ExportError, match='95 px of the input off'):
        verify_crop(info_of(toy, hand_side=None), samples)


def rotate(results):
    results['bbox_rotation'] = np.array([5.])
    return results


def widen(results):
    results['bbox_scale'] = results['bbox_scale'] * 1.01
    return results


def shift(results):
    results['bbox_center'] = results['bbox_center'] + .1
    return results


@pytest.mark.parametrize('step', [rotate, widen, shift])
def test_pipeline_that_crops_otherwise_is_found_out(toy, step):
    with pytest.raises(ExportError, match='px of the input off.*--padding'):
        verify_crop(info_of(toy), samples_of(toy, [step]))


def test_crop_needs_the_warp(toy):
    samples = without(samples_of(toy), 'warp_mat')
    with pytest.raises(ExportError, match='have warp_mat in meta_keys'):
        verify_crop(info_of(toy), samples)


def test_a_given_padding_leaves_the_rest_of_the_crop():
    cfg = toy_config()
    steps = cfg.test_dataloader.dataset.pipeline
    before = read_crop(cfg)
    steps.insert(1, dict(type='mmpose.Albumentation', transforms=[]))
    with pytest.raises(ValueError, match='Albumentation.*--padding'):
        read_crop(cfg)
    assert read_crop(cfg, 1.25) == before._replace(padding=1.25)
