"""tools/ablation.py: a plan as a user runs it, killed and taken up again."""
import signal
import sys
import time

import pytest
import yaml
from helpers import REPO_ROOT, run_script, start_command

import lgh_mmpose.ablation
from lgh_mmpose.ablation import append_result, read_plan, read_results
from lgh_mmpose.ablation.running import describe_data

SCRIPT = REPO_ROOT / 'tools/ablation.py'
BATCH = {'train_dataloader.batch_size': 4}
ONE = {'model.neck.num_groups': 1, 'model.head.num_groups': 1, **BATCH}


@pytest.fixture
def plan(tmp_path):
    path = tmp_path / 'toy.yaml'
    path.write_text(
        yaml.safe_dump(
            dict(
                title='A toy?',
                config=str(REPO_ROOT / 'configs/lgh_studiohand.py'),
                budget=dict(samples=8),
                seeds=[0],
                baseline='one',
                variants=dict(one=ONE, three=BATCH))))
    return path


def data_of(plan, variant, data_root):
    return describe_data(plan.variant_config(variant, str(data_root)))


def command(plan, data_root, *more):
    return [
        SCRIPT, plan, '--data-root', data_root, '--work-dir', 'work',
        '--results-dir', 'results', '--page', 'page.md', *more
    ]


def test_a_killed_command_is_taken_up_again(plan, tmp_path, freihand_root):
    """The run that it had started goes on, and is not started twice."""
    pytest.importorskip('submitit', reason="needs '.[ablation]'")
    started = [*command(plan, freihand_root, '--jobs', 1)]
    results = tmp_path / 'results/toy.jsonl'
    with open(tmp_path / 'log', 'w') as log:
        process = start_command(
            sys.executable, *started, cwd=tmp_path, output=log)
        try:
            while not list(tmp_path.glob('work/toy/*/lock')):
                assert process.poll() is None, (tmp_path / 'log').read_text()
                time.sleep(.1)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
    assert not results.exists()
    again = command(plan, freihand_root, '--jobs', 2, '--executor', 'debug')
    output = run_script(*again, cwd=tmp_path).stdout
    # the other one, done here, and the first, which nobody has repeated
    assert 'toy: three, seed 0: done' in output
    assert 'toy: one' not in output
    assert sorted(r['variant']
                  for r in read_results(results)) == ['one', 'three']
    assert len(list(tmp_path.glob('work/toy/*/*/vis_data'))) == 2
    assert 'wrote the part toy of page.md' in output
    page = (tmp_path / 'page.md').read_text()
    assert '### A toy?' in page and '2 of 2 runs' in page
    # nothing is left to do: no executor is asked for
    before = results.read_bytes()
    run_script(
        *command(plan, freihand_root, '--executor', 'none'), cwd=tmp_path)
    assert results.read_bytes() == before


def test_a_run_that_ends_without_a_result_is_not_repeated_for_ever(
        plan, tmp_path, freihand_root, monkeypatch):
    """As when a file of groups changes after the command has read it."""
    pytest.importorskip('submitit', reason="needs '.[ablation]'")
    started = []
    monkeypatch.setattr(lgh_mmpose.ablation, 'run_variant',
                        lambda path, run, *others: started.append(run))
    failed = run_script(
        *command(plan, freihand_root, '--executor', 'debug'),
        cwd=tmp_path,
        check=False)
    # another process may have been at it the first time
    assert sorted(r.variant for r in started) == ['one'] * 2 + ['three'] * 2
    assert 'ends without a result' in f'{failed.stdout}{failed.returncode}'


def test_a_missing_file_of_groups_does_not_keep_the_others_from_the_page(
        plan, tmp_path):
    from ablation_results import result
    data = yaml.safe_load(plan.read_text())
    selector = dict(_delete_=True, type='FileSelector', file='lost.json')
    data['variants'] = dict(one={'model.head.selector': selector})
    lost = tmp_path / 'lost.yaml'
    lost.write_text(yaml.safe_dump(data))
    read = read_plan(plan)
    for name in ('lost', 'toy'):
        append_result(
            tmp_path / f'results/{name}.jsonl',
            result(settings=read.settings('one'), base=read.base_settings))
    failed = run_script(
        SCRIPT,
        *('--report', lost, plan, '--results-dir', 'results'),
        *('--page', 'page.md'),
        cwd=tmp_path,
        check=False)
    assert 'no file of groups lost.json' in str(failed.returncode)
    assert '### A toy?' in (tmp_path / 'page.md').read_text()


def test_a_training_that_another_plan_has_done_is_taken_over(
        plan, tmp_path, freihand_root):
    pytest.importorskip('submitit', reason="needs '.[ablation]'")
    from ablation_results import result
    read = read_plan(plan)
    data = yaml.safe_load(plan.read_text())
    # of the same settings, under other names; a seed that is not there
    data.update(baseline='single', variants=dict(single=ONE, more=BATCH))
    other = tmp_path / 'other.yaml'
    other.write_text(yaml.safe_dump(data))
    same = dict(
        variant='one',
        settings=read.settings('one'),
        base=read.base_settings,
        data=data_of(read, 'one', freihand_root))
    results = tmp_path / 'results'
    append_result(results / 'toy.jsonl', result(**same, mpjpe_mm=12.))
    # one that has taken it over itself, and one on other data
    append_result(results / 'zoo.jsonl',
                  result(**same, mpjpe_mm=12., taken_from='toy: one'))
    same['data'] = dict(same['data'], training=9)
    append_result(results / 'zoo.jsonl', result(**same, mpjpe_mm=1.))
    output = run_script(
        *command(other, freihand_root, '--executor', 'debug'),
        cwd=tmp_path).stdout
    assert 'other: more, seed 0: done' in output and 'single' not in output
    taken, trained = read_results(tmp_path / 'results/other.jsonl')
    assert (taken['plan'], taken['variant'], taken['mpjpe_mm'],
            taken['taken_from']) == ('other', 'single', 12., 'toy: one')
    assert trained['variant'] == 'more' and 'taken_from' not in trained
    # once
    run_script(
        *command(other, freihand_root, '--executor', 'none'), cwd=tmp_path)
    assert len(read_results(tmp_path / 'results/other.jsonl')) == 2


def test_two_plans_train_what_they_share_once(plan, tmp_path, freihand_root):
    pytest.importorskip('submitit', reason="needs '.[ablation]'")
    other = tmp_path / 'other.yaml'
    data = yaml.safe_load(plan.read_text())
    data.update(baseline='single', variants=dict(single=ONE))
    other.write_text(yaml.safe_dump(data))
    run_script(
        SCRIPT,
        other,
        *command(plan, freihand_root, '--executor', 'debug')[1:],
        cwd=tmp_path)
    single, = read_results(tmp_path / 'results/other.jsonl')
    one = {
        r['variant']: r
        for r in read_results(tmp_path / 'results/toy.jsonl')
    }['one']
    assert one['mpjpe_mm'] == single['mpjpe_mm']
    assert 'taken_from' not in single
    assert one['taken_from'] == 'other: single'


def test_tells_which_runs_failed_and_reports_the_others(
        plan, tmp_path, freihand_root):
    pytest.importorskip('submitit', reason="needs '.[ablation]'")
    from ablation_results import result
    data = yaml.safe_load(plan.read_text())
    data['variants']['three'] = {**BATCH, 'model.head.num_groups': 7}
    plan.write_text(yaml.safe_dump(data))
    read = read_plan(plan)
    append_result(
        tmp_path / 'results/toy.jsonl',
        result(
            variant='one',
            settings=read.settings('one'),
            base=read.base_settings,
            data=data_of(read, 'one', freihand_root)))
    failed = run_script(
        *command(plan, freihand_root, '--executor', 'debug'),
        cwd=tmp_path,
        check=False)
    message = str(failed.returncode)
    assert 'some runs failed' in message and 'toy: three, seed 0' in message
    assert '1 of 2 runs have their results' in failed.stdout
    assert '| one | 1 | 20.00 |' in (tmp_path / 'page.md').read_text()
    assert len(read_results(tmp_path / 'results/toy.jsonl')) == 1


def test_data_that_are_not_there_are_named(plan, tmp_path):
    failed = run_script(*command(plan, 'nowhere'), cwd=tmp_path, check=False)
    assert str(failed.returncode).startswith('error: ')
    assert 'nowhere' in str(failed.returncode)
    assert not (tmp_path / 'results').exists()


def test_reports_alone(plan, tmp_path):
    read = read_plan(plan)
    from ablation_results import result
    for name, variant in (('toy', 'three'), ('other', 'one')):
        append_result(
            tmp_path / f'results/{name}.jsonl',
            result(
                variant=variant,
                base=read.base_settings,
                settings=read.settings(variant)))
    before = (tmp_path / 'results/toy.jsonl').read_bytes()
    run_script(*command(plan, 'nowhere', '--report'), cwd=tmp_path)
    page = (tmp_path / 'page.md').read_text()
    assert '| three | 1 | 20.00 |' in page and 'has changed' not in page
    assert not (tmp_path / 'work').exists()
    # nothing is taken over either
    assert (tmp_path / 'results/toy.jsonl').read_bytes() == before


def test_says_what_is_not_there_to_report(plan, tmp_path):
    failed = run_script(
        *command(plan, 'nowhere', '--report'), cwd=tmp_path, check=False)
    assert 'toy has no results yet' in str(failed.returncode)


@pytest.mark.parametrize('arguments, message', [
    (['nowhere.yaml'], 'plan not found: nowhere.yaml'),
    (['toy.yaml', 'toy.yaml'], 'the same name'),
    (['toy.yaml', '--jobs', '0'], '--jobs must be at least 1'),
])
def test_bad_arguments(plan, tmp_path, arguments, message):
    failed = run_script(SCRIPT, *arguments, cwd=tmp_path, check=False)
    assert failed.returncode and message in failed.stdout
