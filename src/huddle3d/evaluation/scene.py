"""One scene's table of numbers: predicted people against true ones."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.errors import InputError
from huddle3d.evaluation.contacts import ContactMetrics, contact_metrics
from huddle3d.evaluation.joints import BodyMetrics, body_metrics
from huddle3d.evaluation.matching import match_people
from huddle3d.evaluation.surface import SurfaceMetrics, mean_surface, sample_with_normals, surface_metrics
from huddle3d.evaluation.views import ImageMetrics, image_metrics
from huddle3d.geometry import Camera, apply, sample_surface, umeyama
from huddle3d.progress import Progress, silent
from huddle3d.scene import Bodies, PersonMesh
from huddle3d.scene.landmarks import BODY

__all__ = ["EvaluateConfig", "Metrics", "PersonMetrics", "evaluate_scene"]


@dataclass(frozen=True)
class EvaluateConfig:
    """How predicted people are compared with true ones."""

    alignment: Literal["none", "similarity"] = "none"
    """``"none"``: both live in one world (same camera). ``"similarity"``: one scale, rotation and translation for the whole group, the
    least-squares fit of the predicted COCO-17 landmarks of matched people to the true ones, is applied first (needs both sets of bodies)."""
    samples: int = 100_000
    """Surface samples of each mesh."""
    contact_radius_m: float = 0.01
    """Vertices nearer than this to another person touch [m]."""
    image_size: int = 512
    """Side of the orthographic pictures [px]."""
    images: bool = True
    """Whether to render and compare pictures."""
    seed: int = 0
    """Of the surface samples."""


@dataclass(frozen=True)
class PersonMetrics:
    """One matched person."""

    name: str
    """Name in the truth."""
    predicted_name: str
    """Name in the prediction."""
    surface: SurfaceMetrics
    """Distances of this person's surface."""
    image: ImageMetrics | None
    """Pictures of this person alone; None if pictures were not asked for."""


@dataclass(frozen=True)
class Metrics:
    """All numbers of one scene. Lengths carry their unit in the name."""

    alignment: str
    """How the prediction was moved before it was measured."""
    people_true: int
    """People in the truth."""
    people_predicted: int
    """People in the prediction."""
    missed: tuple[str, ...]
    """Names of true people without a partner."""
    invented: tuple[str, ...]
    """Names of predicted people without a partner."""
    group: SurfaceMetrics
    """Distances of the surface of all people together; people without a partner count."""
    instance: SurfaceMetrics
    """Means over matched people."""
    image: ImageMetrics | None
    """Pictures of the group of matched people."""
    contact: ContactMetrics | None
    """None for a single person."""
    bodies: BodyMetrics | None
    """None without bodies."""
    people: tuple[PersonMetrics, ...]
    """Each matched person, in the order of the truth."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values; NaN (undefined) becomes None."""
        return _plain(asdict(self))

    def to_json(self) -> str:
        """Strict JSON; undefined numbers are ``null``."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _points(meshes: Sequence[PersonMesh], count: int, generator: torch.Generator) -> list[Float[Tensor, "n 3"]]:
    return [sample_surface(m.vertices, m.faces, count, generator=generator)[0] for m in meshes]


def _joined(meshes: Sequence[PersonMesh]) -> tuple[Tensor, Tensor]:
    offsets = [0]
    for m in meshes:
        offsets.append(offsets[-1] + len(m.vertices))
    return torch.cat([m.vertices for m in meshes]), torch.cat([m.faces + o for m, o in zip(meshes, offsets)])


def _rows(bodies: Bodies, names: Sequence[str]) -> Float[Tensor, "K 75 3"]:
    missing = [n for n in names if n not in bodies.names]
    if missing:
        raise InputError(
            f"No body is named {missing[0]!r}.", why=f"The bodies are {list(bodies.names)}.", next_step="Give bodies and meshes the same names."
        )
    return bodies.landmarks[[bodies.names.index(n) for n in names]]


def _aligned(predicted: Sequence[PersonMesh], landmarks: Tensor, truth: Tensor) -> tuple[list[PersonMesh], Tensor]:
    T_true_pred = umeyama(landmarks[:, BODY].reshape(-1, 3).double(), truth[:, BODY].reshape(-1, 3).double()).to(landmarks.dtype)
    return [replace(m, vertices=apply(T_true_pred, m.vertices)) for m in predicted], apply(T_true_pred, landmarks)


def _check(predicted: Sequence[PersonMesh], truth: Sequence[PersonMesh], config: EvaluateConfig, bodies: Sequence[Bodies | None]) -> None:
    if not predicted or not truth:
        raise InputError("Nothing to evaluate.", why=f"{len(predicted)} predicted and {len(truth)} true people were given.")
    if config.alignment == "similarity" and None in bodies:
        raise InputError("Alignment 'similarity' needs predicted and true bodies.", next_step="Give both, or use alignment 'none'.")
    for mesh in (*predicted, *truth):
        sample_with_normals(mesh.vertices, mesh.faces, 1)


def evaluate_scene(
    predicted: Sequence[PersonMesh],
    truth: Sequence[PersonMesh],
    config: EvaluateConfig = EvaluateConfig(),
    *,
    camera: Camera | None = None,
    predicted_bodies: Bodies | None = None,
    true_bodies: Bodies | None = None,
    progress: Progress = silent,
) -> Metrics:
    """Compare predicted people with true ones; meshes in metres, in one world (or up to a similarity, see ``config.alignment``).

    People are matched by the assignment with the smallest total surface distance. If alignment is asked for, they are matched first by position
    as given, so the two worlds must agree roughly.

    Args:
        predicted: one mesh per person.
        truth: one mesh per person.
        config: what to measure.
        camera: the photo's camera (true world); fixes the azimuth of the pictures.
        predicted_bodies: fitted bodies with the same names as ``predicted``.
        true_bodies: true bodies with the same names as ``truth``.
        progress: receives the fraction done.
    """
    _check(predicted, truth, config, (predicted_bodies, true_bodies))
    generator = torch.Generator().manual_seed(config.seed)
    pairs = match_people(_points(predicted, 2000, generator), _points(truth, 2000, generator))
    order = [i for i, _ in pairs]
    matched_t = [truth[j] for _, j in pairs]
    bodies = None
    everyone = list(predicted)
    if predicted_bodies is not None and true_bodies is not None:
        landmarks = _rows(predicted_bodies, [predicted[i].name for i in order])
        true_landmarks = _rows(true_bodies, [m.name for m in matched_t])
        if config.alignment == "similarity":
            everyone, landmarks = _aligned(predicted, landmarks, true_landmarks)
        bodies = body_metrics(landmarks, true_landmarks)
    matched_p = [everyone[i] for i in order]
    progress(0.1, "surfaces")
    surfaces = []
    for n, (p, t) in enumerate(zip(matched_p, matched_t)):
        surfaces.append(surface_metrics((p.vertices, p.faces), (t.vertices, t.faces), samples=config.samples, generator=generator))
        progress(0.1 + 0.4 * (n + 1) / len(pairs), "surfaces")
    group = surface_metrics(_joined(everyone), _joined(truth), samples=config.samples, generator=generator)
    progress(0.7, "contact")
    contact = None
    if len(pairs) > 1:
        meshes = [[(m.vertices, m.faces) for m in side] for side in (matched_p, matched_t)]
        contact = contact_metrics(*meshes, radius_m=config.contact_radius_m)
    progress(0.8, "pictures")
    image, images = image_metrics(matched_p, matched_t, camera=camera, size=config.image_size) if config.images else (None, (None,) * len(pairs))
    people = tuple(PersonMetrics(t.name, p.name, s, i) for p, t, s, i in zip(matched_p, matched_t, surfaces, images))
    progress(1.0, "done")
    return Metrics(
        alignment=config.alignment,
        people_true=len(truth),
        people_predicted=len(predicted),
        missed=tuple(m.name for j, m in enumerate(truth) if j not in {b for _, b in pairs}),
        invented=tuple(m.name for i, m in enumerate(predicted) if i not in set(order)),
        group=group,
        instance=mean_surface(surfaces) or group,
        image=image,
        contact=contact,
        bodies=bodies,
        people=people,
    )
