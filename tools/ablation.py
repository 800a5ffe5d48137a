"""Run the paper's ablations, or any plan of variants, and report them.

    python tools/ablation.py configs/ablations/groups.yaml --data-root DIR
    python tools/ablation.py --report configs/ablations/groups.yaml

A plan trains variants of one config with several seeds, each on the same
budget. Each run takes one core, several go side by side; submitit starts them,
as processes here or as jobs of a slurm cluster (--executor). What is done is
in RESULTS_DIR/PLAN.jsonl: the command may be killed at any point, and the same
command goes on. What is there already, trained on the same data, is not
trained again; another --results-dir starts anew. At the end, or with --report
alone, it rewrites the plan's part of the page.
"""
import argparse
import os
import sys
import time
import warnings
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from typing import Dict, List, Optional

import needs_mmpose  # noqa: F401
from mmengine.config import DictAction

ROOT = Path(__file__).resolve().parents[1]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'plans', nargs='+', type=Path, metavar='PLAN.yaml', help='plans')
    parser.add_argument(
        '--data-root', help='data of all runs (default: as the config has it)')
    parser.add_argument(
        '--work-dir',
        type=Path,
        default=Path('work_dirs/ablations'),
        help='folder of the runs (default: work_dirs/ablations)')
    parser.add_argument(
        '--results-dir',
        type=Path,
        default=Path('results/ablations'),
        help='folder of the results files (default: results/ablations)')
    parser.add_argument(
        '--page',
        type=Path,
        default=Path('docs/ablations.md'),
        help='page to report in (default: docs/ablations.md)')
    parser.add_argument(
        '--jobs',
        type=int,
        help='runs at the same time (default: as many as cores)')
    parser.add_argument(
        '--executor',
        default='local',
        help="submitit's executor: local, slurm or debug, which runs one "
        'after the other in this process (default: local)')
    parser.add_argument(
        '--executor-options',
        nargs='+',
        action=DictAction,
        default={},
        metavar='KEY=VALUE',
        help="submitit's parameters, such as slurm_partition=NAME")
    parser.add_argument(
        '--report', action='store_true', help='report only, run nothing')
    args = parser.parse_args()
    for path in args.plans:
        if not path.is_file():
            parser.error(f'plan not found: {path}')
    names = [path.stem for path in args.plans]
    if len(set(names)) < len(names):
        parser.error(f'two plans have the same name: {", ".join(names)}')
    if args.jobs is None:
        args.jobs = len(os.sched_getaffinity(0))
    if args.jobs < 1:
        parser.error(f'--jobs must be at least 1, got {args.jobs}')
    return args


def executor_of(args: argparse.Namespace):
    """submitit's executor, whose jobs compute with one thread each."""
    from lgh_mmpose.cluster import make_executor

    # before the jobs import torch; KeepMemoryHook cares for the allocator
    os.environ['OMP_NUM_THREADS'] = '1'
    return make_executor(
        args.executor,
        args.work_dir / 'submitit',
        extra='ablation',
        # a month: a run ends when it is done
        **{
            'timeout_min': 60 * 24 * 30,
            'cpus_per_task': 1,
            **args.executor_options
        })


class Bench:
    """The runs of some plans: which are done, which go on, how far.

    Args:
        args (argparse.Namespace): The command line.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        from lgh_mmpose.ablation import read_plan
        self.args = args
        # jobs may have another working directory
        for name in ('work_dir', 'results_dir'):
            setattr(args, name, getattr(args, name).resolve())
        self.data_root = args.data_root and os.path.abspath(args.data_root)
        self.plans = [(path.resolve(), read_plan(path)) for path in args.plans]
        self.todo = [(path, plan, run) for path, plan in self.plans
                     for run in plan.runs]
        self.num_runs = len(self.todo)
        self.folders = {}
        self.running: Dict[tuple, tuple] = {}
        self.failed: List[str] = []
        self.without_result: List[tuple] = []
        self.started = time.monotonic()
        self.seen_before: Optional[float] = None
        if not args.report:
            self.data = self.describe_data()
            self.drop_done()
            print(f'{self.num_runs - len(self.todo)} of {self.num_runs} runs '
                  f'have their results in {args.results_dir} already')

    def describe_data(self) -> Dict[tuple, dict]:
        """The data of each plan's variants."""
        from lgh_mmpose.ablation.running import describe_data
        found, described = {}, {}
        for _, plan in self.plans:
            for variant in plan.variants:
                cfg = plan.variant_config(variant, self.data_root)
                # nearly always all have the same
                key = repr([
                    cfg[f'{split}_dataloader'].dataset
                    for split in ('train', 'val')
                ])
                if key not in described:
                    described[key] = describe_data(cfg)
                found[plan.name, variant] = described[key]
        return found

    def results_file(self, plan) -> Path:
        return self.args.results_dir / f'{plan.name}.jsonl'

    def folder(self, plan, run) -> Path:
        from lgh_mmpose.ablation.running import run_folder
        key = plan.name, run
        if key not in self.folders:
            self.folders[key] = run_folder(self.args.work_dir, plan, run,
                                           self.data[plan.name, run.variant])
        return self.folders[key]

    def fingerprint(self, plan, run) -> tuple:
        """What two runs have in common that are the same training."""
        return (run.seed, *self.folder(plan, run).name.rsplit('_', 2)[1:])

    def drop_done(self) -> None:
        """Take what has a result off the list, be it that of another plan."""
        from lgh_mmpose.ablation import append_result, read_results
        from lgh_mmpose.ablation.running import data_id
        results = {
            path.stem: read_results(path)
            for path in sorted(self.args.results_dir.glob('*.jsonl'))
        }

        def fingerprint(result: dict) -> tuple:
            return result['seed'], result['settings'], data_id(result['data'])

        # the training itself rather than one that has taken it over
        known = {
            fingerprint(r): r
            for r in sorted(
                chain(*results.values()), key=lambda r: 'taken_from' not in r)
        }
        todo = []
        for path, plan, run in self.todo:
            key = self.fingerprint(plan, run)
            if key not in known:
                todo.append((path, plan, run))
            elif not any((r['variant'], *fingerprint(r)) == (run.variant, *key)
                         for r in results.get(plan.name, [])):
                result = known[key]
                # the same training under another name
                append_result(
                    self.results_file(plan),
                    dict(
                        result,
                        plan=plan.name,
                        variant=run.variant,
                        options=plan.variants[run.variant],
                        taken_from=f'{result["plan"]}: {result["variant"]}'))
        self.todo = todo

    def run_elsewhere(self, plan, run) -> bool:
        """Whether a process that is not of this command is at a run."""
        from lgh_mmpose.ablation.results import locked
        path = self.folder(plan, run) / 'lock'
        if not path.is_file():
            return False
        with locked(path, wait=False) as free:
            return not free

    def submit(self, executor) -> None:
        """Start as many runs as may go at once."""
        from lgh_mmpose.ablation import run_variant
        elsewhere = [
            item for item in self.todo if self.run_elsewhere(*item[1:])
        ]
        # in this order: a run that has ended before has its result
        self.drop_done()
        busy = {self.fingerprint(*item[1:])
                for item in elsewhere} | {
                    self.fingerprint(*item[1:])
                    for item, _ in self.running.values()
                }
        num_free = self.args.jobs - len(self.running) - len(elsewhere)
        for item in list(self.todo):
            if num_free <= 0:
                break
            path, plan, run = item
            # one that is trained for another plan gives its result to both
            if item in elsewhere or self.fingerprint(plan, run) in busy:
                continue
            busy.add(self.fingerprint(plan, run))
            num_free -= 1
            job = executor.submit(run_variant, path, run, self.data_root,
                                  self.args.work_dir, self.results_file(plan))
            self.running[plan.name, run] = item, job
            self.todo.remove(item)

    def collect(self) -> None:
        """Take note of the jobs that have ended."""
        for key, (item, job) in list(self.running.items()):
            # the debug executor runs a job when it is asked for its end
            if self.args.executor != 'debug' and not job.done():
                continue
            error = job.exception()
            del self.running[key]
            name = f'{key[0]}: {key[1].variant}, seed {key[1].seed}'
            if error is None:
                self.todo.append(item)
                self.drop_done()
                if item not in self.todo:
                    print(f'{name}: done', flush=True)
                elif item in self.without_result:
                    self.todo.remove(item)
                    self.failed.append(
                        f'{name}: it ends without a result of these settings; '
                        'have the plan or its files changed meanwhile? Start '
                        'the command again')
                    print(f'{name}: failed', flush=True)
                else:
                    # another process may have been at it
                    self.without_result.append(item)
            else:
                # without a traceback all of the log would be told
                raised = type(error).__name__ == 'FailedJobError' or \
                    self.args.executor == 'debug'
                reason = str(error).strip().splitlines()[-1:]
                self.failed.append(
                    f'{name}: {"".join(reason) if raised else "was killed"}; '
                    f'its log: {job.paths.stdout}')
                print(f'{name}: failed', flush=True)

    def shares(self) -> Dict[tuple, float]:
        """How much of each run that is not done is done, from 0 to 1."""
        from lgh_mmpose.ablation.running import read_progress
        found = {}
        pending = [(plan.name, run) for _, plan, run in self.todo]
        for key in [*self.running, *pending]:
            done, total = read_progress(self.folders[key]) or (0, 1)
            found[key] = done / max(total, 1)
        return found

    def remaining(self, shares: Dict[tuple, float]) -> str:
        """The time that is left, at the rate until now."""
        seen = self.num_runs - len(shares) + sum(shares.values())
        if self.seen_before is None:
            self.seen_before = seen
        rate = (seen - self.seen_before) / (time.monotonic() - self.started)
        if rate <= 0:
            return 'unknown yet'
        minutes = (self.num_runs - seen) / rate / 60
        return f'{minutes:.0f} min' if minutes < 120 else \
            f'{minutes / 60:.1f} h'

    def table(self):
        """What the terminal shows."""
        from rich.table import Table
        shares = self.shares()
        done = self.num_runs - len(shares) - len(self.failed)
        table = Table(title=f'{done} of {self.num_runs} runs done, '
                      f'{len(self.failed)} failed; remaining: '
                      f'{self.remaining(shares)}')
        for title in ('plan', 'variant', 'seed', 'trained'):
            table.add_column(title)
        for (plan, run), share in shares.items():
            if (plan, run) in self.running or share:
                table.add_row(plan, run.variant, str(run.seed), f'{share:.0%}')
        return table

    def run(self, executor) -> None:
        """Run all that is not done."""
        from rich.live import Live

        # a log file has a line for each run that ends
        live = Live(auto_refresh=False) if sys.stdout.isatty() else None
        with live or nullcontext():
            while self.todo or self.running:
                self.submit(executor)
                self.collect()
                self.drop_done()
                if live is not None:
                    live.update(self.table(), refresh=True)
                if self.todo or self.running:
                    time.sleep(1)

    def report(self) -> None:
        """Rewrite the plans' parts of the page; tells of all that failed.

        Raises:
            ValueError: If runs have failed or a plan has no results.
        """
        from lgh_mmpose.ablation import read_results, report_plan
        faults = ['some runs failed:', *self.failed] if self.failed else []
        for _, plan in self.plans:
            try:
                report_plan(plan, read_results(self.results_file(plan)),
                            self.args.page)
            except (OSError, ValueError) as error:
                faults.append(str(error))
            else:
                print(f'wrote the part {plan.name} of {self.args.page}')
        if faults:
            raise ValueError('\n'.join(faults))


def main() -> None:
    args = parse_args()
    # mmpose tells that it found its own metainfo file, at every turn
    warnings.filterwarnings('ignore', 'The metainfo config file')
    try:
        bench = Bench(args)
        if not args.report and bench.todo:
            bench.run(executor_of(args))
        bench.report()
    except (OSError, ValueError) as error:
        raise SystemExit(f'error: {error}') from None


if __name__ == '__main__':
    main()
