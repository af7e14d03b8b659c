"""What a camera does to the light: motion blur, tone curve, blur of the lens, vignette, noise, JPEG."""

from __future__ import annotations

import hashlib
import io
import math

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from huddle3d.compute import kernel_backend, launch_rows, warp
from huddle3d.geometry import Camera
from huddle3d.io import encode_image
from huddle3d.render import srgb_from_linear
from huddle3d.scene import Photo
from huddle3d.synthesis.spec import LensSpec

__all__ = ["develop", "expose", "gain"]

_REACH = 3
"""Taps of the lens blur to either side."""


def gain(lens: LensSpec) -> tuple[float, float, float]:
    """Factors of exposure and white balance on linear red, green and blue; light is scaled before highlights are compressed."""
    return 2 ** (lens.exposure_ev + lens.warmth), 2 ** (lens.exposure_ev + lens.tint), 2 ** (lens.exposure_ev - lens.warmth)


def _streak(length_px: float, angle_deg: float) -> Float[Tensor, "k k"]:
    """A line of unit weight through the middle of a square, each of its places shared among four pixels."""
    reach = math.ceil(length_px / 2) + 1
    at = torch.linspace(-0.5, 0.5, 8 * reach + 1) * length_px
    x, y = at * math.cos(math.radians(angle_deg)) + reach, at * math.sin(math.radians(angle_deg)) + reach
    x0, y0 = x.floor(), y.floor()
    kernel = torch.zeros(2 * reach + 2, 2 * reach + 2)
    for i in (0, 1):
        for j in (0, 1):
            weight = (1 - (x - x0 - i).abs()) * (1 - (y - y0 - j).abs())
            kernel.index_put_(((y0 + j).long(), (x0 + i).long()), weight, accumulate=True)
    return (kernel / kernel.sum())[:-1, :-1]


def _moved(image: Float[Tensor, "height width 3"], lens: LensSpec) -> Float[Tensor, "height width 3"]:
    """The mean along the way of the picture while the shutter is open; in linear light, where light adds."""
    kernel = _streak(lens.motion_px, lens.motion_deg)
    reach, (height, width, _) = len(kernel) // 2, image.shape
    wide = torch.nn.functional.pad(image.permute(2, 0, 1)[None], (reach,) * 4, mode="replicate")[0].permute(1, 2, 0).contiguous()
    out = torch.zeros_like(image)
    for y, x in kernel.nonzero().tolist():
        out.add_(wide[y : y + height, x : x + width], alpha=float(kernel[y, x]))
    return out


def _taps(lens: LensSpec) -> Float[Tensor, "7"]:
    r = torch.arange(-_REACH, _REACH + 1, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (r / max(lens.blur_px, 0.05)) ** 2)
    return kernel / kernel.sum()


def _noise(height: int, width: int, lens: LensSpec, seed: int) -> Float[Tensor, "height width 3"]:
    """Noise of each pixel in units of ``lens.noise``, and smooth noise of colour without brightness."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(height, width, 3, generator=generator)
    if lens.chroma_noise > 0 and lens.noise > 0:
        coarse = torch.randn(1, 3, -(-height // 4) + 1, -(-width // 4) + 1, generator=generator)
        smooth = torch.nn.functional.interpolate(coarse - coarse.mean(1, keepdim=True), size=(height, width), mode="bilinear")[0].permute(1, 2, 0)
        noise = noise + (1.5 * lens.chroma_noise / lens.noise) * smooth
    return noise


def _expose_torch(image: Tensor, taps: Tensor, lens: LensSpec, noise: Tensor) -> Float[Tensor, "height width 3"]:
    """The kernels' plain twin."""
    height, width, _ = image.shape
    kernel = taps.expand(3, 1, 2 * _REACH + 1)
    x = torch.nn.functional.pad(image.permute(2, 0, 1)[None], (_REACH,) * 4, mode="replicate")
    x = torch.nn.functional.conv2d(x, kernel[:, :, None], groups=3)
    image = torch.nn.functional.conv2d(x, kernel[..., None], groups=3)[0].permute(1, 2, 0)
    v, u = torch.meshgrid(torch.linspace(-1, 1, height).to(image), torch.linspace(-1, 1, width).to(image), indexing="ij")
    image = image * (1 - 0.5 * lens.vignette * (u.square() + v.square()))[..., None]
    return (image + lens.noise * noise * (0.6 + 0.4 * image.sqrt())).clamp(0, 1)


def expose(light: Float[Tensor, "height width 3"], lens: LensSpec, seed: int) -> Float[Tensor, "height width 3"]:
    """The sensor's picture, sRGB in [0, 1], of light that was scaled by :func:`gain`; the same seed gives the same noise on every device."""
    image = srgb_from_linear(_moved(light, lens) if lens.motion_px > 0 else light)
    if lens.contrast != 0:
        image = torch.lerp(image, image * image * (3 - 2 * image), lens.contrast).clamp_min(0)  # beyond 1 the curve dips below black
    height, width, _ = image.shape
    image, taps, noise = image.contiguous(), _taps(lens).to(image), _noise(height, width, lens, seed).to(image)
    if kernel_backend() == "torch":
        return _expose_torch(image, taps, lens, noise)
    from huddle3d.synthesis.pictures import _truth_kernels as kernels

    wp = warp()
    rows, out = torch.empty_like(image), torch.empty_like(image)
    first, middle, last = (wp.from_torch(t, dtype=wp.vec3f) for t in (image, rows, out))
    launch_rows(kernels.blur_along_rows, height, width, [first, wp.from_torch(taps), middle], image.device)
    inputs = [middle, wp.from_torch(taps), lens.vignette, wp.from_torch(noise.contiguous(), dtype=wp.vec3f), lens.noise, last]
    launch_rows(kernels.expose, height, width, inputs, image.device)
    return out


def develop(image: Float[Tensor, "height width 3"], quality: int, name: str, camera: Camera) -> tuple[Photo, bytes]:
    """The JPEG file of a picture, and the photo as a reader of that file sees it (on the picture's device)."""
    from PIL import Image

    pixels: UInt8[Tensor, "height width 3"] = (image * 255 + 0.5).to(torch.uint8).cpu()
    jpeg = encode_image(pixels, "jpeg", quality=quality)
    with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as file:
        read = torch.frombuffer(bytearray(file.convert("RGB").tobytes()), dtype=torch.uint8)
    decoded = read.reshape(camera.height, camera.width, 3).to(image.device).float() / 255
    focal = float(camera.K[1, 1]) if camera.is_perspective else None
    return Photo(decoded, name, hashlib.sha256(jpeg).hexdigest(), focal, "user" if camera.is_perspective else "default"), jpeg
