"""Post-training quantisation to INT8, by the backends' own tools."""
import logging
from pathlib import Path
from typing import Any, List

import numpy as np


def quantize_onnx(source: Path, target: Path,
                  images: List[np.ndarray]) -> None:
    """Quantise the convolutions of an ONNX model, QDQ format.

    ONNX Runtime's static quantisation: weights per channel, activations by
    their extremes on the images. The last convolutions stay as they are, as
    in :func:`quantize_openvino`, and so do transposed ones, whose groups ONNX
    Runtime 1.31 cannot quantise.

    Args:
        source (Path): Model in float32.
        target (Path): Where the quantised one goes.
        images (list[np.ndarray]): Network inputs (3, H, W), uint8.
    """
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):

        def __init__(self) -> None:
            self.feeds = iter([{'images': image[None]} for image in images])

        def get_next(self) -> Any:
            return next(self.feeds, None)

    prepared = source.with_name('prepared.onnx')
    quant_pre_process(
        str(source), str(prepared), skip_symbolic_shape=True, verbose=0)
    quantization.quantize_static(
        str(prepared),
        str(target),
        Reader(),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        op_types_to_quantize=['Conv'],
        nodes_to_exclude=_onnx_tail(onnx.load(prepared).graph),
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8)


def _onnx_tail(graph: Any) -> List[str]:
    """Names of the convolutions that no other one follows."""
    producers = {name: node for node in graph.node for name in node.output}
    names, seen = set(), set()
    waiting = [output.name for output in graph.output]
    while waiting:
        node = producers.get(waiting.pop())
        if node is None or node.name in seen:
            continue
        seen.add(node.name)
        if node.op_type == 'Conv':
            names.add(node.name)
        else:
            waiting += node.input
    return sorted(names)


def quantize_openvino(model: Any, images: List[np.ndarray]) -> Any:
    """Quantise an OpenVINO model by NNCF's post-training quantisation.

    The convolutions that give the maps, and the soft-argmax after them, stay
    as they are: 256 steps are too few for pixels and depths.

    Args:
        model (openvino.Model): Model in float32.
        images (list[np.ndarray]): Network inputs (3, H, W), uint8.

    Returns:
        openvino.Model: The quantised model.
    """
    import nncf
    nncf.set_log_level(logging.ERROR)  # it lists every node that it leaves
    return nncf.quantize(
        model,
        nncf.Dataset([image[None] for image in images]),
        subset_size=len(images),
        ignored_scope=nncf.IgnoredScope(
            names=_openvino_tail(model), validate=False))


def _openvino_tail(model: Any) -> List[str]:
    """Names of all that lies between the last convolutions and the outputs."""
    names, waiting = set(), list(model.get_results())
    while waiting:
        node = waiting.pop()
        if node.get_friendly_name() in names:
            continue
        names.add(node.get_friendly_name())
        if 'Convolution' not in node.get_type_name():
            waiting += [
                value.get_node() for value in (port.get_source_output()
                                               for port in node.inputs())
            ]
    return sorted(names)
