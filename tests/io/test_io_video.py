"""Turntables: what a player needs, right colours, and the same bytes each time."""

from pathlib import Path

import numpy as np
import pytest

from huddle3d.errors import InputError
from huddle3d.io import write_video

av = pytest.importorskip("av")


def frames(count: int = 12, height: int = 65, width: int = 97):
    """A red left half, a blue right half and a white bar that wanders."""
    for k in range(count):
        frame = np.zeros((height, width, 3), np.uint8)
        frame[:, : width // 2, 0] = 255
        frame[:, width // 2 :, 2] = 255
        frame[4 * k : 4 * k + 4] = 255
        yield frame


def test_a_browser_can_play_it(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", frames(), 24)
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name in ("h264", "mpeg4") and stream.codec_context.pix_fmt == "yuv420p"
        assert (stream.width, stream.height) == (98, 66) and stream.average_rate == 24 and not container.streams.audio
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(decoded) == 12
    for k, frame in enumerate(decoded):
        # 4:2:0 chroma and quantisation: a pure colour comes back within some 8 % away from edges
        assert np.abs(frame[60, 20].astype(int) - (255, 0, 0)).max() < 20 and np.abs(frame[60, 80].astype(int) - (0, 0, 255)).max() < 20
        assert frame[4 * k + 1 : 4 * k + 3].min() > 200


def test_index_comes_first(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", frames(3))
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # plays while it loads


def test_same_frames_same_bytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    ramp = (np.add.outer(np.arange(448), np.arange(448)) % 256).astype(np.uint8)
    textured = [np.stack([np.roll(ramp, i, 0), np.roll(ramp, 2 * i, 1), ramp], -1) for i in range(12)]
    for name in "abcdef":  # the encoder's memory lies elsewhere each time
        scattered = [np.zeros(rng.integers(1, 10**6), np.uint8) for _ in range(50)]
        write_video(tmp_path / f"{name}.mp4", textured, 23.976)
        del scattered
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_float_frames_and_overwriting(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", (f.astype(np.float32) / 255 for f in frames(2)))
    with pytest.raises(InputError, match="already exists"):
        write_video(tmp_path / "a.mp4", frames(2))
    write_video(tmp_path / "a.mp4", frames(2), overwrite=True)


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    mixed = [np.zeros((8, 8, 3), np.uint8), np.zeros((8, 10, 3), np.uint8)]
    for bad, fps in (([], 25), (mixed, 25), (frames(1), 0), (frames(1), float("nan")), ([np.full((8, 8, 3), np.nan)], 25)):
        with pytest.raises(InputError):
            write_video(tmp_path / "a.mp4", bad, fps)

    def failing():
        yield from frames(2)
        raise RuntimeError("renderer")

    with pytest.raises(RuntimeError, match="renderer"):
        write_video(tmp_path / "a.mp4", failing())
    assert not list(tmp_path.iterdir())
