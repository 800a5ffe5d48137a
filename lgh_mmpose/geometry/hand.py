"""The joints of a hand: names, bones, sides."""
from typing import List, NamedTuple, Sequence, Tuple

import numpy as np

from .plausibility import HAND_BONE_LENGTHS

SIDES = ('left', 'right')
"""What the side of a hand may be."""

FINGERS = ('thumb', 'forefinger', 'middle_finger', 'ring_finger',
           'pinky_finger')
"""mmpose's names; the joints of each are numbered from base (1) to tip (4)."""

CATEGORIES = tuple(f'{side}_hand' for side in SIDES)
"""Its name as a category in COCO's format; their ids are 1 and 2."""


class HandSkeleton(NamedTuple):
    """The joints of a network's hands, and what tells how large a hand is.

    Attributes:
        joint_names (tuple[str, ...]): Names of the K joints, as in mmpose's
            hand metainfo.
        root_joint (str): The joint that depths are relative to.
        reference_bone (tuple[str, str]): Joints at the ends of the bone whose
            length depths are measured in.
        bones (np.ndarray): Index pairs (B, 2) of the bones that vote on the
            hand's size where that bone alone cannot.
        bone_lengths (np.ndarray): Their usual lengths (B,), in lengths of the
            reference bone.
    """
    joint_names: Tuple[str, ...]
    root_joint: str
    reference_bone: Tuple[str, str]
    bones: np.ndarray
    bone_lengths: np.ndarray

    @classmethod
    def usual(cls, joint_names: Sequence[str], root_joint: str,
              reference_bone: Tuple[str, str]) -> 'HandSkeleton':
        """With the bones among the joints that the usual hand has.

        Args:
            joint_names (Sequence[str]): As in the attributes.
            root_joint (str): One of them.
            reference_bone (tuple[str, str]): Two of them. If it is no bone of
                the usual hand, it alone tells the size.

        Returns:
            HandSkeleton: The skeleton.
        """
        joint_names = tuple(joint_names)
        lengths = HAND_BONE_LENGTHS
        reference = lengths.get(reference_bone,
                                lengths.get(reference_bone[::-1]))
        bones = [bone for bone in lengths if set(bone) <= set(joint_names)]
        if reference is None:
            bones, ratios = [reference_bone], [1.]
        else:
            ratios = [lengths[bone] / reference for bone in bones]
        return cls(
            joint_names, root_joint, tuple(reference_bone),
            np.array([[joint_names.index(name) for name in bone]
                      for bone in bones]), np.array(ratios))

    @property
    def root_index(self) -> int:
        """Index of the root joint."""
        return self.joint_names.index(self.root_joint)

    @property
    def reference_indices(self) -> Tuple[int, int]:
        """Indices of the joints at the ends of the reference bone."""
        return tuple(map(self.joint_names.index, self.reference_bone))


def finger_of_joints(joint_names: Sequence[str]) -> List[str]:
    """Name of the finger of each joint, as in mmpose's hand metainfo.

    Args:
        joint_names (Sequence[str]): Names such as ``'ring_finger3'``.

    Returns:
        list[str]: Names without the trailing number, (K,).
    """
    return [name.rstrip('0123456789') for name in joint_names]


def hand_links(joint_names: Sequence[str]) -> List[Tuple[int, int]]:
    """The bones of a hand, by the joints' names.

    Args:
        joint_names (Sequence[str]): Names as in mmpose's hand metainfo, in
            any order: ``'wrist'`` and, from base to tip, ``'thumb1'`` and so
            on.

    Returns:
        list[tuple[int, int]]: Pairs of joints, the one nearer to the wrist
        first. A joint whose neighbour is not among the names has none.
    """
    index = {name: i for i, name in enumerate(joint_names)}
    links = []
    for name, finger in zip(joint_names, finger_of_joints(joint_names)):
        if name == finger:  # no number: the wrist
            continue
        number = int(name[len(finger):])
        before = 'wrist' if number == 1 else f'{finger}{number - 1}'
        if before in index:
            links.append((index[before], index[name]))
    return links


def finger_chains(joint_names: Sequence[str]) -> np.ndarray:
    """Indices of the wrist and the four joints of each finger.

    Args:
        joint_names (Sequence[str]): Names as in mmpose's hand metainfo.

    Returns:
        np.ndarray: (5, 5), thumb to little finger, wrist to tip.

    Raises:
        ValueError: If a joint is missing.
    """
    wanted = [
        name for finger in FINGERS
        for name in ('wrist', *(f'{finger}{i}' for i in range(1, 5)))
    ]
    missing = [name for name in wanted if name not in joint_names]
    if missing:
        raise ValueError(f'the joints lack {missing[0]}, which limits of '
                         'hands need')
    index = list(joint_names).index
    return np.array([index(name) for name in wanted]).reshape(5, 5)
