"""Runs an exported hand pose model: NumPy and one inference engine, no more.

    python hand_pose_runner.py photo.jpg --bbox 60 40 260 240 \\
        --camera-matrix camera.json --bone-length 45

prints the joints as json (reading the picture needs OpenCV and Pillow), and

    from hand_pose_runner import HandPose
    hands = HandPose('exported')(image, [[60, 40, 260, 240]])

returns them. Pixels are those of the image, pixel centres at integers;
lengths are millimetres in the frame of the camera.
"""
import argparse
import contextlib
import hashlib
import json
import sys
import warnings
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple, Union

import numpy as np

from lgh_mmpose.cpu import bf16_instructions, describe_bf16
from lgh_mmpose.geometry.camera import (RootDepthStatus, back_project,
                                        check_lengths, lift_root_relative,
                                        solve_root_depth, warp_points)
from lgh_mmpose.geometry.plausibility import (camera_suits_image, check_boxes,
                                              find_bone_fault,
                                              find_camera_fault)
from lgh_mmpose.inference.cameras import (check_camera_matrix,
                                          load_camera_matrix)
from lgh_mmpose.inference.images import count_pictures, read_bytes, read_image
from lgh_mmpose.reading import read_small_file, reason

SCHEMA = 'lgh_mmpose/exported_hand_pose/3'
HANDS_SCHEMA = 'lgh_mmpose/hands/1'
SIDES = ('right', 'left')
OUTPUTS = ('uv', 'depth', 'scores')

# -- the network -------------------------------------------------------------


class Network:
    """An exported network on NumPy batches.

    Args:
        directory (str | Path): What ``tools/deployment/export.py`` wrote.
        num_threads (int, optional): Threads of one inference. Defaults to
            the engine's choice.

    Shape:
        images (B, 3, H, W), uint8, BGR -> ``uv`` (B, K, 2) in px of the
        network input, ``depth`` (B, K) relative to the root in reference
        bones, ``scores`` (B, K) in [0, 1]; float32

    Raises:
        FileNotFoundError: If a file of the export is missing.
        ValueError: If its json is not one that this program can read, or a
            model file is not the one that was exported.
        ImportError: If the inference engine is not installed.
    """

    def __init__(self,
                 directory: Union[str, Path],
                 num_threads: Optional[int] = None) -> None:
        directory = Path(directory)
        if num_threads is not None and num_threads < 1:
            raise ValueError(f'num_threads must be at least 1, got '
                             f'{num_threads}')
        self.info = read_info(directory)
        self.input_size = tuple(self.info['input_size'])
        model = self.info['model']
        for name, digest in model['sha256'].items():
            _check_file(directory / name, digest)
        self._file = directory / model['file']
        with self._errors('loaded'):
            self._run = _BACKENDS[model['backend']](self._file, model,
                                                    num_threads)

    def __call__(self, images: np.ndarray) -> Tuple[np.ndarray, ...]:
        width, height = self.input_size
        if images.dtype != np.uint8 or images.ndim != 4 or \
                images.shape[1:] != (3, height, width) or not len(images):
            raise ValueError(
                'the network takes images as uint8 (B, 3, H, W) = '
                f'(B, 3, {height}, {width}), got {images.dtype} '
                f'{images.shape}')
        num = len(images), len(self.info['joint_names'])
        with self._errors('run'):
            outputs = self._run(np.ascontiguousarray(images))
            shapes = [output.shape for output in outputs]
            if shapes != [(*num, 2), num, num]:
                raise ValueError(f'it gives {shapes}')
        return outputs

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """Let what an engine raises name the file."""
        try:
            yield
        except ImportError:
            raise
        except Exception as error:
            raise ValueError(f'{self._file} cannot be {what}: {reason(error)};'
                             ' export the model again') from error


def _onnx(path: Path, model: dict, num_threads: Optional[int]) -> Any:
    onnxruntime = _import('onnxruntime')
    options = onnxruntime.SessionOptions()
    if num_threads is not None:
        options.intra_op_num_threads = num_threads
        options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(path), options, providers=['CPUExecutionProvider'])
    return lambda images: tuple(session.run(OUTPUTS, {'images': images}))


def _openvino(path: Path, model: dict, num_threads: Optional[int]) -> Any:
    openvino = _import('openvino')
    core = openvino.Core()
    hint = model['inference_precision']
    if hint == 'bf16' and not bf16_instructions():
        warnings.warn(
            f'{describe_bf16()}: what should run in bf16 runs in fp32',
            stacklevel=3)
        hint = 'f32'
    # given in any case: by itself OpenVINO takes bf16 where it can
    config = dict(PERFORMANCE_HINT='LATENCY', INFERENCE_PRECISION_HINT=hint)
    if num_threads is not None:
        config['INFERENCE_NUM_THREADS'] = num_threads
    network = core.read_model(str(path))
    compiled = {}

    def run(images: np.ndarray) -> Tuple[np.ndarray, ...]:
        # shapes known beforehand make faster code
        if len(images) not in compiled:
            shaped = network.clone()
            shaped.reshape(list(images.shape))
            compiled[len(images)] = core.compile_model(
                shaped, 'CPU', config).create_infer_request()
        results = compiled[len(images)].infer([images], share_inputs=True)
        return tuple(results[name] for name in OUTPUTS)

    return run


def _torchscript(path: Path, model: dict, num_threads: Optional[int]) -> Any:
    torch = _import('torch')
    if model['inference_precision'] == 'bf16' and not bf16_instructions():
        warnings.warn(
            f'{describe_bf16()}, and torch imitates bf16, slowly: export the '
            'model with --precision fp32 for it',
            stacklevel=3)
    if num_threads is not None:
        torch.set_num_threads(num_threads)
    with warnings.catch_warnings():
        # deprecated, which whoever runs the file cannot change
        warnings.simplefilter('ignore', FutureWarning)
        network = torch.jit.load(str(path), map_location='cpu')

    def run(images: np.ndarray) -> Tuple[np.ndarray, ...]:
        with torch.inference_mode():
            return tuple(output.numpy()
                         for output in network(torch.from_numpy(images)))

    return run


_BACKENDS = dict(onnx=_onnx, openvino=_openvino, torchscript=_torchscript)


def _import(name: str) -> Any:
    try:
        return __import__(name)
    except ImportError as error:
        raise ImportError(f'this export runs on {name}, which is not '
                          f'installed: `pip install {name}`') from error


def file_sha256(path: Union[str, Path]) -> str:
    """SHA-256 of a file in hexadecimal digits."""
    with open(path, 'rb') as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _check_file(path: Path, digest: str) -> None:
    if not path.is_file():
        raise FileNotFoundError(f'{path} is missing: the export is not '
                                'whole, export the model again')
    if file_sha256(path) != digest:
        raise ValueError(f'{path} is not the file that was exported: its '
                         'SHA-256 is not that in hand_pose.json; copy the '
                         'whole directory again, or export the model again')


def read_info(directory: Union[str, Path]) -> dict:
    """Read and check ``hand_pose.json``.

    Raises:
        FileNotFoundError: If it is not there.
        ValueError: If it is not of this program's schema.
    """
    path = Path(directory) / 'hand_pose.json'
    if not path.is_file():
        raise FileNotFoundError(f'{path} is missing: give the directory that '
                                'tools/deployment/export.py wrote')
    try:
        info = json.loads(read_small_file(path).decode('utf-8'))
        if info['schema'] != SCHEMA:
            raise ValueError(f'its schema is {str(info["schema"])[:100]!r}, '
                             f'not {SCHEMA!r}: export the model again')
        _check_info(info)
    except Exception as error:  # anything may stand in it
        what = f'it has no {error}' if isinstance(error, KeyError) else \
            reason(error)
        raise ValueError(f'{path} cannot be used: {what}') from error
    return info


def _is_padding(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value <= 1e3


def _check_info(info: dict) -> None:
    names, crop, model = (info[k] for k in ('joint_names', 'crop', 'model'))
    for kind, keys in ((dict, ('crop', 'model')),
                       (list, ('input_size', 'joint_names', 'joint_groups',
                               'reference_bone', 'bones', 'bone_lengths'))):
        for key in keys:
            if not isinstance(info[key], kind):
                raise ValueError(f'{key} must be a {kind.__name__}')
    bones = np.asarray(info['bones'])
    checks = {
        'input_size':
        len(info['input_size']) == 2
        and all(type(v) is int and 0 < v <= 4096 for v in info['input_size']),
        'joint_names':
        all(isinstance(name, str)
            for name in names) and len(set(names)) == len(names),
        'joint_groups':
        len(info['joint_groups']) == len(names)
        and all(type(v) is int for v in info['joint_groups']),
        'root_joint':
        info['root_joint'] in names,
        'reference_bone':
        len(info['reference_bone']) == len(set(info['reference_bone'])) == 2
        and set(info['reference_bone']) <= set(names),
        'bones':
        bones.ndim == 2 and bones.shape[1] == 2
        and np.issubdtype(bones.dtype, np.integer) and bones.min() >= 0
        and bones.max() < len(names),
        'bone_lengths':
        len(info['bone_lengths']) == len(bones) and all(
            type(v) in (int, float) and 0 < v <= 1e3
            for v in info['bone_lengths']),  # in reference bones
        'crop.padding':
        _is_padding(crop['padding']),
        'crop.whole_image_padding':
        _is_padding(crop['whole_image_padding']),
        'crop.use_udp':
        isinstance(crop['use_udp'], bool),
        'crop.hand_side':
        crop['hand_side'] in (*SIDES, None),
        'model.backend':
        model['backend'] in _BACKENDS,
        'model.precision':
        isinstance(model['precision'], str),
        'model.inference_precision':
        model['inference_precision'] in ('f32', 'bf16'),
        # beside the json, nowhere else
        'model.file':
        Path(model['file']).name == model['file'],
        'model.sha256':
        isinstance(model['sha256'], dict) and model['file'] in model['sha256']
        and all(
            Path(name).name == name and isinstance(digest, str)
            for name, digest in model['sha256'].items()),
    }
    bad = [name for name, good in checks.items() if not good]
    if bad:
        raise ValueError(f'bad {", ".join(bad)}')


# -- the crop ----------------------------------------------------------------


def crop_matrix(bbox: Sequence[float], input_size: Tuple[int, int],
                padding: float, use_udp: bool) -> np.ndarray:
    """Warp from the image to the network input, without the mirror.

    What mmpose's ``GetBBoxCenterScale`` and ``TopdownAffine`` make of a box.

    Args:
        bbox (Sequence[float]): Left, top, right and bottom in px.
        input_size (tuple[int, int]): Width and height of the input.
        padding (float): Factor on the size of the box.
        use_udp (bool): Whether pixel centres, not borders, are aligned.

    Returns:
        np.ndarray: (3, 3), float64.
    """
    bbox = np.asarray(bbox, dtype=np.float32)
    width, height = input_size
    scale = (bbox[2:] - bbox[:2]) * padding
    center = (bbox[2:] + bbox[:2]) * 0.5
    # the box grows to the shape of the input
    aspect = width / height
    w, h = float(scale[0]), float(scale[1])
    w, h = (w, w / aspect) if w > h * aspect else (h * aspect, h)
    matrix = np.eye(3)
    if use_udp:
        zoom = np.array([(width - 1) / w, (height - 1) / h])
        matrix[:2, 2] = zoom * (np.array([w, h]) / 2 - center)
        matrix[[0, 1], [0, 1]] = zoom
        return matrix
    # in float32, as OpenCV gets the points
    left = np.float64(np.float32(center[0] - w / 2))
    zoom = width / 2 / (np.float64(center[0]) - left)
    matrix[[0, 1], [0, 1]] = zoom
    matrix[:2, 2] = np.array([width, height]) / 2 - zoom * center
    return matrix


def crop_image(image: np.ndarray, matrix: np.ndarray,
               input_size: Tuple[int, int]) -> np.ndarray:
    """Bilinear crop along the axes, black outside the image.

    It rounds as ``cv2.warpAffine`` does: places to 1/32 px, values once.

    Args:
        image (np.ndarray): (h, w, 3), uint8.
        matrix (np.ndarray): Image to crop, (3, 3), without rotation.
        input_size (tuple[int, int]): Width and height of the crop.

    Returns:
        np.ndarray: (H, W, 3), uint8.
    """
    # as OpenCV inverts it, to the last bit
    determinant = 1 / (matrix[0, 0] * matrix[1, 1])
    step = matrix[[1, 0], [1, 0]] * determinant
    (columns, column_weights), (rows, row_weights) = (
        _bilinear(*axis) for axis in zip(input_size, step, -step *
                                         matrix[:2, 2], image.shape[1::-1]))
    used = slice(columns.min(), columns.max() + 1)
    image = image[:, used]
    # 255 * 32 * 32 needs 18 bits
    lines = sum(image[i] * w[:, None, None].astype(np.uint16)
                for i, w in zip(rows, row_weights))
    columns = columns - used.start
    pixels = sum(lines[:, i] * w[:, None].astype(np.uint32)
                 for i, w in zip(columns, column_weights))
    return ((pixels + 512) >> 10).astype(np.uint8)


def _bilinear(num: int, step: float, start: float,
              size: int) -> Tuple[np.ndarray, np.ndarray]:
    """Two neighbours in the image and their weights / 32 of each cell."""
    # OpenCV: 10 bits of fraction first, rounded to 5
    place = np.rint(step * np.arange(num) * 1024) + np.rint(start * 1024)
    place = (place.astype(np.int64) + 16) >> 5
    low, fraction = place >> 5, place & 31
    index = np.stack([low, low + 1])
    weight = np.stack([32 - fraction, fraction])
    weight[(index < 0) | (index >= size)] = 0
    return index.clip(0, size - 1), weight


# -- hands -------------------------------------------------------------------


def _length(name: str, value: Any) -> float:
    length = check_lengths(name, value)
    if length.ndim:
        raise ValueError(f'{name} must be one number, got {value!r}')
    return float(length)


class HandPose:
    """From an image and boxes to joints in pixels and millimetres.

    Args:
        directory (str | Path): What ``tools/deployment/export.py`` wrote.
            Defaults to the folder of this file.
        num_threads (int, optional): See :class:`Network`.
    """

    def __init__(self,
                 directory: Optional[Union[str, Path]] = None,
                 num_threads: Optional[int] = None) -> None:
        self.network = Network(directory or Path(__file__).parent, num_threads)
        self.info = info = self.network.info
        self.joint_names = list(info['joint_names'])
        self.root_index = self.joint_names.index(info['root_joint'])
        self.reference_indices = tuple(
            self.joint_names.index(name) for name in info['reference_bone'])
        self._bones = dict(
            bones=np.array(info['bones']),
            bone_lengths=np.array(info['bone_lengths'], dtype=np.float64))

    def __call__(self,
                 image: np.ndarray,
                 bboxes: Optional[Sequence[Sequence[float]]] = None,
                 camera_matrix: Optional[np.ndarray] = None,
                 bone_length: Optional[float] = None,
                 hand_side: Union[str, Sequence[str]] = 'right',
                 root_depth: Optional[float] = None) -> List[Dict[str, Any]]:
        """Find the joints of each hand.

        Args:
            image (np.ndarray): (h, w, 3), uint8, BGR as OpenCV reads it.
            bboxes (Sequence): Boxes tight round N hands, each left, top,
                right and bottom in px. Defaults to one hand, for which the
                whole image is the box.
            camera_matrix (np.ndarray, optional): Intrinsics (3, 3) of the
                image. Without it the joints are relative to the root, by weak
                perspective.
            bone_length (float, optional): Length of the reference bone in mm.
                Without it lengths are in reference bones.
            hand_side (str | Sequence[str]): ``'right'`` or ``'left'``, for
                all hands or for each.
            root_depth (float, optional): Depth of the root joint in mm where
                it is known. Defaults to solving it from the bone length.

        Returns:
            list[dict]: Per hand the fields of docs/inference.md: ``bbox``
            (4), ``bbox_score`` and ``track`` (None), ``hand_side``,
            ``hand_side_source`` (``'given'``), ``joint_names`` (K),
            ``keypoints`` (K, 2) px of the image, ``scores`` (K),
            ``keypoints_cam`` (K, 3) in ``units`` (mm or reference bones) and
            ``frame`` (camera or root), ``root_joint``, ``reference_bone``,
            ``bone_length``, ``groups`` (K) and ``root_depth_status``, the
            name of the
            :class:`~lgh_mmpose.geometry.camera.RootDepthStatus` where the root depth
            was solved, else None. Plain lists and numbers.

        Raises:
            ValueError: If an argument is of the wrong shape or kind.
        """
        if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or \
                image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError('image must be uint8 (h, w, 3), BGR')
        height, width = image.shape[:2]
        whole_image = bboxes is None
        if whole_image:
            bboxes = [[0, 0, width, height]]
        if len(np.shape(bboxes)) and not len(bboxes):
            return []
        bboxes = check_boxes(bboxes)
        sides = [hand_side] * len(bboxes) if isinstance(hand_side, str) else \
            list(hand_side)
        if len(sides) != len(bboxes) or not set(sides) <= set(SIDES):
            raise ValueError(f'hand_side must be one of {SIDES}, or one for '
                             f'each of the {len(bboxes)} boxes, got '
                             f'{hand_side!r}')
        if camera_matrix is not None:
            camera_matrix = check_camera_matrix(camera_matrix)
        bone_length, root_depth = (None if value is None else _length(
            f'{name} (mm)', value) for name, value in (('bone_length',
                                                        bone_length),
                                                       ('root_depth',
                                                        root_depth)))
        fault = None if bone_length is None else find_bone_fault(
            bone_length, self.info['reference_bone'])
        if fault is not None:
            raise ValueError(f'bone_length is {fault}')
        fault = None if camera_matrix is None else find_camera_fault(
            camera_matrix, (width, height))
        if fault is not None:
            raise ValueError(f'the given camera has {fault}')
        if camera_matrix is not None and not camera_suits_image(
                camera_matrix, (width, height)):
            warnings.warn(
                'the principal point of the given camera, '
                f'{camera_matrix[0, 2]:g} {camera_matrix[1, 2]:g}, is far from'
                f' the middle of the image of {width} x {height} px: was the '
                'matrix made for images of another size?',
                stacklevel=2)
        if root_depth is not None and (camera_matrix is None
                                       or bone_length is None):
            raise ValueError('root_depth (mm) is only of use together with '
                             'camera_matrix and bone_length')

        crops, warps = zip(*(self.crop(image, b, s, whole_image)
                             for b, s in zip(bboxes, sides)))
        uv, depth, scores = self.network(np.stack(crops))
        keypoints = warp_points(uv, np.linalg.inv(np.stack(warps)))
        decoded = self._lift(keypoints, depth, camera_matrix, bone_length,
                             root_depth)
        return [
            dict(
                bbox=[float(v) for v in bboxes[i]],
                # boxes are given, and nothing is tracked
                bbox_score=None,
                track=None,
                hand_side=sides[i],
                hand_side_source='given',
                joint_names=self.joint_names,
                keypoints=keypoints[i].tolist(),
                scores=scores[i].tolist(),
                keypoints_cam=decoded['keypoints_cam'][i].tolist(),
                units='reference bones' if bone_length is None else 'mm',
                frame='root' if camera_matrix is None else 'camera',
                root_joint=self.info['root_joint'],
                reference_bone=list(self.info['reference_bone']),
                bone_length=dict(
                    mm=bone_length,
                    source='none' if bone_length is None else 'given'),
                groups=list(self.info['joint_groups']),
                root_depth_status=decoded['status'][i])
            for i in range(len(bboxes))
        ]

    def crop(self,
             image: np.ndarray,
             bbox: Sequence[float],
             hand_side: str,
             whole_image: bool = False) -> Tuple[np.ndarray, np.ndarray]:
        """The network's view of one hand.

        Args:
            image (np.ndarray): (h, w, 3), uint8, BGR.
            bbox (Sequence[float]): Left, top, right and bottom in px.
            hand_side (str): ``'right'`` or ``'left'``.
            whole_image (bool): Whether the box is the whole image, as which
                it is padded, and not tight round the hand. Defaults to
                ``False``.

        Returns:
            tuple: Network input (3, H, W), uint8, mirrored if need be, and
            the warp from the image to it, (3, 3).
        """
        options = self.info['crop']
        size = self.network.input_size
        padding = options['whole_image_padding' if whole_image else 'padding']
        warp = crop_matrix(bbox, size, padding, options['use_udp'])
        height, width = image.shape[:2]
        left, top, right, bottom = bbox
        if right <= 0 or bottom <= 0 or left >= width or top >= height:
            raise ValueError(f'the box {left:g}, {top:g}, {right:g}, '
                             f'{bottom:g} lies outside of the image of '
                             f'{width} x {height} px')
        pixels = crop_image(image, warp, size)
        if options['hand_side'] not in (None, hand_side):
            pixels = pixels[:, ::-1]
            mirror = np.diag([-1., 1., 1.])
            mirror[0, 2] = size[0] - 1
            warp = mirror @ warp
        return pixels.transpose(2, 0, 1), warp

    def _lift(self, keypoints: np.ndarray, depth: np.ndarray,
              camera_matrix: Optional[np.ndarray],
              bone_length: Optional[float],
              root_depth: Optional[float]) -> Dict[str, Any]:
        """Joints in 3D, as :class:`lgh_mmpose.codecs.Hand25DLabel` has it."""
        num = len(keypoints)
        length = np.full(num, 1. if bone_length is None else bone_length)
        depth = depth.astype(np.float64) * length[:, None]
        if camera_matrix is None:
            joints = lift_root_relative(keypoints, depth, self.root_index,
                                        self.reference_indices, length,
                                        **self._bones)
            return dict(keypoints_cam=joints, status=[None] * num)
        status = [None] * num
        if root_depth is None:
            root_depth, codes = solve_root_depth(
                keypoints, depth - depth[:, [self.root_index]], camera_matrix,
                self.reference_indices, length, **self._bones)
            status = [RootDepthStatus(code).name for code in codes]
        depth = depth + np.reshape(root_depth, (-1, 1))
        return dict(
            keypoints_cam=back_project(keypoints, depth, camera_matrix),
            status=status)


# -- command line ------------------------------------------------------------


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Find the joints of hands in a picture; prints json')
    parser.add_argument('image', help='picture')
    parser.add_argument(
        '--bbox',
        nargs=4,
        type=float,
        action='append',
        metavar=('X1', 'Y1', 'X2', 'Y2'),
        help='box tight round a hand: left, top, right, bottom in px; may be '
        'given again for more hands (default: the whole picture is one hand)')
    parser.add_argument(
        '--camera-matrix',
        metavar='FILE',
        help='3x3 intrinsics of the picture: .json (alone or under '
        'camera_matrix or K), .npy, .yml or .xml of OpenCV, or text (default: '
        'unknown; joints are then relative to the root)')
    parser.add_argument(
        '--bone-length',
        type=float,
        metavar='MM',
        help='length of the reference bone (default: unknown; lengths are '
        'then in reference bones)')
    parser.add_argument(
        '--hand-side', choices=SIDES, default='right', help='default: right')
    parser.add_argument(
        '--model',
        metavar='DIR',
        help='exported model (default: the folder of this program)')
    parser.add_argument(
        '--threads', type=int, help="threads (default: the engine's choice)")
    return parser.parse_args(argv)


def main() -> None:
    args = parse_args()
    try:
        camera = args.camera_matrix and load_camera_matrix(args.camera_matrix)
        image = read_image(args.image)
        pictures = count_pictures(read_bytes(args.image))
        if pictures > 1:
            print(
                f'{args.image} holds {pictures} pictures, of which the first '
                'is read',
                file=sys.stderr)
        hand_pose = HandPose(args.model, args.threads)
        hands = hand_pose(image, args.bbox, camera, args.bone_length,
                          args.hand_side)
    except (OSError, ValueError, ImportError) as error:
        sys.exit(f'{Path(sys.argv[0]).name}: {error}')
    print(
        json.dumps(
            dict(
                schema=HANDS_SCHEMA,
                source=args.image,
                frame=0,
                time=None,
                image_size=[image.shape[1], image.shape[0]],
                camera=None if camera is None else dict(
                    matrix=camera.tolist(), source='given'),
                hands=hands),
            indent=1,
            allow_nan=False))


if __name__ == '__main__':
    main()
