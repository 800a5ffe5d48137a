"""What a training and a test leave behind, in a toy size."""
import json
from pathlib import Path
from typing import Sequence, Union

import cv2
import numpy as np
import torch
from helpers import toy_hand
from mmengine.config import Config
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from lgh_mmpose.evaluation import functional as F

JOINT_NAMES = list(
    parse_pose_metainfo(
        dict(from_file='configs/_base_/datasets/freihand2d.py'))
    ['keypoint_id2name'].values())


def write_scalars(folder: Path,
                  steps: Sequence[int],
                  probabilities: np.ndarray = None,
                  epoch_length: int = 10) -> None:
    """Log of a run: losses, validation each epoch, and (T, K, G) of T steps.

    Args:
        folder: The run's folder, named by its time.
        steps: Iterations that are logged.
        probabilities: Of the selector at these.
        epoch_length: Iterations of an epoch.
    """
    (folder / 'vis_data').mkdir(parents=True)
    with open(folder / 'vis_data/scalars.json', 'w') as file:
        for i, step in enumerate(steps):
            epoch = (step - 1) // epoch_length + 1
            lines = [
                dict(loss=3 / step, loss_uv=2 / step, epoch=epoch, step=step)
            ]
            if probabilities is not None:
                lines.append(
                    dict(
                        {
                            f'selector/probability/{name}/{g}': float(p)
                            for name, row in zip(JOINT_NAMES, probabilities[i])
                            for g, p in enumerate(row)
                        },
                        step=step))
            if step % epoch_length == 0:
                lines.append({'hand/MPJPE': 60 / epoch, 'step': epoch})
            for line in lines:
                file.write(json.dumps(line) + '\n')


def write_work_dir(folder: Union[str, Path],
                   config: Config,
                   state_dict: dict = None,
                   groups: Sequence[int] = (0, 1, 2) * 7) -> Path:
    """Config, checkpoint and log of a training of two epochs.

    Args:
        folder: Folder to write; must not exist.
        config: Config of the training.
        state_dict: Weights. Defaults to nothing but the selector's.
        groups: Group that each joint ends up in.

    Returns:
        Path: ``folder``.
    """
    folder = Path(folder)
    folder.mkdir(parents=True)
    config.dump(folder / 'toy.py')
    final = np.eye(3)[list(groups)] * 4
    start = np.random.default_rng(0).normal(0, .3, final.shape)
    steps = range(2, 21, 2)
    shares = np.array(steps)[:, None, None] / 20
    probabilities = torch.tensor(
        start * (1 - shares) + final * shares,
        dtype=torch.float64).softmax(-1).numpy()
    write_scalars(folder / '20200101_000000', steps, probabilities)
    state_dict = dict(state_dict or {})
    state_dict['head.selector.logits'] = torch.tensor(final).float()
    meta = dict(
        epoch=2,
        iter=20,
        seed=0,
        dataset_meta=dict(keypoint_id2name=dict(enumerate(JOINT_NAMES))))
    torch.save(dict(meta=meta, state_dict=state_dict), folder / 'epoch_2.pth')
    # as mmengine writes it: where the training was, not where it is now
    (folder / 'last_checkpoint').write_text('/elsewhere/epoch_2.pth')
    return folder


def write_predictions(path: Union[str, Path],
                      noise: float = 10.,
                      num: int = 9,
                      image_name: str = '{}.jpg') -> Path:
    """What the metric dumps, of hands whose error rises with their number.

    Args:
        path: File to write; the images go beside it.
        noise: Mean error per axis in mm.
        num: Number of samples.
        image_name: Names of the images.

    Returns:
        Path: ``path``.
    """
    path = Path(path)
    rng = np.random.default_rng(1)
    gt = 1000 * np.stack([toy_hand(rng) for _ in range(num)])
    scale = noise * np.linspace(.2, 1.8, num)[:, None, None]
    pred = gt + scale * rng.normal(0, 1, gt.shape)
    uv_gt, uv = (160 * x[..., :2] / x[..., 2:] + 31.5 for x in (gt, pred))
    names = []
    for i in range(num):
        names.append(str(path.parent / image_name.format(i)))
        cv2.imwrite(names[-1], rng.integers(0, 255, (64, 64, 3), np.uint8))
    mask = np.ones((num, 21), bool)
    root = JOINT_NAMES.index('middle_finger1')
    errors = {
        f'errors_{name}':
        F.keypoint_errors(F.align(pred, gt, name, mask, root), gt)
        for name in ('none', 'root', 'procrustes')
    }
    np.savez(
        path,
        id=np.arange(num),
        img_path=np.array(names),
        annotated=mask,
        joint_names=np.array(JOINT_NAMES),
        protocol=np.array('general'),
        root_joint=np.array('middle_finger1'),
        pred_keypoints=uv,
        gt_keypoints=uv_gt,
        pred_keypoints_cam=pred,
        gt_keypoints_cam=gt,
        errors_2d=F.keypoint_errors(uv, uv_gt),
        **errors)
    return path
