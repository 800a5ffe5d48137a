import importlib
import json
import shutil

import cv2
import numpy as np
import pytest
from dataset_writers import digests

from lgh_mmpose.datasets.freihand3d import FREIHAND_JOINTS
from lgh_mmpose.rendering import (GENERATOR_VERSION, SceneGenerator,
                                  write_shards, write_studiohand)
from lgh_mmpose.rendering.coco_writer import (KEYPOINTS, CocoLayout,
                                              describe_hands)
from lgh_mmpose.rendering.whole_pictures import WholePicture, WholePictures

PARAMETERS = {
    'num_train': 34,  # more than one piece of work
    'num_eval': 3,
    'seed': 5,
    'size': 96,
    'difficulty': 'full',
    'quiet': True,
    'layout': 'coco',
}
COUNTS = {'training': 34, 'evaluation': 3}


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    out = tmp_path_factory.mktemp('studiohand') / 'data'
    assert write_studiohand(out, **PARAMETERS) is True
    return out


def load(root, split='training'):
    return json.loads((root / f'annotations/{split}.json').read_text())


def test_layout_is_that_of_coco(root):
    expected = {'studiohand.json'}
    for split, count in COUNTS.items():
        expected.add(f'annotations/{split}.json')
        expected |= {f'{split}/images/{i:08d}.jpg' for i in range(count)}
        content = load(root, split)
        assert [image['id']
                for image in content['images']] == list(range(count))
        assert [c['id'] for c in content['categories']] == [1, 2]
        assert [c['name']
                for c in content['categories']] == ['left_hand', 'right_hand']
        for category in content['categories']:
            assert tuple(category['keypoints']) == FREIHAND_JOINTS
            assert len(category['skeleton']) == 20
            assert [10, 11] in category['skeleton']  # counted from 1
    assert set(digests(root)) == expected
    assert json.loads((root / 'studiohand.json').read_text()) == {
        'generator_version': GENERATOR_VERSION,
        'backgrounds': None,
        'without': [],
        **{
            k: v
            for k, v in PARAMETERS.items() if k != 'quiet'
        }
    }


def picture_of(*uv, visible=None, areas=None, legible=None, sides=None):
    count = len(uv)
    return WholePicture(
        np.zeros((100, 100, 3), np.uint8),
        np.array(uv, float).reshape(-1, 21, 2),
        np.ones((count, 21), bool) if visible is None else visible,
        np.full(count, 2000) if areas is None else np.array(areas),
        np.ones(count, bool) if legible is None else np.array(legible), sides
        or ('right', ) * count)


def spread_joints(low, high):
    """Joints on the diagonal of a box, the wrist at its start."""
    return np.linspace(low, high, 21)


def test_a_box_is_that_of_the_joints():
    hand, = describe_hands(picture_of(spread_joints((20, 10), (70, 90))))
    assert hand['bbox'] == [20, 10, 50, 80]
    assert hand['area'] == 4000
    assert hand['category_id'] == 2 and hand['iscrowd'] == 0
    points = np.array(hand['keypoints']).reshape(21, 3)
    np.testing.assert_allclose(points[9, :2], (42.5, 46))
    assert (points[:, 2] == 2).all() and hand['num_keypoints'] == 21
    left, = describe_hands(
        picture_of(spread_joints((20, 10), (70, 90)), sides=('left', )))
    assert left['category_id'] == 1


def test_a_box_is_cut_at_the_border():
    visible = np.ones((1, 21), bool)
    visible[0, 12] = False
    visible[0, 13:] = False  # outside
    hand, = describe_hands(
        picture_of(spread_joints((60, 40), (124, 60)), visible=visible))
    assert hand['bbox'] == [60, 40, 39, 20]
    points = np.array(hand['keypoints']).reshape(21, 3)
    assert points[:, 2].tolist() == [2] * 12 + [1] + [0] * 8
    assert hand['num_keypoints'] == 13
    # where a joint lies that is outside is told all the same
    np.testing.assert_allclose(points[20, :2], (124, 60))


@pytest.mark.parametrize('area, ignored', [(140, 1), (160, 0)])
def test_the_share_that_is_seen_is_that_of_the_whole_box(area, ignored):
    """Of 64 x 20 px, of which 39 x 20 are in the picture: 154 are needed."""
    hand, = describe_hands(
        picture_of(spread_joints((60, 40), (124, 60)), areas=[area]))
    assert hand['bbox'] == [60, 40, 39, 20]
    assert hand['iscrowd'] == ignored


@pytest.mark.parametrize('change', [
    dict(areas=[470]),
    dict(legible=[False]),
])
def test_what_is_hardly_seen_is_to_be_ignored(change):
    """The box has 4000 px."""
    uv = spread_joints((20, 10), (70, 90))
    assert describe_hands(picture_of(uv, areas=[490]))[0]['iscrowd'] == 0
    assert describe_hands(picture_of(uv, **change))[0]['iscrowd'] == 1


@pytest.mark.parametrize('length, ignored', [(9.9, 1), (10., 0)])
def test_the_smallest_hands_are_to_be_ignored(length, ignored):
    uv = spread_joints((20, 10), (25, 10 + length))
    assert describe_hands(picture_of(uv))[0]['iscrowd'] == ignored


def test_what_is_not_seen_is_not_annotated():
    uv = spread_joints((20, 10), (70, 90))
    assert not describe_hands(picture_of(uv, areas=[0]))
    assert not describe_hands(picture_of(uv + 100))
    assert not describe_hands(picture_of())


def test_files_hold_what_was_rendered(root):
    pictures = WholePictures(SceneGenerator(5, 'training', 96))
    content = load(root)
    for i in range(6):
        sample = pictures.sample(i)
        path = root / 'training/images' / content['images'][i]['file_name']
        image = cv2.imread(str(path))[..., ::-1].astype(int)
        assert np.abs(image - sample.image).mean() < 8  # jpeg
        hands = [a for a in content['annotations'] if a['image_id'] == i]
        assert hands == [{
            'id': hand['id'],
            'image_id': i,
            **described
        } for hand, described in zip(hands, describe_hands(sample))]
        assert len(hands) == len(describe_hands(sample))


def test_ids_are_unique_and_boxes_lie_in_the_picture(root):
    annotations = load(root)['annotations']
    assert len({a['id'] for a in annotations}) == len(annotations) > 20
    for annotation in annotations:
        x, y, width, height = annotation['bbox']
        assert 0 <= x <= x + width <= 95.01 and 0 <= y <= y + height <= 95.01
        points = np.array(annotation['keypoints']).reshape(21, 3)
        inside = ((points[:, :2] > -.51) & (points[:, :2] < 95.51)).all(axis=1)
        np.testing.assert_array_equal(points[:, 2] > 0, inside)


@pytest.mark.parametrize('package', ['pycocotools', 'xtcocotools'])
def test_coco_tools_read_it(root, package, capsys):
    coco = importlib.import_module(f'{package}.coco')
    content = load(root)
    data = coco.COCO(str(root / 'annotations/training.json'))
    assert data.getCatIds(['right_hand']) == [2]
    for i in range(4):
        hands = data.loadAnns(data.getAnnIds(imgIds=[i], iscrowd=False))
        assert hands == [
            a for a in content['annotations']
            if a['image_id'] == i and not a['iscrowd']
        ]


def test_mmdet_reads_it(root):
    from mmdet.datasets import CocoDataset
    dataset = CocoDataset(
        data_root=str(root),
        ann_file='annotations/training.json',
        data_prefix=dict(img='training/images/'),
        metainfo=dict(classes=('left_hand', 'right_hand')),
        filter_cfg=dict(filter_empty_gt=False),
        pipeline=[])
    annotations = load(root)['annotations']
    assert len(dataset) == 34  # those without hands, too
    assert len({a['image_id'] for a in annotations}) < 34
    index = annotations[0]['image_id']
    data = dataset.get_data_info(index)
    expected = [a for a in annotations if a['image_id'] == index]
    assert [instance['ignore_flag'] for instance in data['instances']
            ] == [a['iscrowd'] for a in expected]
    for instance, annotation in zip(data['instances'], expected):
        x, y, width, height = annotation['bbox']
        np.testing.assert_allclose(instance['bbox'],
                                   (x, y, x + width, y + height))
        assert instance['bbox_label'] == annotation['category_id'] - 1


def test_mmposes_readers_read_it(root):
    from mmpose.datasets.datasets.base import BaseCocoStyleDataset

    class Hands(BaseCocoStyleDataset):
        METAINFO = dict(from_file='configs/_base_/datasets/freihand2d.py')

    data = Hands(
        data_root=str(root),
        ann_file='annotations/training.json',
        data_prefix=dict(img='training/images/'),
        pipeline=[])
    found = [
        a for a in load(root)['annotations']
        if not a['iscrowd'] and a['num_keypoints'] > 0
    ]
    assert len(data) == len(found)
    info = data.get_data_info(0)
    np.testing.assert_allclose(
        info['keypoints'][0],
        np.array(found[0]['keypoints']).reshape(21, 3)[:, :2])


def test_bytes_do_not_depend_on_the_number_of_workers(root, tmp_path):
    write_studiohand(tmp_path / 'two', workers=2, **PARAMETERS)
    assert digests(tmp_path / 'two') == digests(root)


def test_shards_are_parts_of_it(root, tmp_path):
    assert write_shards(tmp_path / 'shards', 2, **PARAMETERS) == 2
    shutil.rmtree(tmp_path / 'shards/shard-0001-of-0002')
    assert write_shards(tmp_path / 'shards', 2, **PARAMETERS) == 1
    whole, second = load(root), load(tmp_path / 'shards/shard-0002-of-0002')
    assert len(second['images']) == 17
    assert [
        dict(a, id=None, image_id=a['image_id'] + 17)
        for a in second['annotations']
    ] == [
        dict(a, id=None) for a in whole['annotations'] if a['image_id'] >= 17
    ]
    for i in range(17):
        name, whole_name = (f'training/images/{k:08d}.jpg'
                            for k in (i, i + 17))
        part = tmp_path / 'shards/shard-0002-of-0002' / name
        assert part.read_bytes() == (root / whole_name).read_bytes()


def test_a_data_set_is_replaced_by_one_of_another_layout(root, tmp_path):
    shutil.copytree(root, tmp_path / 'data')
    with pytest.raises(FileExistsError, match='other parameters'):
        write_studiohand(tmp_path / 'data', **{**PARAMETERS, 'seed': 6})
    small = dict(num_train=1, num_eval=0, size=32, quiet=True)
    write_studiohand(tmp_path / 'data', overwrite=True, **small)
    assert not (tmp_path / 'data/annotations').exists()
    (tmp_path / 'foreign').mkdir()
    shutil.copytree(root, tmp_path / 'foreign/data')
    (tmp_path / 'foreign/data/annotations/own.json').write_text('{}')
    with pytest.raises(FileExistsError, match='annotations/own.json'):
        write_studiohand(tmp_path / 'foreign/data', overwrite=True, **small)


def test_a_complete_data_set_is_left_alone(root):
    assert write_studiohand(root, **PARAMETERS) is False


def test_there_are_no_depth_maps(tmp_path):
    with pytest.raises(ValueError, match="'coco' has no depth maps"):
        write_studiohand(tmp_path / 'data', depth=True, **PARAMETERS)


def test_names_are_those_of_the_package():
    assert KEYPOINTS == FREIHAND_JOINTS
    assert CocoLayout().image_name(7) == '00000007.jpg'
