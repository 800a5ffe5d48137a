"""Cases of inference: in PyTorch, and of exported networks."""
import contextlib
import io
from pathlib import Path

import numpy as np
import torch

from ..networks import Network, build_model, forward_gflop, load_config, noise
from ..timing import Case


def eager(network: Network) -> Case:
    """Inference in PyTorch, fp32 and NCHW, on normalised images."""

    def setup():
        cfg = load_config(network)
        model, images = build_model(cfg), noise(cfg, network.batch)

        def call():
            with torch.no_grad():
                return model(images, None, mode='tensor')

        return call

    return Case(setup, network.batch,
                lambda: network.batch * forward_gflop(network))


def exported(network: Network, backend: str, precision: str, root: Path,
             threads: int) -> Case:
    """Inference of the exported network, on images of bytes."""
    from lgh_mmpose.deployment import choose_precision
    precision, _ = choose_precision(backend, precision)
    path = root / f'{network.config}_{backend}_{precision}'

    def load():
        from lgh_mmpose.deployment import load_exported
        run = load_exported(path, num_threads=threads)
        width, height = run.info.input_size
        images = np.random.default_rng(0).integers(
            0, 256, (network.batch, 3, height, width), dtype=np.uint8)
        return run, images

    def prepare():
        from lgh_mmpose.deployment import export
        model = build_model(load_config(network))
        if not path.exists():
            with contextlib.redirect_stdout(io.StringIO()):
                export(model, path, backend, precision)
        run, images = load()
        return difference_px(model, images, run(images)[0])

    def setup():
        run, images = load()
        return lambda: run(images)

    return Case(setup, network.batch,
                lambda: network.batch * forward_gflop(network), prepare,
                precision == 'bf16')


def difference_px(model: torch.nn.Module, images: np.ndarray,
                  uv: np.ndarray) -> float:
    """The largest distance of joints from those of a model in PyTorch.

    Args:
        model (nn.Module): The model, in fp32.
        images (np.ndarray): (B, 3, H, W), uint8, BGR.
        uv (np.ndarray): The joints to compare (B, K, 2), px.

    Returns:
        float: In px of the input.
    """
    from mmpose.structures import PoseDataSample
    data = model.data_preprocessor(
        dict(
            inputs=list(torch.from_numpy(images)),
            data_samples=[PoseDataSample() for _ in images]))
    with torch.no_grad():
        expected = model(data['inputs'], None, mode='tensor')[0].numpy()
    return float(np.linalg.norm(uv - expected, axis=-1).max())
