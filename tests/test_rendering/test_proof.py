"""The program that measures what rendered hands are worth."""
import json
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

from lgh_mmpose.rendering import INGREDIENTS

FOLDER = Path(__file__).parents[2] / '.dev_scripts' / 'rendering'
PLAN = FOLDER / 'proof.yaml'
proof = SimpleNamespace(**runpy.run_path(str(FOLDER / 'proof.py')))


def make_proof(monkeypatch, tmp_path, *options, plan=PLAN):
    monkeypatch.setattr(sys, 'argv', [
        'proof.py',
        str(plan), '--photos',
        str(tmp_path), '--results-dir',
        str(tmp_path / 'results'), *options
    ])
    return proof.Proof(proof.parse_args())


def test_each_ingredient_has_an_arm():
    arms = proof.read_plan(PLAN)['arms'].values()
    left_out = [name for arm in arms for name in arm.get('without', ())]
    assert sorted(left_out) == sorted(INGREDIENTS)


def test_arms_differ_in_what_they_say(monkeypatch, tmp_path):
    made = make_proof(monkeypatch, tmp_path)
    steps = {}
    for run in proof.list_runs(made.plan, None, curve=True):
        path = tmp_path / 'config.py'
        made.write_config(run, Path('training'), Path('test'), path)
        cfg = Config.fromfile(path)
        dataset = cfg.train_dataloader.dataset
        assert (dataset.data_root,
                cfg.val_dataloader.dataset.data_root) == ('training', 'test')
        # but for the last, broken batch of each epoch
        seen = dataset.indices * cfg.train_cfg.max_epochs
        assert .99 * run.samples < seen <= run.samples
        assert dataset.indices <= run.images
        assert cfg.randomness.seed == run.seed
        steps[run.arm] = {step['type'] for step in dataset.pipeline}
    without = steps.pop('no amplitude exchange')
    for arm in steps.values():
        assert arm - without == {'ExchangeAmplitudeSpectrum'}


def test_each_recipe_is_a_config(monkeypatch, tmp_path):
    made = make_proof(monkeypatch, tmp_path, plan=FOLDER / 'recipes.yaml')
    init_default_scope('mmpose')
    upright = {}
    for run in proof.list_runs(made.plan, None, curve=False):
        path = tmp_path / 'config.py'
        made.write_config(run, Path('training'), Path('test'), path)
        cfg = Config.fromfile(path)
        for part in (cfg.train_dataloader, cfg.val_dataloader):
            names = [step['type'] for step in part.dataset.pipeline]
            sides = {'MirrorHands', 'CanonicalizeHandSide'} & set(names)
            assert len(sides) == 1
            assert names.index('TopdownAffineCamera') < names.index(*sides)
            Compose(part.dataset.pipeline)
        upright[run.arm] = 'TurnUpright' in names
        cfg.model.backbone.init_cfg = None
        model = MODELS.build(cfg.model)
        assert (model.head.side_layers is not None) == (
            sides == {'MirrorHands'})
        camera = names.index('TopdownAffineCamera')
        assert model.head.decoder.input_size == tuple(
            part.dataset.pipeline[camera].input_size)
    assert [arm for arm, turned in upright.items()
            if not turned] == ['any direction, one side']


def write_photos(folder, count=6):
    rng = np.random.default_rng(0)
    entries = []
    for i in range(count):
        cv2.imwrite(str(folder / f'{i}.png'), np.zeros((64, 64), np.uint8))
        entries.append(
            dict(
                image=f'{i}.png',
                source='here',
                label=('true', 'accepted')[i % 2],
                hand_side='right',
                keypoints=rng.uniform(0, 60, (21, 2)).tolist(),
                visible=None,
                keypoints_cam_mm=None,
                camera_matrix=None))
    (folder / 'hands.json').write_text(json.dumps(entries))


def write_result(folder, arm, seed, errors, version=1, samples=200000):
    figures = dict(pck05=.5, pa_mm=10.)
    (folder / f'{arm}{seed}_{samples}.json').write_text(
        json.dumps(
            dict(
                arm=arm,
                seed=seed,
                samples=samples,
                images=25000,
                errors=errors,
                true=figures,
                accepted=figures,
                rendered={'hand/MPJPE': 20.},
                made_by=dict(
                    generator_version=version,
                    cpu_seconds=400. + 40 * seed if seed < 2 else None))))


def test_table_and_plot(monkeypatch, tmp_path):
    write_photos(tmp_path)
    results = tmp_path / 'results'
    results.mkdir()
    for seed, factor in ((0, .9), (1, 1.1)):
        for arm, error in (('all', .1), ('old renderer', .2)):
            write_result(results, arm, seed, [error * factor] * 6)
    (tmp_path / 'images').mkdir()
    page = tmp_path / 'page.md'
    page.write_text(f'before\n{proof.MARKS[0]}\nold\n{proof.MARKS[1]}\nafter')
    made = make_proof(monkeypatch, tmp_path)
    report = proof.Report(made.plan, proof.read_results(results), tmp_path)
    report.write(page)
    text = page.read_text()
    assert text.startswith('before\n') and text.endswith('\nafter')
    assert '\nold\n' not in text
    rows = {
        cells[1]: cells[2:-1]
        for cells in ([cell.strip() for cell in line.split('|')]
                      for line in text.splitlines()) if len(cells) == 15
    }
    assert rows['old renderer'][:6] == [
        '200,000', '7', '2', '20.0 (20.0 to 20.0)', '2.00 (2.00 to 2.00)',
        '1.00 (1.00 to 1.00)'
    ]
    assert rows['all'][5] == '0.50 (0.50 to 0.50)'
    # one number of samples makes no curve
    plot = tmp_path / 'images' / 'page_curve.png'
    assert not plot.exists() and 'page_curve.png' not in text
    write_result(results, 'all', 0, [.05] * 6, samples=500000)
    proof.Report(made.plan, proof.read_results(results), tmp_path).write(page)
    assert plot.stat().st_size and 'images/page_curve.png' in page.read_text()
    assert '| all | 500,000 | 1 | 5.0 (5.0 to 5.0) |' in page.read_text()

    write_result(results, 'all', 2, [.1] * 6, version=2)
    with pytest.raises(SystemExit, match='several versions of the renderer'):
        proof.Report(made.plan, proof.read_results(results), tmp_path)
