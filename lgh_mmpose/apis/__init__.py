"""Inference: hands in one's own images and videos."""
from ..inference.cameras import ASSUMED_FOV, camera_of_fov, load_camera_matrix
from ..inference.drawing import draw_hands
from ..inference.sources import Frame, FrameSource, open_source
from ..inference.tracking import HandTracker, OneEuroFilter, Smoothing
from ..inference.writing import JsonLinesWriter, PictureWriter
from .hand_crop import WHOLE_IMAGE_PADDING, HandCrop
from .hand_inferencer import AVERAGE_BONE_LENGTH, SCHEMA, HandInferencer

__all__ = [
    'ASSUMED_FOV', 'AVERAGE_BONE_LENGTH', 'Frame', 'FrameSource', 'HandCrop',
    'HandInferencer', 'HandTracker', 'JsonLinesWriter', 'OneEuroFilter',
    'PictureWriter', 'SCHEMA', 'Smoothing', 'WHOLE_IMAGE_PADDING',
    'camera_of_fov', 'draw_hands', 'load_camera_matrix', 'open_source'
]
