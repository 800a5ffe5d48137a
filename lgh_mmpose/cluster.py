"""Jobs on this machine or on a cluster, started by submitit."""
import time
from pathlib import Path
from typing import Any, Union


def make_executor(cluster: str, folder: Union[str, Path], extra: str,
                  **options) -> Any:
    """Make submitit's executor.

    Args:
        cluster (str): ``'local'``, ``'slurm'``, or ``'debug'``, which runs
            one job after the other in this process.
        folder (str | Path): Folder for scripts and logs, which all machines
            of the cluster share.
        extra (str): Extra of this package that brings submitit.
        **options: submitit's parameters, such as ``slurm_partition``.

    Returns:
        submitit.AutoExecutor: The executor.

    Raises:
        ValueError: If submitit is not installed, does not know the cluster or
            an option, or the cluster is not there.
    """
    try:
        import submitit
    except ImportError:
        raise ValueError(
            'jobs are started by submitit, which is not installed: '
            f"pip install 'lgh_mmpose[{extra}]'") from None
    try:
        executor = submitit.AutoExecutor(
            # local jobs are named by process ids, which come again
            Path(folder) / f'{time.time_ns()}',
            cluster=cluster)
        executor.update_parameters(**{'stderr_to_stdout': True, **options})
    except (AssertionError, NameError, RuntimeError, ValueError,
            TypeError) as error:
        # further lines list all that it knows
        reason = str(error).strip().splitlines()[0].rstrip('.')
        raise ValueError(f'submitit: {reason}; see its parameters, such as '
                         'slurm_partition=NAME') from None
    return executor
