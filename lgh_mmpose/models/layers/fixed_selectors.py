"""Groupings that are given instead of learned, in the selector's place."""
from pathlib import Path
from typing import List, Optional, Sequence, Tuple, Union

import torch
from mmengine.model import BaseModule
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.registry import MODELS
from torch import Tensor
from torch.nn import functional as F

from ...datasets.base_hand3d import load_json

FREIHAND_METAINFO = dict(from_file='configs/_base_/datasets/freihand2d.py')
# holds the configs when the package is installed
_MIM_DIR = Path(__file__).resolve().parents[2] / '.mim'


@MODELS.register_module()
class FixedSelector(BaseModule):
    """Joint-to-group assignment that does not train.

    The counterpart of :class:`ConcreteSelector` for the paper's comparison of
    learned with manual groups (Li et al., AAAI 2021). The groups are kept as
    a buffer, so that they travel with the checkpoint.

    Args:
        num_joints (int): Number of joints K.
        num_groups (int): Number of groups G, from 1 to K.
        joint_groups (Sequence[int]): Group of each joint, from 0 to G - 1,
            (K,).

    Raises:
        ValueError: If there is not one group from 0 to G - 1 for each joint,
            or one of the groups has no joint.
    """

    inference = 'argmax'
    joint_names: Optional[Tuple[str, ...]] = None  # where groups go by name

    def __init__(self, num_joints: int, num_groups: int,
                 joint_groups: Sequence[int]) -> None:
        super().__init__()
        joint_groups = list(joint_groups)
        if len(joint_groups) != num_joints or any(
                type(g) is not int for g in joint_groups):
            raise ValueError('joint_groups must be one integer for each of '
                             f'the {num_joints} joints, got {joint_groups}')
        # a branch that nothing reads is a mistake in num_groups
        if set(joint_groups) != set(range(num_groups)):
            raise ValueError(
                f'the joints are in the groups {sorted(set(joint_groups))}, '
                f'but num_groups={num_groups} asks for 0 to {num_groups - 1}: '
                'set num_groups of both neck and head to the number of groups')
        self.num_groups = num_groups
        self.register_buffer('joint_groups', torch.tensor(joint_groups))

    @property
    def probabilities(self) -> Tensor:
        """The assignment (K, G), each row one-hot."""
        return F.one_hot(self.joint_groups, self.num_groups).float()

    def imbalance(self) -> Tensor:
        """See :meth:`ConcreteSelector.imbalance`; here it is a constant."""
        share = self.probabilities.mean(0)
        return (share * (share * self.num_groups).log()).sum()

    def spread(self) -> Tensor:
        """See :meth:`ConcreteSelector.spread`; here it is a constant."""
        share = self.probabilities.mean(0)
        return -(share * share.log()).sum()

    def entropy(self) -> Tensor:
        """See :meth:`ConcreteSelector.entropy`; all joints are decided."""
        return self.probabilities.new_zeros(())

    def forward(self) -> Tensor:
        """Assignment S (K, G), the same in training and evaluation."""
        return self.probabilities


@MODELS.register_module()
class FingerSelector(FixedSelector):
    """One group for each finger and one for the palm, which is the wrist.

    The manual grouping by anatomy that learned groups are to beat (Li et al.,
    AAAI 2021, ablation study).

    Args:
        num_joints (int): Number of joints K.
        num_groups (int): Number of groups, 6 for a whole hand.
        metainfo (dict, optional): mmpose metainfo of the joints, that of the
            codec. Defaults to mmpose's FreiHAND file.

    Raises:
        ValueError: If ``num_groups`` is not the number of fingers, plus one.
    """

    def __init__(self,
                 num_joints: int,
                 num_groups: int = 6,
                 metainfo: Optional[dict] = None) -> None:
        names = joint_names(metainfo)
        fingers = [name.rstrip('0123456789') for name in names]
        order = list(dict.fromkeys(fingers))
        super().__init__(num_joints, num_groups,
                         [order.index(finger) for finger in fingers])
        self.joint_names = names


@MODELS.register_module()
class PerJointSelector(FixedSelector):
    """Each joint alone: as many groups as joints, nothing shared but F.

    Args:
        num_joints (int): Number of joints K.
        num_groups (int): The same number.
    """

    def __init__(self, num_joints: int, num_groups: int) -> None:
        super().__init__(num_joints, num_groups, range(num_joints))


@MODELS.register_module()
class RandomSelector(FixedSelector):
    """Random groups of equal size, up to one joint.

    What any grouping is worth, however senseless; the control of learned
    groups.

    Args:
        num_joints (int): Number of joints K.
        num_groups (int): Number of groups G, from 1 to K.
        seed (int, optional): Seed of the groups. Defaults to ``None``: drawn
            by torch's generator, so that each seed of a training
            (``randomness.seed``) has groups of its own.
    """

    def __init__(self,
                 num_joints: int,
                 num_groups: int,
                 seed: Optional[int] = None) -> None:
        generator = None
        if seed is not None:
            generator = torch.Generator().manual_seed(seed)
        # on the CPU even where a model is built on another device
        order = torch.randperm(num_joints, generator=generator, device='cpu')
        super().__init__(num_joints, num_groups,
                         [int(i) % num_groups for i in order])


@MODELS.register_module()
class FileSelector(FixedSelector):
    """Groups from a json file, such as those by mutual information.

    ``tools/analysis_tools/joint_mutual_information.py`` writes such files
    (Tang and Wu, "Does Learning Specific Features for Related Parts Help
    Human Pose Estimation?", CVPR 2019).

    Args:
        num_joints (int): Number of joints K.
        num_groups (int): Number of groups G.
        file (str): The file, see :func:`find_groups_file` and
            :func:`read_groups`.
        metainfo (dict, optional): mmpose metainfo of the joints, that of the
            codec. Defaults to mmpose's FreiHAND file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it does not put each joint into one of G groups.
    """

    def __init__(self,
                 num_joints: int,
                 num_groups: int,
                 file: str,
                 metainfo: Optional[dict] = None) -> None:
        names = joint_names(metainfo)
        path = find_groups_file(file)
        try:
            super().__init__(num_joints, num_groups, read_groups(path, names))
        except ValueError as error:
            raise ValueError(f'{path}: {error}') from None
        self.joint_names = names


def joint_names(metainfo: Optional[dict] = None) -> Tuple[str, ...]:
    """Names of the joints of a metainfo, in order; FreiHAND's by default."""
    name2id = parse_pose_metainfo(metainfo
                                  or FREIHAND_METAINFO)['keypoint_name2id']
    return tuple(sorted(name2id, key=name2id.get))


def find_groups_file(file: str) -> Path:
    """Where a file of groups is.

    A relative path is looked up in the working directory, then beside the
    package's configs.
    """
    path = Path(file)
    if not path.is_file() and (_MIM_DIR / file).is_file():
        path = _MIM_DIR / file
    return path


def read_groups(path: Union[str, Path], names: Sequence[str]) -> List[int]:
    """Read which group each joint is in.

    Args:
        path (str | Path): A json object whose ``"groups"`` is a list of
            groups, each a list of the joints' names; what else it holds is
            for people.
        names (Sequence[str]): Names of the K joints.

    Returns:
        list[int]: Group of each joint, (K,).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, names a joint that is not among
            ``names``, or does not name each of them once.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f'no file of groups {path}: write it with '
            'tools/analysis_tools/joint_mutual_information.py')
    data = load_json(str(path))
    groups = data.get('groups') if isinstance(data, dict) else None
    if not isinstance(groups, list) or not all(
            isinstance(group, list) and all(
                isinstance(name, str) for name in group) for group in groups):
        raise ValueError('must be a json object with "groups", a list of '
                         'lists of joint names')
    found = {}
    for g, group in enumerate(groups):
        for name in group:
            if name not in names:
                raise ValueError(f'unknown joint {name!r} in group {g}; the '
                                 f'joints are {", ".join(names)}')
            if name in found:
                raise ValueError(f'joint {name} is in two places, groups '
                                 f'{found[name]} and {g}')
            found[name] = g
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(f'joint {missing[0]} is in no group')
    return [found[name] for name in names]
