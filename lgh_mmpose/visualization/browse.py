"""Samples on their way through a pipeline: looked at, and checked."""
import json
from pathlib import Path
from typing import (Any, Callable, Dict, Iterable, List, NamedTuple, Optional,
                    Sequence, Tuple)

import cv2
import numpy as np

from lgh_mmpose.datasets.base_hand3d import find_annotation_fault
from lgh_mmpose.datasets.unreadable import UnreadableImageError
from lgh_mmpose.geometry.camera import project, warp_points
from lgh_mmpose.geometry.plausibility import (HAND_BONE_LENGTHS, HAND_RATIOS,
                                              unit_advice)
from lgh_mmpose.inference.images import (find_decoding_fault, find_file_fault,
                                         read_image_size)

from ..geometry.hand import hand_links
from ..inference.skeleton_2d import draw_skeleton_2d, joint_colors
from ..shards import Parts
from .figures import draw_view, read_image
from .skeleton import VIEWS

# what a stage is drawn from
_KEPT = ('img', 'img_reduction', 'keypoints', 'transformed_keypoints',
         'warp_mat', 'bbox', 'bbox_center', 'bbox_scale', 'bbox_rotation')
# annotated pixels are rounded, to half a pixel at worst
MAX_REPROJECTION_PX = 1.
# what transforms may add, px of the image and mm: float32, with room to spare
MAX_WARP_PX = .1
MAX_DECODED_MM = .1
# shortest and longest bones, over the usual ones of a hand of this size
BONE_RATIOS = (.45, 2.2)


class Stage(NamedTuple):
    """A sample after a transform.

    Attributes:
        name (str): Type of the transform.
        results (dict): What it is drawn from.
    """
    name: str
    results: Dict[str, Any]


class TracedSample(NamedTuple):
    """A sample and its way through the pipeline.

    Attributes:
        record (dict): The sample as the data set has it.
        stages (list[Stage]): One for each transform, the record first.
        results (dict): The results before they are packed.
        packed (Any): What the pipeline delivers.
        codec (Any): Encoder of the pipeline; None without one.
    """
    record: Dict[str, Any]
    stages: List[Stage]
    results: Dict[str, Any]
    packed: Any
    codec: Any


def check_annotation(dataset, index: int) -> Optional[str]:
    """Compare a sample's annotation with the header of its image.

    Args:
        dataset (mmengine.dataset.BaseDataset): Data set.
        index (int): Index of the sample.

    Returns:
        str | None: What is wrong with the annotated size, the box or the
        joints. None if nothing is, or if the image cannot be read, of which
        :func:`trace_sample` tells.
    """
    try:
        record = dataset.get_data_info(index)
        size = read_image_size(str(record['img_path']))
    except (OSError, ValueError):
        return None
    return find_annotation_fault(record, size)


def trace_sample(dataset, index: int) -> TracedSample:
    """Run a sample through the pipeline, one transform after the other.

    Args:
        dataset (mmengine.dataset.BaseDataset): Data set with a pipeline.
        index (int): Index of the sample.

    Returns:
        TracedSample: The sample after each transform.

    Raises:
        UnreadableImageError: If its image cannot be read.
        ValueError: If a transform drops the sample.
    """
    results = dataset.get_data_info(index)
    record = dict(results)
    path = str(record['img_path'])
    fault = find_file_fault(path)
    if fault is None:
        try:
            return _trace(dataset, index, record, results)
        except Exception:
            # was it the image or something else in the pipeline?
            fault = find_decoding_fault(path)
            if fault is None:
                raise
    raise UnreadableImageError.of(record.get('id', index), path, fault)


def _trace(dataset, index: int, record: Dict[str, Any],
           results: Dict[str, Any]) -> TracedSample:
    results['dataset'] = dataset  # for mmpose's mixing transforms
    stages = [Stage('annotation', _snapshot(results))]
    packed, codec = results, None
    for transform in dataset.pipeline.transforms:
        name = type(transform).__name__
        before = results
        packed = transform(results)
        if packed is None:
            raise ValueError(f'{name} drops the sample {index} '
                             f'({record.get("img_path")})')
        codec = getattr(transform, 'encoder', codec)
        if 'data_samples' in packed:  # packed: the last one
            results = before
            break
        results = packed
        stages.append(Stage(name, _snapshot(results)))
    return TracedSample(record, stages, results, packed, codec)


def _snapshot(results: Dict[str, Any]) -> Dict[str, Any]:
    return {
        key:
        results[key].copy()
        if isinstance(results[key], np.ndarray) else results[key]
        for key in _KEPT if results.get(key) is not None
    }


class SampleCheck(NamedTuple):
    """What the geometry of a sample says; None where it is not known.

    Attributes:
        reprojection_px (float, optional): Largest distance of a joint in the
            image from the projection of the 3D joint.
        warp_px (float, optional): The same in the network's input, with the
            camera that belongs to it.
        decoded_mm (float, optional): Largest distance of a decoded label
            from its 3D joint.
        outside (float): Share of the annotated joints that are not on the
            input (or, untransformed, the image).
        faults (list[str]): What is wrong, in words.
    """
    reprojection_px: Optional[float]
    warp_px: Optional[float]
    decoded_mm: Optional[float]
    outside: float
    faults: List[str]


def check_sample(sample: TracedSample) -> SampleCheck:
    """Check camera, warp, labels and bones of a sample.

    Args:
        sample (TracedSample): The sample.

    Returns:
        SampleCheck: Distances and faults.

    Raises:
        ValueError: If the sample has no joints.
    """
    record, results = sample.record, sample.results
    if record.get('keypoints') is None:
        raise ValueError(f'sample {record.get("id")} '
                         f'({record.get("img_path")}) has no joints to check')
    faults: List[str] = []
    names = list(record['keypoint_names'])
    shown = np.asarray(record['keypoints_visible'])[0]
    shown = (shown[:, 0] if shown.ndim == 2 else shown) > 0
    # transforms may replace the truth, as OfficialRhdCrop does: each frame
    # is compared with its own
    reprojection = warp = decoded = None
    if record.get('keypoints_cam') is not None:
        xyz = np.asarray(record['keypoints_cam'])[0]
        reprojection = _largest(
            project(xyz, record['camera_matrix']) -
            np.asarray(record['keypoints'])[0], shown)
        _judge(faults, 'joints in the image are off their projection by',
               reprojection, MAX_REPROJECTION_PX, 'px')
        if (xyz[shown, 2] <= 0).any():
            faults.append('joints behind the camera: ' + ', '.join(
                names[k] for k in np.flatnonzero(shown & (xyz[:, 2] <= 0))))
        faults += _odd_bones(xyz, names, shown)
        bone = record.get('bone_length')
        usual = HAND_BONE_LENGTHS['middle_finger1', 'middle_finger2']
        if bone is not None:
            _judge_size(faults, 'reference bone', bone / usual)
    if 'warp_mat' in results:
        if reprojection is not None:
            warp, decoded = _check_input(sample, shown, reprojection, faults)
        points = results['transformed_keypoints'][0][shown]
        height, width = results['img'].shape[:2]
    else:
        points = np.asarray(record['keypoints'])[0][shown]
        width, height = read_image_size(record['img_path'])
    inside = ((points > -.5) & (points < (width - .5, height - .5))).all(1)
    outside = 1 - inside.mean() if len(inside) else 0.
    if outside > .5:
        faults.append(f'{outside:.0%} of the joints are outside')
    return SampleCheck(reprojection, warp, decoded, float(outside), faults)


def _check_input(sample: TracedSample, shown: np.ndarray, reprojection: float,
                 faults: List[str]) -> Tuple[float, Optional[float]]:
    """Distances in px of the input and, of the labels, in mm."""
    results = sample.results
    xyz = np.asarray(results['keypoints_cam'])[0]
    camera_matrix, warp_mat = results['camera_matrix'], results['warp_mat']
    warp = _largest(
        project(xyz, warp_mat @ camera_matrix) -
        results['transformed_keypoints'][0], shown)
    # no more than the annotation brought along
    scale = np.sqrt(abs(np.linalg.det(warp_mat[:2, :2])))
    _judge(faults, "joints in the input are off its camera's by", warp,
           scale * (reprojection + MAX_WARP_PX), 'px')
    if 'keypoint_labels' not in results or sample.codec is None:
        return warp, None
    depth = xyz[sample.codec.root_index, 2]
    if depth <= 0:  # told already
        return warp, None
    decoded = sample.codec.decode(
        results['keypoint_labels'],
        warp_mat,
        camera_matrix,
        results.get('bone_length'),
        root_depth=depth)['keypoints_cam'][0]
    decoded = _largest(decoded - xyz, shown)
    focal = np.sqrt(abs(np.linalg.det(camera_matrix[:2, :2])))
    _judge(faults, 'decoded labels are off the 3D joints by', decoded,
           reprojection * xyz[shown, 2].max() / focal + MAX_DECODED_MM, 'mm')
    return warp, decoded


def _largest(difference: np.ndarray, shown: np.ndarray) -> float:
    distance = np.linalg.norm(difference[shown], axis=-1)
    return float(distance.max()) if len(distance) else 0.


def _judge(faults: List[str], what: str, value: float, limit: float,
           unit: str) -> None:
    if not value <= limit:  # NaN too
        faults.append(f'{what} {value:.3g} {unit}')


def _odd_bones(xyz: np.ndarray, names: Sequence[str],
               shown: np.ndarray) -> List[str]:
    """Sizes and bones that no hand has: wrong units, swapped joints."""
    index = {name: i for i, name in enumerate(names)}
    bones = [
        (a, b) for a, b in HAND_BONE_LENGTHS
        if a in index and b in index and shown[index[a]] and shown[index[b]]
    ]
    if len(bones) < 5:
        return []
    lengths = np.array(
        [np.linalg.norm(xyz[index[a]] - xyz[index[b]]) for a, b in bones])
    ratio = lengths / [HAND_BONE_LENGTHS[bone] for bone in bones]
    faults: List[str] = []
    size = float(np.median(ratio))
    _judge_size(faults, 'hand', size)
    ratio /= max(size, 1e-9)
    low, high = BONE_RATIOS
    odd = [
        f'{a}-{b} ({r:.2g} times the usual)'
        for (a, b), r in zip(bones, ratio) if not low <= r <= high
    ]
    if odd:
        faults.append('bones of odd length: ' + ', '.join(odd))
    return faults


def _judge_size(faults: List[str], what: str, ratio: float) -> None:
    if not HAND_RATIOS[0] <= ratio <= HAND_RATIOS[1]:
        faults.append(f'a {what} of {ratio:.2g} times the usual size: '
                      f'{unit_advice(ratio)}')


def draw_sample(sample: TracedSample,
                mode: str = 'pipeline',
                tile: int = 256) -> np.ndarray:
    """Draw a sample after each transform, and its joints in 3D.

    Joints are coloured by finger; the cross is the principal point of the
    camera, the quadrangle the box that becomes the input.

    Args:
        sample (TracedSample): The sample.
        mode (str): ``'pipeline'``: every stage; ``'original'``: the
            annotation alone; ``'transformed'``: the last stage alone.
        tile (int): Edge of a picture in pixels.

    Returns:
        np.ndarray: RGB image, uint8.

    Raises:
        ValueError: If the mode is unknown or the image cannot be read.
    """
    if mode not in ('pipeline', 'original', 'transformed'):
        raise ValueError("mode must be 'pipeline', 'original' or "
                         f"'transformed', got {mode!r}")
    stages = {
        'pipeline': sample.stages,
        'original': sample.stages[:1],
        'transformed': sample.stages[-1:]
    }[mode]
    record = sample.record
    names = list(record['keypoint_names'])
    links, colors = hand_links(names), joint_colors(names)
    visible = np.asarray(record['keypoints_visible'])[0]
    shown = (visible[:, 0] if visible.ndim == 2 else visible) > 0
    whole = read_image(record['img_path'])
    cells = [
        _titled(
            _draw_stage(stage.results, whole, record['camera_matrix'], links,
                        colors, shown, tile), stage.name) for stage in stages
    ]
    if record.get('keypoints_cam') is not None:
        xyz = np.where(shown[:, None], record['keypoints_cam'][0], np.nan)
        cells += [
            _titled(
                draw_view(xyz, None, links, colors, tile, view),
                f'3D from {where}')
            for view, where in zip(VIEWS, ('the camera', 'the side'))
        ]
    return np.concatenate(cells, axis=1)


SHEET_JOINTS = ('half', 'all', 'none')
_SIDE_COLORS = {'left_hand': (255, 0, 0), 'right_hand': (0, 200, 0)}
_SHEET_GAP = 2  # px between the pictures
_SHEET_MARGIN = 1.5  # side of a picture, over that of the box


def draw_sheet(dataset,
               indices: Sequence[int],
               columns: int,
               joints: str = 'half',
               tile: int = 128) -> np.ndarray:
    """Draw many samples on one page, to see a data set at a glance.

    Each is cut out about its box, with a margin as far as the image has one.

    Args:
        dataset (mmengine.dataset.BaseDataset): Data set; its pipeline is not
            run.
        indices (Sequence[int]): Samples, row after row.
        columns (int): Pictures of a row, at most.
        joints (str): Where joints are drawn: in ``'all'`` pictures, ``'none'``
            or, like a chessboard, in ``'half'`` of them.
        tile (int): Edge of a picture in pixels.

    Returns:
        np.ndarray: RGB image, uint8.

    Raises:
        UnreadableImageError: If an image cannot be read.
        ValueError: If ``joints`` is none of these.
    """
    records = map(dataset.get_data_info, indices)
    return _lay_out(records, len(indices), _draw_tile, columns, joints, tile)


def _lay_out(records: Iterable[Any], count: int,
             draw: Callable[[Any, bool, int], np.ndarray], columns: int,
             joints: str, tile: int) -> np.ndarray:
    """Put ``count`` tiles on a page; ``draw`` gets a record, whether it is to
    be drawn with its annotation, and the tile's edge."""
    if joints not in SHEET_JOINTS:
        raise ValueError(f'joints must be one of {SHEET_JOINTS}, got '
                         f'{joints!r}')
    step = tile + _SHEET_GAP
    columns = min(columns, count)
    rows = -(-count // columns)
    sheet = np.full((rows * step - _SHEET_GAP, columns * step - _SHEET_GAP, 3),
                    255, np.uint8)
    for place, record in enumerate(records):
        row, column = divmod(place, columns)
        drawn = joints == 'all' or joints == 'half' and (row + column) % 2 == 1
        sheet[row * step:row * step + tile,
              column * step:column * step + tile] = draw(record, drawn, tile)
    return sheet


class AnnotatedPicture(NamedTuple):
    """A whole picture and its hands.

    Attributes:
        path (str): The picture.
        hands (list[dict]): COCO's annotations of it.
        names (dict[int, str]): Names of the categories by their ids.
    """
    path: str
    hands: List[Dict[str, Any]]
    names: Dict[int, str]


def read_whole_pictures(data_root: str, split: str) -> List[AnnotatedPicture]:
    """Read the annotations of rendered whole pictures, in COCO's layout.

    Args:
        data_root (str): Folder of the data set, in shards or not.
        split (str): ``'training'`` or ``'evaluation'``.

    Returns:
        list[AnnotatedPicture]: All pictures in order.

    Raises:
        OSError: If a file cannot be read.
        ValueError: If it is damaged, or a shard is missing.
    """
    pictures = []
    for folder in Parts(data_root, split).folders:
        path = Path(folder, 'annotations', f'{split}.json')
        try:
            content = json.loads(path.read_text())
            names = {c['id']: c['name'] for c in content['categories']}
            hands: Dict[int, List[Dict[str, Any]]] = {
                image['id']: []
                for image in content['images']
            }
            for hand in content['annotations']:
                hands[hand['image_id']].append(hand)
            pictures += [
                AnnotatedPicture(
                    str(Path(folder, split, 'images', image['file_name'])),
                    hands[image['id']], names) for image in content['images']
            ]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f'{path} is damaged: {error!r}; render the data '
                             'set again') from None
    return pictures


def draw_whole_sheet(pictures: Sequence[AnnotatedPicture],
                     columns: int,
                     joints: str = 'half',
                     tile: int = 128) -> np.ndarray:
    """Draw whole pictures on one page, with their boxes and directions.

    Boxes of left hands are red, of right ones green, of hands to be ignored
    grey; an arrow leads from the wrist to the middle finger's knuckle.

    Args:
        pictures (Sequence[AnnotatedPicture]): Pictures, row after row.
        columns (int): Pictures of a row, at most.
        joints (str): Where that is drawn, see :func:`draw_sheet`.
        tile (int): Edge of a picture in pixels.

    Returns:
        np.ndarray: RGB image, uint8.

    Raises:
        UnreadableImageError: If an image cannot be read.
        ValueError: If ``joints`` is none of these.
    """
    return _lay_out(pictures, len(pictures), _draw_whole, columns, joints,
                    tile)


def _draw_whole(picture: AnnotatedPicture, with_hands: bool,
                tile: int) -> np.ndarray:
    try:
        image = read_image(picture.path)
    except (OSError, ValueError) as error:
        raise UnreadableImageError.of(
            int(Path(picture.path).stem), picture.path, str(error)) from error
    factor = tile / max(image.shape[:2])
    height, width = (max(1, round(factor * n)) for n in image.shape[:2])
    drawn = np.full((tile, tile, 3), 255, np.uint8)
    drawn[:height, :width] = cv2.resize(
        image, (width, height),
        interpolation=cv2.INTER_CUBIC if factor > 1 else cv2.INTER_AREA)
    for hand in picture.hands if with_hands else ():
        x, y, width, height = hand['bbox']
        wrist, knuckle = (
            np.array(hand['keypoints'][3 * k:3 * k + 2]) for k in (0, 9))
        color = (150, 150, 150) if hand['iscrowd'] else _SIDE_COLORS[
            picture.names[hand['category_id']]]
        corners = np.array([[x, y], [x + width, y + height], wrist, knuckle])
        # pixel centres are at integers, so the edge is at -0.5
        corners = np.rint((corners + .5) * factor - .5).astype(int).tolist()
        cv2.rectangle(drawn, corners[0], corners[1], color, 1, cv2.LINE_AA)
        cv2.arrowedLine(drawn, corners[2], corners[3], (255, 255, 0), 1,
                        cv2.LINE_AA)
    return drawn


def _draw_tile(record: Dict[str, Any], with_joints: bool,
               tile: int) -> np.ndarray:
    path = str(record['img_path'])
    try:
        image = read_image(path)
    except (OSError, ValueError) as error:
        raise UnreadableImageError.of(record.get('id', 0), path,
                                      str(error)) from error
    size = np.array(image.shape[1::-1])
    low, high = np.asarray(record['bbox'], np.float64).reshape(-1, 2)[:2]
    side = min(_SHEET_MARGIN * (high - low).max(), size.max())
    # inside the image as far as it goes
    start = (low + high - side) / 2
    start = np.clip(start, np.minimum(0, size - side),
                    np.maximum(0, size - side)) - .5
    factor = tile / side
    warp = np.array([[factor, 0, -factor * start[0] - .5],
                     [0, factor, -factor * start[1] - .5], [0, 0, 1]])
    if factor < .5:
        # warping alone would skip pixels
        reduced = np.maximum(1, np.round(size * factor)).astype(int)
        image = cv2.resize(
            image, tuple(reduced.tolist()), interpolation=cv2.INTER_AREA)
        scale = np.append(size / reduced, 1)
        shift = np.eye(3)
        shift[:2, 2] = (scale[:2] - 1) / 2
        pixels = warp @ shift @ np.diag(scale)
    else:
        pixels = warp
    drawn = cv2.warpAffine(
        image, pixels[:2], (tile, tile), borderValue=(255, 255, 255))
    if with_joints and record.get('keypoints') is not None:
        names = list(record['keypoint_names'])
        visible = np.asarray(record['keypoints_visible'])[0]
        shown = (visible[:, 0] if visible.ndim == 2 else visible) > 0
        points = np.asarray(record['keypoints'])[0][:, :2]
        draw_skeleton_2d(
            drawn,
            warp_points(points, warp),
            hand_links(names),
            joint_colors(names),
            shown,
            line_width=1,
            radius=max(1, tile // 100))
    return drawn


def _draw_stage(results: Dict[str, Any], whole: np.ndarray,
                camera_matrix: np.ndarray, links: List[Tuple[int, int]],
                colors: np.ndarray, shown: np.ndarray,
                tile: int) -> np.ndarray:
    warp_mat = results.get('warp_mat')
    image, reduction = whole, 1
    if 'img' in results:
        image = results['img'][..., ::-1]
        reduction = results.get('img_reduction', 1)
    if warp_mat is None:
        # coordinates are the whole image's even where fewer pixels are read
        points = results['keypoints'][0]
        warp_mat = np.eye(3)
    else:
        points, reduction = results['transformed_keypoints'][0], 1
    factor = tile / max(image.shape[:2])
    height, width = (max(1, round(factor * n)) for n in image.shape[:2])
    drawn = np.ascontiguousarray(
        cv2.resize(
            image.astype(np.uint8), (width, height),
            interpolation=cv2.INTER_CUBIC if factor > 1 else cv2.INTER_AREA))
    factor /= reduction

    def to_tile(uv: np.ndarray) -> np.ndarray:
        # pixel centres are at integers, so the edge is at -0.5
        return (np.asarray(uv, dtype=np.float64) + .5) * factor - .5

    centre = camera_matrix[:2, 2] / camera_matrix[2, 2]
    centre = to_tile(warp_points(centre[None], warp_mat))[0]
    if np.isfinite(centre).all() and (abs(centre) < 10 * tile).all():
        cv2.drawMarker(drawn,
                       np.round(centre).astype(int).tolist(), (255, 0, 255),
                       cv2.MARKER_CROSS, 12, 2)
    if 'warp_mat' not in results:
        box = to_tile(_box_corners(results))
        cv2.polylines(drawn, [np.round(box).astype(np.int32)], True,
                      (0, 255, 255), 1, cv2.LINE_AA)
    draw_skeleton_2d(drawn, to_tile(points[:, :2]), links, colors, shown)
    canvas = np.full((tile, tile, 3), 255, np.uint8)
    canvas[:height, :width] = drawn
    return canvas


def _box_corners(results: Dict[str, Any]) -> np.ndarray:
    """The box in px of the image, (4, 2), turned as it will be cropped."""
    if 'bbox_center' not in results:
        left, top, right, bottom = results['bbox'][0]
        return np.array([[left, top], [right, top], [right, bottom],
                         [left, bottom]])
    half = results['bbox_scale'][0] / 2
    angle = np.deg2rad(float(results.get('bbox_rotation', [0.])[0]))
    axes = np.array([[np.cos(angle), np.sin(angle)],
                     [-np.sin(angle), np.cos(angle)]])
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    return results['bbox_center'][0] + corners @ axes


def _titled(image: np.ndarray, title: str) -> np.ndarray:
    strip = np.full((20, image.shape[1], 3), 255, np.uint8)
    cv2.putText(strip, title, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, .4, (0, 0, 0),
                1, cv2.LINE_AA)
    return np.pad(
        np.concatenate([strip, image]), ((2, 2), (2, 2), (0, 0)),
        mode='constant',
        constant_values=255)
