"""Scoring a network on photographs, and comparing networks on them."""
import json
import re

import cv2
import numpy as np
import pytest
from dataset_writers import write_photos
from helpers import REPO_ROOT, run_script, write_toy_export

SCORE = REPO_ROOT / 'tools/analysis_tools/score_photos.py'
COMPARE = REPO_ROOT / 'tools/analysis_tools/compare_photos.py'


@pytest.fixture
def folder(tmp_path):
    """Photographs, and an exported network that sees the same hand in each.
    """
    write_photos(tmp_path / 'photos', 8)
    uv = np.random.default_rng(0).uniform(12, 52, (21, 2))
    write_toy_export(tmp_path / 'exported', uv)
    return tmp_path


def test_scores_predictions_and_sheet(folder):
    shown = run_script(
        SCORE,
        *('photos', '--model', 'exported', '--json', 'out/scores.json'),
        *('--predictions', 'old.json', '--sheet', 'sheet.png'),
        cwd=folder).stdout
    scores = json.loads((folder / 'out/scores.json').read_text())
    assert set(scores) == {
        'true', 'accepted', 'sources', 'intervals', 'protocol'
    }
    assert scores['protocol'] == dict(
        boxes='given', padding=1., input_size=[64, 64])
    for label, count in (('true', 4), ('accepted', 4)):
        assert scores[label]['count'] == scores[label]['found'] == count
        low, high = scores['intervals'][label]['error']
        assert 0 < low <= scores[label]['error'] <= high < 2
        assert f'{100 * scores[label]["error"]:.2f} %' in shown
    # three rows of six hands, with a line of text each
    sheet = cv2.imread(str(folder / 'sheet.png'))
    assert sheet.shape == (3 * 284, 6 * 264, 3) and sheet.std() > 10

    # another padding is another crop
    run_script(
        SCORE,
        *('photos', '--model', 'exported', '--json', 'wide.json'),
        *('--predictions', 'new.json', '--padding', 1.5),
        cwd=folder)
    wide = json.loads((folder / 'wide.json').read_text())
    assert wide['protocol']['padding'] == 1.5
    assert wide['true']['error'] != scores['true']['error']

    shown = run_script(
        COMPARE,
        *('photos', 'tight=old.json', 'wide=new.json'),
        *('both=old.json', 'both=new.json', '--json', 'compared.json'),
        cwd=folder).stdout
    compared = json.loads((folder / 'compared.json').read_text())
    for label in ('true', 'accepted'):
        wider = compared[label]['wide']
        assert wider['error'] == pytest.approx(wide[label]['error'])
        assert wider['baseline'] == pytest.approx(scores[label]['error'])
        assert wider['ratio'] == pytest.approx(wide[label]['error'] /
                                               scores[label]['error'])
        assert compared[label]['both']['error'] == pytest.approx(
            (wider['error'] + wider['baseline']) / 2)
        assert f'{wider["ratio"]:.3f} (' in shown
    lines = shown.splitlines()
    assert len(lines) == 5 and len({line.count('|') for line in lines}) == 1
    assert lines[-1].startswith('| both | 2 |')


@pytest.mark.parametrize('arguments, message', [
    (['photos', '--model', 'exported', '--boxes', 'found', '--json',
      'a.json'], 'needs a detector of hands: give --detector'),
    (['photos', '--model', 'exported', '--detector', 'a', 'b', 'c', '--json',
      'a.json'], '--detector takes one argument'),
    (['photos', '--model', 'exported', '--checkpoint', 'a', '--json',
      'a.json'], '--checkpoint belongs to --config'),
    (['photos', '--model', 'exported'], 'required: --json'),
])  # yapf: disable
def test_what_is_missing_is_said(arguments, message, tmp_path):
    result = run_script(SCORE, *arguments, cwd=tmp_path, check=False)
    assert result.returncode == 2 and message in result.stdout


@pytest.mark.parametrize('arguments, message', [
    (['exported', '--model', 'exported', '--json', 'a.json'],
     'holds no hands.json'),
    (['photos', '--model', 'exported', '--json', 'photos/hands.json'],
     '--json .* would overwrite'),
    (['photos', '--model', 'exported', '--json', 'a.json', '--sheet',
      'photos/images/3.png'], '--sheet .* would overwrite'),
    (['photos', '--model', 'exported', '--json', 'a.json', '--predictions',
      'exported/toy.onnx'], '--predictions .* would overwrite'),
    (['photos', '--model', 'exported', '--json', 'a.json', '--padding', '0'],
     'bbox_padding must lie'),
])  # yapf: disable
def test_what_cannot_be_done_is_one_sentence(arguments, message, folder):
    before = (folder / 'photos/hands.json').read_bytes()
    result = run_script(SCORE, *arguments, cwd=folder, check=False)
    assert str(result.returncode).startswith('error: ')
    assert re.search(message, result.returncode)
    assert (folder / 'photos/hands.json').read_bytes() == before
    assert not (folder / 'a.json').exists()


@pytest.mark.parametrize('arguments, message', [
    (['photos', 'a=1.json'], 'at least two networks'),
    (['photos', 'a=1.json', 'b'], 'b is not NAME=FILE'),
])
def test_a_comparison_needs_names_and_files(arguments, message, tmp_path):
    result = run_script(COMPARE, *arguments, cwd=tmp_path, check=False)
    assert result.returncode == 2 and message in result.stdout


def test_predictions_of_other_photographs_are_named(tmp_path):
    write_photos(tmp_path / 'photos', 4)
    for name in 'ab':
        (tmp_path / f'{name}.json').write_text('[null]')
    result = run_script(
        COMPARE, 'photos', 'a=a.json', 'b=b.json', cwd=tmp_path, check=False)
    assert result.returncode == (
        'error: a.json must hold a list of one prediction, or null, for each '
        'of the 4 hands, got 1 entries')
    result = run_script(
        COMPARE,
        *('photos', 'a=a.json', 'b=b.json', '--json', 'b.json'),
        cwd=tmp_path,
        check=False)
    assert '--json b.json would overwrite b.json' in result.returncode
