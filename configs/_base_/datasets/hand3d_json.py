_base_ = ['./hand3d.py']

dataset_type = 'Hand3DJsonDataset'
data_root = 'data/own'  # see docs/how_to/train_on_your_own_data.md

train_dataloader = dict(
    dataset=dict(
        type=dataset_type, data_root=data_root, ann_file='training.json'))
val_dataloader = dict(
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        ann_file='evaluation.json',
        test_mode=True))
test_dataloader = val_dataloader
