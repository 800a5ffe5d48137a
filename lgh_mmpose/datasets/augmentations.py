"""Augmentation of crops: what cameras, files and other pictures do to one.

All stand after the crop, leave the geometry alone and draw from NumPy's global
random numbers, as mmpose's transforms do.
"""
from typing import Dict, List, Optional, Sequence, Tuple

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS
from scipy import fft

from ..inference.images import list_pictures, read_image

_FILLS = ('noise', 'color', 'picture')


@TRANSFORMS.register_module()
class RandomCameraEffects(BaseTransform):
    """What cameras, small pictures and compression take from a picture.

    Each effect comes with a probability of its own, in this order: other
    colours, a tone curve, grey, defocus, motion blur, noise, low resolution,
    JPEG. Lengths are in pixels of the input, at 128 px; they grow with it.

    A sample takes 0.08 ms at 96 px and 0.10 ms at 128 px on one core, on
    average.

    Required Keys:

        - img

    Modified Keys:

        - img

    Args:
        color_prob (float): Probability of another exposure, contrast,
            saturation and white balance, as cameras differ: skin stays skin,
            unlike with :class:`PhotometricDistortion`, which turns hues and
            swaps channels. Defaults to 0.5.
        color_strength (float): How much they differ; 0 is not at all.
            Defaults to 1.
        tone_prob (float): Of a rare tone curve: contrast and gamma,
            posterised or solarised. Defaults to 0.05.
        grey_prob (float): Of a grey picture. Defaults to 0.05.
        blur_prob (float): Of a Gaussian blur. Defaults to 0.15.
        blur_sigma (tuple[float, float]): Its range, px. Defaults to
            (0.4, 2).
        motion_prob (float): Of motion blur in any direction. Defaults to
            0.1.
        motion_length (tuple[float, float]): Its range, px. Defaults to
            (3, 12).
        noise_prob (float): Of noise, of one colour or several, which grows
            with the root of the light. Defaults to 0.2.
        noise_std (tuple[float, float]): Range of its standard deviation in
            white, of 255. Defaults to (2, 20).
        low_resolution_prob (float): Of scaling down and up again. Defaults
            to 0.2.
        low_resolution_scale (tuple[float, float]): Range of the factor.
            Defaults to (0.25, 0.8).
        jpeg_prob (float): Of compression. Defaults to 0.2.
        jpeg_quality (tuple[int, int]): Range of its quality, 1 to 100.
            Defaults to (15, 90).

    Raises:
        ValueError: If a probability or a range is impossible.
    """

    def __init__(
        self,
        color_prob: float = .5,
        color_strength: float = 1.,
        tone_prob: float = .05,
        grey_prob: float = .05,
        blur_prob: float = .15,
        blur_sigma: Tuple[float, float] = (.4, 2.),
        motion_prob: float = .1,
        motion_length: Tuple[float, float] = (3., 12.),
        noise_prob: float = .2,
        noise_std: Tuple[float, float] = (2., 20.),
        low_resolution_prob: float = .2,
        low_resolution_scale: Tuple[float, float] = (.25, .8),
        jpeg_prob: float = .2,
        jpeg_quality: Tuple[int, int] = (15, 90)) -> None:
        super().__init__()
        self.color_prob = _probability('color_prob', color_prob)
        self.color_strength = _range('color_strength', (color_strength, ) * 2,
                                     0, 10)[0]
        self.tone_prob = _probability('tone_prob', tone_prob)
        self.grey_prob = _probability('grey_prob', grey_prob)
        self.blur_prob = _probability('blur_prob', blur_prob)
        self.blur_sigma = _range('blur_sigma', blur_sigma, .01, 100)
        self.motion_prob = _probability('motion_prob', motion_prob)
        self.motion_length = _range('motion_length', motion_length, 1, 1000)
        self.noise_prob = _probability('noise_prob', noise_prob)
        self.noise_std = _range('noise_std', noise_std, 0, 255)
        self.low_resolution_prob = _probability('low_resolution_prob',
                                                low_resolution_prob)
        self.low_resolution_scale = _range('low_resolution_scale',
                                           low_resolution_scale, .01, 1)
        self.jpeg_prob = _probability('jpeg_prob', jpeg_prob)
        self.jpeg_quality = _range('jpeg_quality', jpeg_quality, 1, 100)

    def transform(self, results: Dict) -> dict:
        """Take the picture with another camera.

        Args:
            results (dict): The result dict.

        Returns:
            dict: The result dict.
        """
        img = results['img']
        size = max(img.shape[:2]) / 128
        happens = np.random.uniform(
            size=8) < (self.color_prob, self.tone_prob, self.grey_prob,
                       self.blur_prob, self.motion_prob, self.noise_prob,
                       self.low_resolution_prob, self.jpeg_prob)
        color, tone, grey, blur, motion, noise, low_resolution, jpeg = happens
        if color:
            img = cv2.transform(img, random_colors(self.color_strength))
        if tone:
            img = cv2.LUT(img, random_tone_curve())
        if grey:
            img = cv2.cvtColor(img, cv2.COLOR_BGR2GRAY)
            img = cv2.cvtColor(img, cv2.COLOR_GRAY2BGR)
        if blur:
            sigma = size * np.random.uniform(*self.blur_sigma)
            img = cv2.GaussianBlur(img, (0, 0), sigma)
        if motion:
            img = cv2.filter2D(
                img, -1,
                motion_kernel(size * np.random.uniform(*self.motion_length),
                              np.random.uniform(0, np.pi)))
        if noise:
            img = add_noise(img, np.random.uniform(*self.noise_std),
                            np.random.uniform() < .5, np.random.randint(2**31))
        if low_resolution:
            img = lower_resolution(
                img, np.random.uniform(*self.low_resolution_scale),
                (cv2.INTER_NEAREST, cv2.INTER_LINEAR,
                 cv2.INTER_CUBIC)[np.random.randint(3)])
        if jpeg:
            low, high = self.jpeg_quality
            quality = np.random.randint(int(low), int(high) + 1)
            _, content = cv2.imencode('.jpg', img,
                                      (cv2.IMWRITE_JPEG_QUALITY, quality))
            img = cv2.imdecode(content, cv2.IMREAD_COLOR)
        results['img'] = img
        return results


def random_colors(strength: float) -> np.ndarray:
    """Another exposure, contrast, saturation and white balance.

    Args:
        strength (float): How much they differ; at 1 the standard deviations
            are 0.2 of the exposure, 0.15 of the contrast, 0.25 of the
            saturation, and 0.1 and 0.05 of the white balance from blue to
            red and from green to purple, all of the logarithm.

    Returns:
        np.ndarray: For ``cv2.transform`` of BGR, float32 (3, 4).
    """
    exposure, contrast, saturation, warmth, tint = np.exp(
        strength * np.random.normal(0, (.2, .15, .25, .1, .05)))
    balance = np.array([1 / warmth, 1 / tint, warmth])
    luma = np.array([.114, .587, .299])
    mixing = saturation * np.eye(3) + (1 - saturation) * luma
    matrix = exposure * contrast * mixing * balance
    offset = np.full((3, 1), 127.5 * (1 - contrast))
    return np.hstack([matrix, offset]).astype(np.float32)


def random_tone_curve() -> np.ndarray:
    """A rare look of all tones: contrast and gamma, posterised or solarised.

    Returns:
        np.ndarray: What becomes of each byte, uint8 (256,).
    """
    kind = np.random.randint(3)
    tones = np.arange(256.)
    if kind == 0:
        tones = 255 * (tones / 255)**np.exp(np.random.uniform(-.7, .7))
        contrast = np.exp(np.random.uniform(-.7, .7))
        tones = 127.5 + contrast * (tones - 127.5)
    elif kind == 1:
        step = 255 / (np.random.randint(3, 9) - 1)
        tones = step * np.rint(tones / step)
    else:
        tones = np.where(tones < np.random.uniform(100, 240), tones,
                         255 - tones)
    return np.rint(tones).clip(0, 255).astype(np.uint8)


def motion_kernel(length: float, angle: float) -> np.ndarray:
    """What a point becomes that moves evenly while the shutter is open.

    Args:
        length (float): Of its way, px.
        angle (float): Of its way to the image's rows, radians.

    Returns:
        np.ndarray: Kernel for ``cv2.filter2D`` with the sum 1, float32
        (k, k), k odd.
    """
    half = int(np.ceil(length / 2)) + 1
    steps = np.linspace(-length / 2, length / 2, 8 * half)
    # each position spread over its four pixels
    x, y = steps * np.cos(angle) + half, steps * np.sin(angle) + half
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    for right, below in ((0, 0), (0, 1), (1, 0), (1, 1)):
        weight = (1 - abs(left + right - x)) * (1 - abs(top + below - y))
        np.add.at(kernel, (top + below, left + right), weight)
    return kernel / kernel.sum()


def add_noise(img: np.ndarray, std: float, of_one_color: bool,
              seed: int) -> np.ndarray:
    """Add Gaussian noise that grows with the root of the light.

    Args:
        img (np.ndarray): uint8 (H, W, 3).
        std (float): Its standard deviation in white, of 255; in black it is
            half of that.
        of_one_color (bool): Whether it is the same in all channels.
        seed (int): Of the noise.

    Returns:
        np.ndarray: uint8 (H, W, 3).
    """
    # a third of the time that NumPy takes
    cv2.setRNGSeed(seed)
    if of_one_color:
        noise = np.empty((*img.shape[:2], 1), np.float32)
        cv2.randn(noise, 0, 1)
    else:
        noise = np.empty(img.shape, np.float32)
        cv2.randn(noise, (0, 0, 0), (1, 1, 1))
    table = std * np.sqrt(.25 + .75 * np.arange(256) / 255)
    noise = cv2.LUT(img, table.astype(np.float32)) * noise
    return cv2.add(img, noise, dtype=cv2.CV_8U)


def lower_resolution(img: np.ndarray, scale: float,
                     interpolation: int) -> np.ndarray:
    """Scale a picture down and up again.

    Args:
        img (np.ndarray): uint8 (H, W, 3).
        scale (float): Of its sides, below 1.
        interpolation (int): OpenCV's, of the way up.

    Returns:
        np.ndarray: uint8 (H, W, 3).
    """
    height, width = img.shape[:2]
    small = max(1, round(scale * width)), max(1, round(scale * height))
    return cv2.resize(
        cv2.resize(img, small, interpolation=cv2.INTER_AREA), (width, height),
        interpolation=interpolation)


@TRANSFORMS.register_module()
class RandomErasing(BaseTransform):
    """Hide rectangles of the picture, as things in front of the hand do.

    Zhong et al., "Random Erasing Data Augmentation", AAAI 2020. Labels stay:
    hidden joints are to be guessed. A sample takes 0.02 ms at 96 px and 128
    px on one core, on average.

    Required Keys:

        - img

    Modified Keys:

        - img

    Args:
        erase_prob (float): Probability. Defaults to 0.3.
        max_patches (int): Most rectangles at once. Defaults to 3.
        min_area_ratio (float): Least share of the picture that a rectangle
            hides. Defaults to 0.01.
        max_area_ratio (float): Largest share. Defaults to 0.12.
        aspect_range (tuple[float, float]): Of height over width. Defaults to
            (0.3, 3.3).
        fills (Sequence[str]): What may be there instead, each as likely:
            ``'noise'``, ``'color'`` or ``'picture'``, another part of the
            picture. Defaults to all.

    Raises:
        ValueError: If a probability, a range or a fill is impossible.
    """

    def __init__(self,
                 erase_prob: float = .3,
                 max_patches: int = 3,
                 min_area_ratio: float = .01,
                 max_area_ratio: float = .12,
                 aspect_range: Tuple[float, float] = (.3, 3.3),
                 fills: Sequence[str] = _FILLS) -> None:
        super().__init__()
        self.erase_prob = _probability('erase_prob', erase_prob)
        if max_patches < 1:
            raise ValueError(f'max_patches must be at least 1, got '
                             f'{max_patches}')
        self.max_patches = max_patches
        self.area_ratios = _range('min_area_ratio and max_area_ratio',
                                  (min_area_ratio, max_area_ratio), 1e-6, 1)
        self.aspect_range = _range('aspect_range', aspect_range, 1e-3, 1e3)
        unknown = [fill for fill in fills if fill not in _FILLS]
        if unknown or not fills:
            raise ValueError(f'fills must be some of {_FILLS}, got {fills!r}')
        self.fills = tuple(fills)

    def transform(self, results: Dict) -> dict:
        """Hide parts of the picture.

        Args:
            results (dict): The result dict.

        Returns:
            dict: The result dict.
        """
        if np.random.uniform() >= self.erase_prob:
            return results
        before = results['img']
        img = before.copy()
        for _ in range(np.random.randint(1, self.max_patches + 1)):
            self._erase(img, before)
        results['img'] = img
        return results

    def _erase(self, img: np.ndarray, before: np.ndarray) -> None:
        height, width = img.shape[:2]
        area = np.random.uniform(*self.area_ratios) * height * width
        aspect = np.exp(np.random.uniform(*np.log(self.aspect_range)))
        h = int(np.clip(round((area * aspect)**.5), 1, height))
        w = int(np.clip(round((area / aspect)**.5), 1, width))

        def place() -> Tuple[slice, slice]:
            top = np.random.randint(height - h + 1)
            left = np.random.randint(width - w + 1)
            return slice(top, top + h), slice(left, left + w)

        patch = img[place()]
        fill = self.fills[np.random.randint(len(self.fills))]
        if fill == 'picture':
            patch[:] = before[place()]
        elif fill == 'color':
            patch[:] = np.random.randint(0, 256, 3)
        else:
            patch[:] = np.random.randint(0, 256, patch.shape, np.uint8)


@TRANSFORMS.register_module()
class ExchangeAmplitudeSpectrum(BaseTransform):
    """Give a picture's waves the amplitudes of another picture's.

    The Fourier phase, which holds what is where, stays; the amplitude, which
    holds colours, light and textures, is mixed with that of another picture,
    from the lowest frequencies up to a random one (Yang and Soatto, "FDA:
    Fourier Domain Adaptation for Semantic Segmentation", CVPR 2020; Xu et al.,
    "A Fourier-based Framework for Domain Generalization", CVPR 2021; on
    rendered hands Zhao et al., "Analyzing the Synthetic-to-Real Domain Gap in
    3D Hand Pose Estimation", CVPR 2025).

    The other picture is one of the last ``pool_size`` that this worker has
    exchanged, as it was before; the first one stays as it is. So the pictures
    repeat for the same seed and number of workers. Or it is one of
    ``sources``, photographs without labels, say: each worker takes
    ``pool_size`` of them at its start, scaled to the input's size.

    An exchange takes 0.18 ms at 96 px and 0.26 ms at 128 px on one core.

    Required Keys:

        - img

    Modified Keys:

        - img

    Args:
        prob (float): Probability. Defaults to 0.5.
        alpha (tuple[float, float]): Range of the other's share in the
            amplitude, 0 to 1. Defaults to (0, 1).
        beta (tuple[float, float]): Range, drawn evenly in its logarithm, of
            the highest frequency that is mixed, in cycles a pixel; 0.5 is the
            whole spectrum. Defaults to (0.01, 0.5).
        pool_size (int): Number of other pictures. Defaults to 64.
        sources (str, optional): Folder of pictures, its subfolders included.
            Defaults to ``None``: earlier training samples.

    Raises:
        FileNotFoundError: If the folder holds no picture.
        OSError: If it, or a folder in it, cannot be read.
        ValueError: If an argument is impossible.
    """

    def __init__(self,
                 prob: float = .5,
                 alpha: Tuple[float, float] = (0., 1.),
                 beta: Tuple[float, float] = (.01, .5),
                 pool_size: int = 64,
                 sources: Optional[str] = None) -> None:
        super().__init__()
        self.prob = _probability('prob', prob)
        self.alpha = _range('alpha', alpha, 0, 1)
        self.beta = _range('beta', beta, 1e-6, .5)
        if pool_size < 1:
            raise ValueError(f'pool_size must be at least 1, got {pool_size}')
        self.pool_size = pool_size
        self.sources = sources
        self._files = None if sources is None else _list_sources(sources)
        self._pool: List[np.ndarray] = []
        self._next = 0

    def transform(self, results: Dict) -> dict:
        """Exchange the amplitude.

        Args:
            results (dict): The result dict.

        Returns:
            dict: The result dict.

        Raises:
            OSError: If a source cannot be read.
            ImageError: If it cannot be decoded.
        """
        if np.random.uniform() >= self.prob:
            return results
        img = results['img']
        own = spectrum(img)
        amplitude = np.abs(own)
        self._fill(img, amplitude)
        other = None
        if self._pool:
            other = self._pool[np.random.randint(len(self._pool))]
        if self._files is None:
            self._keep(amplitude)
        if other is None:
            return results
        alpha = np.random.uniform(*self.alpha)
        beta = np.exp(np.random.uniform(*np.log(self.beta)))
        mixed = mix_amplitudes(own, amplitude, other, alpha, beta)
        channels = fft.irfft2(mixed, s=img.shape[:2], overwrite_x=True)
        # OpenCV takes the absolute value, and rounds and saturates
        np.maximum(channels, 0, out=channels)
        results['img'] = cv2.merge([cv2.convertScaleAbs(c) for c in channels])
        return results

    def _fill(self, img: np.ndarray, amplitude: np.ndarray) -> None:
        """See that the pool suits pictures of this size."""
        if self._pool and self._pool[0].shape != amplitude.shape:
            self._pool, self._next = [], 0
        if self._pool or self._files is None:
            return
        size = img.shape[1::-1]
        chosen = np.random.choice(
            len(self._files),
            min(self.pool_size, len(self._files)),
            replace=False)
        self._pool = [
            np.abs(
                spectrum(
                    cv2.resize(
                        read_image(self._files[i]),
                        size,
                        interpolation=cv2.INTER_AREA))) for i in chosen
        ]

    def _keep(self, amplitude: np.ndarray) -> None:
        if len(self._pool) < self.pool_size:
            self._pool.append(amplitude)
        else:
            self._pool[self._next] = amplitude
            self._next = (self._next + 1) % self.pool_size


def spectrum(img: np.ndarray) -> np.ndarray:
    """Fourier transform of a picture's channels.

    Args:
        img (np.ndarray): (H, W, 3).

    Returns:
        np.ndarray: complex64 (3, H, W // 2 + 1).
    """
    channels = np.ascontiguousarray(img.transpose(2, 0, 1), np.float32)
    return fft.rfft2(channels, overwrite_x=True)


def mix_amplitudes(own: np.ndarray, amplitude: np.ndarray, other: np.ndarray,
                   alpha: float, beta: float) -> np.ndarray:
    """Mix the amplitudes of low frequencies, and keep the phase.

    Args:
        own (np.ndarray): Of :func:`spectrum`, (3, H, F); changed in place.
        amplitude (np.ndarray): Its absolute value.
        other (np.ndarray): The other picture's, (3, H, F).
        alpha (float): Share of the other.
        beta (float): Highest frequency in each direction, cycles a pixel.

    Returns:
        np.ndarray: complex64 (3, H, F).
    """
    height, num = own.shape[1:]
    rows = int(beta * height)
    # real pictures: F is half of the width, and one
    columns = min(int(2 * beta * (num - 1)) + 1, num)
    low = [slice(rows + 1), slice(max(height - rows, rows + 1), height)]
    for part in low:
        there = np.s_[:, part, :columns]
        mine = amplitude[there]
        # below 1, the phase of a wave is that of rounding
        own[there] *= 1 - alpha + alpha * other[there] / np.maximum(mine, 1)
    return own


def _list_sources(folder: str) -> List[str]:
    try:
        found = list_pictures(folder)
    except OSError as error:
        raise type(error)(f'sources: {error}') from None
    if not found:
        raise FileNotFoundError(f'sources: the folder {folder} holds no '
                                'picture')
    return found


def _probability(name: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f'{name} must lie between 0 and 1, got {value}')
    return value


def _range(name: str, value: Tuple[float, float], least: float,
           most: float) -> Tuple[float, float]:
    low, high = value
    if not least <= low <= high <= most:
        raise ValueError(f'{name} must be a range within {least} and {most}, '
                         f'low before high, got {value}')
    return low, high
