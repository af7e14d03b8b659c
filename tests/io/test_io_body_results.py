"""SAM 3D Body result files: honest ones are read, others are refused with the reason."""

import json
from pathlib import Path

import numpy as np
import pytest

from huddle3d.errors import InputError, ResourceLimitError
from huddle3d.io import read_body_results

RNG = np.random.default_rng(0)


def people(count: int) -> dict[str, np.ndarray]:
    return {
        "pred_keypoints_3d": RNG.normal(0, 0.4, (count, 70, 3)).astype(np.float32),
        "pred_cam_t": np.tile(np.array([0.1, 0.2, 4.0], np.float32), (count, 1)),
        "focal_length": np.full(count, 900.0, np.float32),
        "pred_keypoints_2d": RNG.uniform(0, 500, (count, 70, 2)).astype(np.float32),
        "bbox": np.tile(np.array([10.0, 20, 300, 400], np.float32), (count, 1)),
    }


def test_npz_and_json_say_the_same(tmp_path: Path) -> None:
    table = people(2)
    np.savez(tmp_path / "two.npz", **table, pred_vertices=np.zeros((2, 18439, 3), np.float32), image_size=np.array([640, 480]))
    rows = [{k: v[i].tolist() for k, v in table.items()} for i in range(2)]
    (tmp_path / "two.json").write_text(json.dumps({"people": rows, "image_size": [640, 480]}))
    (tmp_path / "list.json").write_text(json.dumps(rows))
    a, b, c = (read_body_results(tmp_path / n) for n in ("two.npz", "two.json", "list.json"))
    np.testing.assert_allclose(a.points3d, table["pred_keypoints_3d"] + table["pred_cam_t"][:, None], atol=1e-6)
    for other in (b, c):
        np.testing.assert_allclose(other.points3d, a.points3d, atol=1e-6)
        np.testing.assert_allclose(other.points2d, a.points2d, atol=1e-3)
    assert a.focal_px == b.focal_px == 900 and a.image_size == b.image_size == (640, 480) and c.image_size is None


def test_one_person_needs_no_first_axis(tmp_path: Path) -> None:
    table = {k: v[0] for k, v in people(1).items() if k in ("pred_keypoints_3d", "pred_cam_t", "focal_length")}
    np.savez(tmp_path / "one.npz", **table)
    result = read_body_results(tmp_path / "one.npz")
    assert result.points3d.shape == (1, 70, 3) and result.points2d is None and result.boxes is None


def test_wrong_files_are_refused_with_the_reason(tmp_path: Path) -> None:
    def refused(match: str, **change: object) -> None:
        table = {**people(2), **change}
        np.savez(tmp_path / "x.npz", **{k: v for k, v in table.items() if v is not None})
        with pytest.raises(InputError, match=match) as e:
            read_body_results(tmp_path / "x.npz")
        assert "x.npz" in str(e.value) and e.value.next_step

    refused("pred_cam_t is missing", pred_cam_t=None)
    refused("behind the camera", pred_cam_t=np.tile([0, 0, -4.0], (2, 1)))
    refused("metres", pred_cam_t=np.tile([0, 0, 4000.0], (2, 1)))
    refused("not finite", pred_keypoints_2d=np.full((2, 70, 2), np.nan))
    refused("focal lengths differ", focal_length=np.array([900.0, 1400.0]))
    refused("focal lengths differ", focal_length=np.array([-1.0, -1.0]))
    refused("has shape", pred_keypoints_3d=np.zeros((2, 17, 3)))
    refused("has shape", pred_cam_t=np.zeros((3, 3)))
    refused("Python objects", pred_cam_t=np.array([{"a": 1}, None], dtype=object))
    refused("image_size", image_size=np.array([0, 5]))


def test_hostile_files(tmp_path: Path) -> None:
    for name, data in (("a.npz", b"no zip"), ("b.json", b"{"), ("c.json", b'"text"'), ("d.json", b"[]"), ("e.json", b'[{"pred_cam_t": "x"}]')):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(InputError, match=name):
            read_body_results(tmp_path / name)
    import zipfile

    header = np.lib.format.magic(1, 0) + (118).to_bytes(2, "little")
    header += b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 70, 3), }".ljust(117) + b"\n"
    with zipfile.ZipFile(tmp_path / "claim.npz", "w") as z:
        z.writestr("pred_keypoints_3d.npy", header)
    with pytest.raises(InputError, match="claims more than there is"):
        read_body_results(tmp_path / "claim.npz")
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("pred_keypoints_3d.npy", b"\0" * 50_000_000)
    with pytest.raises(ResourceLimitError, match="bytes"):
        read_body_results(tmp_path / "bomb.npz")
    (tmp_path / "big.json").write_text('[{"pred_keypoints_3d": [[1' + "0" * 400 + ', 0, 0]], "pred_cam_t": [0, 0, 3], "focal_length": 900}]')
    with pytest.raises(InputError, match="no array of numbers"):
        read_body_results(tmp_path / "big.json")
