"""From images of any kind to 3D hands with stated units."""
import logging
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import (Any, Callable, Hashable, Iterator, List, NamedTuple,
                    Optional, Sequence, Tuple, Union)

import numpy as np

from ..geometry.camera import back_project, warp_points
from ..geometry.crop import DIRECTION_JOINTS, direction_of
from ..geometry.lifting import lift_hands
from ..geometry.plausibility import (camera_suits_image, check_boxes,
                                     find_camera_fault)
from .backends import open_detector, open_network
from .cameras import ASSUMED_FOV, check_camera_matrix
from .crop import cut_out
from .detections import Detections
from .network import Joints
from .results import Hands
from .settings import (Settings, check_directions, check_fov, check_not_both,
                       check_side, resolve_bone_length)
from .sources import Frame, FrameSource, open_source, prefetch
from .tracking import (HandTracker, OneEuroFilter, Smoothing, Track, box_iou,
                       box_of_joints)

# mmengine's logger writes to the standard output, where JSON may go
_LOGGER = logging.getLogger(__name__)

# after so many frames of a track its side is settled
_SIDE_FRAMES = 15

# overlap from which on a detection is the hand of a given box, and joints are
# those of a detection
_SAME_HAND = .3

# ways in which a hand may point whose direction nobody tells
_DIRECTIONS = np.array([[0., -1.], [1., 0.], [0., 1.], [-1., 0.]])
# of the mean score of a hand's joints, in its certainty: with the models that
# ship this finds most hands at as many false ones
_SCORE_POWER = 4

# how a detector's direction is turned for further looks, degrees; that of the
# detector that ships errs by half of it on average
_ASIDE = -30., 30.
# share of the least certainty below which further looks at a detection are
# given up
_HOPE = .6
# mean score of the joints from which on no look is surer to any purpose
_SURE = .97

Detector = Callable[[np.ndarray], Tuple]
"""Finds hands: BGR, uint8 (H, W, 3) -> :class:`Detections`, or its first two
fields: boxes (N, 4), px, and scores (N,)."""


class _Place(NamedTuple):
    """A box to look for a hand in."""
    image: np.ndarray
    camera_matrix: np.ndarray
    box: np.ndarray
    whole_image: bool
    bbox_score: Optional[float] = None
    track: Optional[Track] = None
    direction: Optional[np.ndarray] = None
    detected: bool = False  # whether a detector says the direction


class _View(NamedTuple):
    """A way to look at a place."""
    place: _Place
    side: Optional[str]
    direction: Optional[np.ndarray]
    mirrored: bool = False


class _Look(NamedTuple):
    """What the network says of a view: joints (K, 2) in px of the image,
    depths (K,) behind the root in reference bones, scores (K,), and how
    likely the hand is a right one, if it tells."""
    keypoints: np.ndarray
    depth: np.ndarray
    scores: np.ndarray
    right: Optional[float]


class _Hand(NamedTuple):
    """A hand in the frame of the camera, in mm or reference bones."""
    place: _Place
    keypoints: np.ndarray
    scores: np.ndarray
    keypoints_cam: np.ndarray
    root_depth_status: str
    side: Optional[str]
    right_minus_left: float


class HandPose:
    """3D hands in images, folders, films and webcams.

    Example::

        for hands in HandPose()('photo.jpg'):
            hands.keypoints      # (N, 21, 2), px
            hands.keypoints_cam  # (N, 21, 3), mm in the frame of the camera

    Args:
        model (str | Path | Config | Network, optional): An exported
            directory, or the config of a model of mmpose, see
            :func:`~lgh_mmpose.inference.backends.open_network`. Defaults to
            the one that ships with the package.
        checkpoint (str, optional): Weights of a config. Defaults to its
            ``load_from``.
        device (str): Where a config's model runs. Defaults to ``'cpu'``.
        num_threads (int, optional): Threads of one inference. Defaults to the
            engine's choice.
        detector (str | Path | Callable, optional): Finds hands in an image:
            ``'shipped'``, the one that ships with the package, an exported
            directory, or any :data:`Detector`. With None and without boxes,
            each image is one hand. Defaults to ``'auto'``: the one that ships
            beside the network that ships, else None.
        camera_matrix (np.ndarray, optional): Intrinsics of the images,
            (3, 3), px.
        fov (float, optional): Angle of view across the images' longer side in
            degrees, in place of ``camera_matrix``. Where neither is given it
            is assumed to be :data:`ASSUMED_FOV`.
        bone_length (float | str, optional): Length of the reference bone in
            mm. Defaults to :data:`AVERAGE_BONE_LENGTH`; ``'none'`` leaves the
            joints relative to the root, in reference bones.
        hand_side (str): ``'right'``, ``'left'``, or ``'auto'``: the network
            tells it; with one that does not, each hand is seen as both, and
            the side with the higher mean score wins. In a tracked film it is
            that of its first 15 frames together, after which it stays.
            Defaults to ``'auto'``.
        batch_size (int): So many frames and crops go through the network at
            once; a film that is tracked goes frame by frame. Defaults to 8.
        hand_thr (float, optional): Least certainty of a hand that was
            detected, the detector's score times the fourth power of the mean
            score of its joints; 0 lets all detections count. Defaults to that
            of the network, see :class:`NetworkInfo`; with it a ``detector``
            given by name or directory gives all hands down to that score.
        bbox_padding (float, optional): How much larger the network's input
            is than a box tight round the hand. Defaults to the network's.
        det_interval (int): In a film the detector looks for further hands
            every so many frames, counted from when it last looked. Defaults
            to 30.
        track (bool): Whether to follow hands through films, see
            :class:`HandTracker`. Defaults to ``True``.
        smoothing (Smoothing, optional): Smooth the joints of tracked hands by
            One-Euro filters of their pixels and depths, from which the 3D
            joints follow. Defaults to ``None``, not at all.

    Raises:
        FileNotFoundError: If a file is missing.
        ImportError: If what the network runs on is not installed.
        ValueError: If an argument is out of its range or the network cannot
            be used.
    """

    def __init__(self,
                 model: Any = None,
                 checkpoint: Optional[str] = None,
                 *,
                 device: str = 'cpu',
                 num_threads: Optional[int] = None,
                 detector: Union[str, Path, Detector, None] = 'auto',
                 camera_matrix: Optional[np.ndarray] = None,
                 fov: Optional[float] = None,
                 bone_length: Optional[Union[float, str]] = None,
                 hand_side: str = 'auto',
                 batch_size: int = 8,
                 hand_thr: Optional[float] = None,
                 bbox_padding: Optional[float] = None,
                 det_interval: int = 30,
                 track: bool = True,
                 smoothing: Optional[Smoothing] = None) -> None:
        check_side(hand_side)
        if batch_size < 1 or det_interval < 1:
            raise ValueError('batch_size and det_interval must be at least 1,'
                             f' got {batch_size} and {det_interval}')
        if smoothing is not None and not track:
            raise ValueError('smoothing follows hands from frame to frame, '
                             'which needs track=True (no --no-track)')
        check_not_both(camera_matrix, fov)
        check_fov(fov)
        if bbox_padding is not None and not .1 <= bbox_padding <= 10:
            raise ValueError('bbox_padding must lie between 0.1 and 10, got '
                             f'{bbox_padding}')
        self.camera_matrix = None if camera_matrix is None else \
            check_camera_matrix(camera_matrix)
        self.fov = fov
        self.bone_length = bone_length
        resolve_bone_length(bone_length)  # complain before the model is built
        self.hand_side = hand_side
        self.batch_size = batch_size
        self.det_interval = det_interval
        self.track = track
        self.smoothing = smoothing
        if hand_thr is not None and not 0 <= hand_thr <= 1:
            raise ValueError(f'hand_thr must lie in 0 to 1, got {hand_thr}')
        self._said = set()

        self.network = open_network(
            model, checkpoint, device=device, num_threads=num_threads)
        self.info = self.network.info
        if bbox_padding is not None:
            self.info = self.info._replace(
                crop=self.info.crop._replace(padding=bbox_padding))
        resolve_bone_length(bone_length, self.info.skeleton.reference_bone)
        missing = [
            name for name in DIRECTION_JOINTS
            if name not in self.info.skeleton.joint_names
        ]
        if self.info.crop.upright and missing:
            raise ValueError('the network wants hands upright, but has no '
                             f'joint {missing[0]} that would tell where they '
                             'point')
        if detector == 'auto':
            detector = 'shipped' if model is None else None
        if hand_thr is not None:
            self.info = self.info._replace(hand_thr=hand_thr or None)
        self.detector = open_detector(detector, num_threads,
                                      self.info.hand_thr)

    @property
    def files(self) -> Tuple[str, ...]:
        """The files that network and detector were read from."""
        return (*self.network.files, *getattr(self.detector, 'files', ()))

    def __call__(self,
                 inputs: Any,
                 bboxes: Optional[np.ndarray] = None,
                 camera_matrix: Optional[np.ndarray] = None,
                 bone_length: Optional[Union[float, str]] = None,
                 fov: Optional[float] = None,
                 hand_side: Optional[str] = None,
                 directions: Optional[np.ndarray] = None) -> Iterator[Hands]:
        """Find the hands of each frame, as they are asked for.

        Args:
            inputs: See :func:`open_source`.
            bboxes (np.ndarray, optional): Boxes tight round the hands, (N, 4)
                or (4,), left, top, right, bottom in px, for every image, and
                for a film where nothing is tracked. Defaults to what the
                detector finds, or the whole image.
            camera_matrix (np.ndarray, optional): In place of the pipeline's
                camera or fov.
            bone_length (float | str, optional): In place of the pipeline's.
            fov (float, optional): In place of the pipeline's camera or fov.
            hand_side (str, optional): In place of the pipeline's.
            directions (np.ndarray, optional): Where the hands in ``bboxes``
                point in the image, from the wrist to the knuckle of the
                middle finger, (N, 2), of any length. Defaults to what the
                detector says of a hand in such a place, else to what the
                network says after looking in quarter turns; of use to
                networks that want hands upright.

        Yields:
            Hands: Those of one frame.

        Raises:
            FileNotFoundError: If there is no such input.
            ValueError: If an input is no image, or an argument is wrong.
        """
        for _, hands in self.run(inputs, bboxes, camera_matrix, bone_length,
                                 fov, hand_side, directions):
            yield hands

    def run(
        self,
        inputs: Any,
        bboxes: Optional[np.ndarray] = None,
        camera_matrix: Optional[np.ndarray] = None,
        bone_length: Optional[Union[float, str]] = None,
        fov: Optional[float] = None,
        hand_side: Optional[str] = None,
        directions: Optional[np.ndarray] = None
    ) -> Iterator[Tuple[Frame, Hands]]:
        """As calling the pipeline, with the frames themselves.

        Args:
            inputs: As in :meth:`__call__`, or an opened
                :class:`FrameSource`.
            bboxes (np.ndarray, optional): As in :meth:`__call__`.
            camera_matrix (np.ndarray, optional): As in :meth:`__call__`.
            bone_length (float | str, optional): As in :meth:`__call__`.
            fov (float, optional): As in :meth:`__call__`.
            hand_side (str, optional): As in :meth:`__call__`.
            directions (np.ndarray, optional): As in :meth:`__call__`.

        Yields:
            tuple[Frame, Hands]: A frame and its hands, in order.
        """
        check_fov(fov)
        check_side(hand_side)
        check_not_both(camera_matrix, fov)
        if camera_matrix is not None:
            camera_matrix = check_camera_matrix(camera_matrix)
        elif fov is None:
            camera_matrix = self.camera_matrix
        boxes = None if bboxes is None else check_boxes(bboxes)
        settings = Settings(
            boxes, camera_matrix, self.fov if fov is None else fov, hand_side
            or self.hand_side,
            *resolve_bone_length(
                self.bone_length if bone_length is None else bone_length,
                self.info.skeleton.reference_bone),
            check_directions(directions, boxes))
        source = open_source(inputs)
        return self._run(source, settings)

    def _run(self, source: FrameSource,
             settings: Settings) -> Iterator[Tuple[Frame, Hands]]:
        num_frames = num_off = 0
        try:
            for frame, hands in self._infer(source, settings):
                num_frames += 1
                num_off += not self._camera_suits(frame, settings)
                yield frame, hands
        finally:
            if num_off > 1:
                _LOGGER.warning(
                    f'the principal point was far from the middle of {num_off}'
                    f' of {num_frames} images')

    def _infer(self, source: FrameSource,
               settings: Settings) -> Iterator[Tuple[Frame, Hands]]:
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

    def _camera_suits(self, frame: Frame, settings: Settings) -> bool:
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
                     settings: Settings) -> Iterator[Tuple[Frame, Hands]]:
        """Frames that have nothing to do with each other."""
        places: List[List[_Place]] = []
        for frame in batch:
            found, whole = self._find(frame, settings)
            places.append([
                self._place(frame, settings, box, whole, score, None,
                            direction, settings.directions is None)
                for box, score, direction in zip(found.boxes, found.scores,
                                                 found.directions)
            ])
        hands = iter(self._estimate(list(chain(*places)), settings))
        for frame, own in zip(batch, places):
            found = [next(hands) for _ in own]
            yield frame, self._result(frame, settings, [
                hand
                for hand in found if self._is_hand(hand.place, hand.scores)
            ])

    def _infer_tracked(self, frame: Frame, tracker: HandTracker,
                       settings: Settings) -> Hands:
        """The next frame of a film."""
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
            found, whole = self._find(frame, settings)
            new = tracker.start(found.boxes, found.scores, whole,
                                found.directions)
            hands += self._follow(frame, tracker, new, settings)
        return self._result(frame, settings, hands)

    def _follow(self, frame: Frame, tracker: HandTracker, tracks: List[Track],
                settings: Settings) -> List[_Hand]:
        """The hands of those tracks that are still there."""
        places = [
            self._place(frame, settings, track.box, track.whole_image,
                        track.bbox_score, track, track.direction, not track.age
                        and settings.directions is None) for track in tracks
        ]
        size = frame.image.shape[1::-1]
        found = []
        for track, hand in zip(tracks, self._estimate(places, settings)):
            if not track.age and not self._is_hand(hand.place, hand.scores):
                tracker.tracks.remove(track)
            elif tracker.update(track, hand.keypoints, hand.scores.mean(),
                                size):
                track.side_evidence += hand.right_minus_left
                if self.info.crop.upright:
                    track.direction = self._direction_of(hand.keypoints)
                if track.filter is not None:
                    hand = _smooth(hand, track.filter, frame.time,
                                   settings.bone_length)
                found.append(hand)
        return found

    def _is_hand(self,
                 place: _Place,
                 scores: np.ndarray,
                 share: float = 1.) -> bool:
        """Whether the network agrees with the detector, or by a share."""
        detected, thr = place.bbox_score, self.info.hand_thr
        if detected is None or thr is None:
            return True
        return certainty(detected, scores) >= share * thr

    def _find(self, frame: Frame,
              settings: Settings) -> Tuple[Detections, bool]:
        """Hands, with scores and directions or Nones, and whether the only
        box is the whole image."""
        height, width = frame.image.shape[:2]
        if settings.boxes is not None:
            outside = ((settings.boxes[:, 2:] <= 0)
                       | (settings.boxes[:, :2] >= (width, height))).any(1)
            if outside.any():
                raise ValueError(
                    f'the box {settings.boxes[outside][0].tolist()} lies '
                    f'outside the {width} x {height} px of {frame.source}, '
                    f'frame {frame.index}')
            directions = settings.directions
            if directions is None:
                directions = self._detect_directions(frame, settings.boxes)
            return Detections(
                settings.boxes, [None] * len(settings.boxes),
                directions=directions), False
        if self.detector is not None:
            return self._detect(frame), False
        return Detections(
            np.array([[0., 0., width, height]]), [None],
            directions=[None]), True

    def _detect(self, frame: Frame) -> Detections:
        """What the detector finds in a frame, cleaned."""
        found = self.detector(frame.image)
        if not isinstance(found, (tuple, list)) or not 2 <= len(found) <= 4:
            raise ValueError('the detector must give boxes (N, 4) and scores '
                             f'(N,), got {str(found)[:100]}')
        return _clean(Detections(*found), frame.image.shape[1::-1])

    def _detect_directions(self, frame: Frame, boxes: np.ndarray) -> list:
        """What the detector says of hands in given boxes, or Nones."""
        directions: list = [None] * len(boxes)
        if not self.info.crop.upright or self.detector is None:
            return directions
        found = _clean(
            Detections(*self.detector(frame.image)), frame.image.shape[1::-1])
        for i, box in enumerate(boxes):
            overlaps = [box_iou(box, other) for other in found.boxes]
            if overlaps and max(overlaps) >= _SAME_HAND:
                directions[i] = found.directions[int(np.argmax(overlaps))]
        return directions

    def _place(self,
               frame: Frame,
               settings: Settings,
               box: np.ndarray,
               whole_image: bool,
               bbox_score: Optional[float] = None,
               track: Optional[Track] = None,
               direction: Optional[np.ndarray] = None,
               detected: bool = False) -> _Place:
        size = frame.image.shape[1::-1]
        if settings.camera_matrix is not None:
            fault = find_camera_fault(settings.camera_matrix, size)
            if fault is not None:
                raise ValueError(f'the given camera has {fault} '
                                 f'({frame.source}, frame {frame.index})')
        return _Place(frame.image,
                      settings.camera(size)[0], box, whole_image, bbox_score,
                      track, direction, detected)

    # -- what the network says ----------------------------------------------

    def _estimate(self, places: List[_Place],
                  settings: Settings) -> List[_Hand]:
        """The hand in each place."""
        if not places:
            return []
        sides = [
            self._sides_to_try(place.track, settings.hand_side)
            for place in places
        ]
        answers = self._look_at([(place, side)
                                 for place, tried in zip(places, sides)
                                 for side in tried])
        chosen, told, evidence = [], [], []
        start = 0
        for place, tried in zip(places, sides):
            first, last = answers[start], answers[start + len(tried) - 1]
            difference = float(first.scores.mean() - last.scores.mean())
            if first.right is not None:
                difference = 2 * first.right - 1
            before = place.track.side_evidence if place.track else 0.
            if place.track and place.track.age >= _SIDE_FRAMES:
                difference = 0.  # it is settled
            # the right side is tried first
            right = difference + before >= 0
            index = 0 if len(tried) == 1 or right else 1
            side = tried[index]
            if first.right is not None and settings.hand_side == 'auto':
                side = 'right' if right else 'left'
            chosen.append(answers[start + index])
            told.append(side)
            evidence.append(difference)
            start += len(tried)
        keypoints = np.stack([look.keypoints for look in chosen])
        depth = np.stack([look.depth for look in chosen])
        lifted = lift_hands(
            keypoints, depth, self.info.skeleton,
            np.stack([place.camera_matrix for place in places]),
            settings.bone_length)
        return [
            _Hand(*hand) for hand in
            zip(places, keypoints, [look.scores for look in chosen],
                lifted.keypoints_cam, lifted.root_depth_status, told, evidence)
        ]

    def _look_at(self, hands: Sequence[Tuple[_Place,
                                             Optional[str]]]) -> List[_Look]:
        """Answers to the hand in each place, seen as a side.

        A detector's direction is rough: where the network is not sure, looks
        to both sides of it may be surer. Where nobody tells a direction, the
        looks are quarter turns.
        """
        upright = self.info.crop.upright
        answers = self._surest(hands,
                               [self._directions(place) for place, _ in hands])
        rough = [
            k for k, (place, _) in enumerate(hands)
            if upright and place.detected and place.direction is not None
            and answers[k].scores.mean() < _SURE
            and self._is_hand(place, answers[k].scores, _HOPE)
        ]
        aside = self._surest(
            [hands[k] for k in rough],
            [_turned(hands[k][0].direction, _ASIDE) for k in rough])
        for k, look in zip(rough, aside):
            answers[k] = max(answers[k], look, key=_mean_score)
        if not self.info.gives_side:
            return answers
        # a network of both sides is as good at the hand in the mirror, and
        # errs otherwise; a film has its next frame. A detector's box is rough,
        # too: the joints' is better
        again = [
            k for k, (place, _) in enumerate(hands)
            if (place.track is None or not place.track.age)
            and self._is_hand(place, answers[k].scores)
        ]
        mirrored = self._look(
            [self._in_mirror(*hands[k], answers[k].keypoints) for k in again])
        for k, look in zip(again, mirrored):
            answers[k] = _Look(*(np.mean(pair, axis=0)
                                 for pair in zip(answers[k], look)))
        return answers

    def _in_mirror(self, place: _Place, side: Optional[str],
                   keypoints: np.ndarray) -> _View:
        """A hand of known joints (K, 2), as the mirror shows it."""
        box = box_of_joints(keypoints)
        if place.bbox_score is not None and \
                box_iou(box, place.box) >= _SAME_HAND:
            place = place._replace(box=box)
        direction = self._direction_of(keypoints) \
            if self.info.crop.upright else None
        return _View(place, side, direction, mirrored=True)

    def _directions(self, place: _Place) -> Sequence[Optional[np.ndarray]]:
        """Where the hand in a place may point."""
        if not self.info.crop.upright:
            return (None, )
        return _DIRECTIONS if place.direction is None else (place.direction, )

    def _surest(
            self, hands: Sequence[Tuple[_Place, Optional[str]]],
            directions: Sequence[Sequence[Optional[np.ndarray]]]
    ) -> List[_Look]:
        """Of the looks at each hand in some directions the surest one."""
        looks = iter(
            self._look([
                _View(*hand, direction)
                for hand, own in zip(hands, directions) for direction in own
            ]))
        return [
            max((next(looks) for _ in own), key=_mean_score)
            for own in directions
        ]

    def _look(self, views: Sequence[_View]) -> List[_Look]:
        """What the network says of each view."""
        if not views:
            return []
        crops, warps = zip(*(self._cut_out(view) for view in views))
        joints = self._run_network(np.stack(crops))
        uv, depth, scores = (part.astype(np.float64) for part in joints[:3])
        _check_finite(uv, depth)
        keypoints = warp_points(uv, np.linalg.inv(np.stack(warps)))
        right: Sequence[Optional[float]] = [None] * len(views)
        if joints.right is not None:
            mirrored = np.array([view.mirrored for view in views])
            right = np.where(mirrored, 1 - joints.right, joints.right)
        return [_Look(*look) for look in zip(keypoints, depth, scores, right)]

    def _cut_out(self, view: _View) -> Tuple[np.ndarray, np.ndarray]:
        """The network's input, and the warp from the image to it."""
        crop, side = self.info.crop, view.side
        if view.mirrored:
            crop, side = crop._replace(hand_side='right'), 'left'
        return cut_out(view.place.image, view.place.box, crop,
                       self.info.input_size, side, view.place.whole_image,
                       view.direction)

    def _direction_of(self, keypoints: np.ndarray) -> np.ndarray:
        """Where the hand of joints (K, 2) points, (2,) px."""
        return direction_of(keypoints, self.info.skeleton.joint_names)

    def _run_network(self, crops: np.ndarray) -> Joints:
        images = np.ascontiguousarray(crops.transpose(0, 3, 1, 2))
        parts = [
            self.network(images[start:start + self.batch_size])
            for start in range(0, len(images), self.batch_size)
        ]
        return Joints(*(None if part[0] is None else np.concatenate(part)
                        for part in zip(*parts)))

    def _sides_to_try(self, track: Optional[Track],
                      hand_side: str) -> Tuple[Optional[str], ...]:
        if hand_side != 'auto':
            return (hand_side, )
        if self.info.crop.hand_side is None:
            return (None, )
        if track is not None and track.age >= _SIDE_FRAMES:
            return ('right' if track.side_evidence >= 0 else 'left', )
        return ('right', 'left')

    # -- how it is told -----------------------------------------------------

    def _result(self, frame: Frame, settings: Settings,
                hands: List[_Hand]) -> Hands:
        size = frame.image.shape[1::-1]
        camera_matrix, camera_source = settings.camera(size)
        skeleton, num = self.info.skeleton, len(self.info.joint_groups)
        side_source = 'given'
        if settings.hand_side == 'auto':
            known = self.info.crop.hand_side or self.info.gives_side
            side_source = 'estimated' if known else 'unknown'
        self._say_assumptions(camera_source, side_source, settings, hands)
        keypoints_cam = _stack([hand.keypoints_cam for hand in hands],
                               (num, 3))
        units, coordinate_frame = 'mm', 'camera'
        if settings.bone_length is None:
            keypoints_cam = keypoints_cam - keypoints_cam[:, [
                skeleton.root_index
            ]]
            units, coordinate_frame = 'reference bones', 'root'
        places = [hand.place for hand in hands]
        return Hands(
            source=frame.source,
            frame=frame.index,
            time=frame.time,
            image_size=size,
            camera_matrix=camera_matrix,
            camera_source=camera_source,
            joint_names=skeleton.joint_names,
            root_joint=skeleton.root_joint,
            reference_bone=skeleton.reference_bone,
            joint_groups=np.array(self.info.joint_groups),
            bone_length=settings.bone_length,
            bone_length_source=settings.bone_length_source,
            units=units,
            coordinate_frame=coordinate_frame,
            bboxes=_stack([place.box for place in places], (4, )),
            bbox_scores=tuple(place.bbox_score for place in places),
            tracks=tuple(place.track.id if place.track else None
                         for place in places),
            hand_sides=tuple(hand.side for hand in hands),
            hand_side_source=side_source,
            keypoints=_stack([hand.keypoints for hand in hands], (num, 2)),
            scores=_stack([hand.scores for hand in hands], (num, )),
            keypoints_cam=keypoints_cam,
            root_depth_status=tuple(hand.root_depth_status for hand in hands))

    def _say_assumptions(self, camera_source: str, side_source: str,
                         settings: Settings, hands: List[_Hand]) -> None:
        if camera_source == 'assumed':
            self._say(f'no camera is given: an angle of view of '
                      f'{ASSUMED_FOV:g} degrees is assumed, to which the '
                      'distances from the camera are as wrong as it is; give '
                      'camera_matrix or fov (--camera-matrix, --fov)')
        if not hands:
            return
        if any(hand.place.whole_image for hand in hands):
            self._say('no box is given, and there is no detector: the whole '
                      "image is taken for one hand; detector='shipped' "
                      '(--detector shipped) finds hands')
        if settings.bone_length_source == 'average':
            self._say(
                f'no bone length is given: that of an average adult, '
                f'{settings.bone_length:g} mm from '
                f'{" to ".join(self.info.skeleton.reference_bone)}, is taken; '
                'all millimetres scale with it; give bone_length '
                '(--bone-length)')
        if side_source == 'estimated':
            how = 'by the network' if self.info.gives_side else \
                'from the scores of both'
            self._say(f'the side of each hand is estimated {how}, which errs;'
                      ' give hand_side (--hand-side) if you know it')

    def _say(self, text: str, about: Optional[Hashable] = None) -> None:
        """Log an assumption, once, or once about a thing."""
        about = about or text
        if about not in self._said:
            self._said.add(about)
            _LOGGER.warning(text)


def _mean_score(look: _Look) -> float:
    return float(look.scores.mean())


def certainty(bbox_score: float, scores: np.ndarray) -> float:
    """How sure detector and network are that a hand is one.

    Args:
        bbox_score (float): The detector's, from 0 to 1.
        scores (np.ndarray): Of its joints, (K,), from 0 to 1.

    Returns:
        float: From 0 to 1.
    """
    return float(bbox_score * np.mean(scores)**_SCORE_POWER)


def _smooth(hand: _Hand, smooth: OneEuroFilter, time: float,
            bone_length: Optional[float]) -> _Hand:
    """Filter pixels and depths; the 3D joints are what they mean."""
    box = hand.place.box
    size = (box[2:] - box[:2]).max()
    # a hand is about four reference bones long
    depth = 4 * (bone_length or 1.)
    uvz = np.column_stack([hand.keypoints, hand.keypoints_cam[:, 2]])
    uvz = smooth(uvz, time, scale=np.array([size, size, depth]))
    return hand._replace(
        keypoints=uvz[:, :2],
        keypoints_cam=back_project(uvz[:, :2], uvz[:, 2],
                                   hand.place.camera_matrix))


def _clean(found: Detections, image_size: Tuple[int, int]) -> Detections:
    """What a detector found, inside the image; what has no area is left out.

    Scores and directions come as lists, the latter with Nones where the
    detector does not tell.
    """
    boxes, scores = (
        np.asarray(v, dtype=np.float64) for v in (found.boxes, found.scores))
    if boxes.size == scores.size == 0:
        return Detections(np.zeros((0, 4)), [], directions=[])
    if boxes.ndim != 2 or boxes.shape[1] != 4 or \
            scores.shape != boxes.shape[:1]:
        raise ValueError('the detector must give boxes (N, 4) and scores '
                         f'(N,), got {boxes.shape} and {scores.shape}')
    directions = np.full((len(boxes), 2), np.nan)
    if found.directions is not None:
        directions = np.asarray(found.directions, dtype=np.float64)
        if directions.shape != (len(boxes), 2):
            raise ValueError('the detector must give directions (N, 2), got '
                             f'{directions.shape}')
    boxes = np.clip(boxes, 0, np.tile(image_size, 2))
    # false for NaN, too
    seen = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    return Detections(
        boxes[seen],
        scores[seen].tolist(),
        directions=[
            way if np.isfinite(way).all() and way.any() else None
            for way in directions[seen]
        ])


def _turned(direction: np.ndarray, angles: Sequence[float]) -> np.ndarray:
    """A direction (2,) turned by each of N angles, degrees: (N, 2)."""
    turned = complex(*direction) * np.exp(1j * np.radians(angles))
    return np.stack([turned.real, turned.imag], -1)


def _stack(arrays: List[np.ndarray], shape: Tuple[int, ...]) -> np.ndarray:
    """Arrays of a shape, none of them too."""
    return np.array(arrays, dtype=np.float64).reshape(-1, *shape)


def _check_finite(keypoints: np.ndarray, depth: np.ndarray) -> None:
    if not (np.isfinite(keypoints).all() and np.isfinite(depth).all()):
        raise ValueError('the network gives numbers that are not finite: its '
                         'weights are damaged, or its training diverged')
