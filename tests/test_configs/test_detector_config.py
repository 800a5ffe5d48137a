from detector_models import CONFIG, build
from mmengine.config import Config

from lgh_mmpose.config import merge_cfg_options
from lgh_mmpose.deployment import export_detector, is_detector
from lgh_mmpose.inference.backends.exported_detector import ExportedDetector


def test_the_network_is_small_enough_to_ship(tmp_path):
    """At most 5 MB, by what the config says."""
    cfg = Config.fromfile(CONFIG)
    assert is_detector(cfg)
    model = build(cfg).eval()
    assert sum(p.numel() for p in model.parameters()) < 2.2e6
    export_detector(model, tmp_path / 'out', cfg.input_size)
    assert (tmp_path / 'out/hand_detector.onnx').stat().st_size < 5e6
    assert ExportedDetector(tmp_path / 'out').input_size == (320, 320)


def test_another_input_size_reaches_training_and_test():
    cfg = Config.fromfile(CONFIG)
    merge_cfg_options(cfg, dict(input_size=[256, 192]))
    for loader in ('train', 'val', 'test'):
        pipeline = cfg[f'{loader}_dataloader'].dataset.pipeline
        assert pipeline[1].input_size == [256, 192], loader


def test_hand_pose_configs_are_no_detectors():
    for name in ('lgh_studiohand.py', 'lgh_freihand.py'):
        assert not is_detector(Config.fromfile(CONFIG.parents[1] / name))
    assert not is_detector(Config(dict(model=dict(bbox_head=3))))
    assert not is_detector(Config(dict()))
