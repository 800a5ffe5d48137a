"""ONNX files whose weights take half the space."""
from pathlib import Path

import numpy as np

FEWEST = 10_000
"""Numbers of the smallest weight that is halved. Smaller ones, such as those
of depthwise convolutions and norm layers, take little space, and rounding
them does most of the harm."""


def halve_weights(file: Path) -> None:
    """Store the large weights of an ONNX file in fp16.

    Each is widened to fp32 where it is read, which ONNX Runtime does once,
    when it loads the file: it computes as before, with rounded weights.

    Args:
        file (Path): The file, changed in place.

    Raises:
        ValueError: If a weight exceeds what fp16 can hold; it is named.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    model = onnx.load(str(file))
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        weight = numpy_helper.to_array(tensor)
        if weight.size < FEWEST:
            continue
        with np.errstate(over='ignore'):
            half = weight.astype(np.float16)
        if not np.isfinite(half).all():
            raise ValueError(f'the weight {tensor.name} exceeds what fp16 can '
                             'hold: export in fp32')
        name = tensor.name
        stored = f'{name}_fp16'
        tensor.CopyFrom(numpy_helper.from_array(half, stored))
        casts.append(
            helper.make_node('Cast', [stored], [name], to=TensorProto.FLOAT))
    # before all that reads them
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.save(model, str(file))
