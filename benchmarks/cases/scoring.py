"""The case of the metric."""
import contextlib
import io

import numpy as np

from ..networks import Network, load_config
from ..timing import Case


def metric(num_samples: int) -> Case:
    """Taking up predictions and scoring them, as a test on FreiHAND does."""

    def setup():
        from mmengine.evaluator import Evaluator
        from mmpose.datasets.datasets.utils import parse_pose_metainfo

        from lgh_mmpose.datasets import FreiHand3DDataset
        rng = np.random.default_rng(0)
        evaluator = Evaluator(
            load_config(Network('lgh_freihand')).test_evaluator)
        with contextlib.redirect_stderr(io.StringIO()):
            evaluator.dataset_meta = parse_pose_metainfo(
                FreiHand3DDataset.METAINFO)
        truth = rng.normal([0, 0, 700], 30, (num_samples, 1, 21, 3))
        joints = truth + rng.normal(0, 10, truth.shape)
        uv = rng.uniform(0, 224, (num_samples, 1, 21, 2))
        visible = np.ones((1, 21), np.float32)

        def call():
            for i in range(num_samples):
                evaluator.process([
                    dict(
                        id=i,
                        img_path='hand.jpg',
                        pred_instances=dict(
                            keypoints=uv[i] + 1, keypoints_cam=joints[i]),
                        gt_instances=dict(
                            keypoints=uv[i],
                            keypoints_cam=truth[i],
                            keypoints_visible=visible))
                ])
            return evaluator.evaluate(num_samples)

        return call

    return Case(setup, num_samples)
