import cv2
import numpy as np
import pytest
from detector_models import build_data_set, tiny_config
from hand_pictures import annotation, draw_hands, write_hand_pictures
from hypothesis import given
from hypothesis import strategies as st

from lgh_mmpose.detection import (LetterboxHands, PackHandInputs,
                                  RandomHandAffine)
from lgh_mmpose.detection.transforms import Picture, Targets
from lgh_mmpose.inference.letterbox import letterbox

SIZE = (120, 90)


def sample(joints, labels=None, image=None, ignored=None):
    """What the data set gives, of hands (N, 21, 2)."""
    num = len(joints)
    labels = [0] * num if labels is None else labels
    hands = []
    for i, hand in enumerate(joints):
        entry = annotation(np.asarray(hand, float), SIZE, labels[i])
        x, y, w, h = entry['bbox']
        hands.append(
            dict(
                bbox=[x, y, x + w, y + h],
                bbox_label=labels[i],
                ignore_flag=int(ignored is not None and ignored[i]),
                keypoints=np.array(entry['keypoints'])))
    if image is None:
        image = np.full((*SIZE[::-1], 3), 50, np.uint8)
    return dict(
        img=image,
        img_path='a.jpg',
        width=SIZE[0],
        height=SIZE[1],
        instances=hands)


def a_hand(wrist=(40., 60.), knuckle=(40., 30.), spread=10.):
    """Joints with these two, all others between, some beside them."""
    shares = np.linspace(0, 1, 21)[:, None]
    joints = (1 - shares) * wrist + shares * np.asarray(knuckle)
    joints[5] += (spread, 0)
    joints[13] -= (spread, 0)
    joints[0], joints[9] = wrist, knuckle
    return joints


def still(**kwargs):
    """No change but what is asked for."""
    return RandomHandAffine(**{
        **dict(input_size=SIZE, scale=(1, 1), rotate=0, flip_prob=0),
        **kwargs
    })


def test_without_change_the_labels_are_those_of_the_file():
    given = sample([a_hand()], [1])
    out = still().transform(dict(given))
    np.testing.assert_array_equal(out['img'], given['img'])
    np.testing.assert_allclose(out['gt_bboxes'],
                               [given['instances'][0]['bbox']])
    assert out['gt_bboxes_labels'].tolist() == [1]
    np.testing.assert_allclose(out['gt_directions'], [[0, -1]])
    assert out['gt_ignore_flags'].tolist() == [False]
    assert out['img_shape'] == SIZE[::-1]


def test_mirroring_exchanges_sides_and_turns_directions():
    image = np.zeros((*SIZE[::-1], 3), np.uint8)
    image[20:40, 10:30] = 200
    joints = a_hand((30, 60), (60, 20))
    out = still(flip_prob=1).transform(
        sample([joints, joints + 20], [0, 1], image=image))
    np.testing.assert_array_equal(out['img'], image[:, ::-1])
    assert out['gt_bboxes_labels'].tolist() == [1, 0]
    # pixel 0 is now pixel 119
    box = [joints[:, 0].min(), joints[:, 0].max()]
    assert out['gt_bboxes'][0, [0, 2]].tolist() == pytest.approx(
        [119 - box[1], 119 - box[0]])
    np.testing.assert_allclose(out['gt_directions'], [[-.6, -.8]] * 2)


@given(st.integers(0, 2**31), st.booleans())
def test_the_picture_goes_where_its_labels_go(seed, flip):
    """A bright spot at each end of the hand stays there."""
    np.random.seed(seed % 2**32)
    image = np.zeros((*SIZE[::-1], 3), np.uint8)
    wrist, knuckle = np.array([50, 50]), np.array([70, 35])
    image[wrist[1] - 2:wrist[1] + 3, wrist[0] - 2:wrist[0] + 3] = (250, 0, 0)
    image[knuckle[1] - 2:knuckle[1] + 3,
          knuckle[0] - 2:knuckle[0] + 3] = (0, 250, 0)
    joints = np.linspace(wrist, knuckle, 21)
    joints[[9, 20]] = joints[[20, 9]]
    transform = RandomHandAffine((80, 100),
                                 scale=(.7, 1.5),
                                 rotate=180,
                                 flip_prob=float(flip))
    out = transform.transform(sample([joints], [1], image=image))
    assert set(out['gt_bboxes_labels'].tolist()) <= {0 if flip else 1}
    spots = []
    for channel in (0, 1):
        # the fill is grey
        light = out['img'].astype(float)
        light = light[..., channel] - light[..., 2]
        if light.sum() < 2000:  # it has left the input
            return
        v, u = np.indices(light.shape)
        spots.append([(light * u).sum(), (light * v).sum()] / light.sum())
    inside = np.array(spots)
    if (inside < 4).any() or (inside > [75, 95]).any():
        return
    wrist, knuckle = inside
    box = np.concatenate([np.minimum(*spots), np.maximum(*spots)])
    np.testing.assert_allclose(out['gt_bboxes'][0], box, atol=1)
    bone = (knuckle - wrist) / np.linalg.norm(knuckle - wrist)
    np.testing.assert_allclose(out['gt_directions'][0], bone, atol=.1)


def test_boxes_end_at_the_border_of_the_picture_and_of_the_input():
    joints = a_hand((40, 110), (40, 60), spread=10)  # wrist below the picture
    picture = Picture.of(sample([joints]))
    (box, ), _, (direction, ), _ = Targets.of(picture, np.eye(3), SIZE)
    assert box.tolist() == pytest.approx([30, 60, 50, 89])
    assert direction.tolist() == [0, -1]  # that of the whole hand
    shifted = np.array([[1., 0, -35], [0, 1, 0], [0, 0, 1]])
    (box, ), *_ = Targets.of(picture, shifted, SIZE)
    assert box.tolist() == pytest.approx([0, 60, 15, 89])


def test_hands_of_which_little_is_left_are_ignored_and_others_are_gone():
    joints = np.stack([
        a_hand((10, 60), (10, 30)),  # 20 px wide
        a_hand((-30, 60), (-30, 30)),
        a_hand((60, 60), (60, 57), spread=3),  # 6 px
        a_hand((90, 60), (90, 30))
    ])
    warp = np.array([[1., 0, -16], [0, 1, 0], [0, 0, 1]])
    picture = Picture.of(
        sample(joints, [0, 0, 0, 1], ignored=[False, False, False, True]))
    targets = Targets.of(picture, warp, SIZE, min_visible=.25, min_size=8)
    assert targets.ignored.tolist() == [True, True, True]
    assert targets.labels.tolist() == [0, 0, 1]
    targets = Targets.of(picture, warp, SIZE, min_visible=.1, min_size=4)
    assert targets.ignored.tolist() == [False, False, True]


def test_a_hand_that_points_to_the_camera_has_no_direction():
    joints = a_hand()
    joints[9] = joints[0]
    targets = Targets.of(Picture.of(sample([joints])), np.eye(3), SIZE)
    assert targets.directions.tolist() == [[0, 0]]


def test_a_picture_without_hands_stays_one():
    for transform in (still(), LetterboxHands((64, 64))):
        out = PackHandInputs().transform(transform.transform(sample([])))
        hands = out['data_samples'].gt_instances
        assert hands.bboxes.shape == (0, 4) and hands.labels.shape == (0, )
        assert hands.directions.shape == (0, 2)


def test_a_label_for_another_size_is_refused():
    """Some programs shrink pictures and leave the labels alone."""
    image = np.zeros((SIZE[1] // 2, SIZE[0] // 2, 3), np.uint8)
    with pytest.raises(ValueError, match='is annotated as one of'):
        Picture.of(sample([a_hand()], image=image))


def test_a_mosaic_is_of_four_pictures():
    np.random.seed(0)
    transform = RandomHandAffine((96, 96), mosaic_prob=1, num_cached=3)
    rng = np.random.default_rng(0)
    shades = []
    for i in range(8):
        image, joints, right = draw_hands(rng, SIZE, 2)
        image[:] = 10 * (i + 1)
        out = transform.transform(sample(joints, right.astype(int), image))
        shades.append(set(np.unique(out['img']).tolist()))
        assert out['img'].shape == (96, 96, 3)
        if len(shades) > 3:
            assert len(shades[-1] & set(range(10, 90, 10))) >= 2
            quarters = out['gt_bboxes'] // 48
            # no box reaches over a border
            np.testing.assert_array_equal(quarters[:, :2], quarters[:, 2:])
    assert 10 * 8 in shades[-1] and 10 not in shades[-1]


def test_evaluation_sees_what_inference_sees(tmp_path):
    write_hand_pictures(tmp_path, 1, 2, size=SIZE)
    dataset = build_data_set(tiny_config(tmp_path))
    image = cv2.imread(str(tmp_path / 'evaluation/images/00000001.jpg'))
    packed = dataset[1]
    pixels, warp = letterbox(image, (96, 96))
    np.testing.assert_array_equal(packed['inputs'].numpy(),
                                  pixels.transpose(2, 0, 1))
    meta = packed['data_samples'].metainfo
    np.testing.assert_array_equal(meta['warp_mat'], warp)
    labels = meta['hand_labels']
    assert len(labels.boxes) == 2 and labels.image.endswith('00000001.jpg')
    zoom = warp[0, 0]
    sizes = labels.boxes[:, 2:] - labels.boxes[:, :2]
    boxes = packed['data_samples'].gt_instances.bboxes.numpy()
    np.testing.assert_allclose(
        boxes[:, 2:] - boxes[:, :2], zoom * sizes, atol=.01)


@pytest.mark.parametrize('kwargs', [
    dict(scale=(0, 1)),
    dict(scale=(2, 1)),
    dict(flip_prob=1.1),
    dict(mosaic_prob=-1),
    dict(num_cached=2),
])
def test_impossible_arguments_are_named(kwargs):
    with pytest.raises(ValueError, match=next(iter(kwargs))):
        RandomHandAffine((64, 64), **kwargs)
