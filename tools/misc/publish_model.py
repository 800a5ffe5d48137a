"""Make a checkpoint of a training fit to be passed on.

    python tools/misc/publish_model.py work_dirs/NAME/epoch_50.pth OUT.pth \\
        --fp16

keeps the weights and little else: what the data set says of the joints, the
config's name, the epoch and versions. The optimizer, the schedule, the log,
the text of the config with its folders, and the weights beside averaged ones
(of ``EMAHook``; the averaged ones are those that are tested) stay behind.
"""
import argparse
import os.path as osp


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


def main() -> None:
    args = parse_args()
    from lgh_mmpose.deployment.publishing import publish_file
    try:
        size = publish_file(args.in_file, args.out_file, args.fp16)
    except (OSError, ValueError) as error:
        raise SystemExit(f'error: {error}') from None
    print(f'{args.out_file}: {size / 1e6:.1f} MB')


if __name__ == '__main__':
    main()
