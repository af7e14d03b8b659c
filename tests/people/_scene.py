"""A small scene with known truth: clothed, coloured bodies and what a perspective camera sees of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from huddle3d.bodies import BodyModel, load_body
from huddle3d.geometry import Camera, look_at, rotation_y, so3_log, vertex_normals
from huddle3d.render import instance_ids, interpolate, merge_meshes, rasterize
from huddle3d.scene import Bodies, BodyParams, People2D, Photo

SKIN, HAIR, TROUSERS = (0.85, 0.62, 0.5), (0.25, 0.15, 0.08), (0.2, 0.25, 0.35)
SHIRTS = ((0.75, 0.2, 0.2), (0.2, 0.45, 0.7), (0.8, 0.7, 0.2))
LEFT, RIGHT = (1.0, 0.0, 1.0), (0.0, 1.0, 0.0)
"""Colours of left hands (magenta) and right hands (green): a mirrored picture shows at once."""


@dataclass(frozen=True)
class Scene:
    photo: Photo
    people: People2D
    bodies: Bodies
    true_vertices: Tensor
    """Clothed surfaces, world (K, V, 3)."""
    colours: Tensor
    """Of the true surface, per vertex (K, V, 3)."""
    body: BodyModel


def vertex_colours(body: BodyModel, rest: Tensor, shirt: tuple[float, float, float]) -> Tensor:
    names = [body.region_names[i] for i in body.regions]
    table = []
    for name, (_x, y, _z) in zip(names, rest.tolist()):
        if name == "left_hand":
            c = LEFT
        elif name == "right_hand":
            c = RIGHT
        elif name == "head":
            c = HAIR
        elif name in ("face", "neck"):
            c = SKIN
        elif "thigh" in name or "shin" in name or "foot" in name or "buttock" in name or name == "pelvis":
            c = TROUSERS
        else:
            k = 0.6 if int(y * 12) % 2 else 1.0
            c = (shirt[0] * k, shirt[1] * k, shirt[2] * k)
        table.append(c)
    return torch.tensor(table)


def clothing(body: BodyModel, thickness: float) -> Tensor:
    """Offset of each vertex along its normal [m]."""
    scale = {"left_hand": 0, "right_hand": 0, "face": 0, "neck": 0, "head": 1.2, "left_foot": 0.3, "right_foot": 0.3}
    return torch.tensor([thickness * scale.get(body.region_names[i], 1.0) for i in body.regions])


def pose_of(body: BodyModel, bend: float) -> Tensor:
    """Arms lowered from the rest pose by ``bend`` [rad] (rotation vectors about world-aligned axes)."""
    pose = torch.zeros(body.num_joints, 3)
    for i, name in enumerate(body.joint_names):
        if "upperarm01" in name or name in ("left_shoulder", "right_shoulder"):
            left = name.endswith(".L") or name.startswith("left")
            pose[i, 2] = -bend if left else bend
    return pose


def build_scene(
    *, width: int = 640, height: int = 640, gap: float = 0.45, thickness: float = 0.015, depth: float = 0.35, turn: float = 0.4, people: int = 2
) -> Scene:
    body = load_body()
    neutral = body.neutral(people)
    pose = torch.stack([pose_of(body, 0.5 if k % 2 == 0 else 0.15) for k in range(people)])
    for k in range(people):
        pose[k, 0] = so3_log(rotation_y(torch.tensor(turn * (-1) ** k)))
    x = (torch.arange(people) - (people - 1) / 2) * gap
    z = torch.where(torch.arange(people) % 2 == 0, depth / 2, -depth / 2)
    params = BodyParams(shape=neutral.shape, pose=pose, translation=torch.stack([x, torch.zeros(people), z], -1), expression=neutral.expression)
    low = body(params).vertices[..., 1].amin(-1)
    params = BodyParams(params.shape, params.pose, params.translation - torch.stack([0 * low, low, 0 * low], -1), params.expression)
    out = body(params)
    faces = body.faces.long()
    clothed = out.vertices + clothing(body, thickness)[None, :, None] * vertex_normals(out.vertices, faces)
    rest = body(body.neutral(1)).vertices[0]
    colours = torch.stack([vertex_colours(body, rest, SHIRTS[k % 3]) for k in range(people)])
    span = max(1.0, (people - 1) * gap / 1.1)
    eye, target = torch.tensor([0.2, 1.5, 3.6 * span]), torch.tensor([0.0, 0.85, 0.0])
    camera = Camera.perspective(1.35 * min(width, height), width, height, look_at(eye, target))
    merged, merged_faces, owner = merge_meshes([(v, faces) for v in clothed])
    big = camera.resized(2 * width, 2 * height)
    raster = rasterize(merged, merged_faces, big)
    normals = vertex_normals(clothed, faces).reshape(-1, 3)
    light = torch.nn.functional.normalize(torch.tensor([0.4, 0.7, 0.8]), dim=0)
    shaded = interpolate(raster, merged_faces, colours.reshape(-1, 3) * (0.65 + 0.35 * (normals @ light).clamp_min(0))[:, None])[0]
    backdrop = torch.tensor([0.1, 0.9, 0.9])  # a colour that no person wears: bleeding shows
    ids = instance_ids(raster, owner)[0]
    image = torch.where((ids >= 0)[..., None], shaded, backdrop)
    image = image.reshape(height, 2, width, 2, 3).mean((1, 3))
    ids = ids[::2, ::2]
    masks = torch.stack([ids == k for k in range(people)])
    boxes = torch.stack([_box(m) for m in masks])
    names = tuple(f"person_{k}" for k in range(people))
    uv, _ = camera.project(out.landmarks.reshape(-1, 3))
    keypoints = torch.cat([uv.reshape(people, -1, 2), torch.ones(people, 75, 1)], -1)
    photo = Photo(image.contiguous(), "scene", "0" * 64, float(camera.K[0, 0]), "user")
    found = People2D(names, boxes, torch.ones(people), keypoints, torch.zeros(people, 75, 4), masks, "truth")
    bodies = Bodies(body.name, names, params, out.vertices, out.landmarks, camera, torch.zeros(people), torch.ones(people))
    return Scene(photo, found, bodies, clothed, colours, body)


def _box(mask: Tensor) -> Tensor:
    rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
    return torch.stack([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]).float()
