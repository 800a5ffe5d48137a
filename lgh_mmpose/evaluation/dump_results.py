"""Predictions of a test as a file."""
import pickle

from mmengine.evaluator import DumpResults
from mmengine.logging import print_log
from mmpose.registry import METRICS

from lgh_mmpose.fileio import atomic_write


@METRICS.register_module()
class AtomicDumpResults(DumpResults):
    """mmengine's ``DumpResults``, whose file appears only when it is whole.

    Args:
        out_file_path (str): Pickle file to write, ``.pkl`` or ``.pickle``.
    """

    def compute_metrics(self, results: list) -> dict:
        """Write the file.

        Args:
            results (list[dict]): All data samples, with predictions.

        Returns:
            dict: Empty.

        Raises:
            OSError: If it cannot be written; names it.
        """
        with atomic_write(self.out_file_path) as file:
            pickle.dump(results, file)
        print_log(f'wrote the predictions to {self.out_file_path}', 'current')
        return {}
