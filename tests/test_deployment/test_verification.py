"""What is judged when a written model is compared with its original."""
import numpy as np
import pytest
import torch

from lgh_mmpose.deployment import Tolerance, select_samples, verify

ANYTHING = Tolerance(*[np.inf] * 4)


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
    with pytest.raises(RuntimeError, match='differs .* 6 samples, more than'):
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
    with pytest.raises(RuntimeError, match='px on 6 samples'):
        verify(toy.model, network(), samples,
               Tolerance.of('bf16')._replace(mpjpe=np.inf))


@pytest.mark.parametrize('precision', ['fp32', 'int8'])
def test_joints_must_be_finite(toy, samples, precision):

    def network():
        number = iter(range(len(samples)))

        def change(uv, depth, scores):
            if next(number) == 0:
                scores[0, 0] = np.nan

        return written(toy, change)

    with pytest.raises(RuntimeError, match='nan in the scores'):
        verify(toy.model, network(), samples, Tolerance.of(precision))


def test_growth_of_the_error_is_judged(toy, samples):

    def change(uv, depth, scores):
        depth[:, ::2] += 3.
        depth[:, 1::2] -= 3.

    network = written(toy, change)
    report = verify(toy.model, network, samples, ANYTHING)
    before, after = (
        report['MPJPE'][kind] for kind in ('original', 'exported'))
    assert after > 1.1 * before
    with pytest.raises(RuntimeError, match='MPJPE is .* with the written'):
        verify(toy.model, network, samples, ANYTHING._replace(mpjpe=.1))
