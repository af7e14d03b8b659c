"""From a scene to its photograph and the truth of each pixel."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.geometry import Camera, apply, vertex_normals
from huddle3d.io import encode_image, srgb_from_linear
from huddle3d.scene import Bodies, People2D, Photo
from huddle3d.scene.landmarks import LANDMARK_INDEX
from huddle3d.synthesis.backdrop import draw_backdrop
from huddle3d.synthesis.build import SyntheticScene
from huddle3d.synthesis.lighting import lit_backdrop, shade_config
from huddle3d.synthesis.spec import LensSpec

if TYPE_CHECKING:
    from huddle3d.render import Raster

__all__ = ["SyntheticSample", "render_scene"]

_OCCLUDED_CONFIDENCE = 0.3
_DEPTH_SLACK_M = 0.12
_PROP = -2
"""Where a thing hides people, among the rows of people."""


@dataclass(frozen=True)
class SyntheticSample:
    """One photograph with its truth."""

    scene: SyntheticScene
    """People, bodies, camera."""
    photo: Photo
    """As a reader of ``jpeg`` sees it; the focal length is the camera's."""
    jpeg: bytes
    """The picture file."""
    normals: Float[Tensor, "height width 3"]
    """World unit normals of the visible people; zero elsewhere."""
    depth: Float[Tensor, "height width"]
    """Camera z of the visible people [m]; 0 elsewhere."""
    ids: Int[Tensor, "height width"]
    """Row of the visible person; -1 = nobody."""
    amodal: Bool[Tensor, "K height width"]
    """All pixels of each person, whoever is in front."""
    people2d: People2D
    """What a perfect observer would report: visible masks, boxes, keypoints (hidden ones with confidence 0.3), 3D landmarks."""


def _lens(image: Float[Tensor, "height width 3"], lens: LensSpec, seed: int) -> Float[Tensor, "height width 3"]:
    """Blur, vignette, sensor noise."""
    height, width, _ = image.shape
    r = torch.arange(-3, 4, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (r / max(lens.blur_px, 0.05)) ** 2)
    kernel = (kernel / kernel.sum()).expand(3, 1, 7)
    x = torch.nn.functional.pad(image.permute(2, 0, 1)[None], (3, 3, 3, 3), mode="replicate")
    x = torch.nn.functional.conv2d(x, kernel[:, :, None], groups=3)
    image = torch.nn.functional.conv2d(x, kernel[..., None], groups=3)[0].permute(1, 2, 0)
    v, u = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    image = image * (1 - 0.5 * lens.vignette * (u.square() + v.square()))[..., None]
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))
    return (image + lens.noise * noise * (0.6 + 0.4 * image.sqrt())).clamp(0, 1)


def _keypoints(bodies: Bodies, camera: Camera, ids: Tensor, depth: Tensor) -> Float[Tensor, "K L 3"]:
    """Projected landmarks; visible if the nearest surface at that pixel is this person's, not far in front of the (inner) joint."""
    uv, z = camera.project(bodies.landmarks.reshape(-1, 3))
    uv, z = uv.reshape(*bodies.landmarks.shape[:2], 2), z.reshape(bodies.landmarks.shape[:2])
    inside = (uv >= 0).all(-1) & (uv[..., 0] < camera.width) & (uv[..., 1] < camera.height) & (z > 0)
    x, y = uv[..., 0].floor().long().clamp(0, camera.width - 1), uv[..., 1].floor().long().clamp(0, camera.height - 1)
    own = ids[y, x] == torch.arange(len(uv))[:, None]
    seen = own & (z - depth[y, x] < _DEPTH_SLACK_M) | (ids[y, x] == -1)
    confidence = torch.where(seen, 1.0, _OCCLUDED_CONFIDENCE) * inside
    return torch.cat([uv, confidence[..., None]], -1)


def _landmarks3d(bodies: Bodies, camera: Camera) -> Float[Tensor, "K L 4"]:
    points = apply(camera.T_cam_world, bodies.landmarks)
    hips = points[:, [LANDMARK_INDEX["left_hip"], LANDMARK_INDEX["right_hip"]]].mean(1, keepdim=True)
    return torch.cat([points - hips, torch.ones_like(points[..., :1])], -1)


def _observe(scene: SyntheticScene, ids: Tensor, depth: Tensor, amodal: Tensor) -> People2D:
    count = len(scene.meshes)
    masks = torch.stack([ids == k for k in range(count)])
    boxes = []
    for k in range(count):
        mask = masks[k] if bool(masks[k].any()) else amodal[k]
        rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
        empty = not len(rows)
        boxes.append([0, 0, 1, 1] if empty else [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1])
    return People2D(
        names=scene.bodies.names,
        boxes=torch.tensor(boxes, dtype=torch.float32),
        scores=torch.ones(count),
        keypoints=_keypoints(scene.bodies, scene.bodies.camera, ids, depth),
        landmarks3d=_landmarks3d(scene.bodies, scene.bodies.camera),
        masks=masks,
        source="synthesis",
    )


def _normals(vertices: Tensor, faces: Tensor, raster: Raster) -> Float[Tensor, "height width 3"]:
    from huddle3d.render import interpolate

    normals = torch.nn.functional.normalize(interpolate(raster, faces, vertex_normals(vertices, faces)), dim=-1)[0]
    return torch.where((raster.face_id[0] >= 0)[..., None], normals, 0.0)


def _develop(image: Tensor, scene: SyntheticScene) -> tuple[Photo, bytes]:
    from PIL import Image

    spec, camera = scene.spec, scene.bodies.camera
    jpeg = encode_image(_lens(image, spec.lens, spec.seed), "jpeg", quality=spec.lens.jpeg_quality)
    with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as file:
        pixels = torch.frombuffer(bytearray(file.convert("RGB").tobytes()), dtype=torch.uint8)
    decoded = pixels.reshape(camera.height, camera.width, 3).float() / 255
    name = f"{spec.family}_{spec.seed}"
    return Photo(decoded, name, hashlib.sha256(jpeg).hexdigest(), float(camera.K[1, 1]), "user"), jpeg


@torch.no_grad()
def render_scene(scene: SyntheticScene) -> SyntheticSample:
    """Photograph a scene: backdrop, lit people with shadows, lens, JPEG; and the truth of each pixel from the same camera."""
    from huddle3d.render import RenderMesh, instance_ids, mask, merge_meshes, rasterize, shade

    camera = scene.bodies.camera
    light = lit_backdrop(draw_backdrop(scene.spec.backdrop, camera), scene.spec.light)
    backdrop = torch.from_numpy(srgb_from_linear(light.clamp(0, 1).numpy())).float()
    meshes = [RenderMesh.of(m) for m in scene.meshes]
    meshes += [RenderMesh(p.vertices, p.faces, albedo=p.colour, specular=0.15) for p in scene.props]
    image = shade(meshes, camera, shade_config(scene.spec, above_floor=float(camera.centre[1]) > 0.02), background=backdrop)
    photo, jpeg = _develop(image, scene)
    vertices, faces, owner = merge_meshes([(m.vertices, m.faces) for m in (*scene.meshes, *scene.props)])
    raster = rasterize(vertices, faces, camera)
    # Props hide people, and are nobody.
    ids = instance_ids(raster, owner)[0]
    prop = ids >= len(scene.meshes)
    ids, depth = torch.where(prop, -1, ids), torch.where(prop, 0.0, raster.depth[0])
    normals = torch.where(prop[..., None], 0.0, _normals(vertices, faces, raster))
    amodal = torch.stack([mask(rasterize(m.vertices, m.faces, camera))[0] for m in scene.meshes])
    return SyntheticSample(scene, photo, jpeg, normals, depth, ids, amodal, _observe(scene, torch.where(prop, _PROP, ids), depth, amodal))
