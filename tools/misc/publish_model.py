"""Make a checkpoint of a training fit to be passed on.

    python tools/misc/publish_model.py work_dirs/NAME/epoch_50.pth OUT.pth \\
        --fp16

keeps the weights and little else: what the data set says of the joints, the
config's name, the epoch and versions. The optimizer, the schedule, the log,
the text of the config with its folders, and the weights beside averaged ones
(of ``EMAHook``; the averaged ones are those that are tested) stay behind.
"""
import argparse
import io
import os.path as osp
import re
from typing import Any, Dict

import torch


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Make a checkpoint of a training fit to be passed on')
    parser.add_argument('in_file', help='checkpoint to read, file or URL')
    parser.add_argument('out_file', help='checkpoint to write; must not exist')
    parser.add_argument(
        '--fp16',
        action='store_true',
        help='store weights in half the room; small ones stay as they are')
    args = parser.parse_args()
    if osp.lexists(args.out_file):
        parser.error(f'{args.out_file} exists: remove it, or give another '
                     'file')
    return args


def publish(checkpoint: Any, name: str, fp16: bool) -> Dict[str, Any]:
    """What is passed on of a checkpoint.

    Args:
        checkpoint: What the file of a training holds, or weights alone.
        name (str): The file, for errors.
        fp16 (bool): Whether to store weights in half precision, but for small
            ones, as exports do.

    Returns:
        dict: ``state_dict`` and ``meta``.

    Raises:
        ValueError: If there are no weights, or some that fp16 cannot hold.
    """
    import mmpose

    import lgh_mmpose
    from lgh_mmpose.checkpoint import weights_of
    from lgh_mmpose.deployment.half_weights import FEWEST
    weights = weights_of(checkpoint, name)
    if fp16:
        for key, weight in weights.items():
            if (torch.is_tensor(weight) and weight.is_floating_point()
                    and weight.numel() >= FEWEST):
                weights[key] = weight.half()
                if not weights[key].isfinite().all():
                    raise ValueError(f'{key} of {name} has values that fp16 '
                                     'cannot hold: leave out --fp16')
    trained = checkpoint.get('meta')
    trained = trained if isinstance(trained, dict) else {}
    meta = {
        key: trained[key]
        for key in ('dataset_meta', 'epoch', 'iter', 'seed') if key in trained
    }
    # mmengine adds the time to the config's name
    if isinstance(trained.get('experiment_name'), str):
        meta['config'] = re.sub(r'_\d{8}_\d{6}$', '',
                                trained['experiment_name'])
    meta.update(
        mmpose_version=mmpose.__version__,
        lgh_mmpose_version=lgh_mmpose.__version__)
    return dict(state_dict=weights, meta=meta)


def main() -> None:
    args = parse_args()
    from lgh_mmpose.checkpoint import read_checkpoint
    from lgh_mmpose.fileio import atomic_write
    try:
        published = publish(
            read_checkpoint(args.in_file), args.in_file, args.fp16)
        # not into the file: of a full disk torch does not tell
        content = io.BytesIO()
        torch.save(published, content)
        with atomic_write(args.out_file) as file:
            file.write(content.getbuffer())
    except (OSError, ValueError) as error:
        raise SystemExit(f'error: {error}') from None
    print(f'{args.out_file}: {len(content.getbuffer()) / 1e6:.1f} MB')


if __name__ == '__main__':
    main()
