"""Predictions of the test set, where a report is not given any."""
import tempfile
from pathlib import Path
from typing import Dict, Optional

from mmengine.config import Config, ConfigDict

from lgh_mmpose.config import config_errors
from lgh_mmpose.evaluation.breakdown import load_predictions

from .data import Dump, type_name


def predict_test_set(cfg: Config, config: Path, checkpoint: Path,
                     protocol: Optional[str]) -> Dict[str, Dump]:
    """Predict the test set of a config.

    Args:
        cfg (Config): The config; it is left as it is.
        config (Path): Its file, for errors.
        checkpoint (Path): Checkpoint to test.
        protocol (str, optional): Which of its evaluators scores the test.
            Defaults to the first ``HandKeypoint3DMetric``.

    Returns:
        dict[str, dict[str, np.ndarray]]: Name -> the predictions.

    Raises:
        ValueError: If none of its evaluators scores joints by the protocol,
            what it names cannot be built, or the checkpoint is not its.
    """
    from mmengine.runner import Runner

    from lgh_mmpose.checkpoint import load_weights
    cfg = Config(cfg.to_dict())
    evaluator = _pick_evaluator(cfg, protocol)
    with tempfile.TemporaryDirectory() as folder:
        dump_file = str(Path(folder) / 'predictions.npz')
        evaluator.dump_file = dump_file
        cfg.test_evaluator = [evaluator]
        cfg.work_dir = folder
        # the config of a resumed training says so: this is a test
        cfg.load_from, cfg.resume = None, False
        cfg.launcher = 'none'
        # a visualizer of a name exists once: a second report in this process
        # would write to the first one's folder
        cfg.experiment_name = Path(folder).name
        cfg.pop('visualizer', None)
        with config_errors(config):
            runner = Runner.from_cfg(cfg)
            runner.test_loop  # noqa: B018  (builds data set and metrics)
        load_weights(runner.model, str(checkpoint))
        runner.test()
        dump = load_predictions(dump_file)
    root_depth = (cfg.model.get('test_cfg') or {}).get('root_depth', 'solved')
    return {f'root depth {root_depth}': dump}


def _pick_evaluator(cfg: Config, protocol: Optional[str]) -> ConfigDict:
    evaluators = cfg.test_evaluator
    if isinstance(evaluators, (dict, ConfigDict)):
        evaluators = [evaluators]
    ours = {
        e.get('protocol', 'general'): e
        for e in reversed(evaluators) if type_name(e) == 'HandKeypoint3DMetric'
    }
    if not ours or protocol not in (None, *ours):
        wanted = f' with protocol={protocol!r}' if protocol else ''
        raise ValueError('the test_evaluator of the config has no '
                         f'HandKeypoint3DMetric{wanted}, only '
                         f'{list(ours)[::-1]}')
    return ours[protocol or list(ours)[-1]]
