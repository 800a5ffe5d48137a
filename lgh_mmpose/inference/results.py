"""What is found in a frame, and how it is told to others."""
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

SCHEMA = 'lgh_mmpose/hands/1'
"""Name and version of the frame dicts: a change that breaks readers raises the
number."""


@dataclass(frozen=True, eq=False)
class Hands:
    """The hands of one frame: arrays of N hands with K joints each.

    Attributes:
        source (str): Path of the file, ``'webcam:0'`` or ``'array'``.
        frame (int): Number within the source, from 0.
        time (float, optional): Seconds since the film's beginning.
        image_size (tuple[int, int]): Width and height, px.
        camera_matrix (np.ndarray): Intrinsics (3, 3), px.
        camera_source (str): ``'given'``, ``'fov'`` or ``'assumed'``.
        joint_names (tuple[str, ...]): Names of the joints, (K,).
        root_joint (str): The joint that depths are relative to.
        reference_bone (tuple[str, str]): Joints at the ends of the bone whose
            length gives the scale.
        joint_groups (np.ndarray): Learned group of each joint, (K,).
        bone_length (float, optional): Length of the reference bone, mm.
        bone_length_source (str): ``'given'``, ``'average'`` or ``'none'``.
        units (str): Of ``keypoints_cam``: ``'mm'`` or ``'reference bones'``.
        coordinate_frame (str): Of ``keypoints_cam``: ``'camera'`` (x right, y
            down, z away) or ``'root'``, relative to the root joint.
        bboxes (np.ndarray): Where each hand was looked for: left, top, right,
            bottom, (N, 4), px.
        bbox_scores (tuple[float | None, ...]): Of the detections, None where
            there was none, (N,).
        tracks (tuple[int | None, ...]): Number of the hand in a film, (N,).
        hand_sides (tuple[str | None, ...]): ``'left'`` or ``'right'``, (N,);
            None where the network sees both alike and nobody said.
        hand_side_source (str): ``'given'``, ``'estimated'`` or ``'unknown'``.
        keypoints (np.ndarray): Joints in px of the image, pixel centres at
            integers, (N, K, 2).
        scores (np.ndarray): Of the joints, 0 to 1, (N, K).
        keypoints_cam (np.ndarray): Joints in 3D, (N, K, 3).
        root_depth_status (tuple[str, ...]): Name of the
            :class:`~lgh_mmpose.geometry.camera.RootDepthStatus`, (N,).
    """
    source: str
    frame: int
    time: Optional[float]
    image_size: Tuple[int, int]
    camera_matrix: np.ndarray
    camera_source: str
    joint_names: Tuple[str, ...]
    root_joint: str
    reference_bone: Tuple[str, str]
    joint_groups: np.ndarray
    bone_length: Optional[float]
    bone_length_source: str
    units: str
    coordinate_frame: str
    bboxes: np.ndarray
    bbox_scores: Tuple[Optional[float], ...]
    tracks: Tuple[Optional[int], ...]
    hand_sides: Tuple[Optional[str], ...]
    hand_side_source: str
    keypoints: np.ndarray
    scores: np.ndarray
    keypoints_cam: np.ndarray
    root_depth_status: Tuple[str, ...]

    def __len__(self) -> int:
        return len(self.keypoints)

    def to_dict(self) -> Dict[str, Any]:
        """As JSON has it, see ``docs/inference.md``.

        Returns:
            dict: Plain lists and numbers, to a ten-thousandth.
        """
        return dict(
            schema=SCHEMA,
            source=self.source,
            frame=self.frame,
            time=None if self.time is None else round(self.time, 6),
            image_size=list(self.image_size),
            camera=dict(
                matrix=_plain(self.camera_matrix), source=self.camera_source),
            hands=[self._hand_dict(i) for i in range(len(self))])

    def _hand_dict(self, i: int) -> Dict[str, Any]:
        return dict(
            bbox=_plain(self.bboxes[i]),
            bbox_score=self.bbox_scores[i],
            track=self.tracks[i],
            hand_side=self.hand_sides[i],
            hand_side_source=self.hand_side_source,
            joint_names=list(self.joint_names),
            keypoints=_plain(self.keypoints[i]),
            scores=_plain(self.scores[i]),
            keypoints_cam=_plain(self.keypoints_cam[i]),
            units=self.units,
            frame=self.coordinate_frame,
            root_joint=self.root_joint,
            reference_bone=list(self.reference_bone),
            bone_length=dict(
                mm=self.bone_length, source=self.bone_length_source),
            groups=self.joint_groups.tolist(),
            root_depth_status=self.root_depth_status[i])

    def to_coco(self,
                image_id: int,
                category_id: int = 1) -> List[Dict[str, Any]]:
        """As results of COCO's keypoint task.

        Args:
            image_id (int): Of the image in the annotations.
            category_id (int): Of hands in the annotations. Defaults to 1.

        Returns:
            list[dict]: One result per hand: ``image_id``, ``category_id``,
            ``keypoints`` [u, v, score] * K in px, ``score``, the mean of
            theirs, and ``bbox`` [left, top, width, height], px.
        """
        boxes = np.concatenate(
            [self.bboxes[:, :2], self.bboxes[:, 2:] - self.bboxes[:, :2]], 1)
        triples = np.concatenate([self.keypoints, self.scores[..., None]], -1)
        return [
            dict(
                image_id=image_id,
                category_id=category_id,
                keypoints=_plain(triples[i].ravel()),
                score=float(self.scores[i].mean()),
                bbox=_plain(boxes[i])) for i in range(len(self))
        ]

    def to_supervision(self) -> Any:
        """As ``KeyPoints`` of Roboflow's supervision.

        Returns:
            supervision.KeyPoints: ``xy``, the joints' scores as confidence,
            class 0 for left, 1 for right and 2 for unknown hands, and 3D
            joints and sides in ``data``.

        Raises:
            ImportError: If supervision is not installed.
        """
        try:
            import supervision
        except ImportError as error:
            raise ImportError('Hands.to_supervision needs supervision: '
                              '`pip install supervision`') from error
        if not len(self):
            return supervision.KeyPoints.empty()
        fields = supervision.KeyPoints.__dataclass_fields__
        scores = 'keypoint_confidence' if 'keypoint_confidence' in fields \
            else 'confidence'
        return supervision.KeyPoints(
            xy=self.keypoints.astype(np.float32),
            class_id=np.array([('left', 'right', None).index(s)
                               for s in self.hand_sides]),
            data=dict(
                keypoints_cam=self.keypoints_cam,
                hand_side=np.array([str(side) for side in self.hand_sides])),
            **{scores: self.scores.astype(np.float32)})


def _plain(array: np.ndarray) -> list:
    """Numbers that json can write, to a ten-thousandth."""
    return np.round(np.asarray(array, dtype=np.float64), 4).tolist()
