"""Small data sets in the file formats of their releases."""
import hashlib
import json
from pathlib import Path
from typing import Dict, List, Optional, Sequence

import cv2
import numpy as np
import scipy.io
from helpers import toy_hand
from scipy.spatial.transform import Rotation

FREIHAND_NAMES = [
    'wrist', *(f'{finger}{i}'
               for finger in ('thumb', 'forefinger', 'middle_finger',
                              'ring_finger', 'pinky_finger')
               for i in range(1, 5))
]
RHD_NAMES = [
    FREIHAND_NAMES[i] for i in (0, 4, 3, 2, 1, 8, 7, 6, 5, 12, 11, 10, 9, 16,
                                15, 14, 13, 20, 19, 18, 17)
]


def digests(root: Path) -> Dict[str, str]:
    """SHA-256 of all files of a data set by their names in it."""
    return {
        str(path.relative_to(root)):
        hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob('*') if path.is_file()
    }


def left_hands(num: int, seed: int = 0) -> np.ndarray:
    """Left hands in FreiHAND's joint order, (num, 21, 3) mm."""
    rng = np.random.default_rng(seed)
    hands = np.stack([toy_hand(rng) for _ in range(num)]) * 1000
    return hands * [-1, 1, 1]


def write_image(path: Path, size: Sequence[int], seed: int = 0) -> None:
    """Noise of the size (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    cv2.imwrite(str(path), image)


# -- STB ---------------------------------------------------------------------

STB_BASELINE = 120.054


def write_stb(root: Path,
              sequences: Sequence[str] = ('B1Counting', 'B2Random'),
              num: int = 3) -> np.ndarray:
    """Write STB; the hands are given in each colour camera's frame.

    Returns:
        np.ndarray: The hands in FreiHAND's order, (sequences, num, 21, 3),
        with a wrist as far from the palm as the palm from middle_finger1.
    """
    hands = left_hands(len(sequences) * num).reshape(-1, num, 21, 3)
    fingers = [range(17, 21), range(13, 17), range(9, 13), range(5, 9)]
    order = [i for finger in [*fingers, range(1, 5)] for i in finger]
    turn = Rotation.from_rotvec([0.00531, -0.01196, 0.00301])
    (root / 'labels').mkdir(parents=True)
    for sequence, hand in zip(sequences, hands):
        palm = (hand[:, [0]] + hand[:, [9]]) / 2
        joints = np.concatenate([palm, hand[:, order]], axis=1)
        depth_camera = turn.apply(joints.reshape(-1, 3)).reshape(
            joints.shape) + [-24.0381, -0.4563, -1.2326]
        for camera, xyz in (('BB', joints), ('SK', depth_camera)):
            scipy.io.savemat(root / 'labels' / f'{sequence}_{camera}.mat',
                             dict(handPara=xyz.transpose(2, 1, 0)))
        for camera in ('BB_left', 'BB_right', 'SK_color'):
            for i in range(num):
                write_image(root / 'images' / sequence / f'{camera}_{i}.png',
                            (640, 480), i)
    return hands


# -- Dexter+Object -----------------------------------------------------------

DEXTER_EXTRINSICS = np.array([[0.9999, 0.0034, 0.0161, 19.0473],
                              [-0.0033, 1.0000, -0.0079, -1.8514],
                              [-0.0162, 0.0079, 0.9998, -4.7501],
                              [0., 0., 0., 1.]])
DEXTER_SEQUENCES = ('Grasp1', 'Grasp2', 'Occlusion', 'Rigid', 'Pinch',
                    'Rotate')


def write_dexter_object(root: Path,
                        sequences: Sequence[str] = DEXTER_SEQUENCES,
                        num: int = 3,
                        first: int = 0) -> np.ndarray:
    """Write Dexter+Object; the last image of a sequence has no thumb tip.

    Returns:
        np.ndarray: The tips in the colour camera's frame,
        (sequences, num, 5, 3) mm, NaN where missing.
    """
    tips = left_hands(len(sequences) * num)[:, 4::4]
    tips = tips.reshape(-1, num, 5, 3).copy()
    to_depth = np.linalg.inv(DEXTER_EXTRINSICS)
    for sequence, tip in zip(sequences, tips):
        tip[-1, 0] = np.nan
        folder = root / 'data' / sequence
        (folder / 'annotations').mkdir(parents=True)
        lines = []
        for i, xyz in enumerate(tip):
            write_image(folder / 'color' / f'image_{first + i:05d}.png',
                        (640, 480), i)
            xyz = xyz @ to_depth[:3, :3].T + to_depth[:3, 3]
            lines.append(''.join(
                '0, 0, 32001; ' if np.isnan(z) else f'{-x}, {-y}, {z}; '
                for x, y, z in xyz))
        (folder / 'annotations' /
         f'{sequence}3D.txt').write_text('\n'.join(lines) + '\n')
    return tips


# -- one's own ---------------------------------------------------------------


def hand3d_json(num: int = 4,
                names: Optional[List[str]] = None,
                size: Sequence[int] = (96, 80),
                seed: int = 0) -> dict:
    """Content of a json of one's own hands, left and right by turns."""
    names = FREIHAND_NAMES if names is None else names
    order = [FREIHAND_NAMES.index(name) for name in names]
    rng = np.random.default_rng(seed)
    content = dict(
        images=[],
        annotations=[],
        categories=[dict(id=1, name='hand', keypoints=list(names))])
    camera = np.array([[200., 0., 47.], [0., 205., 40.], [0., 0., 1.]])
    for i in range(num):
        side = ('left', 'right')[i % 2]
        xyz = toy_hand(rng)[order] * 1000
        if side == 'left':
            xyz = xyz * [-1, 1, 1]
        uv = xyz @ camera.T
        uv = uv[:, :2] / uv[:, 2:]
        low, high = uv.min(0), uv.max(0)
        content['images'].append(
            dict(
                id=100 + i,
                file_name=f'{i}.png',
                width=size[0],
                height=size[1]))
        content['annotations'].append(
            dict(
                id=10 * i + 5,
                image_id=100 + i,
                category_id=1,
                bbox=[*low, *(high - low)],
                keypoints=np.column_stack([uv, np.full(21,
                                                       2)]).ravel().tolist(),
                keypoints_cam=xyz.tolist(),
                camera_matrix=camera.tolist(),
                hand_side=side))
    return content


def write_hand3d_json(root: Path, name: str = 'hands.json', **kwargs) -> dict:
    """Write ``root/name`` and ``root/images``; gives the content."""
    content = hand3d_json(**kwargs)
    root.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(json.dumps(content))
    for i, image in enumerate(content['images']):
        write_image(root / 'images' / image['file_name'],
                    (image['width'], image['height']), i)
    return content


# -- photographs -------------------------------------------------------------


def photo_hands(num: int = 4, size: int = 64, seed: int = 0) -> list:
    """Labels of photographs, without the photographs.

    Returns:
        list: What a folder's hands.json holds; the last has neither side nor
        3D joints, and a joint that is not seen.
    """
    rng = np.random.default_rng(seed)
    hands = []
    for i in range(num):
        # metres -> mm, and a camera that has it all in the picture
        xyz = 1000 * toy_hand(rng)
        camera = np.array([[2.5 * size, 0, (size - 1) / 2],
                           [0, 2.5 * size, (size - 1) / 2], [0, 0, 1]])
        uv = xyz @ camera.T
        uv = uv[:, :2] / uv[:, 2:]
        hands.append(
            dict(
                image=f'images/{i}.png',
                source='ab'[i % 2],
                licence='none',
                label=('true', 'accepted')[i // 2 % 2],
                hand_side=('right', 'left')[i % 2],
                keypoints=uv.tolist(),
                visible=None,
                keypoints_cam_mm=xyz.tolist(),
                camera_matrix=camera.tolist()))
    hands[-1].update(
        hand_side='unknown',
        keypoints_cam_mm=None,
        camera_matrix=None,
        visible=[0, 1] + [1] * 19)
    hands[-1]['keypoints'][5] = None
    return hands


def write_photos(root: Path, num: int = 4, size: int = 64) -> list:
    """Write a folder of labelled photographs.

    Returns:
        list: What its hands.json holds.
    """
    hands = photo_hands(num, size)
    for i, hand in enumerate(hands):
        write_image(Path(root) / hand['image'], (size, size), seed=i)
    (Path(root) / 'hands.json').write_text(json.dumps(hands))
    return hands


def write_hands_2d(root: Path,
                   kind: str,
                   names: Sequence[str] = FREIHAND_NAMES,
                   num: int = 3,
                   hidden: Sequence[int] = ()) -> np.ndarray:
    """A toy data set of 2D hands, as mmpose's data sets read it.

    Args:
        root (Path): Gets ``hands.json`` and the pictures, 64 x 64 px.
        kind (str): ``'CocoWholeBodyHandDataset'``, or any that reads COCO's
            own fields.
        names (Sequence[str]): The joints in the order of the file.
        num (int): Pictures, of one hand each.
        hidden (Sequence[int]): Hands of which 3 joints are annotated.

    Returns:
        np.ndarray: Joints in FreiHAND's order (num, 21, 2), px.
    """
    rng = np.random.default_rng(0)
    joints = rng.uniform(8, 56, (num, 21, 2)).round(1)
    order = [FREIHAND_NAMES.index(name) for name in names]
    images, annotations = [], []
    for i, hand in enumerate(joints):
        write_image(root / f'{i}.png', (64, 64), seed=i)
        images.append(dict(id=i, file_name=f'{i}.png', width=64, height=64))
        seen = np.full((21, 1), 2.)
        if i in hidden:
            seen[3:] = 0
        points = np.concatenate([hand, seen], 1)[order].flatten().tolist()
        box = [4, 4, 56, 56]
        annotation = dict(
            id=i, image_id=i, category_id=1, iscrowd=0, segmentation=[])
        if kind == 'CocoWholeBodyHandDataset':
            annotation.update(
                lefthand_valid=False,
                righthand_valid=True,
                lefthand_kpts=[0.] * 63,
                righthand_kpts=points,
                lefthand_box=[0] * 4,
                righthand_box=box)
        else:
            annotation.update(
                keypoints=points, bbox=box, num_keypoints=21, area=3136)
        annotations.append(annotation)
    (root / 'hands.json').write_text(
        json.dumps(
            dict(
                images=images,
                annotations=annotations,
                categories=[dict(id=1, name='hand')])))
    return joints
