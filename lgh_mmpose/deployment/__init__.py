"""Trained models as files that need no mmpose and, mostly, no torch."""
from .deploy_form import DeployForm, to_deploy
from .detector import (DetectorTolerance, export_detector,
                       export_detector_config, is_detector)
from .exporting import COMBINATIONS, choose_precision, export, load_exported
from .from_config import export_config, read_crop, select_samples
from .verification import ExportError, Tolerance, verify, verify_crop

__all__ = [
    'COMBINATIONS', 'DeployForm', 'DetectorTolerance', 'ExportError',
    'Tolerance', 'choose_precision', 'export', 'export_config',
    'export_detector', 'export_detector_config', 'is_detector',
    'load_exported', 'read_crop', 'select_samples', 'to_deploy', 'verify',
    'verify_crop'
]
