"""The scripts that bake the hand and measure its key points."""
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from helpers import run_file, run_script

from lgh_mmpose.rendering.hand_model import JOINT_INDEX, JOINT_NAMES, HandModel

SCRIPTS = Path(__file__).parents[2] / '.dev_scripts' / 'rendering'


@pytest.fixture(scope='module')
def model():
    return HandModel()


@pytest.fixture(scope='module')
def bodies(model, tmp_path_factory):
    """Bodies as anny would give them: here those of the baked hand, turned
    and opened at the forearm again."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    axes *= np.sign(np.linalg.det(axes))
    people = [model.mean_subject
              ] + [model.sample_subject(rng) for _ in range(24)]
    count = len(model.mean_subject.vertices) - 1
    kept = (model.faces < count).all(axis=1)
    dense = np.zeros((count, len(JOINT_NAMES)))
    np.put_along_axis(
        dense, model._influences[:-1], model._weights[:-1], axis=1)
    path = tmp_path_factory.mktemp('bodies') / 'bodies.npz'
    texels = model.texture_faces[kept]
    np.savez(
        path,
        vertices=np.array([p.vertices[:-1] for p in people]) @ axes + 50,
        joints=np.array([p.joints for p in people]) @ axes + 50,
        frames=np.broadcast_to((np.eye(3) @ axes).T,
                               (25, len(JOINT_NAMES), 3, 3)),
        male=np.array([p.male for p in people[1:]]),
        age=np.array([p.age for p in people[1:]]),
        weights=dense,
        faces=model.faces[kept],
        texture_coordinates=model.texture_coordinates[:texels.max() + 1],
        texture_faces=texels)
    return path


def test_bake_writes_a_hand_that_loads(bodies, tmp_path):
    out = tmp_path / 'hand.npz'
    run_script(
        SCRIPTS / 'bake_hand.py', 'pack', bodies, '--out', out, cwd=tmp_path)
    first = out.read_bytes()
    baked = HandModel(out)
    edges = Counter((face[i], face[(i + 1) % 3])
                    for face in baked.faces.tolist() for i in range(3))
    assert set(edges.values()) == {1}
    assert all((b, a) in edges for a, b in edges)
    keypoints = baked.deform(
        np.zeros((len(JOINT_NAMES), 3)), baked.mean_subject).keypoints
    assert keypoints[12, 2] < -150 and keypoints[4, 0] < -40
    subject = baked.sample_subject(np.random.default_rng(0))
    rest = baked.deform(baked.rest_pose(subject), subject).vertices
    np.testing.assert_allclose(rest, subject.vertices, atol=.01)
    run_script(
        SCRIPTS / 'bake_hand.py', 'pack', bodies, '--out', out, cwd=tmp_path)
    assert out.read_bytes() == first


def test_skin_bends_where_a_moved_joint_is():
    """On a tube along a finger, halves follow the joint to its new place."""
    script = run_file(SCRIPTS / 'bake_hand.py')
    chain = script['finger_chain']('Index')
    old = np.zeros((len(JOINT_NAMES), 3))
    old[:, 0] = 500  # other fingers are far away
    old[chain] = [(0, 0, -z) for z in (0, 40, 65, 90)]
    new = old.copy()
    new[chain[2], 2] -= 5
    z, angle = np.meshgrid(np.arange(-20., 91), np.linspace(0, 6, 8))
    tube = np.stack([8 * np.cos(angle), 8 * np.sin(angle), -z],
                    axis=-1).reshape(-1, 3)
    weights = np.zeros((len(tube), len(JOINT_NAMES)))
    share = np.clip((-tube[:, 2] - 55) / 20, 0, 1)
    weights[:, chain[1]], weights[:, chain[2]] = 1 - share, share
    for f in range(5):
        if f != 1:  # every finger has some skin
            finger = script['finger_chain'](script['FINGERS'][f])
            old[finger] = new[finger] = np.array(
                (500. * (f + 1), 0, 0)) - np.outer(np.arange(4), (0, 0, 20))
    others = []
    for f in (0, 2, 3, 4):
        finger = script['finger_chain'](script['FINGERS'][f])
        row = np.zeros((8, len(JOINT_NAMES)))
        row[:, finger[1]] = 1
        weights = np.concatenate([weights, row])
        others.append(np.full((8, 3), 500. * (f + 1)))
    points = np.concatenate([tube, *others])
    faces = np.stack([
        np.arange(len(points)),
        np.roll(np.arange(len(points)), 1),
        np.roll(np.arange(len(points)), 2)
    ], 1)
    moved = script['shift_weights'](points, faces, weights, old, new)
    np.testing.assert_allclose(moved.sum(axis=1), 1, atol=1e-9)
    middle = np.abs(moved[:len(tube), chain[2]] - .5) < .05
    assert np.median(-tube[middle, 2]) == pytest.approx(70, abs=1.5)


def hand(model, **changes):
    keypoints = model.deform(
        np.zeros((len(JOINT_NAMES), 3)), model.mean_subject).keypoints
    return dict(
        dict(
            source='toy',
            label='true',
            hand_side='right',
            keypoints_cam_mm=(keypoints + [5, 6, 400]).tolist()), **changes)


def test_measures_key_points(model, tmp_path):
    left = hand(model, hand_side='left', source='left')
    left['keypoints_cam_mm'] = (np.array(left['keypoints_cam_mm']) *
                                [-1, 1, 1]).tolist()
    (tmp_path / 'hands.json').write_text(
        json.dumps([
            hand(model), left,
            hand(model, keypoints_cam_mm=None),
            hand(model, label='accepted', source='other')
        ]))
    lines = run_script(
        SCRIPTS / 'measure_key_points.py',
        'hands.json',
        '--count',
        3,
        cwd=tmp_path).stdout.splitlines()
    assert [cell.strip() for cell in lines[0].split('|')
            ] == ['', '', 'StudioHand (3)', 'left (1)', 'toy (1)', '']
    rows = {
        cells[0].strip(): [float(c.split('±')[0]) for c in cells[1:]]
        for cells in (line.strip('| ').split('|') for line in lines[2:])
    }
    assert len(rows) == 32
    for bones in rows.values():  # a left hand is measured as a right one
        assert bones[1] == bones[2]
    middle = [
        rows[f'middle {bone}'][1]
        for bone in ('wrist-MCP', 'MCP-PIP', 'PIP-DIP', 'DIP-tip')
    ]
    assert sum(middle) == pytest.approx(100, abs=.3)
    assert rows['ring MCP x'][1] > 0 > rows['index MCP x'][1]
    assert JOINT_INDEX['wrist'] == 0


def test_page_has_the_measured_numbers(model):
    """docs/rendered_hands/key_points.md shows what the script prints."""
    page = (SCRIPTS.parents[1] / 'docs' / 'rendered_hands' /
            'key_points.md').read_text(encoding='utf-8')
    script = run_file(SCRIPTS / 'measure_key_points.py')
    rows = script['measure_subjects'](200)
    names = script['BONES'] + [
        f'{name} {axis}' for name in script['PALM'] for axis in 'xyz'
    ]
    for name, values in zip(names, rows.T):
        cell = f'| {name} | {values.mean():.1f} ± {values.std():.1f} |'
        assert cell in page
