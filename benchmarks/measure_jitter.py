"""Jitter, error and lag of HandInferencer on videos with known truth.

Renders videos in which a hand moves smoothly from pose to pose and about the
image, follows it with HandInferencer, and prints for each way of following

- jitter: root mean square of the second difference, from frame to frame, of
  the errors, which is 0 for a rigid offset and for errors that grow evenly;
- error: mean distance from the truth, in px and, at the root (the absolute
  depth has errors of its own), in mm;
- lag: by how many frames the truth must be delayed to fit best;

and after how many frames without the hand its track ends, of those that were
not lost before.

    python benchmarks/measure_jitter.py configs/lgh_studiohand.py CHECKPOINT
"""
import argparse
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional, Tuple

import numpy as np


class Video(NamedTuple):
    """Rendered frames with their truth.

    Attributes:
        images: T images, BGR.
        keypoints_cam: (T, 21, 3) mm.
        camera_matrix: (3, 3).
    """
    images: List[np.ndarray]
    keypoints_cam: np.ndarray
    camera_matrix: np.ndarray


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config of the model')
    parser.add_argument('checkpoint', help='its weights')
    parser.add_argument(
        '--videos', type=int, default=4, help='number (default: 4)')
    parser.add_argument(
        '--frames', type=int, default=90, help='frames of each (default: 90)')
    parser.add_argument(
        '--fps', type=float, default=30, help='frames a second (default: 30)')
    parser.add_argument(
        '--size', type=int, default=256, help='side in px (default: 256)')
    parser.add_argument(
        '--noise',
        type=float,
        default=3,
        help='standard deviation of the noise, new in each frame, in grey '
        'levels (default: 3)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--min-cutoff', type=float, help='of the One-Euro filter, Hz')
    parser.add_argument('--beta', type=float, help='of the One-Euro filter')
    parser.add_argument('--device', default='cpu')
    parser.add_argument(
        '--save-dir', help='folder to write the videos to, as .mp4')
    args = parser.parse_args()
    if args.frames < 10 or args.videos < 1:
        parser.error('at least 1 video of 10 frames is needed')
    return args


def render_video(generator, seed: int, num_frames: int, fps: float,
                 noise: float) -> Video:
    """A hand that changes its pose once a second and sways about."""
    from lgh_mmpose.rendering import Hand, place_hand
    from lgh_mmpose.rendering.hand_body import HandBody
    from lgh_mmpose.rendering.poses import sample_pose
    from lgh_mmpose.rendering.rotations import axis_rotation
    from lgh_mmpose.rendering.scene import upright_rotation
    from lgh_mmpose.rendering.skins import Skins, hand_surface
    rng = np.random.default_rng(seed)
    model, size = generator.model, generator.size
    subject = model.sample_subject(rng)
    skin = Skins(512).sample(rng, subject)
    body = HandBody(model, subject)
    poses = np.stack(
        [sample_pose(rng, body) for _ in range(int(num_frames / fps) + 2)])
    turn = upright_rotation(rng)
    depth, focal = 500., 1.5 * size
    camera_matrix = np.array([[focal, 0, (size - 1) / 2],
                              [0, focal, (size - 1) / 2], [0, 0, 1]])
    phase = rng.uniform(0, 2 * np.pi, 4)
    images, joints = [], []
    for frame in range(num_frames):
        seconds = frame / fps
        k, share = int(seconds), seconds % 1
        share = (1 - np.cos(np.pi * share)) / 2
        pose = (1 - share) * poses[k] + share * poses[k + 1]
        sway = np.sin(phase +
                      2 * np.pi * seconds * np.array([.5, .4, .3, .35]))
        place = np.array([35., 35., 60.]) * sway[:3] + [0, 0, depth]
        vertices, keypoints = model.deform(pose, subject)
        hand = place_hand(
            Hand([hand_surface(model, vertices, skin)], keypoints),
            axis_rotation(2, 12 * sway[3]) @ turn, place)
        # the middle of the hand, not its root, sways about the image's middle
        shift = place - (hand.keypoints.min(axis=0) +
                         hand.keypoints.max(axis=0)) / 2
        shift[2] = 0
        hand = hand.moved(shift)
        # the same light, background and camera in each frame
        sample = generator.render(
            np.random.default_rng(seed), [hand], camera_matrix)
        image = sample.image[..., ::-1] + rng.normal(0, noise,
                                                     sample.image.shape)
        images.append(np.clip(image, 0, 255).astype(np.uint8))
        joints.append(hand.keypoints)
    return Video(images, np.stack(joints), camera_matrix)


def as_source(images: List[np.ndarray], fps: float):
    """Images as a video that HandInferencer follows."""
    from lgh_mmpose.apis import Frame, FrameSource
    return FrameSource([
        Frame('video', i, i / fps, image, fps)
        for i, image in enumerate(images)
    ],
                       num_frames=len(images))


def follow(inferencer, video: Video,
           fps: float) -> Tuple[np.ndarray, np.ndarray, int]:
    """Joints (T, 21, 2) and (T, 21, 3), nan where lost, and the losses."""
    uv = np.full((len(video.images), 21, 2), np.nan)
    xyz = np.full((len(video.images), 21, 3), np.nan)
    bone = np.linalg.norm(video.keypoints_cam[0, 10] -
                          video.keypoints_cam[0, 9])
    tracks = set()
    for i, frame in enumerate(
            inferencer(
                as_source(video.images, fps),
                camera_matrix=video.camera_matrix,
                bone_length=bone)):
        for hand in frame['hands'][:1]:
            uv[i], xyz[i] = hand['keypoints'], hand['keypoints_cam']
            tracks.add(hand['track'])
    return uv, xyz, max(0, len(tracks) - 1)


def rms_second_difference(error: np.ndarray) -> float:
    return float(np.sqrt(np.nanmean(np.square(np.diff(error, 2, axis=0)))))


def mean_error(joints: np.ndarray, truth: np.ndarray) -> float:
    return float(np.nanmean(np.linalg.norm(joints - truth, axis=-1)))


def lag_of(joints: np.ndarray, truth: np.ndarray, most: float = 6.) -> float:
    """Frames by which the truth must be late to fit best, to a tenth."""
    frames = np.arange(len(truth))
    inner = frames >= most
    errors = {}
    for lag in np.arange(-1, most, .1):
        at = np.clip(frames - lag, 0, len(truth) - 1)
        low = np.minimum(at.astype(int), len(truth) - 2)
        share = (at - low)[:, None, None]
        late = (1 - share) * truth[low] + share * truth[low + 1]
        # a standing offset is no lag, but a lag has a mean: so at each lag
        offset = np.nanmean(joints[inner] - late[inner], axis=0)
        errors[lag] = mean_error(joints[inner] - offset, late[inner])
    return min(errors, key=errors.get)


def frames_until_lost(inferencer, video: Video, generator, seed: int,
                      fps: float) -> Optional[int]:
    """How long a track outlives its hand, which is there for 10 frames.

    At most 30 frames; None if it is lost before the hand is gone.
    """
    from lgh_mmpose.geometry.camera import project
    rng = np.random.default_rng(seed)
    image = generator.backgrounds.sample(rng, generator.size)
    empty = np.clip(image, 0, 255).astype(np.uint8)
    images = video.images[:10] + [empty] * 30
    uv = project(video.keypoints_cam[0], video.camera_matrix)
    box = np.concatenate([uv.min(axis=0), uv.max(axis=0)])
    for i, frame in enumerate(inferencer(as_source(images, fps), bboxes=box)):
        if not any(h['track'] == 0 for h in frame['hands']):
            return i - 10 if i >= 10 else None
    return 30


def measure(args: argparse.Namespace) -> None:
    from lgh_mmpose.apis import HandInferencer, Smoothing
    from lgh_mmpose.geometry.camera import project
    from lgh_mmpose.rendering import SceneGenerator
    generator = SceneGenerator(
        args.seed,
        'evaluation',
        args.size,
        difficulty='easy',
        without=['objects'])
    videos = [
        render_video(generator, args.seed + i, args.frames, args.fps,
                     args.noise) for i in range(args.videos)
    ]
    if args.save_dir:
        save(videos, args.save_dir, args.fps)
    smoothing = Smoothing(
        **{
            name: value
            for name, value in (('min_cutoff', args.min_cutoff),
                                ('beta', args.beta)) if value is not None
        })
    print(f'{args.videos} videos of {args.frames} frames, {args.size} px, '
          f'{args.fps:g} frames a second')
    print(f'{"":22}jitter px  jitter mm  error px  error mm  lag frames  '
          'losses')
    for name, options in (('whole image, each frame', dict(track=False)),
                          ('tracked', dict()), ('tracked, smoothed',
                                                dict(smoothing=smoothing))):
        inferencer = HandInferencer(
            args.config,
            args.checkpoint,
            args.device,
            hand_side='right',
            **options)
        rows = []
        for video in videos:
            uv, xyz, losses = follow(inferencer, video, args.fps)
            uv_true = project(video.keypoints_cam, video.camera_matrix)
            # about the root: its own depth is measured otherwise
            xyz = xyz - xyz[:, 9:10]
            xyz_true = video.keypoints_cam - video.keypoints_cam[:, 9:10]
            rows.append((rms_second_difference(uv - uv_true),
                         rms_second_difference(xyz - xyz_true),
                         mean_error(uv, uv_true), mean_error(xyz, xyz_true),
                         lag_of(uv, uv_true), losses))
        row = np.mean(rows, axis=0)
        print(f'{name:24}{row[0]:7.2f}{row[1]:11.2f}{row[2]:10.2f}'
              f'{row[3]:10.2f}{row[4]:12.1f}{row[5]:8.1f}')
    lost = [
        frames_until_lost(inferencer, video, generator, args.seed + i,
                          args.fps) for i, video in enumerate(videos)
    ]
    ended = [frames for frames in lost if frames is not None]
    print(f'frames until a track without a hand ends: {ended}; lost before '
          f'the hand was gone: {len(lost) - len(ended)} of {len(lost)}')


def save(videos: List[Video], folder: str, fps: float) -> None:
    from lgh_mmpose.apis import Frame, PictureWriter
    for i, video in enumerate(videos):
        with PictureWriter(folder, lambda image, _: image) as writer:
            for frame in _named(video, f'video_{i}', fps):
                writer.write(Frame(*frame), {})
    print(f'wrote {len(videos)} videos to {Path(folder)}')


def _named(video: Video, name: str, fps: float) -> Iterator[tuple]:
    for i, image in enumerate(video.images):
        yield name, i, i / fps, image, fps


def main() -> None:
    args = parse_args()
    try:
        measure(args)
    except (ValueError, OSError) as error:
        raise SystemExit(f'error: {error}') from None


if __name__ == '__main__':
    main()
