"""Writes a report: reads what it is about, and puts its sections together."""
import shlex
from pathlib import Path
from typing import Dict, Optional, Sequence

from lgh_mmpose.config import require_keys
from lgh_mmpose.evaluation.breakdown import load_predictions
from lgh_mmpose.fileio import atomic_write, check_not_read
from lgh_mmpose.visualization.figures import read_run
from lgh_mmpose.visualization.groups import last_checkpoint, read_checkpoint
from lgh_mmpose.visualization.plotly_hand import import_plotly

from .baseline import mean_pose_errors
from .breakdown import breakdown_section
from .data import (PathLike, ReportData, check_same_test, load_work_dir_config,
                   pick_alignment)
from .facts import list_facts
from .groups import groups_section
from .headline import headline_section
from .joints import joint_section
from .layout import import_jinja, lay_out_page
from .paths import local_paths
from .pck import pck_section
from .samples import samples_section
from .testing import predict_test_set
from .training import training_section


def write_report(work_dir: PathLike,
                 out: PathLike,
                 checkpoint: Optional[PathLike] = None,
                 predictions: Optional[Dict[str, PathLike]] = None,
                 config: Optional[PathLike] = None,
                 cfg_options: Optional[dict] = None,
                 protocol: Optional[str] = None,
                 alignment: Optional[str] = None,
                 num_samples: int = 6,
                 command: Sequence[str] = (),
                 more_facts: Optional[Dict[str, str]] = None) -> Path:
    """Write a report about a trained model as one HTML file.

    Args:
        work_dir (str | Path): Work dir of the training: config, checkpoints
            and logs.
        out (str | Path): HTML file to write, whole or not at all.
        checkpoint (str | Path, optional): Defaults to the last one of
            ``work_dir``. Predictions do not tell of which checkpoint they
            are: without it the page does not name one for them, and says so.
        predictions (dict[str, str | Path], optional): Name -> what
            ``HandKeypoint3DMetric`` of the test wrote with ``dump_file``,
            all of the same samples. The figures stand side by side; the
            drawings and samples are of the first. Defaults to ``None``: the
            test set of the config is predicted now.
        config (str | Path, optional): Defaults to the one in ``work_dir``.
        cfg_options (dict, optional): Settings of the config by dotted key,
            as ``--cfg-options`` of ``tools/test.py``; ``data_root`` moves
            all data sets.
        protocol (str, optional): Which ``HandKeypoint3DMetric`` of the
            config's test evaluators scores the test. Defaults to the first;
            of no use with ``predictions``, which have been scored.
        alignment (str, optional): Alignment of the drawings and samples.
            Defaults to ``'root'`` where it was scored, else the first that
            was.
        num_samples (int): Worst, median and best samples to show, so many of
            each; fewer of a small set. Defaults to 6.
        command (Sequence[str]): Words of the command that made the report,
            to be named in it; of paths only what :func:`local_paths` leaves.
        more_facts (dict[str, str], optional): More of what stands at the top
            of the page, as of the machine that trained.

    Returns:
        Path: ``out``.

    Raises:
        ValueError: If something cannot be read or does not fit; it is named.
        ImportError: If Plotly or Jinja is not installed.
    """
    # before the test, which takes long
    import_plotly()
    import_jinja()
    work_dir, out = Path(work_dir), Path(out)
    # which checkpoint given predictions are of, they do not tell
    known = predictions is None or checkpoint is not None
    checkpoint = Path(checkpoint or last_checkpoint(work_dir))
    facts = read_checkpoint(checkpoint)
    cfg, config = load_work_dir_config(work_dir, config, cfg_options)
    check_not_read(out, [checkpoint, config, *(predictions or {}).values()],
                   '--out')
    needed = ['model', 'test_dataloader']
    if predictions is None:
        needed += ['test_cfg', 'test_evaluator']
    require_keys(cfg, config, needed, 'a report')
    if predictions is None:
        dumps = predict_test_set(cfg, config, checkpoint, protocol)
    else:
        dumps = {k: load_predictions(v) for k, v in predictions.items()}
    check_same_test(dumps)
    first = next(iter(dumps.values()))
    alignment = pick_alignment(first, alignment)
    logged = any(work_dir.glob('*/vis_data/scalars.json'))
    records = read_run(work_dir) if logged else None
    baseline, no_baseline = mean_pose_errors(cfg, first)
    data = ReportData(cfg, config, checkpoint, known, facts, dumps, alignment,
                      records, baseline, local_paths(no_baseline, work_dir))
    command = shlex.join(local_paths(word, work_dir) for word in command)
    page = lay_out_page(
        _title(data), list_facts(data, command, more_facts or {}), [
            headline_section(data),
            pck_section(data),
            joint_section(data),
            breakdown_section(data),
            training_section(data),
            groups_section(data),
            samples_section(data, num_samples)
        ])
    with atomic_write(out) as file:
        file.write(page.encode('utf-8'))
    return out


def _title(data: ReportData) -> str:
    if data.known and data.facts.epoch is not None:
        return f'{data.config.stem}, epoch {data.facts.epoch}: report'
    return f'{data.config.stem}: report'
