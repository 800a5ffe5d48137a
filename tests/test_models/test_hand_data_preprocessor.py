"""The network's input: mmpose's numbers, in another layout."""
import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample

from lgh_mmpose.models import HandDataPreprocessor

SETTINGS = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])


def make_batch(sizes=((8, 6), (8, 6))):
    rng = np.random.default_rng(0)
    images, samples = [], []
    for height, width in sizes:
        img = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        images.append(torch.from_numpy(img).permute(2, 0, 1))
        sample = PoseDataSample(metainfo=dict(id=len(samples)))
        sample.gt_instance_labels = InstanceData(
            keypoint_labels=torch.ones(1, 2, 3))
        samples.append(sample)
    return dict(inputs=images, data_samples=samples)


@pytest.mark.parametrize('order', [
    dict(bgr_to_rgb=True),
    dict(rgb_to_bgr=True),
    dict(),
])
@pytest.mark.parametrize('stacked', [False, True])
def test_gives_the_numbers_of_mmpose(order, stacked):
    batch = make_batch()
    if stacked:
        batch['inputs'] = torch.stack(batch['inputs'])
    theirs = MODELS.build(
        dict(type='PoseDataPreprocessor', **SETTINGS, **order))(
            batch)
    ours = MODELS.build(
        dict(type='HandDataPreprocessor', **SETTINGS, **order))(
            batch)
    assert torch.equal(ours['inputs'], theirs['inputs'])
    assert ours['inputs'].is_contiguous(memory_format=torch.channels_last)
    for our, their in zip(ours['data_samples'], theirs['data_samples']):
        assert our.id == their.id
        assert our.batch_input_shape == our.pad_shape == (8, 6)
        assert torch.equal(our.gt_instance_labels.keypoint_labels,
                           their.gt_instance_labels.keypoint_labels)


def test_images_alone_are_enough():
    model = HandDataPreprocessor(**SETTINGS)
    batch = make_batch()
    del batch['data_samples']
    result = model(batch)
    assert result['inputs'].shape == (2, 3, 8, 6)
    assert result['data_samples'] is None


def test_crops_of_several_sizes_are_refused():
    model = MODELS.build(dict(type='HandDataPreprocessor', **SETTINGS))
    with pytest.raises(ValueError, match='one size.*8, 6.*9, 6'):
        model(make_batch(((8, 6), (9, 6))))


def test_an_empty_batch_is_named():
    model = HandDataPreprocessor(**SETTINGS)
    with pytest.raises(ValueError, match='the batch is empty'):
        model(dict(inputs=[], data_samples=[]))


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_labels_go_to_the_gpu():
    model = MODELS.build(dict(type='HandDataPreprocessor', **SETTINGS)).cuda()
    result = model(make_batch())
    assert result['inputs'].is_cuda
    labels = result['data_samples'][0].gt_instance_labels
    assert labels.keypoint_labels.is_cuda
