"""Results files: only added to, whole after any interruption."""
import json
import multiprocessing

import pytest
from ablation_results import result

from lgh_mmpose.ablation import append_result, read_results
from lgh_mmpose.ablation.results import locked


def test_what_is_added_is_read_in_order(tmp_path):
    path = tmp_path / 'toy.jsonl'
    assert read_results(path) == []
    results = [result(seed=seed) for seed in range(3)]
    for each in results:
        append_result(path, each)
    assert read_results(path) == results
    assert len(path.read_bytes().splitlines()) == 3


@pytest.mark.parametrize('cut', [1, 40, -1])
def test_an_interrupted_write_costs_only_itself(tmp_path, cut):
    path = tmp_path / 'toy.jsonl'
    append_result(path, result(seed=0))
    whole = path.read_bytes()
    line = (json.dumps(result(seed=1)) + '\n').encode()
    path.write_bytes(whole + line[:cut])
    # all but the end of the line: nothing is lost
    expected = [0, 1] if cut == -1 else [0]
    assert [r['seed'] for r in read_results(path)] == expected
    append_result(path, result(seed=2))
    assert [r['seed'] for r in read_results(path)] == [*expected, 2]


def test_what_an_interrupted_write_left_may_be_anything(tmp_path):
    path = tmp_path / 'toy.jsonl'
    append_result(path, result())
    with open(path, 'ab') as file:
        file.write(b'[' * 10**5)
    assert len(read_results(path)) == 1


def test_processes_that_write_at_once_lose_nothing(tmp_path):
    path = tmp_path / 'toy.jsonl'
    context = multiprocessing.get_context('fork')
    processes = [
        context.Process(target=lambda v=v: [
            append_result(path, result(variant=v, seed=s)) for s in range(20)
        ]) for v in ('a', 'b', 'c')
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    found = {(r['variant'], r['seed']) for r in read_results(path)}
    assert found == {(v, s) for v in 'abc' for s in range(20)}


@pytest.mark.parametrize('line, message', [
    ('{"plan": "toy"', 'line 1 is not json'),
    ('[1]', 'a json object'),
    (json.dumps(result(mpjpe_mm='much')), 'mpjpe_mm must be a float'),
    (json.dumps(result(mpjpe_mm=float('nan'))), 'mpjpe_mm must be a float'),
    (json.dumps(result(mpjpe_mm=10**401)), 'mpjpe_mm must be a float'),
    (json.dumps(result(seed=10**401)), 'seed must be a int'),
    (json.dumps(result(samples=True)), 'samples must be a int'),
    (json.dumps(result(curve=[[1, float('nan')]])), 'curve must be a table'),
    (json.dumps(result(curve=[[1, 10**401]])), 'curve must be a table'),
    (json.dumps(result()).replace('"plan"',
                                  '"x": 1e999, "gmacs"'), 'plan must'),
    ('[' * 10**5, 'line 1 is not json'),
    ('1' * 5000, 'line 1 is not json'),
    ('\udcff', 'line 1 is not json'),
    (json.dumps(result(groups=[0])), 'groups must have one entry'),
    (json.dumps(result(curve=[[1]])), 'curve must be a table'),
    (json.dumps(result(probabilities=[[1.]])), 'a row for each'),
])
def test_names_the_line_that_is_damaged(tmp_path, line, message):
    path = tmp_path / 'toy.jsonl'
    line = line.encode(errors='surrogateescape')
    path.write_bytes(line + b'\n' + json.dumps(result()).encode() + b'\n')
    with pytest.raises(ValueError, match=message) as error:
        read_results(path)
    assert str(path) in str(error.value)


def test_refuses_to_add_what_could_not_be_read(tmp_path):
    path = tmp_path / 'toy.jsonl'
    with pytest.raises(ValueError, match='mpjpe_mm'):
        append_result(path, result(mpjpe_mm=float('inf')))
    assert not path.exists()


def test_one_holds_a_lock(tmp_path):
    with locked(tmp_path / 'lock', wait=False) as first:
        with locked(tmp_path / 'lock', wait=False) as second:
            assert first and not second
    with locked(tmp_path / 'lock', wait=False) as third:
        assert third
