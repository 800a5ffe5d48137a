"""The detector that ships as a checkpoint, to train on from.

    python .dev_scripts/models/detector_checkpoint.py data/hands/whole \
        work_dirs/detector.pth

The package holds its ONNX alone, whose batch norms are folded into the
convolutions. This puts the weights back into the network of the config and
gives each batch norm the statistics of the set's evaluation pictures, with
scales and shifts under which it changes nothing: the same answers, and a
network that can be trained on, with load_from=work_dirs/detector.pth.
"""
import argparse
from importlib.resources import files
from pathlib import Path
from typing import Iterator, List, Tuple

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / 'configs/detection/rtmdet-nano_studiohand.py'
NUM_PICTURES = 64
TOLERANCE = 5e-3  # of a score; weights are stored in fp16


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        'data_root',
        help='StudioHand in the layout coco, with evaluation '
        'pictures')
    parser.add_argument('out', type=Path, help='checkpoint to write')
    parser.add_argument(
        '--config', default=CONFIG, help='(default: that of the package)')
    parser.add_argument(
        '--onnx',
        type=Path,
        default=Path(str(files('lgh_mmpose'))) /
        'weights/hand_detector/hand_detector.onnx',
        help='(default: that of the package)')
    return parser.parse_args()


def read_convolutions(path: Path) -> Iterator[Tuple[Tensor, Tensor]]:
    """Weights and biases of an ONNX file's convolutions, in its order."""
    import onnx
    graph = onnx.load(path).graph
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    for node in graph.node:  # large ones come from fp16, equal ones are shared
        if node.op_type in ('Cast', 'Identity') and node.input[0] in stored:
            stored[node.output[0]] = stored[node.input[0]]
    for node in graph.node:
        if node.op_type == 'Conv':
            weight, bias = (
                torch.from_numpy(stored[name].astype(np.float32))
                for name in node.input[1:3])
            yield weight, bias


def restore(model: nn.Module, convolutions: List[Tuple[Tensor, Tensor]],
            images: Tensor) -> None:
    """Give a network folded weights, one convolution after the other.

    Args:
        model (nn.Module): In evaluation; changed in place.
        convolutions (list): In the order in which the network computes.
        images (Tensor): What the batch norms' statistics are those of.
    """
    rest = iter(convolutions)
    biases: List[Tensor] = []

    def fill(conv: nn.Conv2d, args: tuple) -> None:
        weight, bias = next(rest)
        conv.weight.copy_(weight.view_as(conv.weight))
        if conv.bias is None:
            biases.append(bias)
        else:
            conv.bias.copy_(bias)

    def neutralize(norm: nn.BatchNorm2d, args: tuple) -> None:
        variance, mean = torch.var_mean(args[0], (0, 2, 3), unbiased=False)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(mean + biases.pop())

    handles = [
        module.register_forward_pre_hook(
            fill if isinstance(module, nn.Conv2d) else neutralize)
        for module in model.modules()
        if isinstance(module, (nn.Conv2d, nn.BatchNorm2d))
    ]
    with torch.no_grad():
        model(images)
    for handle in handles:
        handle.remove()
    if next(rest, None) is not None or biases:
        raise SystemExit('error: the ONNX is not that of the config')


def main() -> None:
    args = parse_args()
    from mmdet.utils import register_all_modules
    from mmengine.registry import DATASETS, MODELS

    from lgh_mmpose.config import set_data_root
    from lgh_mmpose.deployment.detector import DetectorForm
    from lgh_mmpose.inference.backends.exported_detector import \
        ExportedDetector
    register_all_modules()
    cfg = Config.fromfile(args.config)
    set_data_root(cfg, args.data_root)
    model = MODELS.build(cfg.model).eval()
    exported = ExportedDetector(args.onnx.parent, num_threads=1)
    form = DetectorForm(model, exported.input_size).eval()
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    images = torch.stack(
        [dataset[i]['inputs'] for i in range(min(NUM_PICTURES, len(dataset)))])
    restore(form, list(read_convolutions(args.onnx)), images)
    with torch.no_grad():
        scores = form(images[:8])[1].numpy()
    expected = np.concatenate(
        [exported.run(image[None].numpy())[1] for image in images[:8]])
    difference = float(np.abs(scores - expected).max())
    if difference > TOLERANCE:
        raise SystemExit(f'error: scores differ by {difference:.4f} from those'
                         f' of {args.onnx}')
    args.out.parent.mkdir(parents=True, exist_ok=True)
    torch.save(dict(state_dict=model.state_dict(), meta={}), args.out)
    print(f'wrote {args.out}; scores differ by {difference:.5f} at most')


if __name__ == '__main__':
    main()
