"""Video out: short clips such as turntables."""

from __future__ import annotations

import os
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from huddle3d.errors import InputError
from huddle3d.io.files import atomic_file
from huddle3d.io.images import rgb_bytes
from huddle3d.io.limits import display_name

__all__ = ["write_video"]

_BT709 = 1  # the code of ITU-R BT.709 for primaries, transfer and matrix alike (ITU-T H.273)


def write_video(path: str | os.PathLike[str], frames: Iterable[Any], fps: float = 25.0, *, overwrite: bool = False, quality: int = 20) -> None:
    """Write an mp4 file that all browsers play: H.264 (MPEG-4 part 2 if this PyAV has no encoder for it), 4:2:0, BT.709, no sound.

    One thread encodes and no date is stored, so the same frames give the same bytes with the same PyAV. Frames are taken one at a time.

    Args:
        path: the file, ``.mp4``.
        frames: (height, width, 3) arrays, numpy or torch, uint8 or float in [0, 1]; all of one size. Odd sides repeat their last row or column.
        fps: frames per second.
        overwrite: replace an existing file.
        quality: constant rate factor, 0 (lossless) … 51; larger is smaller.
    """
    import av

    name = display_name(path)
    if not 0 < fps <= 240:
        raise InputError(f"{name}: {fps} frames per second cannot be written.", next_step="Use a rate between 0 and 240.")
    with atomic_file(path, overwrite=overwrite) as tmp:
        try:
            with av.open(str(tmp), "w", format="mp4", options={"movflags": "+faststart", "fflags": "+bitexact"}) as container:
                count = _encode(container, frames, Fraction(fps).limit_denominator(1001), quality, name)
        except av.FFmpegError as e:
            raise InputError(f"{name}: the video cannot be written.", why=f"{e}.") from e
        if count == 0:
            raise InputError(f"{name}: a video needs at least one frame.")


def _encode(container: Any, frames: Iterable[Any], rate: Fraction, quality: int, name: str) -> int:
    import av

    stream, shape, count = None, (0, 0), 0
    for count, array in enumerate(frames, 1):
        rgb = _even(rgb_bytes(array))
        if stream is None:
            stream, shape = _stream(container, rate, quality, rgb.shape[1], rgb.shape[0]), rgb.shape
        if rgb.shape != shape:
            raise InputError(f"{name}: frame {count} has another size than the first.", why=f"{rgb.shape} against {shape}.")
        frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p", dst_colorspace="ITU709")
        frame.pts, frame.time_base = count - 1, 1 / rate
        container.mux(stream.encode(frame))
    if stream is not None:
        container.mux(stream.encode(None))
    return count


def _stream(container: Any, rate: Fraction, quality: int, width: int, height: int) -> Any:
    from av.codec import codecs_available
    from av.codec.context import Flags

    h264 = "libx264" in codecs_available
    # cpu-independent: the float kernels of x264's macroblock tree otherwise round by where their memory lies, and the bytes differ between runs
    options = {"crf": str(quality), "preset": "medium", "x264-params": "cpu-independent=1"} if h264 else {"qscale": "4"}
    stream = container.add_stream("libx264" if h264 else "mpeg4", rate=rate, options=options)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    context = stream.codec_context
    context.thread_count = 1  # the split over threads would show in the bytes
    context.flags |= Flags.bitexact.value
    context.color_primaries = context.color_trc = context.colorspace = _BT709
    context.color_range = 1
    return stream


def _even(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    pad = ((0, rgb.shape[0] % 2), (0, rgb.shape[1] % 2), (0, 0))
    return np.ascontiguousarray(np.pad(rgb, pad, mode="edge"))
