"""SMPL-family adapter on small files that are written here; no licensed file is needed."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from huddle3d.bodies import load_body
from huddle3d.errors import InputError, LicenceRequiredError
from huddle3d.scene import BodyParams
from huddle3d.scene.landmarks import LANDMARK_INDEX

sys.path.insert(0, str(Path(__file__).parent))
from smpl_files import random_arrays, reference, write_npz


@pytest.mark.parametrize(("kind", "shapes", "expressions"), [("smpl", 10, 0), ("smplx", 20, 10), ("smplx", 310, 10), ("mano_right", 10, 0)])
def test_skinning_equals_an_independent_implementation(tmp_path: Path, kind: str, shapes: int, expressions: int) -> None:
    path, arrays = write_npz(tmp_path, kind, shapes=shapes)
    body = load_body(kind, dtype=torch.float64, path=path)
    g = np.random.default_rng(5)
    shape, pose, root, expression = (
        g.normal(size=(2, 10)),
        0.6 * g.normal(size=(2, body.num_joints, 3)),
        g.normal(size=(2, 3)),
        g.normal(size=(2, expressions)),
    )
    out = body(BodyParams(*(torch.from_numpy(x) for x in (shape, pose, root, expression))))
    first = 300 if shapes > 300 else 10
    directions = np.concatenate([arrays["shapedirs"][..., :10], arrays["shapedirs"][..., first : first + expressions]], -1)
    for k in range(2):
        vertices, joints = reference(arrays, np.concatenate([shape[k], expression[k]]), directions, pose[k], root[k])
        assert np.allclose(out.vertices[k].numpy(), vertices, atol=1e-12)
        assert np.allclose(out.joints[k].numpy(), joints, atol=1e-12)
    assert body.num_expression == expressions


def test_landmarks_that_the_model_has(tmp_path: Path) -> None:
    body = load_body("smpl", path=write_npz(tmp_path, "smpl")[0])
    out = body(body.neutral(2))
    for name, joint in (("left_shoulder", 16), ("right_elbow", 19), ("left_wrist", 20), ("right_hip", 2), ("left_knee", 4), ("right_ankle", 8)):
        assert torch.equal(out.landmarks[:, LANDMARK_INDEX[name]], out.joints[:, joint])
        assert body.landmark_valid[LANDMARK_INDEX[name]]
    assert not body.landmark_valid[LANDMARK_INDEX["nose"]], "this template has no known nose vertex"
    assert torch.isfinite(out.landmarks).all()


def test_surface_landmarks_of_the_published_template(tmp_path: Path) -> None:
    body = load_body("mano_right", path=write_npz(tmp_path, "mano_right", vertices=778)[0])
    out = body(body.neutral())
    assert torch.equal(out.landmarks[0, LANDMARK_INDEX["right_thumb4"]], out.vertices[0, 744])
    assert int(body.landmark_valid.sum()) == 22, "21 hand points and the wrist of the body"


def test_regions_limits_and_mirror(tmp_path: Path) -> None:
    body = load_body("smplx", path=write_npz(tmp_path, "smplx", shapes=20)[0])
    assert {"left_hand", "face", "chest", "upper_back"} <= set(body.region_names)
    left, right = (body.joint_limits[body.joint_names.index(f"{s}_elbow")] for s in ("left", "right"))
    assert torch.allclose(left[1], -right[1].flip(0))
    assert body.joint_names[body.mirror_joints[body.joint_names.index("left_index2")]] == "right_index2"


def test_absent_files_name_the_page_and_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUDDLE3D_BODY_MODELS", raising=False)
    with pytest.raises(LicenceRequiredError, match=r"smpl-x\.is\.tue\.mpg\.de.*HUDDLE3D_BODY_MODELS/smplx/SMPLX_NEUTRAL\.npz"):
        load_body("smplx")
    monkeypatch.setenv("HUDDLE3D_BODY_MODELS", str(tmp_path))
    with pytest.raises(LicenceRequiredError, match=str(tmp_path)):
        load_body("mano_left")


def test_folder_of_the_environment_is_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "smpl").mkdir()
    np.savez(tmp_path / "smpl" / "SMPL_NEUTRAL.npz", **random_arrays("smpl"))
    monkeypatch.setenv("HUDDLE3D_BODY_MODELS", str(tmp_path))
    assert load_body("smpl").num_joints == 24


@pytest.mark.parametrize("damage", ["truncated", "empty", "other model", "missing key", "nan", "bad face", "bad tree", "suffix"])
def test_damaged_files_are_input_errors(tmp_path: Path, damage: str) -> None:
    path, arrays = write_npz(tmp_path, "smpl")
    kind = "smpl"
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:2000])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "other model":
        kind = "mano_right"
    elif damage == "suffix":
        path = path.rename(tmp_path / "model.bin")
    else:
        if damage == "missing key":
            del arrays["posedirs"]
        elif damage == "nan":
            arrays["v_template"][3, 1] = np.nan
        elif damage == "bad face":
            arrays["f"][0, 0] = 9999
        elif damage == "bad tree":
            arrays["kintree_table"][0, 3] = 7
        np.savez(path, **arrays)
    with pytest.raises(InputError, match=path.name):
        load_body(kind, path=path)


def test_object_arrays_of_an_npz_are_not_unpickled(tmp_path: Path) -> None:
    arrays = random_arrays("smpl")
    path = tmp_path / "smpl.npz"
    np.savez(path, **(arrays | {"v_template": np.array([{"a": 1}], dtype=object)}))
    with pytest.raises(InputError, match="smpl.npz"):
        load_body("smpl", path=path)
