"""Measure what pictures and recipes are worth on real photographs.

    python .dev_scripts/rendering/proof.py .dev_scripts/rendering/proof.yaml \
        --photos ../shared/real

renders the training set of each arm of the plan, trains the arm's config on
it with each seed, scores the network on photographs (boxes given) and on the
rendered test set of the baseline, and keeps the result in
RESULTS_DIR/ARM_SAMPLES_seedN.json. What has a result is not done again; a
killed command goes on where it stopped. Each run takes one core. With
--report it only writes the table of what is there, and the plot of the curve.
"""
import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from threading import Lock
from typing import Any, Dict, List, NamedTuple, Optional

import numpy as np
import yaml

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / 'tools'
RENDER = TOOLS / 'dataset_converters' / 'make_studiohand.py'
SCORE = TOOLS / 'analysis_tools' / 'score_photos.py'
LABELS = 'true', 'accepted'
# of an arm: what it trains on, how it differs from the plan's config, and how
# long, where that differs from the plan
ARM_KEYS = ('data', 'without', 'steps', 'config', 'options', 'samples',
            'images')
MARKS = '<!-- proof -->', '<!-- /proof -->'


class Run(NamedTuple):
    """A training: an arm, a seed, and how many samples it sees."""
    arm: str
    seed: int
    samples: int
    images: int

    @property
    def name(self) -> str:
        return (f'{self.arm.replace(" ", "-")}_{self.samples // 1000}k_'
                f'seed{self.seed}')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('plan', type=Path, help='the arms, a YAML file')
    parser.add_argument(
        '--photos', type=Path, required=True, help='folder of photographs')
    parser.add_argument(
        '--only', nargs='+', metavar='ARM', help='run these arms only')
    parser.add_argument(
        '--curve', action='store_true', help='run the curve too')
    parser.add_argument('--data-dir', type=Path, default=ROOT / 'data')
    parser.add_argument(
        '--work-dir', type=Path, default=ROOT / 'work_dirs' / 'proof')
    parser.add_argument(
        '--results-dir', type=Path, help="(default: the plan's)")
    parser.add_argument(
        '--page',
        type=Path,
        help="page to report in, between its two marks (default: the plan's)")
    parser.add_argument(
        '--report', action='store_true', help='report only, run nothing')
    return parser.parse_args()


def read_plan(path: Path) -> Dict[str, Any]:
    plan = yaml.safe_load(path.read_text())
    for name, arm in plan['arms'].items():
        unknown = set(arm) - set(ARM_KEYS)
        if unknown:
            raise SystemExit(f'error: {path}: the arm {name!r} has unknown '
                             f'keys: {", ".join(sorted(unknown))}')
    return plan


def list_runs(plan: Dict[str, Any], only: Optional[List[str]],
              curve: bool) -> List[Run]:
    """All runs; the seed outermost, so that partial results compare."""
    arms = only or list(plan['arms'])
    unknown = set(arms) - set(plan['arms'])
    if unknown:
        raise SystemExit(f'error: no such arm: {", ".join(sorted(unknown))}')
    runs = [
        Run(
            arm, seed,
            *(plan['arms'][arm].get(key, plan[key])
              for key in ('samples', 'images'))) for seed in plan['seeds']
        for arm in arms
    ]
    if curve and 'curve' not in plan:
        raise SystemExit('error: the plan has no curve')
    if curve:
        runs += [
            Run(
                arm, plan['seeds'][0], samples, plan['images']
                if samples <= plan['samples'] else plan['curve']['images'])
            for arm, all_samples in plan['curve']['samples'].items()
            for samples in all_samples
            if samples != plan['arms'][arm].get('samples', plan['samples'])
        ]
    return runs


class Proof:
    """The runs of a plan and what they need."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.plan = read_plan(args.plan)
        args.page = args.page or ROOT / self.plan['page']
        args.results_dir = args.results_dir or ROOT / self.plan['results']
        self.rendering: Dict[Path, Lock] = defaultdict(Lock)
        self.reading = Lock()  # mmengine reads one config at a time
        self.cores: 'Queue[int]' = Queue()
        for core in sorted(os.sched_getaffinity(0)):
            self.cores.put(core)

    def fingerprint(self, run: Run) -> Dict[str, Any]:
        """What made a result: the renderer, and by a digest config, arm and
        options of the rendering."""
        from mmengine.config import Config

        from lgh_mmpose.rendering import GENERATOR_VERSION
        cfg = Config.fromfile(self.config_file(run))
        parts = [cfg.to_dict(), self.plan['arms'][run.arm]]
        if 'render' in self.plan:
            parts.append([self.plan['render'], self.plan['image_size']])
        config = json.dumps(parts, sort_keys=True, default=repr)
        commit = subprocess.run(['git', 'rev-parse', '--short', 'HEAD'],
                                cwd=ROOT,
                                capture_output=True,
                                text=True)
        return dict(
            generator_version=GENERATOR_VERSION,
            config=hashlib.sha256(config.encode()).hexdigest()[:12],
            commit=commit.stdout.strip())

    def config_file(self, run: Run) -> Path:
        return ROOT / self.plan['arms'][run.arm].get('config',
                                                     self.plan['config'])

    def result_file(self, run: Run) -> Path:
        return self.args.results_dir / f'{run.name}.json'

    def data_folder(self, arm: str, images: int) -> Path:
        without = '-'.join(self.plan['arms'][arm].get('without', ()))
        return self.args.data_dir / (
            f'{self.plan["data"]}-{images // 1000}k' +
            (f'-without-{without}' if without else ''))

    def call(self, core: int, log: Path, *command: Any) -> float:
        """Run a program of this project on one core; its output to a log.

        Returns:
            float: CPU time it took, s.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, 'a') as file:
            process = subprocess.Popen([
                'taskset', '-c',
                str(core), sys.executable, *map(str, command)
            ],
                                       cwd=ROOT,
                                       stdout=file,
                                       stderr=subprocess.STDOUT,
                                       env=dict(
                                           os.environ, OMP_NUM_THREADS='1'))
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f'{command[0]} ended with exit code '
                               f'{process.returncode}, see {log}')
        return usage.ru_utime + usage.ru_stime

    def training_set(self, core: int, run: Run) -> Path:
        arm = self.plan['arms'][run.arm]
        if 'data' in arm:
            folder = ROOT / arm['data']
            if run.images != self.plan['images']:
                folder = folder.with_name(
                    f'{folder.name}-{run.images // 1000}k')
            if not folder.is_dir():
                raise RuntimeError(f'{folder} is missing: the plan tells how '
                                   'to make it')
            return folder
        return self.render(core, self.data_folder(run.arm, run.images),
                           run.images, 0, arm.get('without', ()))

    def test_set(self, core: int) -> Path:
        return self.render(core,
                           self.args.data_dir / f'{self.plan["data"]}-test', 0,
                           self.plan['test_images'], ())

    def render(self, core: int, folder: Path, num_train: int, num_eval: int,
               without: List[str]) -> Path:
        """Render a set; nothing happens where it is there."""
        with self.rendering[folder]:
            self.call(core, folder.with_suffix('.log'), RENDER, folder,
                      '--num-train', num_train, '--num-eval', num_eval,
                      '--size', self.plan['image_size'], '--workers', 1,
                      *self.plan.get('render', ()),
                      *(['--without', *without] if without else ()))
        return folder

    def write_config(self, run: Run, data: Path, test_data: Path,
                     path: Path) -> None:
        from mmengine.config import Config

        from lgh_mmpose.config import (limit_samples, merge_cfg_options,
                                       with_steps)
        cfg = Config.fromfile(self.config_file(run))
        merge_cfg_options(cfg, self.plan['arms'][run.arm].get('options', {}))
        steps = self.plan['arms'][run.arm].get('steps')
        dataset = cfg.train_dataloader.dataset
        dataset.data_root = str(data)
        if steps:
            dataset.pipeline = with_steps(dataset.pipeline, **steps)
        for loader in (cfg.val_dataloader, cfg.test_dataloader):
            loader.dataset.data_root = str(test_data)
        for loader in (cfg.train_dataloader, cfg.val_dataloader,
                       cfg.test_dataloader):
            loader.num_workers = 0  # a run has one core
            loader.persistent_workers = False
        cfg.randomness.seed = run.seed
        limit_samples(cfg, run.samples, run.images)
        cfg.train_cfg.val_interval = cfg.train_cfg.max_epochs
        cfg.default_hooks.checkpoint = dict(
            type='CheckpointHook', interval=1, max_keep_ckpts=2)
        cfg.dump(path)

    def do(self, run: Run) -> None:
        """Render, train and score; nothing where there is a result."""
        with self.reading:
            made_by = self.fingerprint(run)
        path = self.result_file(run)
        if path.is_file():
            before = json.loads(path.read_text())['made_by']
            if all(before[key] == made_by[key]
                   for key in ('generator_version', 'config')):
                return
            raise RuntimeError(f'{path} was made by another renderer or '
                               'config: move it away')
        core = self.cores.get()
        try:
            print(f'{run.name}: begins', flush=True)
            test_data = self.test_set(core)
            data = self.training_set(core, run)
            folder = self.args.work_dir / run.name
            folder.mkdir(parents=True, exist_ok=True)
            config, log = folder / 'config.py', folder / 'output.log'
            with self.reading:
                self.write_config(run, data, test_data, config)
            begun = (folder / 'last_checkpoint').exists()
            cpu_seconds = self.call(core, log, TOOLS / 'train.py', config,
                                    '--work-dir', folder, '--resume')
            # what a killed process took is not known
            made_by['cpu_seconds'] = None if begun else round(cpu_seconds)
            checkpoint = (folder / 'last_checkpoint').read_text().strip()
            scores, predictions = folder / 'photos.json', folder / 'hands.json'
            self.call(core, log, SCORE, self.args.photos, '--config', config,
                      '--checkpoint', checkpoint, '--json', scores,
                      '--predictions', predictions, '--sheet',
                      folder / 'photos.jpg')
            self.keep(run, folder, scores, predictions, made_by)
            print(f'{run.name}: done', flush=True)
        except Exception as error:
            print(f'{run.name}: failed: {error}', flush=True)
            raise
        finally:
            self.cores.put(core)

    def keep(self, run: Run, folder: Path, scores: Path, predictions: Path,
             made_by: Dict[str, Any]) -> None:
        from lgh_mmpose.evaluation.photographs import (measure_photos,
                                                       read_photos,
                                                       read_predictions)
        from lgh_mmpose.fileio import write_json
        from lgh_mmpose.visualization.figures import read_run
        hands = read_photos(self.args.photos)
        errors = measure_photos(hands, read_predictions(predictions, hands))
        rendered = [
            record for record in read_run(folder) if 'hand/MPJPE' in record
        ][-1]
        figures = json.loads(scores.read_text())
        result = dict(
            run._asdict(),
            settings=self.plan['arms'][run.arm],
            made_by=made_by,
            true=figures['true'],
            accepted=figures['accepted'],
            # of each photograph, for paired comparisons
            errors=[
                None if np.isnan(error) else round(error, 5)
                for error in errors['error'].tolist()
            ],
            rendered={
                key: value
                for key, value in rendered.items() if key.startswith('hand/')
            })
        self.args.results_dir.mkdir(parents=True, exist_ok=True)
        write_json(self.result_file(run), result, indent=1)


# -- report ------------------------------------------------------------------


def read_results(folder: Path) -> List[Dict[str, Any]]:
    return [
        json.loads(path.read_text()) for path in sorted(folder.glob('*.json'))
    ]


def percent(value: float, interval: List[float]) -> str:
    low, high = interval
    return f'{100 * value:.1f} ({100 * low:.1f} to {100 * high:.1f})'


def ratio(value: float, interval: List[float]) -> str:
    low, high = interval
    return f'{value:.2f} ({low:.2f} to {high:.2f})'


class Report:
    """The results of a plan beside each other.

    Args:
        plan: The plan.
        results: All results.
        photos: Folder of the photographs, for what belongs together.
    """

    def __init__(self, plan: Dict[str, Any], results: List[Dict[str, Any]],
                 photos: Path) -> None:
        from lgh_mmpose.evaluation.photographs import draw_photos, read_photos
        self.plan, self.results = plan, results
        versions = {r['made_by']['generator_version'] for r in results}
        if len(versions) > 1:
            raise SystemExit('error: the results are of several versions of '
                             f'the renderer: {sorted(versions)}')
        hands = read_photos(photos)
        self.labels = np.array([hand.label for hand in hands])
        images = np.array([hand.image for hand in hands])
        # the same photographs for all that is compared
        self.draws = {
            label: draw_photos(images[self.labels == label].tolist(), 0)
            for label in LABELS
        }

    def of(self, arm: str, samples: int) -> List[Dict[str, Any]]:
        return [
            r for r in self.results
            if r['arm'] == arm and r['samples'] == samples
        ]

    def errors(self, results: List[Dict[str, Any]], label: str) -> np.ndarray:
        """Errors of each photograph, averaged over the seeds."""
        errors = np.array([r['errors'] for r in results], float)
        return errors.mean(axis=0)[self.labels == label]

    def figures(self, results: List[Dict[str, Any]],
                baseline: List[Dict[str, Any]], label: str) -> Dict[str, Any]:
        """Error and its ratio to the baseline's, with 95 % intervals."""
        from lgh_mmpose.evaluation.photographs import interval, weighted
        own, other = (
            weighted(self.errors(r, label), self.draws[label])
            for r in (results, baseline))
        mine, base = (
            np.nanmean(self.errors(r, label)) for r in (results, baseline))
        return dict(
            error=(float(mine), interval(own)),
            ratio=(float(mine / base), interval(own / other)))

    def table(self) -> str:
        """All arms at their numbers of samples."""
        names = self.plan['baseline'], next(iter(self.plan['arms']))
        baseline, first = map(self.at_its_length, names)
        head = ['arm', 'samples', 'CPU min', 'seeds']
        for label in LABELS:
            head += [
                f'{label}: error, %', *(f'ratio to "{name}"' for name in names)
            ]
        head += ['PCK@0.05, true / accepted', 'PA, mm', 'rendered, mm']
        rows = []
        for arm in self.plan['arms']:
            results = self.at_its_length(arm)
            if not results or not baseline or not first:
                continue
            cells = [
                arm, f'{results[0]["samples"]:,}',
                self.cpu_minutes(results),
                str(len(results))
            ]
            for label in LABELS:
                figures = self.figures(results, baseline, label)
                to_first = self.figures(results, first, label)['ratio']
                cells += [
                    percent(*figures['error']),
                    ratio(*figures['ratio']),
                    ratio(*to_first)
                ]
            mean = {
                key: np.mean([get(r) for r in results])
                for key, get in (('true', lambda r: r['true']['pck05']),
                                 ('accepted',
                                  lambda r: r['accepted']['pck05']),
                                 ('pa', lambda r: r['true']['pa_mm']),
                                 ('rendered',
                                  lambda r: r['rendered']['hand/MPJPE']))
            }
            cells += [
                f'{mean["true"]:.3f} / {mean["accepted"]:.3f}',
                f'{mean["pa"]:.1f}', f'{mean["rendered"]:.1f}'
            ]
            rows.append(cells)
        # columns in which something stands
        some = [k for k in range(len(head)) if any(row[k] for row in rows)]
        lines = [head, ['---'] * len(head), *rows]
        return '\n'.join(f'| {" | ".join(line[k] for k in some)} |'
                         for line in lines)

    def at_its_length(self, arm: str) -> List[Dict[str, Any]]:
        return self.of(
            arm, self.plan['arms'][arm].get('samples', self.plan['samples']))

    @staticmethod
    def cpu_minutes(results: List[Dict[str, Any]]) -> str:
        """Mean over the runs that were not interrupted."""
        seconds = [r['made_by'].get('cpu_seconds') for r in results]
        known = [s for s in seconds if s is not None]
        return f'{np.mean(known) / 60:.0f}' if known else ''

    def curve_table(self) -> str:
        """Arms at each number of samples, beside the first arm's error."""
        first = next(iter(self.plan['arms']))
        lines = [
            f'| arm | samples | seeds | true: error, % | ratio to "{first}" | '
            f'accepted: error, % | ratio to "{first}" | PA, mm | rendered, mm '
            '|', '|' + '---|' * 9
        ]
        for arm in self.plan['curve']['samples']:
            for samples in self.curve_samples(arm):
                results = self.of(arm, samples)
                others = self.of(first, samples) if arm != first else []
                cells = [arm, f'{samples:,}', str(len(results))]
                for label in LABELS:
                    own = self.figures(results, results, label)['error']
                    cells.append(percent(*own))
                    cells.append(
                        ratio(*self.figures(results, others, label)['ratio']
                              ) if others else '')
                for key, figure in (('true', 'pa_mm'), ('rendered',
                                                        'hand/MPJPE')):
                    cells.append(
                        f'{np.mean([r[key][figure] for r in results]):.1f}')
                lines.append('| ' + ' | '.join(cells) + ' |')
        return '\n'.join(lines)

    def curve_samples(self, arm: str) -> List[int]:
        return sorted({r['samples'] for r in self.results if r['arm'] == arm})

    def plot(self, path: Path) -> None:
        """Error by number of samples, with intervals, both axes log."""
        import matplotlib
        matplotlib.use('Agg')
        import matplotlib.pyplot as plt
        figure, axes = plt.subplots(figsize=(6.4, 4), layout='constrained')
        arms = self.plan['curve']['samples']
        for i, (arm, label) in enumerate(
            (arm, label) for arm in arms for label in LABELS):
            samples = self.curve_samples(arm)
            if not samples:
                continue
            found = [
                self.figures(r, r, label)['error']
                for r in (self.of(arm, n) for n in samples)
            ]
            value = 100 * np.array([v for v, _ in found])
            low, high = 100 * np.array([i for _, i in found]).T
            axes.errorbar(
                samples,
                value, (value - low, high - value),
                marker='o',
                linestyle='-' if arm == self.plan['baseline'] else ':',
                capsize=3,
                color=f'C{i}',
                label=f'{arm}, {label} labels')
        axes.set(
            xscale='log',
            yscale='log',
            xlabel='training samples',
            ylabel="error, % of the hand's size")
        axes.yaxis.set_major_formatter('{x:g}')
        axes.yaxis.set_minor_formatter('{x:g}')
        axes.grid(which='both', alpha=.3)
        axes.legend()
        figure.savefig(path, dpi=130)

    def write(self, page: Path) -> None:
        """Rewrite what stands between the marks of the page."""
        from lgh_mmpose.fileio import atomic_write
        text = page.read_text()
        before, found, rest = text.partition(MARKS[0])
        _, end, after = rest.partition(MARKS[1])
        if not found or not end:
            raise SystemExit(f'error: {page} lacks the marks {MARKS[0]} and '
                             f'{MARKS[1]}')
        parts = [self.table()]
        if len(self.curve_samples(self.plan['baseline'])) > 1:
            plot = page.parent / 'images' / f'{page.stem}_curve.png'
            self.plot(plot)
            parts += [
                self.curve_table(), f'![Error by samples](images/{plot.name})'
            ]
        with atomic_write(page) as file:
            file.write((before + MARKS[0] + '\n\n' + '\n\n'.join(parts) +
                        '\n\n' + MARKS[1] + after).encode())


def main() -> None:
    args = parse_args()
    args.photos = args.photos.resolve()
    proof = Proof(args)
    runs = list_runs(proof.plan, args.only, args.curve)
    failed = []
    if not args.report:
        # sets that several runs need are rendered once, by the first of them
        with ThreadPoolExecutor(proof.cores.qsize()) as pool:
            futures = {run: pool.submit(proof.do, run) for run in runs}
            for run, future in futures.items():
                if future.exception() is not None:
                    failed.append(f'{run.name}: {future.exception()}')
    Report(proof.plan, read_results(args.results_dir),
           args.photos).write(args.page)
    if failed:
        raise SystemExit('error: ' + '\n'.join(failed))


if __name__ == '__main__':
    main()
