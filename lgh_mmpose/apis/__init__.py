"""Inference: hands in one's own images and videos."""
from ..camera_files import load_camera_matrix
from .camera_model import ASSUMED_FOV, camera_of_fov
from .drawing import draw_hands
from .hand_crop import WHOLE_IMAGE_PADDING, HandCrop
from .hand_inferencer import AVERAGE_BONE_LENGTH, SCHEMA, HandInferencer
from .sources import Frame, FrameSource, open_source
from .tracking import HandTracker, OneEuroFilter, Smoothing
from .writing import JsonLinesWriter, PictureWriter

__all__ = [
    'ASSUMED_FOV', 'AVERAGE_BONE_LENGTH', 'Frame', 'FrameSource', 'HandCrop',
    'HandInferencer', 'HandTracker', 'JsonLinesWriter', 'OneEuroFilter',
    'PictureWriter', 'SCHEMA', 'Smoothing', 'WHOLE_IMAGE_PADDING',
    'camera_of_fov', 'draw_hands', 'load_camera_matrix', 'open_source'
]
