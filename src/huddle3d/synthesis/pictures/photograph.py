"""From a scene to its photographs and the truth of each pixel."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.geometry import Camera, apply, rotation_between
from huddle3d.scene import Bodies, Contact, People2D, Photo
from huddle3d.scene.landmarks import LANDMARK_INDEX
from huddle3d.synthesis.build import SyntheticScene
from huddle3d.synthesis.pictures.backdrop import draw_backdrop, sees_floor
from huddle3d.synthesis.pictures.lens import develop, expose, gain
from huddle3d.synthesis.pictures.lighting import glosses, lit_backdrop, shade_config
from huddle3d.synthesis.pictures.truth import SurfaceTruth, amodal_masks, pixel_truth, surface_truth
from huddle3d.synthesis.spec import BackdropSpec, LensSpec, LightSpec

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel
    from huddle3d.render import LitScene

__all__ = ["PreparedScene", "Shot", "SyntheticSample", "photographs", "prepare_scene", "render_scene"]

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
    parts: Int[Tensor, "height width"]
    """Body region of the visible person under the clothes, a row of ``surface.part_names``; -1 = nobody."""
    contact: Bool[Tensor, "height width"]
    """Where the visible person touches another one."""
    surface: SurfaceTruth
    """Parts and contacts by vertex, and the pairs of regions that touch; shared by all photographs of a scene, on the CPU."""

    @property
    def contacts(self) -> tuple[Contact, ...]:
        """Pairs of regions that touch."""
        return self.surface.contacts


@dataclass(frozen=True)
class Shot:
    """What one photograph of a scene needs beside the scene."""

    camera: Camera
    """One camera, perspective or orthographic."""
    light: LightSpec
    backdrop: BackdropSpec
    lens: LensSpec
    seed: int = 0
    """Of the sensor noise."""


@dataclass(frozen=True)
class PreparedScene:
    """A scene with all that its photographs share: merged surfaces, what they see of the sky, parts, contacts."""

    scene: SyntheticScene
    surface: SurfaceTruth
    bodies: Bodies
    """The scene's, on the device."""
    lit: LitScene
    """People, then props."""
    parts: Int[Tensor, "V"]
    """Of all vertices of ``lit``, on its device; so are the next two. Props are of part 0, neither skin nor touched."""
    skin: Bool[Tensor, "V"]
    touching: Bool[Tensor, "V"]


def _moved(value: Any, device: torch.device) -> Any:
    """A frozen dataclass of tensors (and of such dataclasses) on another device."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, Camera):
        return value.to(device)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: _moved(getattr(value, f.name), device) for f in dataclasses.fields(value)})
    return value


@torch.no_grad()
def prepare_scene(scene: SyntheticScene, *, body: BodyModel | None = None, device: torch.device | str = "cpu") -> PreparedScene:
    """Measure once what all photographs of a scene share.

    Args:
        scene: dressed people.
        body: their model; None loads the one that the scene names.
        device: where the photographs are made; parts and contacts are found on the CPU.
    """
    from huddle3d.bodies import load_body
    from huddle3d.render import LitScene, RenderMesh, ShadeConfig

    surface, device = surface_truth(scene, body or load_body(scene.bodies.model)), torch.device(device)
    meshes = [RenderMesh.of(_moved(m, device)) for m in scene.meshes]
    props = [_moved(p, device) for p in scene.props]
    meshes += [RenderMesh(p.vertices, p.faces, albedo=p.colour, specular=0.15) for p in props]
    lit = LitScene.prepare(meshes, ShadeConfig())
    nothing = torch.zeros(sum(len(p.vertices) for p in props), dtype=torch.bool)
    parts, skin, touching = (torch.cat([*t, nothing.to(t[0].dtype)]).to(device) for t in (surface.parts, surface.skin, surface.touching))
    return PreparedScene(scene, surface, _moved(scene.bodies, device), lit, parts, skin, touching)


def _keypoints(bodies: Bodies, camera: Camera, ids: Tensor, depth: Tensor) -> Float[Tensor, "K L 3"]:
    """Projected landmarks; visible if the nearest surface at that pixel is this person's, not far in front of the (inner) joint."""
    uv, z = camera.project(bodies.landmarks.reshape(-1, 3))
    uv, z = uv.reshape(*bodies.landmarks.shape[:2], 2), z.reshape(bodies.landmarks.shape[:2])
    inside = (uv >= 0).all(-1) & (uv[..., 0] < camera.width) & (uv[..., 1] < camera.height) & (z > 0)
    x, y = uv[..., 0].floor().long().clamp(0, camera.width - 1), uv[..., 1].floor().long().clamp(0, camera.height - 1)
    own = ids[y, x] == torch.arange(len(uv), device=ids.device)[:, None]
    seen = own & (z - depth[y, x] < _DEPTH_SLACK_M) | (ids[y, x] == -1)
    confidence = torch.where(seen, 1.0, _OCCLUDED_CONFIDENCE) * inside
    return torch.cat([uv, confidence[..., None]], -1)


def _landmarks3d(bodies: Bodies, camera: Camera, boxes: Float[Tensor, "K 4"]) -> Float[Tensor, "K L 4"]:
    """Hip-centred landmarks in the axes of a camera that looks at the middle of each person's box, as networks tell them that see one crop."""
    points = apply(camera.T_cam_world, bodies.landmarks)
    hips = points[:, [LANDMARK_INDEX["left_hip"], LANDMARK_INDEX["right_hip"]]].mean(1, keepdim=True)
    middle = torch.cat([(boxes[:, :2] + boxes[:, 2:]) / 2, torch.ones_like(boxes[:, :1])], -1)
    ray = middle @ torch.linalg.inv(camera.K).T
    R_cam_crop = rotation_between(torch.tensor([0.0, 0.0, 1.0]).to(ray).expand_as(ray), ray)
    return torch.cat([(points - hips) @ R_cam_crop, torch.ones_like(points[..., :1])], -1)


def _observe(bodies: Bodies, camera: Camera, ids: Tensor, depth: Tensor, amodal: Tensor) -> People2D:
    count = len(amodal)
    masks = torch.stack([ids == k for k in range(count)])
    boxes = []
    for k in range(count):
        mask = masks[k] if bool(masks[k].any()) else amodal[k]
        rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
        empty = not len(rows)
        boxes.append([0, 0, 1, 1] if empty else [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1])
    return People2D(
        names=bodies.names,
        boxes=torch.tensor(boxes, dtype=torch.float32, device=ids.device),
        scores=torch.ones(count, device=ids.device),
        keypoints=_keypoints(bodies, camera, ids, depth),
        landmarks3d=_landmarks3d(bodies, camera, torch.tensor(boxes, dtype=torch.float32, device=ids.device)),
        masks=masks,
        source="synthesis",
    )


def _light(prepared: PreparedScene, shot: Shot, camera: Camera) -> Float[Tensor, "height width 3"]:
    """Linear light that reaches the sensor."""
    factors = gain(shot.lens)
    backdrop = lit_backdrop(draw_backdrop(shot.backdrop, camera), shot.light, factors).clamp(0, 1)
    config = shade_config(shot.light, shot.backdrop, factors, above_floor=sees_floor(camera))
    # a texel of the shadow map covers about a pixel; pictures of 700 px and more have the full size
    config = replace(config, shadow_size=min(config.shadow_size, max(256, 3 * max(camera.width, camera.height) // 2)))
    gloss = glosses(shot.light, prepared.parts, prepared.skin, prepared.surface.part_names)
    return prepared.lit.relit(config, specular=gloss).render_linear(camera, backdrop)


@torch.no_grad()
def _photograph(prepared: PreparedScene, shot: Shot) -> SyntheticSample:
    from huddle3d.render import rasterize

    merged, scene = prepared.lit.merged, prepared.scene
    camera = shot.camera.to(torch.float32).to(merged.vertices.device)
    photo, jpeg = develop(
        expose(_light(prepared, shot, camera), shot.lens, shot.seed), shot.lens.jpeg_quality, f"{scene.spec.family}_{shot.seed}", camera
    )
    raster = rasterize(merged.vertices, merged.faces32, camera)
    pixels = pixel_truth(raster, merged.faces32, merged.owner32, merged.normals, prepared.parts, prepared.touching)
    # Props hide people, and are nobody.
    people = len(scene.meshes)
    prop = pixels.ids >= people
    props = bool(prop.any())
    depth, ids, parts, normals = raster.depth[0], pixels.ids, pixels.parts, pixels.normals
    if props:
        depth, normals = torch.where(prop, 0.0, depth), torch.where(prop[..., None], 0.0, normals)
        ids, parts = (torch.where(prop, -1, m) for m in (ids, parts))
    amodal = amodal_masks([(m.vertices, m.faces) for m in merged.meshes[:people]], camera, ids, hidden=props)
    spec = replace(scene.spec, seed=shot.seed, light=shot.light, backdrop=shot.backdrop, lens=shot.lens)
    taken = replace(scene, spec=spec, bodies=replace(scene.bodies, camera=shot.camera))
    return SyntheticSample(
        scene=taken,
        photo=photo,
        jpeg=jpeg,
        normals=normals,
        depth=depth,
        ids=ids,
        amodal=amodal,
        people2d=_observe(prepared.bodies, camera, torch.where(prop, _PROP, ids) if props else ids, depth, amodal),
        parts=parts,
        contact=pixels.contact,
        surface=prepared.surface,
    )


def photographs(
    scene: SyntheticScene | PreparedScene, shots: Iterable[Shot], *, device: torch.device | str = "cpu", workers: int = 1
) -> Iterator[SyntheticSample]:
    """Many photographs of one scene, in the order of the shots; the work on surfaces, sky, parts and contacts is done once.

    Shots one after another with the same direction of the far light share its shadow map. A sample depends on its shot alone: neither on the
    other shots nor on the number of workers. Its tensors lie on the device, its scene stays where it was.

    Args:
        scene: dressed people, or what :func:`prepare_scene` made of them (then on that device).
        shots: cameras, lights, backdrops, lenses.
        device: where to compute.
        workers: photographs made at the same time (threads).
    """
    prepared = scene if isinstance(scene, PreparedScene) else prepare_scene(scene, device=device)
    if workers <= 1:
        for shot in shots:
            yield _photograph(prepared, shot)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="huddle3d-photo") as pool:
        waiting: deque[Future[SyntheticSample]] = deque()
        for shot in shots:
            waiting.append(pool.submit(_photograph, prepared, shot))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def render_scene(scene: SyntheticScene, *, body: BodyModel | None = None) -> SyntheticSample:
    """Photograph a scene as its file says: backdrop, lit people with shadows, lens, JPEG; and the truth of each pixel from the same camera.

    The same scene gives the same bytes on one machine's CPU.
    """
    spec = scene.spec
    shot = Shot(scene.bodies.camera, spec.light, spec.backdrop, spec.lens, spec.seed)
    return _photograph(prepare_scene(scene, body=body), shot)
