import json
import os

import cv2
import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from work_dir_writer import write_scalars as write_run

from lgh_mmpose.inference.skeleton_2d import group_colors
from lgh_mmpose.visualization import figures

META = parse_pose_metainfo(
    dict(from_file='configs/_base_/datasets/freihand2d.py'))
NAMES = [META['keypoint_id2name'][i] for i in range(21)]


def read(path):
    image = cv2.imread(str(path))
    assert image is not None
    return image[..., ::-1]


def make_hands(num, noise=5., seed=0):
    """True and predicted hands in mm and px: xyz, pred, uv, uv_pred."""
    rng = np.random.default_rng(seed)
    xyz = rng.uniform(-60, 60, (num, 21, 3)) + [0, 0, 500]
    pred = xyz + rng.normal(0, noise, xyz.shape)
    uv, uv_pred = (x[..., :2] / x[..., 2:] * 200 + 32 for x in (xyz, pred))
    return xyz, pred, uv, uv_pred


# ---- contact sheet


@pytest.mark.parametrize('num, columns, cells', [(5, 2, (3, 2)),
                                                 (3, 4, (1, 3))])
def test_contact_sheet_has_a_cell_per_image(tmp_path, num, columns, cells):
    xyz, pred, uv, uv_pred = make_hands(num)
    images = [np.full((64, 64, 3), 30 * i, np.uint8) for i in range(num)]
    out_file = tmp_path / 'sheet.png'
    figures.contact_sheet(
        images,
        uv_pred,
        out_file,
        META,
        keypoints_gt=uv,
        keypoints_cam=pred,
        keypoints_cam_gt=xyz,
        titles=[f'hand {i}' for i in range(num)],
        num_columns=columns,
        tile=96)
    sheet = read(out_file)
    height, width = 96 + 20 + 8, 3 * 96 + 8
    assert sheet.shape == (cells[0] * height, cells[1] * width, 3)
    for i in range(num):
        row, column = divmod(i, columns)
        # each image is in its own cell, below the title
        corner = sheet[row * height + 26, column * width + 6]
        assert (corner == 30 * i).all()


def test_contact_sheet_of_images_alone(tmp_path):
    *_, uv_pred = make_hands(2)
    images = [np.zeros((40, 60, 3), np.uint8)] * 2
    figures.contact_sheet(
        images, uv_pred, tmp_path / 'sheet.png', META, tile=60)
    sheet = read(tmp_path / 'sheet.png')
    assert sheet.shape == (68, 2 * 68, 3)
    assert (sheet[4 + 41:4 + 60] == 255).all()  # below the 60x40 images


def test_joints_without_ground_truth_are_left_out(tmp_path):
    xyz, pred, uv, uv_pred = make_hands(1)
    image = [np.zeros((64, 64, 3), np.uint8)]
    for name, lost in (('none', True), ('all', False)):
        figures.contact_sheet(
            image,
            uv_pred,
            tmp_path / f'{name}.png',
            META,
            keypoints_gt=np.full_like(uv, np.nan) if lost else uv,
            keypoints_cam=pred,
            keypoints_cam_gt=np.full_like(xyz, np.nan) if lost else xyz,
            tile=96)
    figures.contact_sheet(
        image,
        uv_pred,
        tmp_path / 'without.png',
        META,
        keypoints_cam=pred,
        tile=96)
    without = read(tmp_path / 'without.png')
    np.testing.assert_array_equal(read(tmp_path / 'none.png'), without)
    assert (read(tmp_path / 'all.png') != without).any()


def test_contact_sheet_can_colour_by_group(tmp_path):
    *_, uv_pred = make_hands(1)
    image = [np.zeros((64, 64, 3), np.uint8)]
    groups = np.zeros(21, int)
    figures.contact_sheet(
        image, uv_pred, tmp_path / 'a.png', META, joint_groups=groups)
    sheet = read(tmp_path / 'a.png').reshape(-1, 3)
    used = {tuple(c) for c in sheet[(sheet.min(axis=1) < 250)]}
    assert tuple(group_colors(1)[0]) in used
    # one group: every colour is a shade between black and the group's
    assert all(c[2] >= c[0] for c in used)


def test_contact_sheet_refuses_what_does_not_fit(tmp_path):
    *_, uv_pred = make_hands(2)
    with pytest.raises(ValueError, match='at least one image'):
        figures.contact_sheet([], uv_pred[:0], tmp_path / 'a.png', META)
    with pytest.raises(ValueError, match='3 images, but keypoints has 2'):
        figures.contact_sheet([np.zeros((9, 9, 3), np.uint8)] * 3, uv_pred,
                              tmp_path / 'a.png', META)
    assert not os.listdir(tmp_path)


@pytest.fixture
def dump_file(tmp_path):
    """Ten predictions whose errors rise with their number."""
    xyz, _, uv, _ = make_hands(10)
    noise = np.random.default_rng(1).normal(0, 1, xyz.shape)
    pred = xyz + noise * np.arange(1, 11)[:, None, None]
    paths = []
    for i in range(10):
        paths.append(str(tmp_path / f'{i}.png'))
        cv2.imwrite(paths[-1], np.full((32, 32, 3), 20 * i, np.uint8))
    np.savez(
        tmp_path / 'dump.npz',
        img_path=np.array(paths),
        joint_names=np.array(NAMES),
        root_joint='middle_finger1',
        annotated=np.ones((10, 21), bool),
        pred_keypoints=uv,
        gt_keypoints=uv,
        pred_keypoints_cam=pred,
        gt_keypoints_cam=xyz,
        errors_root=np.linalg.norm(pred - xyz, axis=-1))
    return tmp_path / 'dump.npz'


def test_best_median_and_worst_predictions(dump_file, tmp_path):
    figures.contact_sheet_of_predictions(
        dump_file, tmp_path / 'out.png', META, num_each=2, tile=96)
    sheet = read(tmp_path / 'out.png')
    height, width = 96 + 28, 3 * 96 + 8
    assert sheet.shape == (3 * height, 2 * width, 3)
    drawn = [[
        sheet[r * height + 26, c * width + 6, 0] // 20 for c in range(2)
    ] for r in range(3)]
    assert drawn == [[0, 1], [4, 5], [9, 8]]


def test_samples_without_an_error_are_not_the_worst(dump_file, tmp_path,
                                                    monkeypatch):
    arrays = dict(np.load(dump_file))
    errors = arrays['errors_root']
    kept = np.sort(errors.mean(axis=1))[-2]
    errors[errors.mean(axis=1).argmax()] = np.nan
    np.savez(tmp_path / 'some.npz', **arrays)
    drawn = []
    monkeypatch.setattr(figures, 'contact_sheet',
                        lambda *_, titles, **__: drawn.extend(titles))
    figures.contact_sheet_of_predictions(
        tmp_path / 'some.npz', tmp_path / 'out.png', META, num_each=2)
    assert not any('nan' in title for title in drawn)
    assert drawn[4].startswith(f'worst: {kept:.1f} mm')

    errors[:] = np.nan
    np.savez(tmp_path / 'none.npz', **arrays)
    with pytest.raises(ValueError, match='no sample with an error'):
        figures.contact_sheet_of_predictions(tmp_path / 'none.npz',
                                             tmp_path / 'out.png', META)


def test_unreadable_image_is_named(dump_file, tmp_path):
    (tmp_path / '9.png').write_bytes(b'\x89PNG')
    with pytest.raises(ValueError, match=r'image .*9\.png: it is damaged'):
        figures.contact_sheet_of_predictions(dump_file, tmp_path / 'out.png',
                                             META)
    assert not (tmp_path / 'out.png').exists()


def test_alignment_that_was_not_scored_is_refused(dump_file, tmp_path):
    with pytest.raises(ValueError, match=r"'procrustes', only \['root'\]"):
        figures.contact_sheet_of_predictions(
            dump_file, tmp_path / 'out.png', META, alignment='procrustes')


# ---- training curve


def write_scalars(path, by_epoch=True, epochs=3, iters=20):
    with open(path, 'w') as file:
        for epoch in range(1, epochs + 1):
            for i in range(10, iters + 1, 10):
                step = (epoch - 1) * iters + i
                record = dict(
                    loss=3 / step, loss_uv=2 / step, iter=step, step=step)
                if by_epoch:
                    record['epoch'] = epoch
                file.write(json.dumps(record) + '\n')
            file.write(
                json.dumps({
                    'hand/MPJPE': 30. / epoch,
                    'step': epoch if by_epoch else epoch * iters
                }) + '\n')


@pytest.mark.parametrize('by_epoch', [True, False])
def test_validation_is_placed_at_its_iteration(tmp_path, by_epoch):
    write_scalars(tmp_path / 'scalars.json', by_epoch)
    records = figures.read_scalars(tmp_path / 'scalars.json')
    assert figures.validation_curves(records,
                                     ['hand/MPJPE', 'hand/PA-MPJPE']) == {
                                         'hand/MPJPE': ([20, 40,
                                                         60], [30., 15., 10.])
                                     }


def test_resumed_runs_are_put_together(tmp_path):
    write_run(tmp_path / '20200101_000000', range(2, 31, 2))
    write_run(tmp_path / '20200102_000000', range(12, 41, 2))  # from epoch 1
    # a test leaves a folder without scalars, or with none of a training
    other = tmp_path / '20200103_000000/vis_data'
    other.mkdir(parents=True)
    (other / 'scalars.json').write_text('{"hand/MPJPE": 1, "step": 9}\n')
    records = figures.read_run(tmp_path)
    assert [r['step'] for r in records if 'loss' in r] == list(range(2, 41, 2))
    assert figures.validation_curves(
        records, ['hand/MPJPE'])['hand/MPJPE'] == ([10, 20, 30,
                                                    40], [60, 30, 20, 15])
    steps, losses = figures.loss_curves(records)['loss']
    assert (steps[4:7], losses[5]) == ([10, 12, 14], 3 / 12)


def test_equal_curves_are_one_with_both_names():
    curves = dict(a=([1, 2], [3., 4.]), b=([1, 2], [3., 5.]))
    twin = dict(c=([1, 2], [3., 4.]), d=([2, 3], [3., 4.]))
    assert figures.merge_equal({
        **curves,
        **twin
    }) == {
        'a, c': curves['a'],
        'b': curves['b'],
        'd': twin['d']
    }


def test_a_folder_without_a_training_is_named(tmp_path):
    with pytest.raises(ValueError, match='work dir of a training'):
        figures.read_run(tmp_path)


def test_training_curve_is_drawn(tmp_path):
    write_scalars(tmp_path / 'scalars.json')
    figures.plot_training_curve(tmp_path / 'scalars.json',
                                tmp_path / 'both.png')
    figures.plot_training_curve(
        tmp_path / 'scalars.json', tmp_path / 'loss.png', errors=())
    both, loss = read(tmp_path / 'both.png'), read(tmp_path / 'loss.png')
    assert both.shape[1] > loss.shape[1]
    for image in (both, loss):
        assert .01 < (image < 128).any(axis=-1).mean() < .3


@pytest.mark.parametrize('text, message', [
    ('{"loss": 1, "step": 1}\n{"loss": 2, "st', 'line 2 is not json'),
    ('[1, 2]\n', 'line 1 is not a json object'),
    ('{"loss": 1, "step": 1}\n' + '[' * 10**5, 'line 2 is not json'),
    ('{"loss": 1, "step": 1}\n\udcff', 'line 2 is not json'),
    ('1' * 5000, 'line 1 is not json'),
    ('{"hand/MPJPE": 3, "step": 1}\n', 'no record with a loss'),
    ('', 'no record with a loss'),
])
def test_damaged_scalars_are_named(tmp_path, text, message):
    path = tmp_path / 'scalars.json'
    path.write_bytes(text.encode(errors='surrogateescape'))
    with pytest.raises(ValueError, match=message):
        figures.plot_training_curve(path, tmp_path / 'curve.png')
    assert os.listdir(tmp_path) == ['scalars.json']


# ---- selector matrix and PCK curves


def test_selector_matrix_shows_likely_groups_in_their_colour(tmp_path):
    groups = np.arange(21) % 3
    figures.plot_selector_matrix(
        np.eye(3)[groups], NAMES, tmp_path / 'matrix.png')
    image = read(tmp_path / 'matrix.png')
    # the cells fill the picture's lower right corner
    top, left = image.shape[0] - 10 - 21 * 22, image.shape[1] - 30 - 3 * 60
    for joint, group in enumerate(groups):
        for column in range(3):
            pixel = image[top + 22 * joint + 3, left + 60 * column + 5]
            expected = group_colors(3)[group] if column == group else 255
            np.testing.assert_allclose(pixel, expected, atol=4)


@pytest.mark.parametrize('probabilities, message', [
    (np.ones((20, 3)) / 3, r'must be \(21, G\)'),
    (np.ones((21, 3)), 'wrist do not add up to 1'),
    (np.full((21, 3), np.nan), 'wrist do not add up to 1'),
])
def test_selector_matrix_must_hold_distributions(tmp_path, probabilities,
                                                 message):
    with pytest.raises(ValueError, match=message):
        figures.plot_selector_matrix(probabilities, NAMES,
                                     tmp_path / 'matrix.png')


def test_pck_curves_are_drawn(tmp_path):
    thresholds = np.linspace(0, 50, 20)
    curves = {
        'low': (thresholds, thresholds / 100),
        'ours': (thresholds, thresholds / 70),
        'high': (thresholds, thresholds / 50),
    }
    figures.plot_pck_curves(curves, tmp_path / 'pck.png', highlight=['ours'])
    image = read(tmp_path / 'pck.png')
    for color in (*group_colors(2), (0, 0, 0)):
        assert (image == color).all(axis=-1).sum() > 100
    # black is the text and the one that stands out
    figures.plot_pck_curves(curves, tmp_path / 'plain.png')
    plain = read(tmp_path / 'plain.png')
    black = [(x == 0).all(axis=-1).sum() for x in (image, plain)]
    assert black[0] > black[1] + 1000
    with pytest.raises(ValueError, match='no curve'):
        figures.plot_pck_curves({}, tmp_path / 'pck.png')


def test_pck_curves_are_drawn_as_pdf(tmp_path):
    curves = {'a': (np.array([0., 50.]), np.array([0., 1.]))}
    for name in ('a.pdf', 'b.pdf'):
        figures.plot_pck_curves(curves, tmp_path / name)
    content = (tmp_path / 'a.pdf').read_bytes()
    assert content.startswith(b'%PDF') and b'%%EOF' in content[-16:]
    assert content == (tmp_path / 'b.pdf').read_bytes()
