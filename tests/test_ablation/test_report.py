"""Statistics with known answers, and what the page says."""
import numpy as np
import pytest
from ablation_results import result
from hypothesis import given, settings
from hypothesis import strategies as st

from lgh_mmpose.ablation import Plan, report_plan
from lgh_mmpose.ablation.report import (baselines_table, compare, current,
                                        groups_table, holm, interval, table,
                                        verdict)


@pytest.fixture
def plan(monkeypatch):
    monkeypatch.setattr(Plan, 'base_settings', 'base')
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
    ours = {0: 9.1, 1: 19., 2: 28.9, 7: 0.}
    found = compare(ours, {2: 30., 0: 10., 1: 20.})
    assert found.difference.n == 3
    assert found.difference.mean == pytest.approx(-1)
    # t = 1 / (0.1 / sqrt(3)) = 17.32 with two degrees of freedom
    assert found.p == pytest.approx(0.00332, abs=1e-5)
    assert verdict(found, found.p) == 'better'
    assert compare({0: 1.}, {1: 1.}) is None
    assert np.isnan(compare({0: 1.}, {0: 2.}).p)
    assert verdict(compare({0: 1.}, {0: 2.}), np.nan) == 'undecided'


def test_verdict_follows_sign_and_p():
    worse = compare({0: 11.1, 1: 21.}, {0: 10., 1: 20.})
    assert verdict(worse, .04) == 'worse'
    assert verdict(worse, .06) == 'undecided'
    assert verdict(None, .01) == 'undecided'


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
    assert rows[1][7:9] == ['1.000', '0.1000']


def test_further_baselines_have_a_table_of_their_own(plan):
    results = runs('one', [20., 21., 22.]) + runs('three', [19., 20.05, 20.95])
    assert baselines_table(plan, results) == ''
    plan = plan._replace(baselines=('one', 'three', 'five'))
    rows = baselines_table(plan, results).split('\n')[2:]
    assert rows == ['| one | three | 1.00 ± 0.12 | 0.001 | worse |']
    # p of one baseline's comparisons are corrected together
    more = results + runs('five', [19., 19., 19.])
    rows = baselines_table(plan, more).split('\n')[2:]
    assert [row.split(' | ')[:2] for row in rows] == [['| one', 'three'],
                                                      ['| five', 'three'],
                                                      ['| one', 'five'],
                                                      ['| three', 'five']]
    assert rows[0] == '| one | three | 1.00 ± 0.12 | 0.002 | worse |'


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
    assert '| three | 2 | 1.00 | 0.80 | 2, 2 | 1, 2; 2, 1 |' in text
    assert '| one |' not in text
    assert groups_table(plan, runs('one', [20.], learned=False)) == ''


def test_number_of_groups_that_each_seed_settled_on(plan):
    """Groups are counted that have joints, not the highest number."""
    found = [
        result(variant='five', seed=0, groups=[4, 1, 4]),
        result(variant='five', seed=1, groups=[2, 2, 2])
    ]
    assert '| 2, 1 | 0, 1, 0, 0, 2; 0, 0, 3 |' in groups_table(plan, found)


def test_page_keeps_its_own_words(plan, tmp_path):
    page = tmp_path / 'page.md'
    page.write_text('# Ablations\n\nBefore.\n\n<!-- ablation:toy -->\nold\n'
                    '<!-- /ablation:toy -->\n\nAfter.\n')
    results = runs('one', [20., 21.]) + runs('three', [19., 20.5])
    report_plan(plan, results + runs('three', [1.], base='x')[:0], page)
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
    assert '1 results of other settings are left out' in text
    assert '99' not in text


def test_nothing_to_report(plan, tmp_path):
    with pytest.raises(ValueError, match='no results yet'):
        report_plan(plan, [], tmp_path / 'page.md')
