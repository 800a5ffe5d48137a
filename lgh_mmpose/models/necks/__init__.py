from .group_fusion_neck import GroupFusionNeck

__all__ = ['GroupFusionNeck']
