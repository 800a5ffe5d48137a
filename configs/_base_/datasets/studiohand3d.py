# StudioHand in FreiHAND's layout: hands turned any way, of which 50 to 85 % of
# the image are spanned by the joints.
#   python tools/dataset_converters/make_studiohand.py data/studiohand \
#       --num-train 16000 --num-eval 500 --size 128
_base_ = ['./freihand3d.py']

from lgh_mmpose.config import with_codec, with_steps

data_root = 'data/studiohand'
# where time is short, more samples at 96 px beat fewer at 128
codec = dict(_base_.codec, input_size=(96, 96))

train_pipeline = with_steps(
    with_codec(_base_.train_pipeline, codec),
    FastRandomBBoxTransform=dict(
        shift_factor=0.08, scale_factor=(0.75, 1.2), rotate_factor=45),
    # it turns skin green and swaps channels
    FastPhotometricDistortion=None)
# colours and textures of another picture. Erasing and other cameras cost a
# short training more than they give: they are in the pictures
train_pipeline = [
    *train_pipeline[:-2],
    dict(type='ExchangeAmplitudeSpectrum'),
    *train_pipeline[-2:],
]
val_pipeline = with_codec(_base_.val_pipeline, codec)
train_dataloader = dict(
    batch_size=48, dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=50, dataset=dict(data_root=data_root, pipeline=val_pipeline))
test_dataloader = val_dataloader
