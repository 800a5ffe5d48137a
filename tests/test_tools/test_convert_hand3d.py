"""tools/dataset_converters/convert_hand3d.py."""
import json
import os

import cv2
import numpy as np
import pytest
from dataset_writers import (RHD_NAMES, write_dexter_object, write_hand3d_json,
                             write_stb)
from helpers import REPO_ROOT, run_script
from PIL import Image

from lgh_mmpose.datasets import (DexterObject3DDataset, FreiHand3DDataset,
                                 Hand3DJsonDataset, Rhd3DDataset, Stb3DDataset)
from lgh_mmpose.inference.images import read_image

CONVERT = REPO_ROOT / 'tools/dataset_converters/convert_hand3d.py'
SAME = ('keypoints', 'keypoints_visible', 'keypoints_cam', 'camera_matrix',
        'bone_length', 'root_depth', 'bbox')


def convert(folder, config, *arguments, check=True):
    """Run the tool in a folder."""
    return run_script(
        CONVERT,
        REPO_ROOT / 'configs' / config,
        *arguments,
        cwd=folder,
        check=check)


def assert_same_records(dataset, expected, keys=SAME):
    assert len(dataset) == len(expected) > 0
    for i in range(len(dataset)):
        ours, theirs = dataset.get_data_info(i), expected.get_data_info(i)
        for key in keys:
            assert (key in ours) == (key in theirs), key
            if key in theirs:
                np.testing.assert_allclose(
                    ours[key], theirs[key], atol=1e-3, err_msg=key)
        for key in ('hand_side', 'keypoint_names'):
            assert ours[key] == theirs[key]
        np.testing.assert_array_equal(
            cv2.imread(ours['img_path']), cv2.imread(theirs['img_path']))


def test_stb_to_json(tmp_path):
    write_stb(tmp_path / 'stb', ['B1Counting', 'B1Random'], num=2)
    output = convert(tmp_path, 'lgh_stb.py', 'new/out', '--layout', 'json',
                     '--splits', 'evaluation', '--cfg-options',
                     'data_root=stb').stdout
    assert 'new/out/evaluation.json: 4 hands in 4 images' in output
    assert not (tmp_path / 'new/out/training.json').exists()
    assert_same_records(
        Hand3DJsonDataset(str(tmp_path / 'new/out'), 'evaluation.json'),
        Stb3DDataset(str(tmp_path / 'stb'), split='evaluation'))


def test_freihand_to_json_and_back(freihand_root, tmp_path):
    convert(tmp_path, 'lgh_freihand.py', 'out', '--layout', 'json',
            '--cfg-options', f'data_root={freihand_root}')
    for split in ('training', 'evaluation'):
        assert_same_records(
            Hand3DJsonDataset(str(tmp_path / 'out'), f'{split}.json'),
            FreiHand3DDataset(str(freihand_root), split=split))


def test_joints_without_annotation_stay_without(tmp_path):
    write_dexter_object(tmp_path / 'dexter', num=1)
    convert(tmp_path, 'lgh_dexter-object.py', 'out', '--layout', 'json',
            '--cfg-options', 'data_root=dexter')
    ours = Hand3DJsonDataset(
        str(tmp_path / 'out'), 'evaluation.json', test_mode=True)
    theirs = DexterObject3DDataset(str(tmp_path / 'dexter'), bone_length=36.)
    assert_same_records(
        ours, theirs,
        [key for key in SAME if key not in ('keypoints', 'keypoints_cam')])
    for i in range(len(ours)):
        known = theirs.get_data_info(i)['keypoints_visible'][0] > 0
        for key in ('keypoints', 'keypoints_cam'):
            np.testing.assert_allclose(
                ours.get_data_info(i)[key][0, known],
                theirs.get_data_info(i)[key][0, known],
                atol=1e-3)


def test_real_hands_of_rhd_keep_their_occlusion(tmp_path):
    samples = REPO_ROOT.parent / 'shared/samples/rhd'
    if not samples.is_dir():
        pytest.skip('no samples of RHD beside the repository')
    convert(tmp_path, 'lgh_rhd.py', 'out', '--layout', 'json', '--splits',
            'evaluation', '--cfg-options', f'data_root={samples}',
            'test_dataloader.dataset.ann_file=test_rhd.json')
    ours = Hand3DJsonDataset(str(tmp_path / 'out'), 'evaluation.json')
    theirs = Rhd3DDataset(
        str(samples), ann_file='test_rhd.json', test_mode=True)
    assert len(ours) == 3
    assert_same_records(ours, theirs,
                        [key for key in SAME if key != 'keypoints'])
    content = json.loads((tmp_path / 'out/evaluation.json').read_text())
    for i, ann in enumerate(content['annotations']):
        in_sight = theirs.get_data_info(i)['keypoints_in_sight'][0] > 0
        np.testing.assert_array_equal(ann['keypoints'][2::3], 1 + in_sight)


@pytest.fixture(scope='module')
def own_data(tmp_path_factory):
    """One's own left and right hands in RHD's joint order; read only."""
    root = tmp_path_factory.mktemp('own')
    content = write_hand3d_json(root, 'training.json', names=RHD_NAMES)
    for image in content['images']:
        image['file_name'] = f'images/{image["file_name"]}'
    for split in ('training', 'evaluation'):
        (root / f'{split}.json').write_text(json.dumps(content))
    return root


def test_own_hands_to_freihand(own_data, tmp_path):
    output = convert(tmp_path, 'lgh_own-data.py', 'out', '--layout',
                     'freihand', '--size', 64, '--cfg-options',
                     f'data_root={own_data}').stdout
    assert 'training: 4 images of 64x64 px' in output
    source = Hand3DJsonDataset(str(own_data), 'training.json')
    dataset = FreiHand3DDataset(str(tmp_path / 'out'))
    assert len(dataset) == 4
    for i in range(4):
        old, new = source.get_data_info(i), dataset.get_data_info(i)
        assert new['hand_side'] == 'right'
        mirror = [-1, 1, 1] if old['hand_side'] == 'left' else [1, 1, 1]
        np.testing.assert_allclose(
            new['keypoints_cam'], old['keypoints_cam'] * mirror, atol=1e-6)
        assert new['bone_length'] == pytest.approx(old['bone_length'])
        assert (np.diag(new['camera_matrix']) > 0).all()
        # the hand, whichever side, is in the crop
        uv = new['keypoints'][0]
        assert (uv > 0).all() and (uv < 63).all()
        assert cv2.imread(new['img_path']).shape == (64, 64, 3)


def test_image_is_mirrored_with_the_joints(tmp_path):
    content = write_hand3d_json(tmp_path / 'own', 'training.json', num=2)
    for image, ann in zip(content['images'], content['annotations']):
        image['file_name'] = f'images/{image["file_name"]}'
        path = tmp_path / 'own' / image['file_name']
        picture = np.zeros((image['height'], image['width'], 3), np.uint8)
        u, v = ann['keypoints'][3 * 4:3 * 4 + 2]
        cv2.circle(picture, (round(u), round(v)), 4, (255, 255, 255), -1)
        cv2.imwrite(str(path), picture)
    (tmp_path / 'own/training.json').write_text(json.dumps(content))
    convert(tmp_path, 'lgh_own-data.py', 'out', '--layout', 'freihand',
            '--splits', 'training', '--cfg-options', 'data_root=own')
    dataset = FreiHand3DDataset(str(tmp_path / 'out'))
    for i in range(2):
        record = dataset.get_data_info(i)
        picture = cv2.imread(record['img_path'])[..., 0]
        v, u = np.argwhere(picture > 128).mean(0)
        thumb_tip = record['keypoints'][0, 4]
        # the dot was drawn at whole pixels, of which the crop makes several
        assert np.linalg.norm(thumb_tip - [u, v]) < 4


@pytest.fixture
def turned_photos(tmp_path):
    """Own data whose images are WebP, stored lying, upright by EXIF."""
    content = write_hand3d_json(tmp_path / 'own', 'training.json', num=2)
    exif = Image.Exif()
    exif[0x112] = 6
    for image in content['images']:
        image['file_name'] = f'images/{image["file_name"]}'
        path = tmp_path / 'own' / image['file_name']
        picture = Image.open(path).convert('RGB')
        picture.rotate(
            90, expand=True).save(
                path, 'WEBP', lossless=True, exif=exif)
    (tmp_path / 'own/training.json').write_text(json.dumps(content))
    return tmp_path, content


def test_sizes_are_those_of_upright_images(turned_photos):
    folder, content = turned_photos
    convert(folder, 'lgh_own-data.py', 'out', '--layout', 'json', '--splits',
            'training', '--cfg-options', 'data_root=own')
    new = json.loads((folder / 'out/training.json').read_text())
    for ours, theirs in zip(new['images'], content['images']):
        for key in ('width', 'height'):
            assert ours[key] == theirs[key]


def test_crops_are_of_upright_images(turned_photos):
    folder, content = turned_photos
    arguments = ('--layout', 'freihand', '--splits', 'training',
                 '--cfg-options', 'data_root=own')
    convert(folder, 'lgh_own-data.py', 'turned', *arguments)
    for image in content['images']:
        path = folder / 'own' / image['file_name']
        cv2.imwrite(str(path), read_image(path))
    convert(folder, 'lgh_own-data.py', 'upright', *arguments)
    for i in range(2):
        turned, upright = (
            cv2.imread(str(folder / name / f'training/rgb/{i:08d}.jpg'))
            for name in ('turned', 'upright'))
        assert np.array_equal(turned, upright) and upright.std() > 5


@pytest.mark.parametrize('layout', ['json', 'freihand'])
def test_nothing_is_left_of_a_failure(own_data, tmp_path, layout):
    root = tmp_path / 'own'
    content = json.loads((own_data / 'training.json').read_text())
    if layout == 'json':
        content['images'][3]['file_name'] = 'missing.png'
        message = 'missing.png'
    else:
        content['annotations'][3]['keypoints'][2] = 0
        message = 'has no wrist'
    root.mkdir()
    (root / 'images').symlink_to(own_data / 'images')
    (root / 'training.json').write_text(json.dumps(content))
    result = convert(
        tmp_path,
        'lgh_own-data.py',
        'out',
        *('--layout', layout, '--splits', 'training', '--cfg-options'),
        'data_root=own',
        check=False)
    assert result.returncode == 1
    error = result.stdout.strip().splitlines()[-1]
    assert error.startswith('error: ') and message in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ['own']


def test_what_comes_while_it_works_stays_and_the_result_too(
        own_data, tmp_path, monkeypatch):
    get_data_info = Hand3DJsonDataset.get_data_info

    def meanwhile(self, index):
        (tmp_path / 'out').mkdir(exist_ok=True)
        (tmp_path / 'out/notes.txt').write_text('mine')
        return get_data_info(self, index)

    with monkeypatch.context() as patch:
        patch.setattr(Hand3DJsonDataset, 'get_data_info', meanwhile)
        result = convert(
            tmp_path,
            'lgh_own-data.py',
            *('out', '--layout', 'json', '--cfg-options'),
            f'data_root={own_data}',
            check=False)
    assert result.returncode == 1 and 'is whole, in' in result.stdout
    assert os.listdir(tmp_path / 'out') == ['notes.txt']
    # the images are found from there as from the name that was asked for
    dataset = Hand3DJsonDataset(str(tmp_path / 'out_2'), 'training.json')
    assert os.path.isfile(dataset.get_data_info(0)['img_path'])


def test_refuses_what_it_cannot_do(own_data, tmp_path):
    (tmp_path / 'there').mkdir()
    result = convert(
        tmp_path,
        'lgh_own-data.py',
        'there',
        *('--layout', 'json', '--cfg-options', f'data_root={own_data}'),
        check=False)
    assert 'error: there exists already' in result.stdout
    result = convert(
        tmp_path,
        'lgh_dexter-object.py',
        'out',
        *('--layout', 'json', '--splits', 'training'),
        check=False)
    assert 'has no data set to convert' in result.stdout
    assert result.returncode == 1


def test_a_data_folder_behind_a_symbolic_link(own_data, tmp_path):
    (tmp_path / 'disk/far/away').mkdir(parents=True)
    (tmp_path / 'data').symlink_to(tmp_path / 'disk/far/away')
    convert(tmp_path, 'lgh_own-data.py', 'data/out', '--layout', 'json',
            '--splits', 'training', '--cfg-options', f'data_root={own_data}')
    dataset = Hand3DJsonDataset(str(tmp_path / 'data/out'), 'training.json')
    for i in range(len(dataset)):
        path = dataset.get_data_info(i)['img_path']
        assert os.path.samefile(path, own_data / f'images/{i}.png')


def resize(root, content):
    cv2.imwrite(str(root / 'images/2.png'), np.zeros((40, 48, 3), np.uint8))


def cut(root, content):
    path = root / 'images/2.png'
    path.write_bytes(path.read_bytes()[:-20])


def move_box(root, content):
    content['annotations'][2]['bbox'] = [100., 0., 20., 20.]


def move_hand(root, content):
    ann = content['annotations'][2]
    xyz = np.array(ann['keypoints_cam']) + [1000, 0, 0]
    uv = xyz @ np.array(ann['camera_matrix']).T
    ann['keypoints_cam'] = xyz.tolist()
    ann['keypoints'] = np.column_stack([uv[:, :2] / uv[:, 2:],
                                        np.full(21, 2)]).ravel().tolist()


@pytest.mark.parametrize('layout', ['json', 'freihand'])
@pytest.mark.parametrize('damage, message', [
    (resize, 'the image has 48 x 40 px, its annotation says 96 x 80'),
    (cut, 'the file is truncated'),
    (move_box, 'the box from 100, 0 to 120, 20 lies outside of the image'),
    (move_hand, 'no joint lies in the image of 96 x 80 px'),
])
def test_annotations_that_do_not_fit_their_image_are_refused(
        tmp_path, layout, damage, message):
    root = tmp_path / 'own'
    content = write_hand3d_json(root, 'training.json')
    for image in content['images']:
        image['file_name'] = f'images/{image["file_name"]}'
    damage(root, content)
    (root / 'training.json').write_text(json.dumps(content))
    result = convert(
        tmp_path,
        'lgh_own-data.py',
        'out',
        *('--layout', layout, '--splits', 'training', '--cfg-options'),
        'data_root=own',
        check=False)
    assert result.returncode == 1 and message in result.stdout
    assert 'sample 25' in result.stdout and '2.png' in result.stdout
    assert not (tmp_path / 'out').exists()
