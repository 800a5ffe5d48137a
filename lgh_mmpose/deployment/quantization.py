"""Post-training quantisation to INT8, by the backends' own tools."""
from pathlib import Path
from typing import Any, List

import numpy as np


def quantize_onnx(source: Path, target: Path,
                  images: List[np.ndarray]) -> None:
    """Quantise the convolutions of an ONNX model, QDQ format.

    ONNX Runtime's static quantisation: weights per channel, activations by
    their extremes on the images.

    Args:
        source (Path): Model in float32.
        target (Path): Where the quantised one goes.
        images (list[np.ndarray]): Network inputs (3, H, W), uint8.
    """
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
        op_types_to_quantize=['Conv', 'ConvTranspose'],
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8)


def quantize_openvino(model: Any, images: List[np.ndarray]) -> Any:
    """Quantise an OpenVINO model by NNCF, the soft-argmax excepted.

    Args:
        model (openvino.Model): Model in float32.
        images (list[np.ndarray]): Network inputs (3, H, W), uint8.

    Returns:
        openvino.Model: The quantised model.
    """
    import nncf
    dataset = nncf.Dataset([image[None] for image in images])
    return nncf.quantize(
        model,
        dataset,
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(images))
