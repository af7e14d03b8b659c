"""BVH: known poses of tiny files, refusal of damaged ones, agreement with joints computed by others."""

import numpy as np
import pytest

from huddle3d.errors import InputError, ResourceLimitError
from huddle3d.io import bvh, read_bvh

TINY = """HIERARCHY
ROOT hip
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Yrotation Xrotation
  JOINT knee
  {
    OFFSET 0 -2 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 -1 0
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.2
1 5 3 0 0 0 0 0 0
0 0 0 90 0 0 0 90 0
"""


def written(tmp_path, text):
    path = tmp_path / "a.bvh"
    path.write_text(text)
    return path


def test_places_and_turns_of_a_tiny_file(tmp_path):
    m = read_bvh(written(tmp_path, TINY))
    assert m.names == ("hip", "knee", "knee_end") and m.parents == (-1, 0, 1) and m.frame_time == 0.2
    places, turns = m.pose(0)
    assert np.allclose(places, [[1, 5, 3], [1, 3, 3], [1, 2, 3]]) and np.allclose(turns, np.eye(3))
    # Frame 1: the hip turns -y to +x; the knee then turns -y (now +x) about x (now y), by 90 degrees: to -z.
    places, _ = m.pose(1)
    assert np.allclose(places, [[0, 0, 0], [2, 0, 0], [2, 0, -1]], atol=1e-12)
    for frame in (-1, 2):
        with pytest.raises(InputError, match="Frame"):
            m.pose(frame)


def test_order_of_rotations_is_the_order_of_channels(tmp_path):
    text = TINY.replace("0 0 0 90 0 0 0 90 0", "0 0 0 90 0 90 0 0 0")
    _, turns = read_bvh(written(tmp_path, text)).pose(1)
    z, x = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    assert np.allclose(turns[0], z @ x, atol=1e-12)


@pytest.mark.parametrize(
    "old, new",
    [
        ("HIERARCHY", "HIERARKY"),
        ("MOTION", ""),
        ("JOINT", "JIONT"),
        ("ROOT hip", "JOINT hip"),
        ("JOINT knee", "JOINT hip"),
        ("JOINT knee\n  {", "JOINT knee\n"),
        ("Xposition", "Wposition"),
        ("CHANNELS 6", "CHANNELS 5"),
        ("CHANNELS 6", "CHANNELS -1"),
        ("OFFSET 0 -2 0", "OFFSET 0 nan 0"),
        ("OFFSET 0 -2 0", "OFFSET 0 -2"),
        ("    }\n", ""),
        ("    }\n", "    }}\n}}}"),
        ("Frames: 2", "Frames: 1000000000"),
        ("Frames: 2", "Frames: 1"),
        ("Frames: 2", "Frames: 0"),
        ("Frames: 2", ""),
        ("Frame Time: 0.2", "Frame Time: 0"),
        ("1 5 3", "1 5"),
        ("1 5 3", "1 inf 3"),
        ("1 5 3", "1 five 3"),
        ("1 5 3", "1 ü 3"),
        (TINY[9:], ""),
        (TINY[60:], ""),
        (TINY, " "),
        (TINY, ""),
    ],
)
def test_damaged_files_are_refused(tmp_path, old, new):
    assert old in TINY
    with pytest.raises(InputError):
        read_bvh(written(tmp_path, TINY.replace(old, new, 1)))


def test_limits(tmp_path, monkeypatch):
    monkeypatch.setattr(bvh, "MAX_BVH_JOINTS", 2)
    with pytest.raises(ResourceLimitError):
        read_bvh(written(tmp_path, TINY))
    monkeypatch.setattr(bvh, "MAX_BVH_BYTES", 20)
    with pytest.raises(ResourceLimitError):
        read_bvh(written(tmp_path, TINY))
    with pytest.raises(InputError, match="no such file"):
        read_bvh(tmp_path / "absent.bvh")


@pytest.mark.shared
def test_joints_agree_with_the_recordings_own(shared):
    m = read_bvh(shared / "data/mocap/61_10.bvh")
    with np.load(shared / "data/mocap/joints_10.npz", allow_pickle=False) as z:
        assert tuple(z["names"]) == m.names
        for t in (0, len(m.values) // 2, len(m.values) - 1):
            assert np.abs(m.pose(t)[0] - z["follower_61"][t]).max() < 1e-6  # stored as float32
