from .grouped_joint_head import GroupedJointHead

__all__ = ['GroupedJointHead']
