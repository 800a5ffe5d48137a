# The network that ships with the package (`make model`): that of
# lgh_upright_studiohand.py, trained for longer on two sets, one of them
# without the artefacts of cameras, from which a network seems to learn more in
# the same time (docs/rendered_hands.md):
#   python tools/dataset_converters/make_studiohand.py data/hands/as_taken \
#       --num-train 25000 --num-eval 1000 --size 160 --fill 0.4 0.6
#   python tools/dataset_converters/make_studiohand.py data/hands/clean \
#       --num-train 25000 --num-eval 0 --seed 1 --without camera --size 160 \
#       --fill 0.4 0.6
_base_ = ['./lgh_upright_studiohand.py']

max_epochs = 20
# of the test set; those of the training:
# train_dataloader.dataset.datasets.0.data_root and .1.data_root
data_root = 'data/hands/as_taken'

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
