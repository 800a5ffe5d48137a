"""Cases of what the hardware can do at best."""
import torch

from ..timing import Case


def plain_convolution(dtype: torch.dtype) -> Case:
    """3x3, 256 to 256 channels, 64 x 64, batch 4: what such hardware is for"""

    def setup():
        conv = torch.nn.Conv2d(256, 256, 3, padding=1, bias=False)
        conv = conv.to(dtype).to(memory_format=torch.channels_last)
        images = torch.randn(
            4, 256, 64,
            64).to(dtype).contiguous(memory_format=torch.channels_last)

        def call():
            with torch.no_grad():
                return conv(images)

        return call

    return Case(
        setup,
        4,
        lambda: 2e-9 * 4 * 64**2 * 9 * 256**2,
        bf16=dtype is torch.bfloat16)


def plain_matmul(dtype: torch.dtype) -> Case:
    """Product of two matrices of 2048 x 2048."""

    def setup():
        a, b = torch.randn(2, 2048, 2048).to(dtype)
        return lambda: a @ b

    return Case(setup, 1, lambda: 2e-9 * 2048**3, bf16=dtype is torch.bfloat16)
