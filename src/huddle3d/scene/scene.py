"""The finished scene of one photo: who is there, where, how sure we are, and how they touch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.errors import InputError
from huddle3d.geometry import Camera
from huddle3d.io import display_name, write_glb
from huddle3d.scene.artefact import Artefact, Provenance
from huddle3d.scene.landmarks import BODY
from huddle3d.scene.types import Bodies, BodyParams, Contact, Penetration, People2D, PersonMesh, Photo

__all__ = ["PersonSummary", "Scene", "make_scene"]


@dataclass(frozen=True)
class PersonSummary(Artefact):
    """What is known about one person besides the mesh."""

    name: str
    """As the :class:`PersonMesh`."""
    box: Float[Tensor, "4"]
    """Where perception found the person: xyxy [px] of the work image."""
    joints: Float[Tensor, "17 3"]
    """COCO-17 joints of the *fitted body*: u, v [px] of the work image (they may lie outside it) and confidence in [0, 1]: how well the
    photo shows this joint, 0 = it comes from the priors alone or lies behind the camera."""
    params: BodyParams
    """Parameters of this body (K = 1)."""
    confidence: float
    """Of the whole person, in [0, 1]."""
    reprojection_px: float
    """Mean distance of the fitted joints to their observations [px] of the work image."""
    warnings: tuple[str, ...] = ()
    """In words."""


@dataclass(frozen=True)
class Scene(Artefact):
    """The people of one photo in one upright world (y up, metres, floor at y = 0)."""

    photo_name: str
    photo_sha256: str
    full_size: tuple[int, int]
    """(width, height) [px] of the upright photo; ``camera`` and all pixels here are those of the work image, which may be smaller."""
    camera: Camera
    """The input camera, in pixels of the work image."""
    focal_source: str
    """As :attr:`Photo.focal_source`; ``"default"`` = fitted or assumed."""
    body_model: str
    """Name of the parametric body model."""
    people: tuple[PersonMesh, ...]
    """Textured meshes, world frame."""
    summaries: tuple[PersonSummary, ...]
    """One per person, in the order of ``people``."""
    contacts: tuple[Contact, ...] = ()
    penetrations: tuple[Penetration, ...] = ()
    warnings: tuple[str, ...] = ()
    """About the photo or the scene as a whole, in words."""

    def __post_init__(self) -> None:
        names = [p.name for p in self.people]
        if len(set(names)) != len(names):
            raise InputError("Two people of one scene have the same name.", why=", ".join(names))
        if names != [s.name for s in self.summaries]:
            raise InputError("The people and their summaries differ.", why=f"{names} against {[s.name for s in self.summaries]}.")

    def save(self, stem: str | Path, provenance: Provenance | None = None, *, overwrite: bool = False) -> None:
        """``save("out.glb")`` exports the textured people; any other path saves the artefact, as all artefacts do.

        An existing GLB file is replaced only with ``overwrite``.
        """
        path = Path(stem)
        if path.suffix.lower() == ".glb":
            write_glb(path, [p.to_mesh_data() for p in self.people], overwrite=overwrite)
        elif path.suffix.lower() in (".gltf", ".obj", ".ply", ".usd", ".fbx", ".json"):
            raise InputError(f"{display_name(path)}: a scene is saved as .glb.", next_step="Use save('….glb') or write_scene_json.")
        else:
            super().save(path, provenance)


def make_scene(
    photo: Photo,
    people2d: People2D,
    bodies: Bodies,
    meshes: Sequence[PersonMesh],
    contacts: Sequence[Contact] = (),
    penetrations: Sequence[Penetration] = (),
) -> Scene:
    """Put the stages' results together; people are matched by name, in the order of ``meshes``.

    Warnings of perception and fitting that name a person go to that person's summary, the others to the scene.
    """
    names = [m.name for m in meshes]
    for kind, known in (("perception", people2d.names), ("fitting", bodies.names)):
        if missing := set(names) - set(known):
            raise InputError(f"{', '.join(sorted(missing))}: unknown to {kind}.", why=f"It knows {', '.join(known)}.")
    warnings = tuple(dict.fromkeys((*photo.notes, *people2d.warnings, *bodies.warnings)))
    summaries = tuple(_summary(name, people2d, bodies, warnings) for name in names)
    told = {w for s in summaries for w in s.warnings}
    return Scene(
        photo.name,
        photo.sha256,
        photo.full_size or (photo.width, photo.height),
        bodies.camera,
        photo.focal_source,
        bodies.model,
        tuple(meshes),
        summaries,
        tuple(contacts),
        tuple(penetrations),
        tuple(w for w in warnings if w not in told),
    )


def _summary(name: str, people2d: People2D, bodies: Bodies, warnings: tuple[str, ...]) -> PersonSummary:
    seen, k = people2d.names.index(name), bodies.names.index(name)
    uv, depth = bodies.camera.project(bodies.landmarks[k, BODY].detach())
    observed = people2d.keypoints[seen, BODY, 2].to(uv)
    confidence = torch.where(depth > 0, observed, torch.zeros_like(observed))
    row = slice(k, k + 1)
    params = BodyParams(**{f.name: getattr(bodies.params, f.name)[row].detach() for f in fields(BodyParams)})
    return PersonSummary(
        name,
        people2d.boxes[seen],
        torch.cat([uv, confidence[:, None]], -1),
        params,
        float(bodies.confidence[k]),
        float(bodies.reprojection_px[k]),
        tuple(w for w in warnings if _names(w, name)),
    )


def _names(warning: str, name: str) -> bool:
    """Whether a warning speaks of this person (``person_1`` is not ``person_12``)."""
    return re.search(rf"(?<!\w){re.escape(name)}(?!\w)", warning) is not None
