# The network that ships, adapted to photographs without labels (`lgh-adapt`,
# docs/how_to/adapt_to_your_photographs.md): labels that several looks of the
# network agree on, beside rendered hands, so that nothing is forgotten.
_base_ = ['./lgh_finetune_own-data.py']

max_epochs = 3
rendered_root = 'data/hands/as_taken'
data_root = 'data/photographs'

rendered = dict(
    type='FreiHand3DDataset',
    data_root=rendered_root,
    split='training',
    bbox_mode='keypoints',
    indices=12000,
    pipeline=_base_.train_pipeline)
# pictures of one camera teach more if they are varied
photograph_pipeline = [
    *_base_.train_pipeline[:-2],
    dict(type='RandomCameraEffects'),
    dict(type='RandomErasing'),
    *_base_.train_pipeline[-2:],
]
photographs = dict(
    type='Hand3DJsonDataset',
    data_root=data_root,
    ann_file='hands.json',
    bbox_mode='keypoints',
    pipeline=photograph_pipeline)

train_dataloader = dict(
    sampler=dict(
        _delete_=True,
        type='MultiSourceSampler',
        batch_size=48,
        # of each batch
        source_ratio=[1, 1]),
    dataset=dict(
        _delete_=True,
        type='CombinedDataset',
        metainfo=_base_.codec.metainfo,
        datasets=[rendered, photographs]))
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='FreiHand3DDataset',
        data_root=rendered_root,
        split='evaluation',
        bbox_mode='keypoints',
        test_mode=True,
        pipeline=_base_.val_pipeline))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=max_epochs, val_interval=max_epochs)
