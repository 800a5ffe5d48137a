import json
import os

import cv2
import numpy as np
import pytest
from dataset_writers import write_hand3d_json
from helpers import REPO_ROOT, run_script, write_freihand

from lgh_mmpose.rendering import write_shards, write_studiohand

BROWSE = REPO_ROOT / 'tools/misc/browse_dataset.py'
CONFIG = REPO_ROOT / 'configs/lgh_studiohand.py'


def browse(folder, data_root, *arguments, check=True):
    return run_script(
        BROWSE,
        *(CONFIG, '--not-show', *arguments, '--cfg-options'),
        f'data_root={data_root}',
        cwd=folder,
        check=check)


def test_samples_are_drawn_and_checked(freihand_root, tmp_path):
    output = browse(tmp_path, freihand_root, '--output-dir', 'out', '--phase',
                    'val', '--max-item-per-dataset', 2).stdout
    assert '2 of 4 samples, 0 with a fault' in output
    pictures = sorted(p.name for p in (tmp_path / 'out').iterdir())
    assert pictures == ['0000000_00000000.png', '0000002_00000002.png']
    # 5 stages (no GenerateTarget in validation) and two views
    picture = cv2.imread(str(tmp_path / 'out' / pictures[0]))
    assert picture.shape == (280, 7 * 260, 3)


def test_swapped_joints_fail_by_name(tmp_path):
    root = write_freihand(tmp_path / 'data', num_train=3)
    xyz = json.loads((root / 'training_xyz.json').read_text())
    base, tip = 5, 8
    xyz[1][base], xyz[1][tip] = xyz[1][tip], xyz[1][base]
    (root / 'training_xyz.json').write_text(json.dumps(xyz))
    result = browse(tmp_path, root, check=False)
    assert result.returncode == 1
    lines = result.stdout.splitlines()
    assert '3 of 3 samples, 1 with a fault, 0 unreadable' in lines[-1]
    fault = lines.index(next(line for line in lines if 'FAULT' in line))
    assert '00000001.jpg' in lines[fault - 1]
    assert 'odd length: forefinger3-forefinger4' in lines[fault]


def test_unreadable_images_are_named_and_the_others_browsed(tmp_path):
    root = write_freihand(tmp_path / 'data', num_train=6)
    images = root / 'training/rgb'
    (images / '00000001.jpg').unlink()
    (images / '00000002.jpg').write_bytes(b'no image')
    whole = (images / '00000003.jpg').read_bytes()
    (images / '00000003.jpg').write_bytes(whole[:len(whole) // 2])
    # what find_file_fault() takes for a whole one
    (images / '00000004.jpg').write_bytes(b'\xff\xd8nothing\xff\xd9')
    result = browse(tmp_path, root, '--output-dir', 'out', check=False)
    assert result.returncode == 1
    lines = [x for x in result.stdout.splitlines() if 'UNREADABLE' in x]
    assert len(lines) == 4
    for i, line in enumerate(lines, 1):
        assert str(images / f'0000000{i}.jpg') in line
        assert f'(sample {i})' in line
    assert '6 of 6 samples, 0 with a fault, 4 unreadable' in result.stdout
    assert sorted(p.name for p in (tmp_path / 'out').iterdir()) == [
        '0000000_00000000.png', '0000005_00000005.png'
    ]


def test_a_missing_data_set_is_one_sentence(tmp_path):
    result = browse(tmp_path, 'nowhere', check=False)
    assert result.returncode and 'nowhere' in str(result.returncode)


@pytest.mark.parametrize('text, message', [
    ('data = [\n', 'cannot read the config own.py'),
    ("train_dataloader = dict(dataset=dict(type='NoSuchSet'))\n",
     'NoSuchSet is not in the'),
])
def test_a_wrong_config_is_one_sentence(text, message, tmp_path):
    (tmp_path / 'own.py').write_text(text)
    result = run_script(
        BROWSE, 'own.py', '--not-show', cwd=tmp_path, check=False)
    error = str(result.returncode)
    assert error.startswith('error: ') and len(error.splitlines()) == 1
    assert 'own.py' in error and message in error


def test_all_annotations_are_held_against_their_images(tmp_path):
    root = tmp_path / 'own'
    content = write_hand3d_json(root, 'training.json', num=6)
    for image in content['images']:
        image['file_name'] = f'images/{image["file_name"]}'
    cv2.imwrite(
        str(root / 'images/1.png'),
        cv2.imread(str(root / 'images/1.png'))[:40, :48])
    content['annotations'][4]['bbox'] = [-50., 0., 20., 20.]
    (root / 'training.json').write_text(json.dumps(content))
    result = run_script(
        BROWSE,
        *(REPO_ROOT / 'configs/lgh_own-data.py', '--not-show'),
        *('--max-item-per-dataset', 2, '--cfg-options', f'data_root={root}'),
        cwd=tmp_path,
        check=False)
    # though two samples alone are looked at, which have no fault
    assert '2 of 6 samples, 0 with a fault, 0 unreadable' in result.stdout
    assert '2 of 6 annotations do not fit their image' in result.stdout
    assert result.returncode == 1
    first, second = (
        line for line in result.stdout.splitlines() if '.png: the ' in line)
    assert '1.png: the image has 48 x 40 px, its annotation says 96 x 80' \
        in first
    assert '4.png: the box from -50, 0 to -30, 20 lies outside' in second


def test_the_longest_names_stop_nothing(tmp_path):
    """With the number before it a name could be too long."""
    content = write_hand3d_json(tmp_path / 'own', 'training.json', num=1)
    image = content['images'][0]
    name = 251 * 'n' + '.png'
    (tmp_path / 'own/images' / image['file_name']).rename(tmp_path / 'own' /
                                                          name)
    image['file_name'] = name
    (tmp_path / 'own/training.json').write_text(json.dumps(content))
    run_script(
        BROWSE,
        *(REPO_ROOT / 'configs/lgh_own-data.py', '--not-show', '--output-dir'),
        *('out', '--mode', 'original', '--cfg-options', 'data_root=own'),
        cwd=tmp_path)
    name, = os.listdir(tmp_path / 'out')
    assert name == f'0000000_{243 * "n"}.png'


def sheet(folder, *arguments, check=True):
    result = run_script(
        BROWSE, *arguments, '--sheet', 'sheet.png', cwd=folder, check=check)
    path = folder / 'sheet.png'
    return result, cv2.imread(str(path)) if path.exists() else None


def test_a_sheet_shows_many_samples(freihand_root, tmp_path):
    """Those of the data set, with their joints on every other one."""
    options = ('--columns', 3, '--rows', 2, '--tile', 64)
    source = (CONFIG, '--cfg-options', f'data_root={freihand_root}')
    result, half = sheet(tmp_path, *source, *options)
    assert 'sheet.png: 6 of 8 samples' in result.stdout
    assert half.shape == (2 * 66 - 2, 3 * 66 - 2, 3)
    _, none = sheet(tmp_path, *source, *options, '--joints', 'none')
    _, every = sheet(tmp_path, *source, *options, '--joints', 'all')
    images = [
        cv2.imread(str(path)).astype(int)
        for path in (freihand_root / 'training/rgb').iterdir()
    ]
    shown = set()
    for row in range(2):
        for column in range(3):
            tiles = [
                picture[66 * row:66 * row + 64, 66 * column:66 * column + 64]
                for picture in (half, none, every)
            ]
            with_joints = (row + column) % 2 == 1
            assert (tiles[0] == tiles[2 if with_joints else 1]).all()
            assert (tiles[1] != tiles[2]).any()
            errors = [abs(image - tiles[1]).max() for image in images]
            assert min(errors) == 0  # each image as it is
            shown.add(errors.index(0))
    assert len(shown) == 6
    _, other = sheet(tmp_path, *source, *options, '--seed', 1)
    assert (other != half).any()
    assert (sheet(tmp_path, *source, *options)[1] == half).all()


@pytest.mark.parametrize('layout, size', [('freihand', 32), ('rhd', 96),
                                          ('coco', 64)])
def test_a_sheet_of_a_rendered_folder(tmp_path, layout, size):
    """No config is needed, be it in shards or not."""
    parameters = dict(
        num_train=3, num_eval=1, size=size, layout=layout, quiet=True)
    write_studiohand(tmp_path / 'data', **parameters)
    write_shards(tmp_path / 'shards', 2, **parameters)
    options = ('--columns', 4, '--rows', 1, '--tile', 24)
    result, picture = sheet(tmp_path, 'data', *options)
    assert '3 of 3 samples' in result.stdout
    assert picture.shape == (24, 3 * 26 - 2, 3)  # no place is empty
    assert picture.std() > 10
    result, part = sheet(tmp_path, 'shards/shard-0002-of-0002', *options)
    assert '2 of 2 samples' in result.stdout
    assert (sheet(tmp_path, 'shards', *options)[1] == picture).all()
    result, _ = sheet(tmp_path, 'data', *options, '--phase', 'test')
    assert '1 of 1 samples' in result.stdout


def whole_pictures(folder):
    """A data set of two pictures, one with a left, a right and a bad hand."""
    hands = [
        dict(
            id=k,
            image_id=1,
            category_id=category,
            iscrowd=crowd,
            bbox=[20 * k, 8, 12, 16],
            keypoints=[value for _ in range(21) for value in (20 * k, 40, 2)])
        for k, (category, crowd) in enumerate([(1, 0), (2, 0), (2, 1)])
    ]
    content = dict(
        images=[
            dict(id=i, file_name=f'{i:08d}.jpg', width=64, height=64)
            for i in range(2)
        ],
        annotations=hands,
        categories=[
            dict(id=1, name='left_hand'),
            dict(id=2, name='right_hand')
        ])
    (folder / 'annotations').mkdir(parents=True)
    (folder / 'training/images').mkdir(parents=True)
    (folder / 'annotations/training.json').write_text(json.dumps(content))
    (folder / 'studiohand.json').write_text('{"layout": "coco"}')
    for i in range(2):
        cv2.imwrite(
            str(folder / f'training/images/{i:08d}.jpg'),
            np.full((64, 64, 3), 40, np.uint8))


def test_a_sheet_of_whole_pictures_shows_boxes_and_sides(tmp_path):
    """Red left, green right, grey what is to be ignored."""
    whole_pictures(tmp_path / 'data')
    options = ('--columns', 2, '--rows', 1, '--tile', 64)
    _, plain = sheet(tmp_path, 'data', *options, '--joints', 'none')
    result, picture = sheet(tmp_path, 'data', *options, '--joints', 'all')
    assert '2 of 2 samples' in result.stdout
    assert picture.shape == (64, 2 * 66 - 2, 3)
    tiles = [picture[:, :64], picture[:, 66:]]
    tile, = (tile for tile in tiles if (tile != 40).any())
    for k, color in enumerate([(0, 0, 255), (0, 200, 0), (150, 150, 150)]):
        for row, column in ((16, 20 * k), (24, 20 * k + 6)):
            np.testing.assert_allclose(tile[row, column], color, atol=25)
        assert (tile[16, 20 * k + 6] == 40).all()
    assert (plain[:, :64] == 40).all() and (plain[:, 66:] == 40).all()


@pytest.mark.parametrize('options, damage, message', [
    (('--not-show', ), False, 'give --sheet'),
    (('--sheet', 'a.png', '--phase', 'test'), False, 'evaluation.json'),
    (('--sheet', 'a.png'), True, 'training.json is damaged'),
])
def test_what_cannot_be_drawn_of_whole_pictures(tmp_path, options, damage,
                                                message):
    whole_pictures(tmp_path / 'data')
    if damage:
        (tmp_path / 'data/annotations/training.json').write_text('{}')
    result = run_script(BROWSE, 'data', *options, cwd=tmp_path, check=False)
    error = str(result.returncode)
    assert error.startswith('error: ') and message in error


def test_joints_lie_on_the_hand_of_a_cut_out(tmp_path):
    """A box in the corner: the picture is moved and scaled as the joints."""
    content = write_hand3d_json(tmp_path / 'own', 'training.json', num=1)
    image, hand = content['images'][0], content['annotations'][0]
    path = tmp_path / 'own/images' / image['file_name']
    xyz = np.array(hand['keypoints_cam'], float)
    uvw = xyz @ np.array(hand['camera_matrix'], float).T
    uv = uvw[:, :2] / uvw[:, 2:]
    picture = np.zeros((image['height'], image['width'], 3), np.uint8)
    cv2.circle(picture,
               np.rint(uv[0]).astype(int).tolist(), 2, (255, 255, 255), -1)
    path.write_bytes(cv2.imencode('.png', picture)[1].tobytes())
    image['file_name'] = f'images/{image["file_name"]}'
    hand['bbox'] = [float(v) for v in (*uv.min(0), *np.ptp(uv, axis=0))]
    (tmp_path / 'own/training.json').write_text(json.dumps(content))
    source = (REPO_ROOT / 'configs/lgh_own-data.py', '--cfg-options',
              'data_root=own', '--columns', 1, '--rows', 1, '--tile', 200)
    _, bare = sheet(tmp_path, *source, '--joints', 'none')
    _, drawn = sheet(tmp_path, *source, '--joints', 'all')
    wrist = np.argwhere(bare[..., 0] > 127).mean(0)
    # the wrist's own colour is drawn over the dot
    around = np.abs(drawn.astype(int) - bare).sum(-1) > 60
    rows, columns = np.nonzero(around)
    distance = np.hypot(rows - wrist[0], columns - wrist[1])
    assert distance.min() < 2


@pytest.mark.parametrize('arguments, message', [
    (('nothing', '--columns', 0), '--columns must be 1 or more'),
    (('nothing', '--seed', -1), '--seed must be 0 or more'),
    (('.', ), 'is no rendered data set: studiohand.json'),
])
def test_a_wrong_sheet_is_one_sentence(tmp_path, arguments, message):
    result, picture = sheet(tmp_path, *arguments, check=False)
    assert message in f'{result.returncode} {result.stdout}'
    assert result.returncode and picture is None


def test_a_sheet_names_an_unreadable_image(tmp_path):
    root = write_freihand(tmp_path / 'data', num_train=2)
    (root / 'training/rgb/00000001.jpg').write_bytes(b'no image')
    result, picture = sheet(
        tmp_path, *(CONFIG, '--cfg-options', f'data_root={root}'), check=False)
    assert '00000001.jpg: cannot read this image' in str(result.returncode)
    assert picture is None
