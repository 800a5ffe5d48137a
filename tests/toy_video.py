"""Hands that are green squares: videos of them, and what sees them.

What the eyes of a test would see stands in for the two networks, so that
tracking, searching and losing a hand happen as with trained ones.
"""
import struct
from pathlib import Path
from typing import List, Sequence, Tuple

import cv2
import numpy as np
import torch

from lgh_mmpose.models.heads import GroupedJointHead
from lgh_mmpose.models.heads.grouped_joint_head import GroupEstimates

SIDE = 32
"""Edge of a square, px."""
# joints in the unit square, whose sides they touch
_LAYOUT = np.stack([
    np.arange(21) % 5 / 4,
    np.arange(21) // 5 / 4,
], axis=-1)  # yapf: disable


def squares(
    places: Sequence[Sequence[Tuple[int, int]]],
    size: Tuple[int, int] = (160, 96)
) -> List[np.ndarray]:
    """Images with a square at each of the left upper corners.

    Args:
        places: Of each image, (left, top) of its squares, px.
        size: Width and height of the images, px.

    Returns:
        list[np.ndarray]: BGR, uint8 (H, W, 3).
    """
    images = []
    for corners in places:
        image = np.full((*size[::-1], 3), 90, np.uint8)
        for x, y in corners:
            image[y:y + SIDE, x:x + SIDE] = (20, 230, 20)
        images.append(image)
    return images


def joints_at(corner: Tuple[int, int]) -> np.ndarray:
    """Where the stand-in sees the joints of a square, (21, 2) px."""
    return np.array(corner) + _LAYOUT * (SIDE - 1)


def write_video(path: Path, images: List[np.ndarray], fps: float = 25) -> Path:
    """A film in MPEG-4."""
    writer = cv2.VideoWriter(
        str(path), cv2.VideoWriter_fourcc(*'mp4v'), fps,
        images[0].shape[1::-1])
    for image in images:
        writer.write(image)
    writer.release()
    return path


def set_durations(path: Path, durations: Sequence[float]) -> None:
    """Make a film one of variable frame rate.

    Writes the table of sample durations, ``stts``, of an .mp4 whose index
    stands at its end (ISO 14496-12, 8.6.1.2).

    Args:
        path: An .mp4 of :func:`write_video`.
        durations: Of each frame, in frames; as long together as they were.
    """
    data = bytearray(path.read_bytes())
    at, around = 0, []
    for name in (b'moov', b'trak', b'mdia', b'minf', b'stbl', b'stts'):
        while data[at + 4:at + 8] != name:
            at += struct.unpack_from('>I', data, at)[0]
        around.append(at)
        at += 8
    at = around.pop()
    size, count, ticks = struct.unpack_from('>I12xII', data, at)
    assert count == len(durations) == sum(durations)
    table = b''.join(
        struct.pack('>II', 1, round(ticks * each)) for each in durations)
    data[at:at + size] = struct.pack('>I4sII', 16 + len(table), b'stts', 0,
                                     count) + table
    for box in around:
        before, = struct.unpack_from('>I', data, box)
        struct.pack_into('>I', data, box, before + 16 + len(table) - size)
    path.write_bytes(data)


def turn_track(path: Path, matrix: Tuple[int, int, int, int]) -> None:
    """Let the track's header of an .mp4 say how it is to be shown.

    Args:
        path: An .mp4 of :func:`write_video`.
        matrix: a, b, c and d of ISO 14496-12, 8.3.2.
    """
    content = bytearray(path.read_bytes())
    a, b, c, d = matrix
    struct.pack_into('>9i', content,
                     content.find(b'tkhd') + 44, a << 16, b << 16, 0, c << 16,
                     d << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(content)


def damage(path: Path, part: float = .3) -> None:
    """Overwrite the pictures of an .mp4, from this part of them on.

    The index stays, so the film says that it has all its frames.
    """
    data = bytearray(path.read_bytes())
    begin, end = data.index(b'mdat') + 4, data.index(b'moov') - 4
    begin += round(part * (end - begin))
    data[begin:end] = bytes(end - begin)
    path.write_bytes(data)


class SquareDetector:
    """In the place of ``HandDetector``: its box is tight round each square.

    Attributes:
        made (list[dict]): The arguments of each that was made.
        searched (list[int]): The number of squares in each image it saw.
    """
    made: List[dict] = []
    searched: List[int] = []

    def __init__(self, config, checkpoint, device='cpu', **options):
        self.made.append(dict(config=config, checkpoint=checkpoint, **options))

    def __call__(self, image: np.ndarray) -> Tuple[np.ndarray, np.ndarray]:
        green = image[..., 1].astype(int) - image[..., 2] > 60
        _, _, stats, _ = cv2.connectedComponentsWithStats(
            green.astype(np.uint8))
        boxes = np.array([[x, y, x + w, y + h]
                          for x, y, w, h, area in stats[1:] if area > 99],
                         dtype=np.float64).reshape(-1, 4)
        self.searched.append(len(boxes))
        return boxes, .9 - .1 * np.arange(len(boxes))


def see_squares(monkeypatch) -> type:
    """Let all networks see squares, until the test is over.

    Returns:
        type: The detectors' class, with empty records.
    """
    monkeypatch.setattr('mmpose.models.TopdownPoseEstimator.extract_feat',
                        lambda self, inputs: (inputs, ))
    monkeypatch.setattr(GroupedJointHead, 'estimate', _estimate)
    detector = type('Detector', (SquareDetector, ), dict(made=[], searched=[]))
    for module in ('apis.hand_inferencer', 'inference.backends.mmdet'):
        monkeypatch.setattr(f'lgh_mmpose.{module}.HandDetector', detector)
    return detector


def _estimate(head: GroupedJointHead,
              feats: Tuple[torch.Tensor]) -> GroupEstimates:
    """Joints all over the square; without one, flat heat maps."""
    images, = feats
    groups, cells = head.num_groups, 12
    uv = torch.zeros(len(images), groups, 21, 2)
    heatmaps = torch.full((len(images), groups, 21, cells, cells),
                          1 / cells**2)
    for i, image in enumerate(images):
        y, x = torch.nonzero(image[1] - image[0] > 1, as_tuple=True)
        if len(x) < 99:
            x = y = torch.tensor([0., image.shape[-1] - 1.])
        else:
            heatmaps[i] = 0
            heatmaps[i, ..., 5, 5] = 1
        low = torch.tensor([x.min(), y.min()])
        high = torch.tensor([x.max(), y.max()])
        uv[i] = low + torch.tensor(_LAYOUT, dtype=uv.dtype) * (high - low)
    return GroupEstimates(heatmaps, uv, torch.zeros(uv.shape[:-1]))
