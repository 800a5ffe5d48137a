"""Where a model errs: errors of a test run by what the samples look like."""
import zipfile
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

from lgh_mmpose.reading import reason

# half the width of an adult's finger
FINGER_RADIUS_MM = 8.
_MAX_DUMP_BYTES = 2**32  # of a million hands
# the joints that span the palm
PALM_JOINTS = ('wrist', 'forefinger1', 'pinky_finger1')


class ErrorBin(NamedTuple):
    """Errors of the samples whose value lies in a range.

    Attributes:
        low (float): Least value.
        high (float): Largest value; it belongs to the next bin, but for that
            of the last.
        count (int): Number of samples.
        mean (float): Mean of the errors; NaN without a sample.
        lower (float): Lower quartile of the errors.
        upper (float): Upper quartile.
    """
    low: float
    high: float
    count: int
    mean: float
    lower: float
    upper: float


def load_dump(dump_file: Union[str, Path]) -> Dict[str, np.ndarray]:
    """Read the arrays of what ``HandKeypoint3DMetric`` wrote.

    Args:
        dump_file (str | Path): Its ``dump_file``.

    Returns:
        dict[str, np.ndarray]: The arrays, unchecked.

    Raises:
        ValueError: If the file is no archive of arrays.
    """
    try:
        with zipfile.ZipFile(dump_file) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > _MAX_DUMP_BYTES:
            raise ValueError(f'it unpacks to {size} bytes')
        with np.load(dump_file) as archive:  # refuses pickled objects
            dump = {name: archive[name] for name in archive.files}
        others = [k for k, v in dump.items() if not isinstance(v, np.ndarray)]
        if others:
            raise ValueError(f'{others[0]} is no array')
        return dump
    except Exception as error:  # a damaged archive may raise anything
        raise ValueError(f'{dump_file} is not what HandKeypoint3DMetric '
                         f'writes with dump_file=: {reason(error)}') from None


def load_predictions(dump_file: Union[str, Path]) -> Dict[str, np.ndarray]:
    """Read and check what ``HandKeypoint3DMetric`` wrote.

    Args:
        dump_file (str | Path): Its ``dump_file``.

    Returns:
        dict[str, np.ndarray]: The arrays, see
        :meth:`HandKeypoint3DMetric.dump`.

    Raises:
        ValueError: If the file is no such dump, one without 3D errors, or
            one whose errors or predictions are not finite.
    """
    dump = load_dump(dump_file)
    try:
        num, joints = dump['annotated'].shape
        expected = dict(
            id=(num, ),
            img_path=(num, ),
            joint_names=(joints, ),
            protocol=(),
            root_joint=(),
            errors_2d=(num, joints),
            **{
                f'{side}_{key}': (num, joints, dims)
                for side in ('pred', 'gt')
                for key, dims in (('keypoints', 2), ('keypoints_cam', 3))
            })
        expected.update({
            f'errors_{name}': (num, joints)
            for name in scored_alignments(dump)
        })
        for name, shape in expected.items():
            kind = ('U' if name in ('img_path', 'joint_names', 'protocol',
                                    'root_joint') else 'fiu')
            if dump[name].shape != shape or dump[name].dtype.kind not in kind:
                raise ValueError(f'{name} has shape {dump[name].shape} and '
                                 f'type {dump[name].dtype}, not {shape}')
        if not num:
            raise ValueError('it holds no sample')
        _check_finite(dump)
    except (ValueError, KeyError) as error:
        raise ValueError(f'{dump_file} is not what HandKeypoint3DMetric '
                         f'writes with dump_file=: {error}') from None
    if not scored_alignments(dump):
        raise ValueError(f'{dump_file} holds no 3D errors: its evaluator had '
                         'align=[]')
    return dump


def _check_finite(dump: Dict[str, np.ndarray]) -> None:
    """Raise ValueError unless joints are compared, and all are numbers."""
    scored = scored_alignments(dump)
    for name, key in [('2d', 'keypoints'),
                      *((name, 'keypoints_cam') for name in scored)]:
        errors = dump[f'errors_{name}']
        # NaN where nothing is compared
        compared = ~np.isnan(errors)
        if name in scored and not compared.any():
            raise ValueError(f'no joint is compared: errors_{name} is NaN '
                             'throughout')
        finite = np.isfinite(errors) & np.isfinite(dump[f'pred_{key}']).all(-1)
        if (compared & ~finite).any():
            sample = dump['id'][(compared & ~finite).any(1)][0]
            raise ValueError(f'errors_{name} or pred_{key} of sample {sample} '
                             'are not finite')


def scored_alignments(dump: Dict[str, np.ndarray]) -> List[str]:
    """Alignments that the errors of a dump are given in."""
    return [
        name[len('errors_'):] for name in dump
        if name.startswith('errors_') and name != 'errors_2d'
    ]


def palm_angle(keypoints_cam: np.ndarray,
               joint_names: Sequence[str]) -> np.ndarray:
    """Angle between the palm's normal and the line of sight to it.

    The palm is the plane through wrist, forefinger1 and pinky_finger1.
    Which of its sides is seen is left open: that would need the side of the
    hand.

    Args:
        keypoints_cam (np.ndarray): Joints in the camera frame, (N, K, 3).
        joint_names (Sequence[str]): Names of the K joints.

    Returns:
        np.ndarray: Degrees in shape (N,): 0 where palm or back of the hand
        are seen face-on, 90 where they are seen edge-on; NaN where one of
        the joints is.

    Raises:
        ValueError: If one of the three is not among the joints.
    """
    names = list(joint_names)
    missing = [name for name in PALM_JOINTS if name not in names]
    if missing:
        raise ValueError(f'the palm is not known without {missing[0]}; the '
                         f'joints are {", ".join(names)}')
    palm = keypoints_cam[:, [names.index(name) for name in PALM_JOINTS]]
    normal = np.cross(palm[:, 1] - palm[:, 0], palm[:, 2] - palm[:, 0])
    sight = palm.mean(axis=1)
    lengths = np.linalg.norm(normal, axis=1) * np.linalg.norm(sight, axis=1)
    with np.errstate(divide='ignore', invalid='ignore'):
        cosine = abs((normal * sight).sum(axis=1)) / lengths
    return np.degrees(np.arccos(np.minimum(cosine, 1.)))


def self_occluded(keypoints_cam: np.ndarray,
                  links: Sequence[Tuple[int, int]],
                  radius: float = FINGER_RADIUS_MM) -> np.ndarray:
    """Which joints the hand itself hides from the camera, by its geometry.

    Bones are taken as capsules. A joint is hidden if a bone that does not
    end in it stands in its line of sight, at least a radius in front of it.
    The skin between the bones of the palm is left out, so that this counts
    too few rather than too many; objects in front of the hand are not known.

    Args:
        keypoints_cam (np.ndarray): True joints in the camera frame in mm,
            (N, K, 3); NaN for those that are not annotated, which hide
            nothing and are not hidden.
        links (Sequence[tuple[int, int]]): The bones, pairs of joints.
        radius (float): Radius of the capsules in mm. Defaults to 8, half an
            adult's finger.

    Returns:
        np.ndarray: Bool, (N, K).
    """
    distance = np.linalg.norm(keypoints_cam, axis=-1, keepdims=True)
    with np.errstate(divide='ignore', invalid='ignore'):
        # what is nearer than a radius to the end of this is at least one in
        # front of the joint
        sight = keypoints_cam * np.maximum(1 - 2 * radius / distance, 0)
    hidden = np.zeros(keypoints_cam.shape[:2], dtype=bool)
    for a, b in links:
        start, end = keypoints_cam[:, [a]], keypoints_cam[:, [b]]
        with np.errstate(invalid='ignore'):
            near = _distance_from_origin_segments(sight, start, end) < radius
        near[:, [a, b]] = False
        hidden |= near
    return hidden


def _distance_from_origin_segments(tip: np.ndarray, start: np.ndarray,
                                   end: np.ndarray) -> np.ndarray:
    """Distance of the segments 0..tip and start..end, (..., 3) -> (...).

    Ericson, Real-Time Collision Detection (2005), section 5.1.9.
    """

    def dot(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (x * y).sum(axis=-1)

    bone = end - start
    a, e = dot(tip, tip), np.maximum(dot(bone, bone), 1e-12)
    b, c, f = dot(tip, bone), dot(tip, -start), dot(bone, -start)
    a = np.maximum(a, 1e-12)
    det = a * e - b * b
    with np.errstate(divide='ignore', invalid='ignore'):
        s = np.where(det > 1e-9 * a * e, (b * f - c * e) / det, 0.)
    s = np.clip(s, 0, 1)
    # nearest on the bone; where that is one of its ends, nearest to it
    t = np.clip((b * s + f) / e, 0, 1)
    s = np.clip((b * t - c) / a, 0, 1)
    gap = s[..., None] * tip - (start + t[..., None] * bone)
    return np.linalg.norm(gap, axis=-1)


def errors_by(values: np.ndarray, errors: np.ndarray,
              edges: Sequence[float]) -> List[ErrorBin]:
    """Errors of the samples, sorted into bins by a value.

    Args:
        values (np.ndarray): What to sort by, (N,); samples where it is NaN
            are left out.
        errors (np.ndarray): Error of each sample, (N,); NaN is left out.
        edges (Sequence[float]): B + 1 increasing edges of the bins. The last
            bin holds its upper edge too.

    Returns:
        list[ErrorBin]: B bins.

    Raises:
        ValueError: If the shapes differ or the edges do not increase.
    """
    values, errors = np.asarray(values), np.asarray(errors)
    if values.ndim != 1 or values.shape != errors.shape:
        raise ValueError('values and errors must share one shape (N,), got '
                         f'{values.shape} and {errors.shape}')
    edges = np.asarray(edges, dtype=np.float64)
    if edges.ndim != 1 or len(edges) < 2 or (np.diff(edges) <= 0).any():
        raise ValueError(f'edges must be two or more, increasing; got {edges}')
    bins = []
    for i, (low, high) in enumerate(zip(edges[:-1], edges[1:])):
        last = i == len(edges) - 2
        inside = (values >= low) & ((values <= high) if last else
                                    (values < high)) & ~np.isnan(errors)
        figures = (np.nan, ) * 3
        if inside.any():
            figures = (errors[inside].mean(),
                       *np.quantile(errors[inside], (.25, .75)))
        bins.append(
            ErrorBin(
                float(low), float(high), int(inside.sum()),
                *(float(x) for x in figures)))
    return bins


def equal_count_edges(values: np.ndarray, num_bins: int = 8) -> np.ndarray:
    """Edges of bins with about the same number of samples in each.

    Args:
        values (np.ndarray): What is sorted, (N,), at least one finite.
        num_bins (int): Number of bins; fewer where many values are equal.

    Returns:
        np.ndarray: Increasing edges, (B + 1,).
    """
    values = values[np.isfinite(values)]
    edges = np.unique(np.quantile(values, np.linspace(0, 1, num_bins + 1)))
    if len(edges) < 2:  # all the same
        edges = edges[0] + np.array([-.5, .5])
    return edges


def mean_pose(keypoints_cam: np.ndarray,
              root_index: int,
              visible: Optional[np.ndarray] = None) -> np.ndarray:
    """The mean hand of a data set, which needs no image to be predicted.

    Args:
        keypoints_cam (np.ndarray): Joints in the camera frame in mm,
            (R, K, 3).
        root_index (int): Joint that the hands are moved to the origin by.
        visible (np.ndarray, optional): More than 0 for annotated joints,
            (R, K). Defaults to all annotated.

    Returns:
        np.ndarray: Mean of the annotated joints relative to the root,
        (K, 3); NaN for a joint that no sample has.
    """
    centred = keypoints_cam - keypoints_cam[:, [root_index]]
    if visible is None:
        return centred.mean(axis=0)
    weight = ((visible > 0) & (visible[:, [root_index]] > 0))[..., None]
    count = weight.sum(axis=0)
    total = np.where(weight, centred, 0.).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
