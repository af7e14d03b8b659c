"""From a scene file to people in the world: solved bodies, dressed meshes, the camera."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.errors import InputError
from huddle3d.geometry import Camera, look_at, rotation_z
from huddle3d.progress import Progress, silent
from huddle3d.scene import Bodies, BodyParams, PersonMesh
from huddle3d.synthesis.assets.folder import Assets
from huddle3d.synthesis.avatars.folder import read_avatar
from huddle3d.synthesis.avatars.parting import part_people
from huddle3d.synthesis.avatars.rigging import Rig, fit_rig, settle_bodies
from huddle3d.synthesis.clothes.apart import keep_apart
from huddle3d.synthesis.clothes.dress import dress_person
from huddle3d.synthesis.framing import turns, visible_shares
from huddle3d.synthesis.poses.furniture import Prop, seats
from huddle3d.synthesis.poses.goals import Plan
from huddle3d.synthesis.poses.interactions import plan_interaction
from huddle3d.synthesis.poses.motion import plan_motion
from huddle3d.synthesis.poses.solve import SolveConfig, solve_interaction
from huddle3d.synthesis.spec import BackdropSpec, CameraSpec, LensSpec, LightSpec, SceneSpec
from huddle3d.synthesis.wardrobe.wear import wear

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["SceneBuilder", "SyntheticScene", "build_scene", "dress_scene", "place_camera"]


@dataclass(frozen=True)
class SyntheticScene:
    """The truth of one scene."""

    spec: SceneSpec
    """What it was made from."""
    bodies: Bodies
    """Naked bodies and the camera; world y up, floor at 0."""
    meshes: tuple[PersonMesh, ...]
    """The outer surface of each dressed person, in the order of ``spec.people``."""
    props: tuple[Prop, ...] = ()
    """What people sit on; follows from the family."""


def place_camera(spec: CameraSpec, points: Float[Tensor, "n 3"]) -> Camera:
    """A perspective camera at the distance from which ``points`` fill the stated share of the picture; it looks at their middle."""
    middle = (points.amin(0) + points.amax(0)) / 2
    a, e = math.radians(spec.azimuth_deg), math.radians(spec.elevation_deg)
    back = torch.tensor([math.sin(a) * math.cos(e), math.sin(e), math.cos(a) * math.cos(e)])
    focal = spec.height / 2 / math.tan(math.radians(spec.fov_deg) / 2)
    roll = torch.eye(4)
    roll[:3, :3] = rotation_z(math.radians(spec.roll_deg))
    aim, distance = middle, 3.0
    camera = Camera.perspective(focal, spec.width, spec.height)
    # The box of the projections shrinks a little faster than 1 / distance and drifts with perspective: a few rounds settle both.
    for _ in range(12):
        camera = Camera.perspective(focal, spec.width, spec.height, roll @ look_at(aim + distance * back, aim))
        uv, depth = camera.project(points)
        if float(depth.min()) < 0.2:
            distance *= 1.5
            continue
        low, high = uv.amin(0), uv.amax(0)
        share = float(((high - low) / torch.tensor([spec.width, spec.height])).max())
        across, down = spec.aim or (0.5, 0.5)
        centre = torch.stack([(low + high) / 2, torch.tensor([across * spec.width, down * spec.height])])
        shift = camera.unproject(centre, torch.full((2,), distance))
        aim = aim + 0.9 * (shift[0] - shift[1])
        distance *= (share / spec.fill) ** 0.9
    return camera


def _frame(spec: CameraSpec, points: Float[Tensor, "n 3"], vertices: Float[Tensor, "K V 3"], body: BodyModel) -> Camera:
    """The camera of the scene file, turned if people hide each other more than the file allows."""
    best, most = place_camera(spec, points), -1.0
    for turned in turns(spec) if spec.least_visible > 0 else []:
        camera = place_camera(turned, points)
        least = float(visible_shares(vertices, body, camera).min())
        if least > most:
            best, most = camera, least
        if most >= spec.least_visible:
            break
    return best


@dataclass(frozen=True)
class _Troupe:
    """The people of a scene before anybody looks at them."""

    params: BodyParams
    vertices: Float[Tensor, "K V 3"]
    landmarks: Float[Tensor, "K L 3"]
    meshes: tuple[PersonMesh, ...]
    props: tuple[Prop, ...]


def _plan(spec: SceneSpec, body: BodyModel, shape: Float[Tensor, "K S"], assets: Assets | None) -> Plan:
    if spec.motion is not None:
        return plan_motion(spec.motion, body, shape, assets=assets.folder if assets is not None else None)
    return plan_interaction(spec.family, body, shape, torch.Generator().manual_seed(spec.seed))


def _people(spec: SceneSpec, body: BodyModel, config: SolveConfig, assets: Assets | None, progress: Progress) -> _Troupe:
    rigs = [None if p.avatar is None else fit_rig(read_avatar(assets or Assets.at(), p.avatar.name), body) for p in spec.people]
    shape = torch.stack([torch.tensor(p.shape) if rig is None else rig.shape for p, rig in zip(spec.people, rigs, strict=True)])
    plan = _plan(spec, body, shape, assets)
    params = solve_interaction(plan, body, config, progress=lambda fraction, note="": progress(0.6 * fraction, note))
    surfaces: list[Tensor] | None = None
    if any(rig is not None for rig in rigs):
        params, surfaces = part_people(params, rigs, body, touches=plan.touches if spec.motion is not None else (), carried=plan.carried)
    return _dressed(spec, params, plan, body, assets, rigs, surfaces, progress)


def _dressed(
    spec: SceneSpec,
    params: BodyParams,
    plan: Plan,
    body: BodyModel,
    assets: Assets | None,
    rigs: Sequence[Rig | None],
    surfaces: list[Tensor] | None,
    progress: Progress,
) -> _Troupe:
    with torch.no_grad():
        out = body(params)
        meshes = []
        for k, (person, rig) in enumerate(zip(spec.people, rigs, strict=True)):
            if rig is not None and surfaces is not None:
                meshes.append(rig.mesh(person.name, surfaces[k]))
            elif person.wardrobe is not None and assets is not None:
                meshes.append(wear(person, body, params, out.vertices, k, assets))
            else:
                meshes.append(dress_person(person, body, params, out.vertices, k))
            progress(0.6 + 0.4 * (k + 1) / len(spec.people), "dressing")
        meshes = keep_apart(meshes)
        props = seats(plan.seated, params, out.vertices, out.joints, body, spec.backdrop.accent)
    if surfaces is not None:
        params = settle_bodies(params, rigs, [m.vertices for m in meshes], body)
        with torch.no_grad():
            out = body(params)
    return _Troupe(params, out.vertices, out.landmarks, tuple(meshes), props)


def _check(spec: SceneSpec, body: BodyModel) -> None:
    wrong = [p.name for p in spec.people if p.avatar is None and len(p.shape) != body.num_shape]
    if wrong or not {"tights", "skirt", "hair"} <= set(body.garments):
        raise InputError(
            f"The scene file does not fit the body model '{body.name}'.", why=f"Wrong shape vectors: {wrong}." if wrong else "No helper meshes."
        )


def _seen(spec: SceneSpec, body: BodyModel, troupe: _Troupe) -> SyntheticScene:
    """The people with the scene's camera."""
    with torch.no_grad():
        camera = _frame(spec.camera, torch.cat([m.vertices for m in troupe.meshes]), troupe.vertices, body)
    count = len(spec.people)
    bodies = Bodies(
        model=body.name,
        names=tuple(p.name for p in spec.people),
        params=troupe.params,
        vertices=troupe.vertices,
        landmarks=troupe.landmarks,
        camera=camera,
        reprojection_px=torch.zeros(count),
        confidence=torch.ones(count),
    )
    return SyntheticScene(spec, bodies, troupe.meshes, tuple(replace(p, colour=spec.backdrop.accent) for p in troupe.props))


class SceneBuilder:
    """Builds scenes one after the other; people who only get another camera, light or place are solved and dressed once.

    Args:
        body: a body model with helper meshes (Anny).
        config: how interactions are solved; None for the defaults.
        assets: clothes, recorded motion and avatars; None for the folder that ``HUDDLE3D_ASSETS`` names, if a scene needs one.
    """

    def __init__(self, body: BodyModel, *, config: SolveConfig | None = None, assets: Assets | None = None) -> None:
        self.body, self.config, self.assets = body, config or SolveConfig(), assets
        self._last: tuple[SceneSpec, _Troupe] | None = None

    def __call__(self, spec: SceneSpec, *, progress: Progress = silent) -> SyntheticScene:
        """The scene of a file; errors as for :func:`build_scene`."""
        _check(spec, self.body)
        # A recording moves people without chance, so its scenes may differ in the seed of the sensor's noise.
        key = replace(spec, camera=_NOWHERE, light=_DARK, backdrop=_EMPTY, lens=_PINHOLE, seed=0 if spec.motion is not None else spec.seed)
        if self._last is None or self._last[0] != key:
            assets = self.assets
            if assets is None and any(p.wardrobe is not None for p in spec.people):
                assets = Assets.open()
            self._last = key, _people(spec, self.body, self.config, assets, progress)
        return _seen(spec, self.body, self._last[1])


def dress_scene(spec: SceneSpec, params: BodyParams, *, body: BodyModel, assets: Assets | None = None) -> SyntheticScene:
    """A scene in poses that were solved before, for many outfits of one pose: nothing is solved, the rest is as in :func:`build_scene`.

    Args:
        spec: the scene file; its people have the builds of ``params``, and none is a rigged one.
        params: solved people, as many as the file has.
        body: a body model with helper meshes (Anny).
        assets: the clothes of people with a wardrobe; None for the folder that ``HUDDLE3D_ASSETS`` names.

    Raises:
        InputError: the file does not fit the body or the poses, or an asset is missing.
    """
    _check(spec, body)
    if len(params.shape) != len(spec.people) or any(p.avatar is not None for p in spec.people):
        raise InputError(
            f"{len(params.shape)} solved people cannot be dressed as {len(spec.people)}.", why="Rigged people bring clothes of their own."
        )
    if assets is None and any(p.wardrobe is not None for p in spec.people):
        assets = Assets.open()
    plan = _plan(spec, body, params.shape, assets)
    rigs: list[Rig | None] = [None] * len(spec.people)
    return _seen(spec, body, _dressed(spec, params, plan, body, assets, rigs, None, silent))


_NOWHERE = CameraSpec(0, 0, 0, 45, 1, 64, 64)
_DARK = LightSpec(0, 0, (0, 0, 0), (0, 0, 0), (0, 0, 0), 0)
_EMPTY = BackdropSpec("studio", (0, 0, 0), (0, 0, 0), (0, 0, 0), 1, 0)
_PINHOLE = LensSpec(0, 0, 0, 90)


def build_scene(
    spec: SceneSpec, *, body: BodyModel, config: SolveConfig | None = None, assets: Assets | None = None, progress: Progress = silent
) -> SyntheticScene:
    """Solve the interaction, dress the people and place the camera. The same file gives the same scene, bit for bit, on one machine's CPU.

    Args:
        spec: the scene file.
        body: a body model with helper meshes (Anny).
        config: how the interaction is solved; None for the defaults.
        assets: the clothes of people with a wardrobe; None for the folder that ``HUDDLE3D_ASSETS`` names.
        progress: receives the fraction done.

    Raises:
        InputError: the file does not fit the body, or an asset is missing.
    """
    return SceneBuilder(body, config=config, assets=assets)(spec, progress=progress)
