"""mmpose's way to the pipeline, and the pipeline's own names."""
from ..inference.cameras import ASSUMED_FOV, camera_of_fov, load_camera_matrix
from ..inference.drawing import draw_hands
from ..inference.pipeline import HandPose
from ..inference.results import SCHEMA, Hands
from ..inference.settings import AVERAGE_BONE_LENGTH
from ..inference.sources import Frame, FrameSource, open_source
from ..inference.tracking import HandTracker, OneEuroFilter, Smoothing
from ..inference.writing import JsonLinesWriter, PictureWriter
from .config_crop import WHOLE_IMAGE_PADDING, crop_of_config
from .hand_inferencer import HandInferencer

__all__ = [
    'ASSUMED_FOV', 'AVERAGE_BONE_LENGTH', 'Frame', 'FrameSource',
    'HandInferencer', 'HandPose', 'HandTracker', 'Hands', 'JsonLinesWriter',
    'OneEuroFilter', 'PictureWriter', 'SCHEMA', 'Smoothing',
    'WHOLE_IMAGE_PADDING', 'camera_of_fov', 'crop_of_config', 'draw_hands',
    'load_camera_matrix', 'open_source'
]
