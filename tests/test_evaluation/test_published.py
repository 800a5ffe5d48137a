import numpy as np
import pytest

from lgh_mmpose.evaluation import functional as F
from lgh_mmpose.evaluation.published import (PUBLISHED_DATA_SETS,
                                             load_published_curves)

THIS_METHOD = 'Li et al. 2021, this method'


@pytest.mark.parametrize('protocol', PUBLISHED_DATA_SETS)
def test_published_areas_follow_from_the_published_curves(protocol):
    curves = load_published_curves(protocol)
    assert list(curves)[:2].count(THIS_METHOD) == 1
    areas = [curve.auc for curve in curves.values()]
    assert areas == sorted(areas, reverse=True)
    whole = {
        name: curve
        for name, curve in curves.items()
        # the whole range, give or take half a step
        if curve.thresholds[0] in (0, 20,
                                   21.0526) and curve.thresholds[-1] in (50,
                                                                         100)
    }
    assert THIS_METHOD in whole
    for name, curve in whole.items():
        # printed with three digits, some read off drawn curves
        assert F.auc(curve.pck, curve.thresholds) == pytest.approx(
            curve.auc, abs=4e-3), name


@pytest.mark.parametrize('protocol', PUBLISHED_DATA_SETS)
def test_published_curves_are_curves(protocol):
    for name, curve in load_published_curves(protocol).items():
        assert curve.thresholds.shape == curve.pck.shape, name
        assert (np.diff(curve.thresholds) > 0).all(), name
        assert (np.diff(curve.pck) >= 0).all(), name
        assert curve.pck.min() >= 0 and curve.pck.max() <= 1, name
        assert curve.source


@pytest.mark.parametrize('protocol, first', [('rhd', 21.05), ('stb', 21.05),
                                             ('dexter', 0)])
def test_this_methods_curve_has_the_protocols_thresholds(protocol, first):
    curve = load_published_curves(protocol)[THIS_METHOD]
    thresholds = F.PROTOCOLS[protocol].threshold_values()
    assert curve.thresholds[0] == pytest.approx(first, abs=.01)
    np.testing.assert_allclose(
        curve.thresholds, thresholds[-len(curve.thresholds):], atol=1e-4)


def test_other_protocols_have_no_published_curves():
    with pytest.raises(ValueError, match="'rhd', 'stb', 'dexter'.*'general'"):
        load_published_curves('general')


@pytest.mark.parametrize('method, digits', [
    ('Zimmermann & Brox 2017', [
        .869888888888889, .896873015873016, .916849206349206, .932142857142857,
        .943507936507937, .952753968253968, .959904761904762, .966047619047619,
        .971595238095238, .976547619047619, .980174603174603, .983277777777778
    ]),
    ('ICPPSO', [
        .519736842105263, .644736842105263, .717105263157895, .773026315789474,
        .809210526315789, .848684210526316, .868421052631579
    ]),
])
def test_curves_are_the_releases_rounded_to_five_decimals(method, digits):
    np.testing.assert_allclose(
        load_published_curves('stb')[method].pck,
        digits,
        rtol=0,
        atol=.5001e-5)
