"""From images of any kind to 3D hands with stated units."""
import copy
import logging
from contextlib import closing
from pathlib import Path
from typing import (Any, Hashable, Iterator, List, NamedTuple, Optional, Tuple,
                    Union)

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmpose.apis import init_model

from ..checkpoint import load_weights
from ..config import config_errors, load_config, require_keys
from ..geometry.camera import back_project
from ..geometry.hand import SIDES
from ..geometry.plausibility import (camera_suits_image, check_boxes,
                                     find_bone_fault, find_camera_fault,
                                     usual_bone_length)
from ..inference.cameras import ASSUMED_FOV, camera_of_fov, check_camera_matrix
from ..inference.sources import Frame, FrameSource, open_source, prefetch
from ..inference.tracking import HandTracker, OneEuroFilter, Smoothing, Track
from ..models.heads import GroupedJointHead
from .detection import HandDetector
from .hand_crop import HandCrop, name_of

# mmengine's logger writes to the standard output, where JSON may go
_LOGGER = logging.getLogger(__name__)

SCHEMA = 'lgh_mmpose/hands/1'
"""Name and version of the frame dicts: a change that breaks readers raises the
number."""

AVERAGE_BONE_LENGTH = 44.6
"""Length of the reference bone in mm where none is given: the proximal phalanx
of the middle finger, 44.6 +- 3.8 mm in radiographs of 66 adults (Buryanov and
Kotiuk, "Proportions of Hand Segments", Int. J. Morphol. 28(3), 2010)."""

# after so many frames of a track its side is settled
_SIDE_FRAMES = 15


class _Crop(NamedTuple):
    """A box to look for a hand in."""
    image: np.ndarray
    camera_matrix: np.ndarray
    bone_length: Optional[float]
    box: np.ndarray
    whole_image: bool
    bbox_score: Optional[float] = None
    track: Optional[Track] = None


class _Hand(NamedTuple):
    """A hand in the frame of the camera, in mm or reference bones."""
    keypoints: np.ndarray
    scores: np.ndarray
    keypoints_cam: np.ndarray
    groups: np.ndarray
    root_depth_status: str
    side: str
    side_source: str
    right_minus_left: float


class HandInferencer:
    """3D hands in images, folders, videos and webcams.

    Args:
        config (str | Path | Config): Config of a model with a
            :class:`GroupedJointHead`.
        checkpoint (str, optional): Its weights. Defaults to ``load_from`` of
            the config, without which it must be given.
        device (str): Defaults to ``'cpu'``.
        detector (str | Config, optional): Config of a detector of mmdet.
            Without it and without boxes, each image is one hand.
        detector_checkpoint (str, optional): Weights of the detector, needed
            with it.
        camera_matrix (np.ndarray, optional): Intrinsics of the images,
            (3, 3), px.
        fov (float, optional): Angle of view across the images' longer side in
            degrees, in place of ``camera_matrix``. Where neither is given it
            is assumed to be :data:`ASSUMED_FOV`.
        bone_length (float | str, optional): Length of the reference bone in
            mm. Defaults to :data:`AVERAGE_BONE_LENGTH`; ``'none'`` leaves the
            joints relative to the root, in reference bones.
        hand_side (str): ``'right'``, ``'left'``, or ``'auto'``: each hand is
            seen as both, and the side with the higher mean score wins; in a
            tracked video that of its first 15 frames together, after which
            it stays. Defaults to ``'auto'``.
        batch_size (int): So many frames and crops go through the network at
            once; a video that is tracked goes frame by frame. Defaults to 8.
        bbox_padding (float, optional): How much larger the network's input
            is than a box tight round the hand. Defaults to that of the
            config's test pipeline, and to 1.5 where that takes whole images.
        det_cat_id (int): The detector's class of hands. Defaults to 0.
        det_score_thr (float): Least score of a detection. Defaults to 0.3.
        det_interval (int): In a video the detector looks for further hands
            every so many frames, counted from when it last looked. Defaults
            to 30.
        track (bool): Whether to follow hands through videos, see
            :class:`HandTracker`. Defaults to ``True``.
        smoothing (Smoothing, optional): Smooth the joints of tracked hands by
            One-Euro filters of their pixels and depths, from which the 3D
            joints follow. Defaults to ``None``, not at all.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If an argument is out of its range, the config cannot be
            used or its test pipeline has steps that inference does not know,
            the model has another head, or a checkpoint does not belong to its
            config.
    """

    def __init__(self,
                 config: Union[str, Path, Config],
                 checkpoint: Optional[str] = None,
                 device: str = 'cpu',
                 detector: Optional[Union[str, Config]] = None,
                 detector_checkpoint: Optional[str] = None,
                 camera_matrix: Optional[np.ndarray] = None,
                 fov: Optional[float] = None,
                 bone_length: Optional[Union[float, str]] = None,
                 hand_side: str = 'auto',
                 batch_size: int = 8,
                 *,
                 bbox_padding: Optional[float] = None,
                 det_cat_id: int = 0,
                 det_score_thr: float = .3,
                 det_interval: int = 30,
                 track: bool = True,
                 smoothing: Optional[Smoothing] = None) -> None:
        if hand_side not in ('auto', *SIDES):
            raise ValueError("hand_side must be 'auto', 'left' or 'right', "
                             f'got {hand_side!r}')
        if batch_size < 1 or det_interval < 1:
            raise ValueError('batch_size and det_interval must be at least 1,'
                             f' got {batch_size} and {det_interval}')
        if smoothing is not None and not track:
            raise ValueError('smoothing follows hands from frame to frame, '
                             'which needs track=True (no --no-track)')
        if camera_matrix is not None and fov is not None:
            raise ValueError('give camera_matrix or fov, not both')
        if fov is not None and not 1 <= fov <= 135:
            raise ValueError(f'fov must lie between 1 and 135 degrees, got '
                             f'{fov}')
        if bbox_padding is not None and not .1 <= bbox_padding <= 10:
            raise ValueError('bbox_padding must lie between 0.1 and 10, got '
                             f'{bbox_padding}')
        if (detector is None) != (detector_checkpoint is None):
            raise ValueError('detector and detector_checkpoint belong '
                             'together: give both or neither')
        self.camera_matrix = None if camera_matrix is None else \
            check_camera_matrix(camera_matrix)
        self.fov = fov
        self.bone_length = bone_length
        _bone_length(bone_length)  # complain before the model is built
        self.hand_side = hand_side
        self.batch_size = batch_size
        self.det_interval = det_interval
        self.track = track
        self.smoothing = smoothing
        self._said = set()

        self.model, self.cfg = _build_model(config, checkpoint,
                                            _check_device(device))
        self._codec = self.model.head.decoder
        _bone_length(bone_length, self._codec.reference_bone)
        self._cut_out = HandCrop(self.cfg, self._codec.input_size,
                                 bbox_padding)
        self.bbox_padding = self._cut_out.bbox_padding
        self.detector = None if detector is None else HandDetector(
            detector,
            detector_checkpoint,
            device,
            cat_id=det_cat_id,
            score_thr=det_score_thr)

    def __call__(self,
                 inputs: Any,
                 bboxes: Optional[np.ndarray] = None,
                 camera_matrix: Optional[np.ndarray] = None,
                 bone_length: Optional[float] = None) -> Iterator[dict]:
        """Find the hands of each frame, as they are asked for.

        Args:
            inputs: See :func:`open_source`.
            bboxes (np.ndarray, optional): Boxes tight round the hands, (N, 4)
                or (4,), left, top, right, bottom in px, for every image, and
                for a video where nothing is tracked. Defaults to what the
                detector finds, or the whole image.
            camera_matrix (np.ndarray, optional): In place of the
                inferencer's.
            bone_length (float, optional): In place of the inferencer's.

        Yields:
            dict: One JSON-able dict per frame, see ``docs/inference.md``.

        Raises:
            FileNotFoundError: If there is no such input.
            ValueError: If an input is no image, or an argument is wrong.
        """
        for _, frame_dict in self.run(inputs, bboxes, camera_matrix,
                                      bone_length):
            yield frame_dict

    def run(self,
            inputs: Any,
            bboxes: Optional[np.ndarray] = None,
            camera_matrix: Optional[np.ndarray] = None,
            bone_length: Optional[float] = None
            ) -> Iterator[Tuple[Frame, dict]]:
        """As calling the inferencer, with the frames themselves.

        Args:
            inputs: As in :meth:`__call__`, or an opened
                :class:`FrameSource`.
            bboxes (np.ndarray, optional): As in :meth:`__call__`.
            camera_matrix (np.ndarray, optional): As in :meth:`__call__`.
            bone_length (float, optional): As in :meth:`__call__`.

        Yields:
            tuple[Frame, dict]: A frame and its dict, in order.
        """
        source = open_source(inputs)
        settings = _Settings(
            None if bboxes is None else check_boxes(bboxes), self.camera_matrix
            if camera_matrix is None else check_camera_matrix(camera_matrix),
            *_bone_length(
                self.bone_length if bone_length is None else bone_length,
                self._codec.reference_bone))
        return self._run(source, settings)

    def _run(self, source: FrameSource,
             settings: '_Settings') -> Iterator[Tuple[Frame, dict]]:
        num_frames = num_off = 0
        try:
            for frame, frame_dict in self._infer(source, settings):
                num_frames += 1
                num_off += not self._camera_suits(frame, settings)
                yield frame, frame_dict
        finally:
            if num_off > 1:
                _LOGGER.warning(
                    f'the principal point was far from the middle of {num_off}'
                    f' of {num_frames} images')

    def _infer(self, source: FrameSource,
               settings: '_Settings') -> Iterator[Tuple[Frame, dict]]:
        batch: List[Frame] = []
        # a camera does not wait: nothing may pile up
        batch_size = 1 if source.live else self.batch_size
        # what is tracked goes frame by frame
        ahead = 2 if source.video and self.track else 2 * batch_size
        if source.live:
            ahead = 1
        tracker, followed = None, None
        with closing(prefetch(source, ahead, newest=source.live)) as frames:
            while True:
                try:
                    frame = next(frames, None)
                except Exception:
                    # what was read before the fault is not lost
                    yield from self._infer_batch(batch, settings)
                    raise
                if frame is None:
                    break
                if frame.time is None or not self.track:
                    batch.append(frame)
                    if len(batch) == batch_size:
                        yield from self._infer_batch(batch, settings)
                        batch = []
                    continue
                yield from self._infer_batch(batch, settings)
                batch = []
                if frame.source != followed or frame.index == 0:
                    tracker, followed = HandTracker(
                        make_filter=self._make_filter), frame.source
                yield frame, self._infer_tracked(frame, tracker, settings)
            yield from self._infer_batch(batch, settings)

    def _camera_suits(self, frame: Frame, settings: '_Settings') -> bool:
        """Whether a given camera suits an image; the first that not is told.
        """
        matrix, size = settings.camera_matrix, frame.image.shape[1::-1]
        if matrix is None or camera_suits_image(matrix, size):
            return True
        self._say(
            f'the principal point of the given camera, {matrix[0, 2]:g} '
            f'{matrix[1, 2]:g}, is far from the middle of {frame.source}, '
            f'{size[0]} x {size[1]} px: was the matrix made for images of '
            'another size? It must be that of the images as they are, scaled '
            'and cut out with them',
            about=matrix.tobytes())
        return False

    def _make_filter(self) -> Optional[OneEuroFilter]:
        return OneEuroFilter(*self.smoothing) if self.smoothing else None

    # -- where the hands are ------------------------------------------------

    def _infer_batch(self, batch: List[Frame],
                     settings: '_Settings') -> Iterator[Tuple[Frame, dict]]:
        """Frames that have nothing to do with each other."""
        crops = []
        for i, frame in enumerate(batch):
            boxes, scores, whole = self._find(frame, settings)
            crops += [(i, self._crop(frame, settings, box, whole, score))
                      for box, score in zip(boxes, scores)]
        hands = self._estimate([crop for _, crop in crops])
        for i, frame in enumerate(batch):
            yield frame, self._frame_dict(frame, settings, [
                self._hand_dict(hand, crop, settings)
                for (k, crop), hand in zip(crops, hands) if k == i
            ])

    def _infer_tracked(self, frame: Frame, tracker: HandTracker,
                       settings: '_Settings') -> dict:
        """The next frame of a video."""
        tracker.frames_since_start += 1
        before = len(tracker.tracks)
        hands = self._follow(frame, tracker, list(tracker.tracks), settings)
        # look again at once where a hand is lost, and now and then for hands
        # that came in
        due = self.detector is not None and settings.boxes is None and \
            tracker.frames_since_start >= self.det_interval
        # a given box is where a hand was in the first frame, not where a lost
        # one comes back
        given = settings.boxes is not None and tracker.started
        if not given and (due or not before or len(hands) < before):
            boxes, scores, whole = self._find(frame, settings)
            # the whole image is no new hand beside one that is followed
            if not (whole and tracker.tracks):
                new = tracker.start(boxes, scores, whole)
                hands += self._follow(frame, tracker, new, settings)
        return self._frame_dict(frame, settings, hands)

    def _follow(self, frame: Frame, tracker: HandTracker, tracks: List[Track],
                settings: '_Settings') -> List[dict]:
        """The hands of those tracks that are still there."""
        crops = [
            self._crop(frame, settings, track.box, track.whole_image,
                       track.bbox_score, track) for track in tracks
        ]
        size = frame.image.shape[1::-1]
        found = []
        for track, crop, hand in zip(tracks, crops, self._estimate(crops)):
            if tracker.update(track, hand.keypoints, hand.scores.mean(), size):
                track.side_evidence += hand.right_minus_left
                if track.filter is not None:
                    hand = self._smooth(hand, track.filter, frame.time, crop)
                found.append(self._hand_dict(hand, crop, settings))
        return found

    def _find(self, frame: Frame,
              settings: '_Settings') -> Tuple[np.ndarray, list, bool]:
        """Boxes (N, 4), their scores, and whether it is the whole image."""
        height, width = frame.image.shape[:2]
        if settings.boxes is not None:
            outside = ((settings.boxes[:, 2:] <= 0)
                       | (settings.boxes[:, :2] >= (width, height))).any(1)
            if outside.any():
                raise ValueError(
                    f'the box {settings.boxes[outside][0].tolist()} lies '
                    f'outside the {width} x {height} px of {frame.source}, '
                    f'frame {frame.index}')
            return settings.boxes, [None] * len(settings.boxes), False
        if self.detector is not None:
            boxes, scores = self.detector(frame.image)
            return boxes, scores.tolist(), False
        return np.array([[0., 0., width, height]]), [None], True

    def _crop(self,
              frame: Frame,
              settings: '_Settings',
              box: np.ndarray,
              whole_image: bool,
              bbox_score: Optional[float] = None,
              track: Optional[Track] = None) -> _Crop:
        camera_matrix = settings.camera_matrix
        if camera_matrix is None:
            camera_matrix = camera_of_fov(
                frame.image.shape[1::-1],
                ASSUMED_FOV if self.fov is None else self.fov)
        else:
            fault = find_camera_fault(camera_matrix, frame.image.shape[1::-1])
            if fault is not None:
                raise ValueError(f'the given camera has {fault} '
                                 f'({frame.source}, frame {frame.index})')
        return _Crop(frame.image, camera_matrix, settings.bone_length, box,
                     whole_image, bbox_score, track)

    # -- what the network says ----------------------------------------------

    def _estimate(self, crops: List[_Crop]) -> List[_Hand]:
        """The hand in each crop."""
        sides = [self._sides_to_try(crop.track) for crop in crops]
        inputs = [
            self._cut_out(crop.image, crop.box, side, crop.whole_image,
                          crop.camera_matrix, crop.bone_length)
            for crop, tried in zip(crops, sides) for side in tried
        ]
        samples = []
        for start in range(0, len(inputs), self.batch_size):
            batch = pseudo_collate(inputs[start:start + self.batch_size])
            with torch.no_grad():
                samples += self.model.test_step(batch)
        samples = iter(samples)
        return [
            self._choose([(side, next(samples)) for side in tried], crop)
            for crop, tried in zip(crops, sides)
        ]

    def _sides_to_try(self, track: Optional[Track]) -> Tuple[str, ...]:
        if self.hand_side != 'auto':
            return (self.hand_side, )
        if track is not None and track.age >= _SIDE_FRAMES:
            return (_side_of(track.side_evidence), )
        return ('right', 'left')

    def _choose(self, tried: list, crop: _Crop) -> _Hand:
        """The hand of the likelier side."""
        scores = {
            side: float(sample.pred_instances.keypoint_scores.mean())
            for side, sample in tried
        }
        evidence = scores.get('right', 0.) - scores.get('left', 0.) \
            if len(tried) > 1 else 0.
        side = tried[0][0]
        if len(tried) > 1:
            before = crop.track.side_evidence if crop.track else 0.
            side = _side_of(evidence + before)
        sample = dict(tried)[side]
        instances = sample.pred_instances
        return _Hand(
            keypoints=np.asarray(instances.keypoints[0], dtype=np.float64),
            scores=np.asarray(instances.keypoint_scores[0], dtype=np.float64),
            keypoints_cam=np.asarray(instances.keypoints_cam[0]),
            groups=np.asarray(sample.metainfo['joint_groups']),
            root_depth_status=str(instances.root_depth_status[0]),
            side=side,
            side_source='estimated' if self.hand_side == 'auto' else 'given',
            right_minus_left=evidence)

    def _smooth(self, hand: _Hand, smooth: OneEuroFilter, time: float,
                crop: _Crop) -> _Hand:
        """Filter pixels and depths; the 3D joints are what they mean."""
        size = (crop.box[2:] - crop.box[:2]).max()
        # a hand is about four reference bones long
        depth = 4 * (crop.bone_length or 1.)
        uvz = np.column_stack([hand.keypoints, hand.keypoints_cam[:, 2]])
        uvz = smooth(uvz, time, scale=np.array([size, size, depth]))
        return hand._replace(
            keypoints=uvz[:, :2],
            keypoints_cam=back_project(uvz[:, :2], uvz[:, 2],
                                       crop.camera_matrix))

    # -- how it is told -----------------------------------------------------

    def _frame_dict(self, frame: Frame, settings: '_Settings',
                    hands: List[dict]) -> dict:
        width, height = frame.image.shape[1::-1]
        matrix = settings.camera_matrix
        if matrix is not None:
            source = 'given'
        elif self.fov is not None:
            matrix, source = camera_of_fov((width, height), self.fov), 'fov'
        else:
            matrix, source = camera_of_fov((width, height)), 'assumed'
            self._say(f'no camera is given: an angle of view of '
                      f'{ASSUMED_FOV:g} degrees is assumed, to which the '
                      'distances from the camera are as wrong as it is')
        return dict(
            schema=SCHEMA,
            source=frame.source,
            frame=frame.index,
            time=None if frame.time is None else round(frame.time, 6),
            image_size=[width, height],
            camera=dict(matrix=_plain(matrix), source=source),
            hands=sorted(hands, key=lambda hand: hand['track'] or 0))

    def _hand_dict(self, hand: _Hand, crop: _Crop,
                   settings: '_Settings') -> dict:
        codec = self._codec
        xyz, units, frame = hand.keypoints_cam, 'mm', 'camera'
        source = settings.bone_length_source
        if crop.bone_length is None:
            xyz = xyz - xyz[codec.root_index]
            units, frame = 'reference bones', 'root'
        elif source == 'average':
            self._say(f'no bone length is given: that of an average adult, '
                      f'{crop.bone_length:g} mm from '
                      f'{" to ".join(codec.reference_bone)}, is taken; all '
                      'millimetres scale with it')
        if hand.side_source == 'estimated':
            self._say('the side of each hand is estimated from the scores of '
                      'both, which errs; give hand_side if you know it')
        return dict(
            bbox=_plain(crop.box),
            bbox_score=crop.bbox_score,
            track=None if crop.track is None else crop.track.id,
            hand_side=hand.side,
            hand_side_source=hand.side_source,
            joint_names=list(codec.keypoint_names),
            keypoints=_plain(hand.keypoints),
            scores=_plain(hand.scores),
            keypoints_cam=_plain(xyz),
            units=units,
            frame=frame,
            root_joint=codec.root_joint,
            reference_bone=list(codec.reference_bone),
            bone_length=dict(mm=crop.bone_length, source=source),
            groups=hand.groups.tolist(),
            root_depth_status=hand.root_depth_status)

    def _say(self, text: str, about: Optional[Hashable] = None) -> None:
        """Log an assumption, once, or once about a thing."""
        about = about or text
        if about not in self._said:
            self._said.add(about)
            _LOGGER.warning(text)


class _Settings(NamedTuple):
    """What holds for all frames of one call."""
    boxes: Optional[np.ndarray]
    camera_matrix: Optional[np.ndarray]
    bone_length: Optional[float]
    bone_length_source: str


def _plain(array: np.ndarray) -> list:
    """Numbers that json can write, to a ten-thousandth."""
    return np.round(np.asarray(array, dtype=np.float64), 4).tolist()


def _side_of(right_minus_left: float) -> str:
    return 'right' if right_minus_left >= 0 else 'left'


def _bone_length(
        value: Optional[Union[float, str]],
        bone: Optional[Tuple[str, str]] = None) -> Tuple[Optional[float], str]:
    """The length of the reference bone in mm, and its source.

    Without ``bone`` nothing but its kind is checked.

    Raises:
        ValueError: If it is neither that of a hand nor ``'none'``.
    """
    if value is None:
        # that of another bone in proportion
        share = usual_bone_length(bone) / usual_bone_length()
        return round(AVERAGE_BONE_LENGTH * share, 1), 'average'
    if isinstance(value, str) and value == 'none':
        return None, 'none'
    try:
        length = np.nan if isinstance(value, (str, bool)) else float(value)
    except (TypeError, ValueError, OverflowError):
        length = np.nan
    if not length > 0:
        raise ValueError("bone_length must be a positive number of mm or "
                         f"'none', got {str(value)[:100]!r}")
    fault = None if bone is None else find_bone_fault(length, bone)
    if fault is not None:
        raise ValueError(f'bone_length is {fault}')
    return length, 'given'


def _check_device(device: str) -> str:
    """The device, if it is there.

    Raises:
        ValueError: If torch does not know it or this machine lacks it.
    """
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f'the device {device!r} cannot be used: {reason}') from error
    return device


def _build_model(config: Union[str, Path, Config], checkpoint: Optional[str],
                 device: str) -> Tuple[torch.nn.Module, Config]:
    """The model with its weights, which solves the root's depth itself."""
    if isinstance(config, (str, Path)):
        config = load_config(config)
    elif not isinstance(config, Config):
        raise ValueError('config must be a file or a Config, not '
                         f'{type(config).__name__}')
    config = copy.deepcopy(config)
    if checkpoint is None:
        checkpoint = config.get('load_from')
    if checkpoint is None:
        raise ValueError('give a checkpoint: the config has no load_from, and '
                         'an untrained network finds no hands')
    require_keys(config, name_of(config), ['model'], 'inference')
    # there is no annotation to take it from
    config.model.test_cfg = dict(
        config.model.get('test_cfg') or {}, root_depth='solved')
    with config_errors(name_of(config)):
        model = init_model(config, None, device)
    if not isinstance(getattr(model, 'head', None), GroupedJointHead):
        raise ValueError(
            'HandInferencer needs a model with a GroupedJointHead, this one '
            f'has {type(getattr(model, "head", None)).__name__}; mmpose\'s '
            'MMPoseInferencer takes 2D models')
    load_weights(model, checkpoint)
    return model, config
