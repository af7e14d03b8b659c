"""The SMPL family (SMPL, SMPL-X, MANO) from files that the user brings: own reader and skinning, no dependency on their code.

Linear blend skinning with pose correctives as published: Loper et al., SMPL, 2015, eqs. 2–10; Romero et al., MANO, 2017; Pavlakos et al., SMPL-X,
2019. The files must be obtained from their publishers under their licences.
"""

from __future__ import annotations

import math
import zipfile
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial import KDTree
from torch import Tensor

from huddle3d.bodies._landmarks import LandmarkTable
from huddle3d.bodies._phenotypes import LinearShape
from huddle3d.bodies._points import SkinnedPoints
from huddle3d.bodies._skeleton import Skeleton, kinematic_levels
from huddle3d.bodies._smpl_names import JOINTS, landmark_joints, landmark_vertices, region_of_joint
from huddle3d.bodies._unpickle import read_pickled_arrays
from huddle3d.bodies.model import BodyModel
from huddle3d.errors import InputError, ResourceLimitError
from huddle3d.io import BROKEN_NPZ

__all__ = ["read_joint_regressor", "read_smpl"]

_NEEDED = ("v_template", "f", "weights", "J_regressor", "kintree_table", "shapedirs", "posedirs")
_OPTIONAL = ("vt", "ft")
_BETAS, _EXPRESSIONS, _SHAPE_SPACE = 10, 10, 300
_MAX_BYTES = 1 << 30


def read_smpl(kind: str, path: Path, device: torch.device | str, dtype: torch.dtype) -> BodyModel:
    """A model of the family.

    Args:
        kind: key of :data:`huddle3d.bodies._smpl_names.JOINTS`.
        path: ``.npz`` or ``.pkl``.
        device: where to put it.
        dtype: floating type.
    """
    arrays = _read(path)
    _check(arrays, kind, path)

    def real(value: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(value, dtype=np.float64)).to(device=device, dtype=dtype)

    v = arrays["v_template"].astype(np.float64)
    J, shapedirs = arrays["J_regressor"].astype(np.float64), arrays["shapedirs"].astype(np.float64)
    betas = shapedirs[..., : min(_BETAS, shapedirs.shape[2])].transpose(2, 0, 1)
    expressions = _expressions(kind, shapedirs)
    names, parents = JOINTS[kind], _parents(arrays["kintree_table"], path)
    weights = arrays["weights"].astype(np.float64)
    regions, region_names = _regions(names, weights, v, J @ v)
    faces = torch.from_numpy(arrays["f"].astype(np.int64)).to(device)
    points = SkinnedPoints(
        template=real(v),
        basis=real(np.concatenate([betas, expressions])),
        weights=real(weights),
        expression_rows=torch.zeros(0, dtype=torch.long, device=device),
        expression_basis=real(np.zeros((len(expressions), 0, 3))),
        pose_basis=real(arrays["posedirs"].astype(np.float64).transpose(2, 0, 1)),
    )
    return BodyModel(
        name=kind,
        faces=faces,
        uv=real(arrays.get("vt", np.zeros((0, 2)))),
        faces_uv=torch.from_numpy(arrays.get("ft", np.zeros((0, 3))).astype(np.int64)).to(device),
        part_names=("body",),
        parts=torch.zeros(len(v), dtype=torch.long, device=device),
        region_names=region_names,
        regions=torch.from_numpy(regions).to(device),
        joint_names=names,
        joint_limits=real(_limits(names)),
        fit_joints=torch.tensor([j for j, n in enumerate(names) if not n.endswith(("_hand", "_foot", "jaw", "eye_centre"))], device=device),
        mirror=torch.from_numpy(KDTree(v).query(v * [-1, 1, 1])[1].astype(np.int64)).to(device),
        mirror_joints=torch.tensor([names.index(_twin(n)) if _twin(n) in names else j for j, n in enumerate(names)], device=device),
        shape_names=tuple(f"beta{i}" for i in range(len(betas))),
        shape_limits=torch.tensor([[-5.0, 5.0]], dtype=dtype, device=device).expand(len(betas), 2),
        neutral_shape=torch.zeros(len(betas), dtype=dtype, device=device),
        expression_names=tuple(f"expression{i}" for i in range(len(expressions))),
        shape_space=LinearShape(len(expressions)),
        skeleton=Skeleton(
            parents=parents,
            levels=kinematic_levels(parents, device),
            head_template=real(J @ v),
            head_basis=real(np.einsum("jv,svd->sjd", J, np.concatenate([betas, expressions]))),
        ),
        surface=points,
        landmark_table=LandmarkTable.build(landmark_joints(kind), landmark_vertices(kind, len(v)), dtype=dtype, device=device),
        garments={},
        proxy=None,
    )


def read_joint_regressor(kind: str, path: Path) -> Float[Tensor, "J V"]:
    """The file's own regressor: joints of any mesh in the model's topology, posed ones included."""
    arrays = _read(path)
    _check(arrays, kind, path)
    return torch.from_numpy(arrays["J_regressor"].astype(np.float64))


def _read(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise InputError(f"{path}: no such file.")
    if path.stat().st_size > _MAX_BYTES:
        raise ResourceLimitError(f"{path}: {path.stat().st_size} bytes, more than a body model has.", limit=_MAX_BYTES)
    if path.suffix == ".pkl":
        return read_pickled_arrays(path)
    if path.suffix != ".npz":
        raise InputError(f"{path}: a body model is an .npz or a .pkl file.")
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(i.file_size for i in archive.infolist() if i.filename.removesuffix(".npy") in (*_NEEDED, *_OPTIONAL))
        if size > _MAX_BYTES:
            raise ResourceLimitError(f"{path}: unpacks to {size} bytes, more than a body model has.", limit=_MAX_BYTES)
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in (*_NEEDED, *_OPTIONAL) if key in file.files}
    except BROKEN_NPZ as e:
        raise InputError(f"{path}: not a readable body model.", why=f"{e}.", next_step="Download the file again from its publisher.") from e


def _check(arrays: dict[str, np.ndarray], kind: str, path: Path) -> None:
    """Every array present, of the right shape, finite, with indices in range."""
    missing = [key for key in _NEEDED if key not in arrays]
    if missing:
        raise InputError(f"{path}: has no {', '.join(missing)}; not a model of the SMPL family.")
    V, J = len(arrays["v_template"]), len(JOINTS[kind])
    expected = {"v_template": (V, 3), "weights": (V, J), "J_regressor": (J, V), "kintree_table": (2, J), "posedirs": (V, 3, 9 * (J - 1))}
    for key, shape in expected.items():
        if arrays[key].shape != shape:
            raise InputError(
                f"{path}: {key} has shape {arrays[key].shape}, expected {shape} for {kind}.", next_step="Is it the file of another model?"
            )
    if arrays["shapedirs"].ndim != 3 or arrays["shapedirs"].shape[:2] != (V, 3) or not arrays["shapedirs"].shape[2]:
        raise InputError(f"{path}: shapedirs has shape {arrays['shapedirs'].shape}, expected ({V}, 3, S).")
    if arrays["f"].ndim != 2 or arrays["f"].shape[1] != 3 or arrays["f"].size and not 0 <= int(arrays["f"].min()) <= int(arrays["f"].max()) < V:
        raise InputError(f"{path}: the faces do not index its {V} vertices.")
    for key in ("v_template", "weights", "J_regressor", "shapedirs", "posedirs"):
        if not np.isfinite(arrays[key]).all():
            raise InputError(f"{path}: {key} holds values that are not finite.", next_step="Download the file again.")


def _parents(table: np.ndarray, path: Path) -> tuple[int, ...]:
    """Parents of the joints; the root's entry is arbitrary in the files."""
    parents = (-1, *(int(p) for p in table[0, 1:]))
    if any(not 0 <= p < j for j, p in enumerate(parents) if j):
        raise InputError(f"{path}: the joints are not a tree in which parents come first.")
    return parents


def _expressions(kind: str, shapedirs: np.ndarray) -> np.ndarray:
    """Expression directions (E, V, 3): behind 300 shape directions in the full files of SMPL-X, behind 10 in the short ones."""
    first = _SHAPE_SPACE if shapedirs.shape[2] > _SHAPE_SPACE else _BETAS
    count = max(0, min(_EXPRESSIONS, shapedirs.shape[2] - first)) if kind == "smplx" else 0
    return shapedirs[..., first : first + count].transpose(2, 0, 1)


def _twin(name: str) -> str:
    side, _, stem = name.partition("_")
    return {"left": f"right_{stem}", "right": f"left_{stem}"}.get(side, name)


def _regions(names: tuple[str, ...], weights: np.ndarray, v: np.ndarray, joints: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Region of each vertex by its dominant joint, divided into front and back at the joint's depth."""
    table = [region_of_joint(name) for name in names]
    region_names = tuple(dict.fromkeys(name for pair in table for name in pair))
    joint = weights.argmax(1)
    behind = v[:, 2] < joints[joint, 2]
    index = np.array([[region_names.index(front), region_names.index(back)] for front, back in table], dtype=np.int64)
    return index[joint, behind.astype(np.int64)], region_names


def _limits(names: tuple[str, ...]) -> np.ndarray:
    """Box limits (J, 3, 2) [rad] about the axes of the T-pose: hinges bend one way, everything else is wide."""
    out = np.tile([-1.6, 1.6], (len(names), 3, 1))
    out[0] = [-math.pi, math.pi]
    boxes = {
        "left_knee": ((-0.1, 2.6), (-0.3, 0.3), (-0.3, 0.3)), "left_elbow": ((-1.5, 1.5), (-2.6, 0.1), (-0.5, 0.5)),
        "left_shoulder": ((-1.8, 1.8), (-2.4, 1.2), (-1.7, 1.6)), "left_hip": ((-2.4, 0.7), (-0.9, 0.9), (-0.7, 1.3)),
    }  # fmt: skip
    for name, box in boxes.items():
        for j in (j for j, n in enumerate(names) if n == name):
            out[j] = box
        for j in (j for j, n in enumerate(names) if n == _twin(name)):
            out[j] = [box[0], (-box[1][1], -box[1][0]), (-box[2][1], -box[2][0])]
    return out
