"""What hands, cameras and boxes can be, and the unit that was probably meant.

Everything inside of this package is in millimetres and pixels of the original
image. Nothing in a projection tells the unit of the joints, so that a file in
metres trains and tests without a sound; what tells it is how large hands are.

The bounds are wide, for they are to find wrong units, which are off by 10 or
1000, and no odd hands. Hands are 19 cm long in adults; the hand of a newborn
is a third of that (6.5 cm), the longest one measured 1.7 times (32 cm). The
reference bone, the proximal phalanx of the middle finger, is 44.6 +- 3.8 mm in
adults (Buryanov and Kotiuk, 2010).

Functions ``find_...`` return what is wrong in words, or None. NumPy is all
that is needed.
"""
from typing import Any, Optional, Sequence, Tuple

import numpy as np

HAND_BONE_LENGTHS = {
    ('wrist', 'thumb1'): 49.5,
    ('thumb1', 'thumb2'): 32.5,
    ('thumb2', 'thumb3'): 33.8,
    ('thumb3', 'thumb4'): 20.4,
    ('wrist', 'forefinger1'): 91.9,
    ('forefinger1', 'forefinger2'): 45.3,
    ('forefinger2', 'forefinger3'): 24.3,
    ('forefinger3', 'forefinger4'): 17.1,
    ('wrist', 'middle_finger1'): 91.7,
    ('middle_finger1', 'middle_finger2'): 46.9,
    ('middle_finger2', 'middle_finger3'): 27.5,
    ('middle_finger3', 'middle_finger4'): 17.7,
    ('wrist', 'ring_finger1'): 86.7,
    ('ring_finger1', 'ring_finger2'): 42.9,
    ('ring_finger2', 'ring_finger3'): 26.6,
    ('ring_finger3', 'ring_finger4'): 17.4,
    ('wrist', 'pinky_finger1'): 82.9,
    ('pinky_finger1', 'pinky_finger2'): 34.6,
    ('pinky_finger2', 'pinky_finger3'): 20.3,
    ('pinky_finger3', 'pinky_finger4'): 17.4,
}
"""Usual bone lengths in mm: the rest pose of the generic hand of WebXR
(wrist to MCP over the metacarpals; tips on the skin, 5.5 mm past its tip
joints). Its proximal phalanges agree with those that were measured. Where a
data set places its joints makes more than persons do: StudioHand's mean
subject, whose key points lie as FreiHAND's, has proximal phalanges of 0.75 to
0.83 of these lengths and last bones of 1.3 to 1.9, as ``HandModel().deform``
of its ``rest_pose`` tells."""

HAND_RATIOS = (.3, 3.)
"""Smallest and largest hands, over the usual one."""

DEPTHS = (30., 1e5)
"""Nearest and farthest joints in mm: no lens shows a hand at 3 cm, and none
one at 100 m that a network could see."""

FOCAL_RATIOS = (.2, 1000.)
"""Focal lengths over the longer side of the image: an angle of view of 136
degrees, and a piece cut out of a picture by a telescope. In millimetres or in
shares of the image a focal length is below 0.2."""

BONE_AGREEMENT = 1.5
"""Factor between a given bone length and the joints' own: noise of the joints
makes some tenths, another bone 1.7 or more."""

MAX_COORDINATE = 1e6
"""Largest coordinate of a box in px: thirty times the side of any image."""

MIN_BOX_SIDE = 2.
"""Least side of a box in px; boxes in shares of the image have less."""

UNITS = {'um': .001, 'mm': 1., 'cm': 10., 'm': 1000.}
"""Length of units in mm."""

_MIN_BONES = 5  # of a hand that has a size
# share of an image's side: 0.02 in STB and Dexter+Object, 0.09 in SynthHand; a
# matrix for images of two thirds of the size is 0.17 off
_OFF_CENTRE = .15
# share of an image's side; images of three quarters of the size make it 0.17
_MAX_SHIFT = .15


def probable_unit(ratio: float, unit: str = 'mm') -> Optional[str]:
    """The unit that makes a hand of numbers that make none.

    Args:
        ratio (float): Length over the usual one, the numbers taken as
            ``unit``.
        unit (str): What they were taken as, a key of :data:`UNITS`.

    Returns:
        str | None: The unit that comes nearest to the usual length, None if
        none makes it plausible.
    """
    if not 0 < ratio < np.inf:
        return None
    ratios = {
        name: ratio / UNITS[unit] * length
        for name, length in UNITS.items()
    }
    low, high = HAND_RATIOS
    possible = [name for name, r in ratios.items() if low <= r <= high]
    return min(
        possible, key=lambda name: abs(np.log(ratios[name])), default=None)


def unit_advice(ratio: float, unit: str = 'mm') -> str:
    """What to do about numbers that make no hand, as part of a sentence."""
    meant = probable_unit(ratio, unit)
    if meant is None:
        return f'check it, and that lengths are in {unit}'
    return f'the numbers seem to be in {meant}, they must be in {unit}'


def usual_bone_length(bone: Optional[Sequence[str]] = (
    'middle_finger1', 'middle_finger2')) -> float:
    """Usual length of a bone in mm.

    Args:
        bone (Sequence[str], optional): The joints at its ends. None, or one
            that is not known, stands for any bone.

    Returns:
        float: In mm.
    """
    return float(np.sqrt(np.prod(_usual_range(bone))))


def bone_range(bone: Optional[Sequence[str]] = None) -> Tuple[float, float]:
    """Shortest and longest that a bone can be, in mm.

    Args:
        bone (Sequence[str], optional): The joints at its ends. None, or one
            that is not known, stands for any bone.

    Returns:
        tuple[float, float]: In mm.
    """
    low, high = _usual_range(bone)
    return HAND_RATIOS[0] * low, HAND_RATIOS[1] * high


def _usual_range(bone: Optional[Sequence[str]]) -> Tuple[float, float]:
    for name in (tuple(bone or ()), tuple(bone or ())[::-1]):
        if name in HAND_BONE_LENGTHS:
            return (HAND_BONE_LENGTHS[name], ) * 2
    return min(HAND_BONE_LENGTHS.values()), max(HAND_BONE_LENGTHS.values())


def find_bone_fault(length: float,
                    bone: Optional[Sequence[str]] = None,
                    unit: str = 'mm') -> Optional[str]:
    """Say why a bone cannot be as long as that.

    Args:
        length (float): In mm.
        bone (Sequence[str], optional): The joints at its ends.
        unit (str): Unit of the numbers that the length was made from.

    Returns:
        str | None: What is wrong, or None.
    """
    low, high = bone_range(bone)
    if low <= length <= high:
        return None
    advice = unit_advice(length / usual_bone_length(bone), unit)
    return (f'{length:.5g} mm, while those of hands are {low:.3g} to '
            f'{high:.3g} mm; {advice}')


def hand_sizes(keypoints_cam: np.ndarray,
               joint_names: Sequence[str],
               visible: Optional[np.ndarray] = None) -> np.ndarray:
    """Sizes of hands over that of the usual hand.

    Args:
        keypoints_cam (np.ndarray): Joints in shape (R, K, 3), mm.
        joint_names (Sequence[str]): K names.
        visible (np.ndarray, optional): Whether joints are annotated, (R, K).
            Defaults to all.

    Returns:
        np.ndarray: Median over the bones in shape (R,), float64; NaN where
        less than 5 bones are known.
    """
    index = {name: i for i, name in enumerate(joint_names)}
    bones = [
        bone for bone in HAND_BONE_LENGTHS
        if bone[0] in index and bone[1] in index
    ]
    if len(bones) < _MIN_BONES:
        return np.full(len(keypoints_cam), np.nan)
    start, end = (np.array([index[bone[i]] for bone in bones]) for i in (0, 1))
    with np.errstate(over='ignore', invalid='ignore'):
        lengths = np.linalg.norm(
            keypoints_cam[:, end] - keypoints_cam[:, start], axis=-1)
    # what overflows is no number, but long
    lengths = np.where(np.isnan(lengths), np.inf, lengths)
    ratios = lengths / [HAND_BONE_LENGTHS[bone] for bone in bones]
    if visible is None or np.all(visible):
        return np.median(ratios, axis=1)
    known = (np.asarray(visible)[:, start] > 0) & (
        np.asarray(visible)[:, end] > 0)
    num = known.sum(1)
    # the median of what is known, which sorts before what is not
    ratios = np.sort(np.where(known, ratios, np.inf), axis=1)
    rows, last = np.arange(len(ratios)), ratios.shape[1] - 1
    low = ratios[rows, np.clip((num - 1) // 2, 0, last)]
    high = ratios[rows, np.clip(num // 2, 0, last)]
    return np.where(num >= _MIN_BONES, (low + high) / 2, np.nan)


def find_camera_fault(camera_matrix: np.ndarray,
                      image_size: Tuple[int, int]) -> Optional[str]:
    """Say why a camera cannot have taken an image.

    Args:
        camera_matrix (np.ndarray): Intrinsics (3, 3), px.
        image_size (tuple[int, int]): Width and height in px.

    Returns:
        str | None: What is wrong, or None.
    """
    side = max(image_size)
    focal = abs(float(camera_matrix[0][0])), abs(float(camera_matrix[1][1]))
    low, high = FOCAL_RATIOS
    width, height = image_size
    # skew and principal point, which a crop may put far off
    offset = max(
        abs(float(camera_matrix[i][j])) for i, j in ((0, 1), (0, 2), (1, 2)))
    if low * side <= min(focal) and max(focal) <= high * side:
        if offset <= high * side:
            return None
        return (f'a skew or principal point of {offset:.4g} px for an image '
                f'of {width} x {height} px')
    what = (f'focal lengths of {focal[0]:.4g} and {focal[1]:.4g} px for an '
            f'image of {width} x {height} px')
    if low <= min(focal) and max(focal) <= 3:
        return (f'{what}; they seem to be shares of the image size: multiply '
                'the first two rows of the matrix by it')
    return (f'{what}; they must be in pixels: the focal length in mm, by the '
            'width of the sensor in mm, times the width of the image')


def camera_suits_image(matrix: np.ndarray, image_size: Tuple[int,
                                                             int]) -> bool:
    """Whether a camera may have taken a whole image of this size.

    The principal point of a camera lies near the middle of its images. Where
    it does not, the matrix is likely one for another resolution, or the image
    was cut out and the matrix not.

    Args:
        matrix (np.ndarray): Intrinsics (3, 3), px.
        image_size (tuple[int, int]): Width and height, px.

    Returns:
        bool: Whether it is within 15 % of the width and of the height.
    """
    shares = (matrix[:2, 2] + .5) / image_size
    return bool((np.abs(shares - .5) <= _OFF_CENTRE).all())


def find_shift_fault(centres: np.ndarray,
                     image_size: Tuple[int, int]) -> Optional[str]:
    """Say that hands that fill their images are not in the middle of them.

    So are those of images that were resized, or padded, after annotation.

    Args:
        centres (np.ndarray): Middles of the joints of all hands, (N, 2), px.
        image_size (tuple[int, int]): Width and height in px.

    Returns:
        str | None: What is wrong, or None.
    """
    x, y = centre = np.median(centres, axis=0) / image_size
    if (np.abs(centre - .5) <= _MAX_SHIFT).all():
        return None
    return (f'the hands should fill their images of {image_size[0]} x '
            f'{image_size[1]} px, but lie on average at {x:.0%} of the width '
            f'and {y:.0%} of the height: were the images resized after their '
            'annotation? Restore them, or scale the camera with them')


def find_size_fault(annotated: Tuple[int, int],
                    actual: Tuple[int, int]) -> Optional[str]:
    """Say that an image is not as large as its annotation has it.

    Args:
        annotated (tuple[int, int]): Width and height by the annotation.
        actual (tuple[int, int]): Those of the image, upright.

    Returns:
        str | None: What is wrong, or None.
    """
    if tuple(annotated) == tuple(actual):
        return None
    mend = ('restore the image, or scale the pixels and the camera of the '
            'annotation with it')
    if tuple(annotated) == tuple(actual)[::-1]:
        mend = ('sides are exchanged: annotate the image as it is seen, '
                'turned as its EXIF orientation says')
    return (f'the image has {actual[0]} x {actual[1]} px, its annotation says '
            f'{annotated[0]} x {annotated[1]}; {mend}')


def check_boxes(boxes: Any) -> np.ndarray:
    """Boxes of hands that a user gives, as an array.

    Args:
        boxes: Left, top, right and bottom of N boxes or of one, px.

    Returns:
        np.ndarray: (N, 4), float64.

    Raises:
        ValueError: If they are no boxes, or none that could hold a hand.
    """
    try:
        array = np.atleast_2d(np.array(boxes))
        # text, truth values and numbers of 400 digits are of other kinds
        numbers = array.dtype.kind in 'iuf' and array.ndim == 2
    except (TypeError, ValueError, OverflowError):
        numbers = False
    if not numbers or array.shape[1] != 4 or not (
            np.abs(array) <= MAX_COORDINATE).all() or \
            (array[:, 2:] <= array[:, :2]).any():
        raise ValueError('bboxes must be (N, 4) or (4,): left, top, right and '
                         'bottom in px, left < right and top < bottom, got '
                         f'{str(boxes)[:100]}')
    array = array.astype(np.float64)
    sides = array[:, 2:] - array[:, :2]
    small = np.flatnonzero((sides < MIN_BOX_SIDE).any(1))
    if len(small):
        raise ValueError(
            f'a box of {sides[small[0], 0]:.4g} x {sides[small[0], 1]:.4g} px '
            'can hold no hand: bboxes must be in px, not in shares of the '
            'image')
    return array


def find_placement_fault(image_size: Tuple[int, int], bbox: Sequence[float],
                         keypoints: np.ndarray) -> Optional[str]:
    """Say that a box or all joints lie outside of the image, or apart.

    Args:
        image_size (tuple[int, int]): Width and height in px.
        bbox (Sequence[float]): Left, top, right and bottom in px.
        keypoints (np.ndarray): Annotated joints in shape (K, 2), px.

    Returns:
        str | None: What is wrong, or None.
    """
    width, height = image_size
    left, top, right, bottom = map(float, bbox)
    if not (left < width and top < height and right > 0 and bottom > 0):
        return (f'the box from {left:.6g}, {top:.6g} to {right:.6g}, '
                f'{bottom:.6g} lies outside of the image of {width} x '
                f'{height} px')
    inside = (keypoints > -.5) & (keypoints < (width - .5, height - .5))
    if len(keypoints) and not inside.all(1).any():
        return f'no joint lies in the image of {width} x {height} px'
    # joints at the edge of a tight box lie in it
    inside = (keypoints >= (left - 1, top - 1)) & (
        keypoints <= (right + 1, bottom + 1))
    if len(keypoints) and not inside.all(1).any():
        return (f'no joint lies in the box from {left:.6g}, {top:.6g} to '
                f'{right:.6g}, {bottom:.6g}')
    return None


def find_flip_fault(flip: Optional[bool],
                    warp_mat: Optional[np.ndarray]) -> Optional[str]:
    """Say that an image was mirrored without its camera.

    mmpose's ``RandomFlip`` mirrors image and pixels, but neither the camera
    nor the joints in its frame; it leaves ``flip`` behind, whether or not it
    has mirrored this sample. ``CanonicalizeHandSide`` mirrors exactly, in
    ``warp_mat``, which then has a negative determinant.

    Args:
        flip (bool, optional): What the transforms say; None if nothing.
        warp_mat (np.ndarray, optional): From the image to the input, (3, 3);
            None before there is one.

    Returns:
        str | None: What is wrong, or None.
    """
    if flip is None:
        return None
    if warp_mat is not None and bool(flip) == (np.linalg.det(
            np.asarray(warp_mat)[:2, :2]) < 0):
        return None
    return ('a transform has mirrored the image but not the camera and the 3D '
            'joints, as RandomFlip does; leave it out of the pipeline: '
            'CanonicalizeHandSide mirrors left hands, exactly, and a mirrored '
            'right hand is a left one')


def find_boxes_fault(boxes: np.ndarray, joint_boxes: np.ndarray,
                     image_sizes: np.ndarray) -> Optional[str]:
    """Say what boxes that should be x, y, width, height are instead.

    Asked of a whole file: two corners, for which all of them must be possible
    ones; a centre and a size; or shares of the image size. Taken as such they
    must lie nearer to the joints, on average by half or more.

    Args:
        boxes (np.ndarray): Boxes (N, 4) as the file has them, px.
        joint_boxes (np.ndarray): Left, top, right and bottom of the annotated
            joints, (N, 4), px.
        image_sizes (np.ndarray): Width and height, (N, 2), px.

    Returns:
        str | None: What they seem to be, or None.
    """
    low, high = np.split(np.asarray(boxes, dtype=np.float64), 2, axis=1)
    image_sizes = np.asarray(image_sizes)
    middles = {
        'x, y, width, height in shares of the image size':
        (low + high / 2) * image_sizes,
        '[centre x, centre y, width, height]': low
    }
    # a pixel more is what rounding makes
    if ((high > low) & (low > -2) & (high < image_sizes + 2)).all():
        middles['[left, top, right, bottom]'] = (low + high) / 2
    shown = np.clip(joint_boxes, 0, np.tile(image_sizes, 2))
    centre = (shown[:, :2] + shown[:, 2:]) / 2

    def distance(middle: np.ndarray) -> float:
        with np.errstate(over='ignore'):
            return float(np.linalg.norm(middle - centre, axis=1).mean())

    nearest = min(middles, key=lambda name: distance(middles[name]))
    given = distance(low + high / 2)
    # what is half a pixel off may be either, and it does not matter
    if given > 1 and distance(middles[nearest]) < given / 2:
        return nearest
    return None
