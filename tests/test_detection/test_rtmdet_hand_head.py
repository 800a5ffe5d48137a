import copy

import numpy as np
import pytest
import torch
from detector_models import (SIZE, build, build_data_set, random_detector,
                             tiny_config)
from hand_pictures import write_hand_pictures
from mmengine.structures import InstanceData

from lgh_mmpose.detection import HandDetectionMetric
from lgh_mmpose.inference.detections import select_hands


def hands(boxes, labels, directions):
    return InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float).reshape(-1, 4),
        labels=torch.tensor(labels, dtype=torch.long),
        directions=torch.tensor(directions, dtype=torch.float).reshape(-1, 2))


NONE = hands([], [], [])
ONE = hands([[20, 20, 70, 80]], [1], [[0, -1]])


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    return build(tiny_config())


@pytest.fixture(scope='module')
def maps(model):
    """What the head of a new network says of two inputs."""
    torch.manual_seed(1)
    with torch.no_grad():
        return model.bbox_head(model.extract_feat(torch.randn(2, 3, *SIZE)))


def losses(model, maps, truth, ignored=None):
    metas = [{}] * len(truth)
    return model.bbox_head.loss_by_feat(*maps, truth, metas, ignored)


def test_places_are_those_of_three_strides(model, maps):
    answers = model.bbox_head.answers(*maps)
    places = 12**2 + 6**2 + 3**2
    assert answers.boxes.shape == (2, places, 4)
    assert answers.logits.shape == answers.directions.shape == (2, places, 2)


def test_a_box_is_where_the_distances_say(model, maps):
    distances = [torch.zeros_like(part) for part in maps[1]]
    # row 2 and column 3 of stride 16: the place (48, 32)
    distances[1][0, :, 2, 3] = torch.tensor([10., 20, 30, 40])
    answers = model.bbox_head.answers(maps[0], distances, maps[2])
    assert answers.boxes[0, 144 + 2 * 6 + 3].tolist() == [38, 12, 78, 72]
    assert answers.boxes[0, 144 + 1].tolist() == [16, 0, 16, 0]


@pytest.mark.parametrize('direction', [[0, -1], [1, 0], [-.6, .8]])
def test_only_places_with_a_hand_are_taught_its_direction(
        model, maps, direction):
    """The gradient points to it there, and is 0 elsewhere."""
    directions = [part.clone().requires_grad_() for part in maps[2]]
    truth = hands([[20, 20, 70, 80]], [1], [direction])
    loss = losses(model, (*maps[:2], directions), [truth, NONE])
    loss['loss_direction'].backward()
    moved = 0
    for part, before in zip(directions, maps[2]):
        assert not part.grad[1].any()  # no hand there
        wanted = torch.tensor(direction)[:, None, None] - before[0]
        taught = part.grad[0].any(dim=0)
        moved += int(taught.sum())
        cosine = torch.cosine_similarity(-part.grad[0], wanted, dim=0)
        assert (cosine[taught] > .999).all()
    assert 1 <= moved <= 13


def test_without_hands_only_the_classes_are_taught(model, maps):
    loss = losses(model, maps, [NONE, NONE])
    assert loss['loss_cls'] > 0
    assert loss['loss_bbox'] == loss['loss_direction'] == 0


def test_an_unknown_direction_is_not_taught(model, maps):
    unknown = hands(ONE.bboxes.tolist(), [1], [[0, 0]])
    loss = losses(model, maps, [unknown, NONE])
    assert loss['loss_direction'] == 0 and loss['loss_bbox'] > 0


def test_an_ignored_hand_is_no_background(model, maps):
    logits = [part.clone().requires_grad_() for part in maps[0]]
    losses(model, (logits, *maps[1:]), [NONE, NONE],
           [ONE, NONE])['loss_cls'].backward()
    for part, stride in zip(logits, (8, 16, 32)):
        grad = part.grad.abs().sum(dim=1) > 0
        v, u = torch.meshgrid(
            *[torch.arange(n) * stride for n in grad.shape[1:]], indexing='ij')
        inside = (u > 20) & (u < 70) & (v > 20) & (v < 80)
        assert not grad[0][inside].any() and grad[0][~inside].all()
        assert grad[1].all()


def test_mmdet_computes_the_same_losses(model, maps, monkeypatch):
    """Classes and boxes, of RTMDet's own head."""
    from mmdet.models.dense_heads import RTMDetSepBNHead
    truth = [
        ONE,
        hands([[5, 8, 30, 50], [40, 40, 90, 90]], [0, 1], [[1, 0], [0, 1]])
    ]
    metas = [dict(img_shape=SIZE, pad_shape=SIZE)] * 2
    own = losses(model, maps, truth)
    monkeypatch.setattr(
        model.bbox_head, 'train_cfg',
        dict(model.bbox_head.train_cfg, allowed_border=-1, pos_weight=-1))
    mmdet = RTMDetSepBNHead.loss_by_feat(model.bbox_head, *maps[:2],
                                         copy.deepcopy(truth), metas)
    for name in ('loss_cls', 'loss_bbox'):
        assert float(own[name]) == pytest.approx(
            float(sum(mmdet[name])), rel=1e-4)


def test_what_is_predicted_is_chosen_as_at_inference():
    model = random_detector()
    torch.manual_seed(2)
    images = torch.randn(1, 3, *SIZE)
    with torch.no_grad():
        feats = model.extract_feat(images)
        maps = model.bbox_head(feats)
        answers = model.bbox_head.answers(*maps)
        found, = model.bbox_head.predict_by_feat(
            *maps, batch_img_metas=[dict(ori_shape=SIZE)])
    expected = select_hands(answers.boxes[0].numpy(),
                            answers.logits[0].sigmoid().numpy(),
                            answers.directions[0].numpy(), **model.test_cfg)
    assert len(found.bboxes) > 3
    np.testing.assert_array_equal(found.bboxes, expected.boxes)
    np.testing.assert_array_equal(found.scores, expected.scores)
    np.testing.assert_array_equal(found.directions, expected.directions)
    assert [('left', 'right')[i] for i in found.labels] == \
        expected.sides.tolist()


@pytest.mark.parametrize(
    'changes',
    [dict(num_classes=1), dict(with_objectness=True)])
def test_a_head_of_another_kind_is_refused(changes):
    cfg = tiny_config()
    cfg.model.bbox_head.update(changes)
    with pytest.raises(ValueError, match='num_classes=2'):
        build(cfg)


def test_a_short_training_learns_sides_places_and_directions(tmp_path):
    """The losses fall, and what is found fits the labels better."""
    write_hand_pictures(tmp_path, 8, 1, size=SIZE)
    cfg = tiny_config(tmp_path)
    transform = cfg.train_dataloader.dataset.pipeline[1]
    transform.update(scale=(1, 1), rotate=0, flip_prob=0, mosaic_prob=0)
    cfg.train_dataloader.dataset.pipeline.pop(2)
    torch.manual_seed(0)
    model = build(cfg).train()
    data_set = build_data_set(cfg, 'train_dataloader')
    samples = [data_set[i] for i in range(len(data_set))]
    batch = dict(
        inputs=[sample['inputs'] for sample in samples],
        data_samples=[sample['data_samples'] for sample in samples])
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    history = []
    for _ in range(60):
        data = model.data_preprocessor(copy.deepcopy(batch), True)
        loss = model(**data, mode='loss')
        history.append({key: value.item() for key, value in loss.items()})
        optimizer.zero_grad()
        sum(loss.values()).backward()
        optimizer.step()
    assert history[-1]['loss_bbox'] < .5 * max(h['loss_bbox'] for h in history)
    assert history[-1]['loss_direction'] < .5 * max(h['loss_direction']
                                                    for h in history)
    with torch.no_grad():  # statistics of the last weights
        for _ in range(30):
            model(**data, mode='loss')
    model.eval()
    cfg.val_dataloader.dataset.split = 'training'
    metric = HandDetectionMetric(score_thr=.2)
    evaluation = build_data_set(cfg)
    samples = [evaluation[i] for i in range(len(evaluation))]
    data = model.data_preprocessor(
        dict(
            inputs=[sample['inputs'] for sample in samples],
            data_samples=[sample['data_samples'] for sample in samples]))
    with torch.no_grad():
        found = model(**data, mode='predict')
    metric.process({}, [sample.to_dict() for sample in found])
    scores = metric.evaluate(len(samples))
    assert scores['hand/hands'] == 8
    assert scores['hand/recall'] > .7, scores
    assert scores['hand/side_right'] > .7
    assert scores['hand/direction_error'] < 30
