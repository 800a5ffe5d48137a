"""Compare the key points of StudioHand's subjects with those of real hands.

    python .dev_scripts/rendering/measure_key_points.py HANDS.json

``HANDS.json`` is a list of hands with ``source``, ``hand_side`` and
``keypoints_cam_mm``, 21 points in FreiHAND's order in the camera's frame, or
None. Hands are measured whose ``label`` is ``true``. Printed in Markdown, per
source and for StudioHand, mean and standard deviation of

- the 20 bones, in percent of the stretched middle finger with its metacarpal
  (the chain wrist, MCP, PIP, DIP, tip);
- the points of the palm in the hand's frame, in the same percent: -x is the
  thumb's side, +y the back of the hand, -z towards the middle finger's MCP.

See ``docs/rendered_hands/key_points.md``.
"""
import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Dict, List

import numpy as np

from lgh_mmpose.rendering.hand_model import JOINT_NAMES, HandModel, mirror

BONES = [
    f'{finger} {bone}'
    for finger in ('thumb', 'index', 'middle', 'ring', 'little')
    for bone in (('wrist-CMC', 'CMC-MCP', 'MCP-IP',
                  'IP-tip') if finger == 'thumb' else ('wrist-MCP', 'MCP-PIP',
                                                       'PIP-DIP', 'DIP-tip'))
]
PALM = {'thumb CMC': 1, 'index MCP': 5, 'ring MCP': 13, 'little MCP': 17}


def bone_lengths(keypoints: np.ndarray) -> np.ndarray:
    """(20,) lengths of the bones of (21, 3) key points."""
    fingers = keypoints[1:].reshape(5, 4, 3)
    wrist = np.broadcast_to(keypoints[0], (5, 1, 3))
    chains = np.concatenate([wrist, fingers], axis=1)
    return np.linalg.norm(np.diff(chains, axis=1), axis=2).ravel()


def measure(keypoints: np.ndarray) -> np.ndarray:
    """(20 + 12,) bones and palm of a right hand in percent of its length."""
    bones = bone_lengths(keypoints)
    z = keypoints[0] - keypoints[9]
    z = z / np.linalg.norm(z)
    x = keypoints[17] - keypoints[5]
    x = x - z * (x @ z)
    x /= np.linalg.norm(x)
    palm = (keypoints[list(PALM.values())] - keypoints[0]) @ np.stack(
        [x, np.cross(z, x), z], axis=1)
    return 100 * np.concatenate([bones, palm.ravel()]) / bones[8:12].sum()


def measure_real(path: Path) -> Dict[str, np.ndarray]:
    """Measures (N, 32) of the labelled hands by source."""
    found: Dict[str, List[np.ndarray]] = defaultdict(list)
    for hand in json.loads(path.read_text(encoding='utf-8')):
        if hand['label'] == 'true' and hand['keypoints_cam_mm'] is not None:
            keypoints = np.array(hand['keypoints_cam_mm'], float)
            if hand['hand_side'] == 'left':
                keypoints = mirror(keypoints)
            found[hand['source']].append(measure(keypoints))
    return {source: np.array(rows) for source, rows in found.items()}


def measure_subjects(count: int) -> np.ndarray:
    """(count, 32) measures of random subjects, fingers straight."""
    model, rng = HandModel(), np.random.default_rng(0)
    pose = np.zeros((len(JOINT_NAMES), 3))
    return np.array([
        measure(
            model.deform(pose,
                         model.sample_subject(rng)).keypoints.astype(float))
        for _ in range(count)
    ])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('hands', type=Path, help='labelled hands, a json')
    parser.add_argument('--count', type=int, default=200, help='subjects')
    args = parser.parse_args()
    columns = {f'StudioHand ({args.count})': measure_subjects(args.count)}
    for source, rows in sorted(measure_real(args.hands).items()):
        columns[f'{source} ({len(rows)})'] = rows
    names = BONES + [f'{name} {axis}' for name in PALM for axis in 'xyz']
    print('| |', ' | '.join(columns), '|')
    print('|---|' + '---|' * len(columns))
    for i, name in enumerate(names):
        cells = [
            f'{rows[:, i].mean():.1f} ± {rows[:, i].std():.1f}'
            for rows in columns.values()
        ]
        print(f'| {name} |', ' | '.join(cells), '|')


if __name__ == '__main__':
    main()
