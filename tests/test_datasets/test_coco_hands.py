import json

import numpy as np
import pytest
from hand_pictures import write_hand_pictures

from lgh_mmpose.datasets.coco_hands import read_coco_hands


@pytest.fixture
def root(tmp_path):
    return write_hand_pictures(tmp_path / 'data', 8, 4)


def change(root, change, split='training'):
    """Rewrite the annotations."""
    path = root / 'annotations' / f'{split}.json'
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_pictures_with_and_without_hands_are_read(root):
    pictures = read_coco_hands(str(root), 'training')
    assert [len(one['instances']) for one in pictures] == [1, 2, 1, 0] * 2
    assert [one['img_id'] for one in pictures] == list(range(8))
    raw = json.loads((root / 'annotations/training.json').read_text())
    hands = [hand for one in pictures for hand in one['instances']]
    assert len(hands) == len(raw['annotations'])
    for hand, annotation in zip(hands, raw['annotations']):
        x, y, w, h = annotation['bbox']
        assert hand['bbox'] == pytest.approx([x, y, x + w, y + h])
        assert hand['bbox_label'] == annotation['category_id'] - 1
        assert hand['ignore_flag'] == 0
        np.testing.assert_array_equal(hand['keypoints'],
                                      annotation['keypoints'])
    for one in pictures:
        assert (one['width'], one['height']) == (96, 80)
        assert one['img_path'].endswith(f'{one["img_id"]:08d}.jpg')


def test_labels_do_not_depend_on_the_order_of_the_categories(root):
    before = [
        hand['bbox_label'] for one in read_coco_hands(str(root), 'training')
        for hand in one['instances']
    ]

    def swap(content):
        content['categories'].reverse()
        for category in content['categories']:
            category['id'] = 30 - category['id']
        for annotation in content['annotations']:
            annotation['category_id'] = 30 - annotation['category_id']

    change(root, swap)
    after = [
        hand['bbox_label'] for one in read_coco_hands(str(root), 'training')
        for hand in one['instances']
    ]
    assert after == before and {0, 1} == set(after)


def test_crowds_are_marked(root):
    change(root, lambda c: c['annotations'][0].update(iscrowd=1))
    first = read_coco_hands(str(root), 'training')[0]
    assert first['instances'][0]['ignore_flag'] == 1


def test_shards_are_read_as_one(tmp_path):
    for i in (1, 2):
        folder = tmp_path / f'shard-{i:04d}-of-0002'
        write_hand_pictures(folder, 4, 2, seed=i)
        (folder / 'studiohand.json').write_text(
            json.dumps(dict(num_train=8, num_eval=4, shard=[i, 2])))
    parts = [
        read_coco_hands(str(tmp_path / f'shard-000{i}-of-0002'), 'training')
        for i in (1, 2)
    ]
    whole = read_coco_hands(str(tmp_path), 'training')
    assert [one['img_path'] for one in whole
            ] == [one['img_path'] for part in parts for one in part]
    assert [one['img_id'] for one in whole] == list(range(8))

    def lose(content):
        content['images'].pop()
        content['annotations'] = []

    change(tmp_path / 'shard-0002-of-0002', lose)
    with pytest.raises(ValueError, match='must have 4 samples'):
        read_coco_hands(str(tmp_path), 'training')


@pytest.mark.parametrize('spoil, message', [
    (lambda c: c.pop('images'), 'no list of images'),
    (lambda c: c.update(annotations=3), 'no list of annotations'),
    (lambda c: c['images'][2].pop('width'), 'picture 2 has no'),
    (lambda c: c['images'].__setitem__(0, 3), 'picture 0 has no'),
    (lambda c: c['images'][2].update(width=0), 'picture 2 has a bad'),
    (lambda c: c['images'][2].update(file_name=3), 'picture 2 has a bad'),
    (lambda c: c['images'][2].update(id=1), 'picture 2 has .* the id of an'),
    (lambda c: c['images'][2].update(id=[]), 'picture 2 has no'),
    (lambda c: c['annotations'].__setitem__(1, []), 'annotation 1 is no json'),
    (lambda c: c['annotations'][1].update(image_id=99), 'annotation 1 belongs '
     'to no picture'),
    (lambda c: c['annotations'][1].update(image_id=[]), 'annotation 1 belongs '
     'to no picture'),
    (lambda c: c['annotations'][1].update(category_id=3),
     'annotation 1 belongs to no category'),
    (lambda c: c['annotations'][1].update(bbox=[0, 0, 1]),
     'annotation 1 must have a bbox'),
    (lambda c: c['annotations'][1].update(bbox=[0, 0, -1, 1]),
     'annotation 1 must have a bbox'),
    (lambda c: c['annotations'][1]['keypoints'].pop(),
     'annotation 1 must have .* 63'),
    (lambda c: c['annotations'][1]['keypoints'].__setitem__(0, float('nan')),
     'annotation 1 must have .* 63'),
    (lambda c: c['annotations'][1].update(keypoints=['a'] * 63),
     'annotation 1 must have .* 63'),
    (lambda c: c['categories'].pop(), 'categories left_hand and right_hand'),
    (lambda c: c.update(categories=[3]), 'categories left_hand and right'),
])
def test_a_bad_file_is_named_with_the_entry(root, spoil, message):
    change(root, spoil)
    with pytest.raises(ValueError, match=rf'training\.json.*{message}'):
        read_coco_hands(str(root), 'training')


def test_a_missing_or_broken_file_is_named(root):
    path = root / 'annotations/training.json'
    path.write_text('{')
    with pytest.raises(ValueError, match=r'training\.json is not valid json'):
        read_coco_hands(str(root), 'training')
    path.unlink()
    with pytest.raises(FileNotFoundError, match='training.json is missing'):
        read_coco_hands(str(root), 'training')
