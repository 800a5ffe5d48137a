from .grad_norm_pose_estimator import GradNormPoseEstimator

__all__ = ['GradNormPoseEstimator']
