"""Statistics with known answers, and what the page says."""
import numpy as np
import pytest
from ablation_results import result
from hypothesis import given, settings
from hypothesis import strategies as st

from lgh_mmpose.ablation import Plan, report_plan
from lgh_mmpose.ablation.report import (Comparison, Interval, baselines_table,
                                        compare, current, groups_table, holm,
                                        interval, table, verdict)


@pytest.fixture
def plan(monkeypatch):
    monkeypatch.setattr(Plan, 'base_settings', 'base')
    monkeypatch.setattr(Plan, 'settings', lambda plan, variant: 'abc')
    return Plan('toy', 'A toy?', None, dict(samples=96), (0, 1, 2), ('one', ),
                dict(one={}, three={}, five={}))


def runs(variant, values, **changes):
    return [
        result(variant=variant, seed=seed, mpjpe_mm=value, **changes)
        for seed, value in enumerate(values)
    ]


def test_interval_of_three_seeds():
    """t(0.975; 2) = 4.3027, s = 1, n = 3."""
    found = interval([19., 20., 21.])
    assert found.mean == pytest.approx(20)
    assert found.half == pytest.approx(4.30265 / np.sqrt(3), rel=1e-5)
    assert str(found) == '20.00 ± 2.48'
    assert str(interval([20.])) == '20.00'


def test_differences_are_paired_by_seed():
    """Seeds differ by 10 mm, the variants always by about 1."""
    errors = dict(
        ours={
            0: 9.1,
            1: 19.,
            2: 28.9,
            7: 0.
        },
        baseline={
            2: 30.,
            0: 10.,
            1: 20.
        })
    found = compare(errors, 'baseline')['ours']
    assert found.difference.mean == pytest.approx(-1)
    # t = 1 / (0.1 / sqrt(3)) = 17.32 with two degrees of freedom
    for p in (found.p, found.paired_p):
        assert p == pytest.approx(0.00332, abs=1e-5)
    assert found.difference.half == pytest.approx(4.30265 * .1 / np.sqrt(3))
    assert verdict(found, found.p) == 'better'


def test_all_variants_tell_how_much_runs_differ():
    """A block design by hand: effects 0, 1, 4 and 10, 20, 30, and a rest.

    Its squares sum up to 6 * 0.1^2 with (3 - 1) * (3 - 1) degrees of freedom:
    the standard error of a difference is sqrt(2 * 0.015 / 3) = 0.1.
    """
    errors = dict(
        a={
            0: 10.1,
            1: 19.9,
            2: 30.
        },
        b={
            0: 11.,
            1: 21.1,
            2: 30.9
        },
        c={
            0: 13.9,
            1: 24.,
            2: 34.1
        })
    found = compare(errors, 'a')
    assert set(found) == {'b', 'c'}
    for name, mean in (('b', 1.), ('c', 4.)):
        assert found[name].difference.mean == pytest.approx(mean)
        # t(0.975; 4) = 2.7764
        assert found[name].difference.half == pytest.approx(.27764, rel=1e-4)
    # t(0.9997; 4) = 10
    assert found['b'].p == pytest.approx(0.000562, abs=1e-6)
    # alone the pair says less
    assert found['b'].paired_p > found['b'].p


def test_what_is_not_connected_is_not_compared():
    assert compare(dict(a={0: 1.}, b={1: 1.}), 'a') == {}
    assert compare(dict(a={0: 1.}), 'b') == {}
    # by way of c
    found = compare(dict(a={0: 1.}, b={1: 5.}, c={0: 2., 1: 4.}), 'a')
    assert found['b'].difference.mean == pytest.approx(2)


def test_without_a_rest_there_is_no_p():
    for other in ({0: 2.}, {0: 2., 1: 3.}):
        found = compare(dict(a={0: 1., 1: 2.}, b=other), 'a')['b']
        assert found.difference.mean == pytest.approx(1)
        assert np.isnan([found.p, found.paired_p]).all()
        assert verdict(found, found.p) == 'undecided'


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(10, 30), st.floats(10, 30)),
        min_size=2,
        max_size=6))
def test_two_variants_compare_as_in_a_paired_t_test(pairs):
    """Nothing else tells how much runs differ then."""
    a, b = (dict(enumerate(values)) for values in zip(*pairs))
    found = compare(dict(a=a, b=b), 'a')['b']
    differences = interval([y - x for x, y in pairs])
    assert found.difference.mean == pytest.approx(differences.mean, abs=1e-6)
    if differences.half > 1e-4:
        assert found.difference.half == pytest.approx(differences.half)
        assert found.p == pytest.approx(found.paired_p)


def test_verdict_follows_sign_and_p():
    worse = Comparison(Interval(1., .5, 3), .04, .04)
    assert verdict(worse, .04) == 'worse'
    assert verdict(worse, .06) == 'undecided'
    better = worse._replace(difference=Interval(-1., .5, 3))
    assert verdict(better, .04) == 'better'
    assert verdict(better, np.nan) == 'undecided'


def test_holm_known_answer():
    adjusted = holm([.01, .04, np.nan, .03])
    assert np.allclose(adjusted, [.03, .06, np.nan, .06], equal_nan=True)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_lowers_a_p_and_keeps_their_order(p_values):
    adjusted = holm(p_values)
    assert (adjusted >= np.array(p_values) - 1e-12).all()
    assert (adjusted <= 1).all()
    order = np.argsort(p_values, kind='stable')
    assert (np.diff(adjusted[order]) >= 0).all()


def test_table_has_the_comparison_and_the_cost(plan):
    results = runs('one', [20., 21., 22.]) + runs('three', [19., 20.05, 20.95])
    rows = [line.split(' | ') for line in table(plan, results).split('\n')[2:]]
    assert len(rows) == 2  # `five` has no result yet
    assert rows[0][:3] == ['| one', '3', '21.00 ± 2.48']
    assert rows[0][4] == 'baseline'
    assert rows[1][4].startswith('-1.00 ± 0.12') and rows[1][6] == 'better'
    # two variants: as in a paired t-test
    assert rows[1][5] == rows[1][7] == '< 0.001'
    assert rows[1][8:10] == ['1.000', '0.1000']


def test_further_baselines_have_a_table_of_their_own(plan):
    results = runs('one', [20., 21., 22.]) + runs('three', [19., 20.05, 20.95])
    assert baselines_table(plan, results) == ''
    plan = plan._replace(baselines=('one', 'three', 'five'))
    rows = baselines_table(plan, results).split('\n')[2:]
    assert rows == [
        '| one | three | 1.00 ± 0.12 | < 0.001 | worse | < 0.001 |'
    ]
    more = results + runs('five', [19., 19., 19.])
    rows = baselines_table(plan, more).split('\n')[2:]
    assert [row.split(' | ')[:2] for row in rows] == [['| one', 'three'],
                                                      ['| five', 'three'],
                                                      ['| one', 'five'],
                                                      ['| three', 'five']]


def test_only_results_of_one_kind_are_compared(plan):
    old = runs('one', [99.], base='older') + runs('one', [98.], settings='x')
    new = runs('one', [20., 21.]) + runs('three', [19., 20.])
    again = runs('three', [18.])
    gone = runs('ten', [5.])
    assert current(plan, old + new + gone) == new
    found = current(plan, old + new + again)
    assert sorted(r['mpjpe_mm'] for r in found) == [18., 20., 20., 21.]
    assert current(plan, []) == []


def test_groups_of_seeds_and_their_agreement(plan):
    same = [
        result(variant='three', seed=0, groups=[0, 1, 1]),
        result(variant='three', seed=1, groups=[1, 0, 0])
    ]
    text = groups_table(plan, same + runs('one', [20.], learned=False))
    # the bone of the thumb, not that to the wrist; one pair of three
    assert ('| three | 2 | 1.00 | 50% (33%) | 0.80 | 2, 2 | 1, 2; 2, 1 |'
            in text)
    assert '| one |' not in text
    assert groups_table(plan, runs('one', [20.], learned=False)) == ''


def test_number_of_groups_that_each_seed_settled_on(plan):
    """Groups are counted that have joints; all of them have a size."""
    sure = [[0., 0., 1., 0., 0.]] * 3
    found = [
        result(variant='five', seed=0, groups=[4, 1, 4], probabilities=sure),
        result(variant='five', seed=1, groups=[2, 2, 2], probabilities=sure)
    ]
    assert '| 2, 1 | 0, 1, 0, 0, 2; 0, 0, 3, 0, 0 |' in groups_table(
        plan, found)


def test_agreement_of_each_two_seeds(plan):
    found = [
        result(variant='three', seed=seed, groups=groups)
        for seed, groups in enumerate([[0, 1, 1], [1, 0, 0], [0, 0, 1]])
    ]
    assert '| 0.00 (1.00, -0.50, -0.50) |' in groups_table(plan, found)


def test_page_keeps_its_own_words(plan, tmp_path):
    page = tmp_path / 'page.md'
    page.write_text('# Ablations\n\nBefore.\n\n<!-- ablation:toy -->\nold\n'
                    '<!-- /ablation:toy -->\n\nAfter.\n')
    results = runs('one', [20., 21.]) + runs('three', [19., 20.5])
    report_plan(plan, results, page)
    text = page.read_text()
    assert text.startswith('# Ablations\n\nBefore.\n\n<!-- ablation:toy -->')
    assert text.endswith('<!-- /ablation:toy -->\n\nAfter.\n')
    assert 'old' not in text and '4 of 9 runs' in text and '96 samples' in text
    for name in ('ablation_toy.png', 'ablation_toy_groups.png'):
        assert f'images/{name}' in text
        assert (tmp_path / 'images' / name).stat().st_size > 5000
    report_plan(plan, results, page)  # the same again
    assert page.read_text() == text


def test_page_tells_what_it_leaves_out(plan, tmp_path):
    results = runs('one', [99.], base='older') + runs('one', [20., 21.])
    report_plan(plan, results, tmp_path / 'page.md')
    text = (tmp_path / 'page.md').read_text()
    assert 'Results left out, of other settings or data: 1.' in text
    assert '99' not in text


def test_page_tells_whose_settings_have_changed(plan, tmp_path):
    page = tmp_path / 'page.md'
    report_plan(plan, runs('one', [20., 21.]) + runs('three', [19.]), page)
    assert 'changed' not in page.read_text()
    # such as the groups in a file
    results = runs('one', [20., 21.]) + runs('three', [19.], settings='older')
    report_plan(plan, results, page)
    assert 'The settings have changed since of three.' in page.read_text()
    report_plan(plan, runs('one', [20.], base='older'), page)
    assert 'The config has changed since.' in page.read_text()


def test_nothing_to_report(plan, tmp_path):
    with pytest.raises(ValueError, match='no results yet'):
        report_plan(plan, [], tmp_path / 'page.md')
