"""Codecs, registered in mmpose's ``KEYPOINT_CODECS``."""
from .hand_25d_label import Hand25DLabel

__all__ = ['Hand25DLabel']
