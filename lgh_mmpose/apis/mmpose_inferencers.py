"""What mmpose's own inferencers say of our models.

``MMPoseInferencer(pose2d=CONFIG)`` runs them and gives the 2D joints. Its 3D
inferencers are made for two other kinds of model: one lifts a 2D body pose,
for which it first downloads another model, and the other wants the outputs of
InterNet. Both would fail far from the cause.
"""
from mmpose.apis.inferencers.base_mmpose_inferencer import BaseMMPoseInferencer
from mmpose.apis.inferencers.hand3d_inferencer import Hand3DInferencer
from mmpose.apis.inferencers.pose3d_inferencer import Pose3DInferencer


def refuse_in_3d_inferencers() -> None:
    """Let mmpose's 3D inferencers refuse our models with a sentence.

    mmpose has no place to say so, so that their step between the model and
    all else is overridden. Models of other kinds go through as before.
    """

    def _init_pipeline(self, cfg):
        from ..models.heads import GroupedJointHead
        if isinstance(getattr(self.model, 'head', None), GroupedJointHead):
            raise ValueError(
                f"mmpose's {type(self).__name__} does not take the models of "
                'lgh_mmpose: use lgh_mmpose.apis.HandInferencer (or '
                'demo/hand3d_demo.py) for 3D, or '
                'MMPoseInferencer(pose2d=CONFIG, pose2d_weights=CHECKPOINT, '
                "det_model='whole_image') for 2D")
        return BaseMMPoseInferencer._init_pipeline(self, cfg)

    for inferencer in (Pose3DInferencer, Hand3DInferencer):
        inferencer._init_pipeline = _init_pipeline
