"""One scene's table of numbers: predicted people against true ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.errors import InputError, WeightsMissingError
from huddle3d.evaluation.alignment import align_surfaces
from huddle3d.evaluation.contacts import contact_metrics
from huddle3d.evaluation.joints import BodyMetrics, body_metrics
from huddle3d.evaluation.levels import interaction
from huddle3d.evaluation.lpips import Lpips, load_lpips
from huddle3d.evaluation.matching import best_pairs, match_people, picture_distance
from huddle3d.evaluation.metrics import EvaluateConfig, Metrics, PersonMetrics
from huddle3d.evaluation.surface import Mesh, SurfaceMetrics, mean_surface, pair_surfaces, sample_with_normals
from huddle3d.evaluation.unseen import SightMap
from huddle3d.evaluation.views import image_metrics
from huddle3d.geometry import Camera, apply, sample_surface, umeyama
from huddle3d.progress import Progress, silent
from huddle3d.scene import Bodies, PersonMesh
from huddle3d.scene.landmarks import BODY

__all__ = ["evaluate_scene"]


def _points(meshes: Sequence[PersonMesh], count: int, generator: torch.Generator) -> list[Float[Tensor, "n 3"]]:
    return [sample_surface(m.vertices, m.faces, count, generator=generator)[0] for m in meshes]


def _joined(meshes: Sequence[PersonMesh]) -> tuple[Tensor, Tensor]:
    offsets = [0]
    for m in meshes:
        offsets.append(offsets[-1] + len(m.vertices))
    return torch.cat([m.vertices for m in meshes]), torch.cat([m.faces + o for m, o in zip(meshes, offsets)])


def _rows(bodies: Bodies, names: Sequence[str]) -> list[int]:
    missing = [n for n in names if n not in bodies.names]
    if missing:
        raise InputError(
            f"No body is named {missing[0]!r}.", why=f"The bodies are {list(bodies.names)}.", next_step="Give bodies and meshes the same names."
        )
    return [bodies.names.index(n) for n in names]


def _check(predicted: Sequence[PersonMesh], truth: Sequence[PersonMesh], config: EvaluateConfig, bodies: Sequence[Bodies | None]) -> None:
    if not predicted or not truth:
        raise InputError("Nothing to evaluate.", why=f"{len(predicted)} predicted and {len(truth)} true people were given.")
    if config.alignment == "similarity" and None in bodies:
        raise InputError("Alignment 'similarity' needs predicted and true bodies.", next_step="Give both, or use alignment 'none'.")
    for mesh in (*predicted, *truth):
        sample_with_normals(mesh.vertices, mesh.faces, 1)


def _match(
    predicted: Sequence[PersonMesh],
    truth: Sequence[PersonMesh],
    config: EvaluateConfig,
    camera: Camera | None,
    bodies: tuple[Bodies | None, Bodies | None],
    generator: torch.Generator,
) -> tuple[tuple[int, int], ...]:
    """Pairs (predicted, true): by surfaces in one world; in the picture where the similarity between the worlds is yet to be found."""
    p, t = bodies
    if config.alignment == "similarity" and camera is not None and p is not None and t is not None:
        joints = [b.landmarks[_rows(b, [m.name for m in people])][:, BODY] for b, people in ((p, predicted), (t, truth))]
        return best_pairs(picture_distance(joints[0], p.camera, joints[1], camera))
    return match_people(_points(predicted, 2000, generator), _points(truth, 2000, generator))


def _measure_bodies(
    predicted: list[PersonMesh],
    bodies: tuple[Bodies, Bodies],
    names: tuple[list[str], list[str]],
    alignment: str,
    faces: Tensor | None,
) -> tuple[list[PersonMesh], BodyMetrics]:
    """Body metrics of matched people, and all predicted meshes after the alignment."""
    (p, rows_p), (t, rows_t) = ((b, _rows(b, n)) for b, n in zip(bodies, names))
    landmarks, true_landmarks, vertices, true_vertices = p.landmarks[rows_p], t.landmarks[rows_t], p.vertices[rows_p], t.vertices[rows_t]
    if alignment == "similarity":
        flat = [x[:, BODY].reshape(-1, 3).double() for x in (landmarks, true_landmarks)]
        T_true_pred = umeyama(*flat).to(landmarks.dtype)
        predicted = [replace(m, vertices=apply(T_true_pred, m.vertices)) for m in predicted]
        landmarks, vertices = apply(T_true_pred, landmarks), apply(T_true_pred, vertices)
    same = p.model == t.model and vertices.shape == true_vertices.shape
    fits = faces is not None and len(faces) > 0 and int(faces.max()) < vertices.shape[1]
    return predicted, body_metrics(
        landmarks,
        true_landmarks,
        predicted_vertices=vertices if same or fits else None,
        true_vertices=true_vertices if same else None,
        faces=faces if fits else None,
    )


def _measure_surface(
    predicted: Mesh, truth: Mesh, sight: SightMap | None, samples: int, generator: torch.Generator
) -> tuple[SurfaceMetrics, SurfaceMetrics | None, float]:
    """Metrics of a whole surface and of its unseen part, and the unseen share."""
    pair = pair_surfaces(predicted, truth, samples=samples, generator=generator)
    if sight is None:
        return pair.metrics(), None, math.nan
    unseen = ~sight.sees(pair.truth.points, pair.truth.normals)
    return pair.metrics(), pair.metrics(unseen), float(unseen.double().mean())


def _lpips(textured: bool) -> tuple[Lpips | None, dict[str, str]]:
    """The network if the user has brought it; else why LPIPS and the measures of colour have no value."""
    if not textured:
        reason = "the truth has no colours"
        return None, {name: reason for name in ("lpips", "psnr_db", "ssim", "occluded_psnr_db", "occluded_ssim", "unseen_psnr_db", "unseen_ssim")}
    try:
        return load_lpips(), {}
    except WeightsMissingError as error:
        return None, {"lpips": str(error)}


def evaluate_scene(
    predicted: Sequence[PersonMesh],
    truth: Sequence[PersonMesh],
    config: EvaluateConfig = EvaluateConfig(),  # noqa: B008 - frozen
    *,
    camera: Camera | None = None,
    predicted_bodies: Bodies | None = None,
    true_bodies: Bodies | None = None,
    body_faces: Int[Tensor, "F 3"] | None = None,
    textured: bool = True,
    progress: Progress = silent,
) -> Metrics:
    """Compare predicted people with true ones; meshes in metres, in one world (or up to a similarity, see ``config.alignment``).

    People are matched by the assignment with the smallest total surface distance; under the alignment ``"similarity"`` with a ``camera``, by that
    with the smallest total distance of their joints in the picture, so the two worlds may differ in direction, too. Without the camera they
    are matched by position as given, and the worlds must agree roughly.

    Args:
        predicted: one mesh per person.
        truth: one mesh per person.
        config: what to measure.
        camera: the photo's camera (true world); fixes the azimuth of the pictures, and which part of the truth counts as unseen.
        predicted_bodies: fitted bodies with the same names as ``predicted``.
        true_bodies: true bodies with the same names as ``truth``.
        body_faces: of the predicted bodies; for their penetration.
        textured: whether ``truth`` has colours; without them measures of colour are undefined.
        progress: receives the fraction done.
    """
    _check(predicted, truth, config, (predicted_bodies, true_bodies))
    generator = torch.Generator().manual_seed(config.seed)
    if config.alignment == "surface":
        seen_from = predicted_bodies.camera if predicted_bodies is not None else None
        T = align_surfaces(predicted, truth, predicted_camera=seen_from, true_camera=camera, seed=config.seed)
        predicted = [replace(m, vertices=apply(T, m.vertices)) for m in predicted]
    pairs = _match(predicted, truth, config, camera, (predicted_bodies, true_bodies), generator)
    order = [i for i, _ in pairs]
    matched_t = [truth[j] for _, j in pairs]
    everyone, bodies = list(predicted), None
    if predicted_bodies is not None and true_bodies is not None:
        names = [predicted[i].name for i in order], [m.name for m in matched_t]
        everyone, bodies = _measure_bodies(everyone, (predicted_bodies, true_bodies), names, config.alignment, body_faces)
    undefined: dict[str, str] = {}
    if bodies is not None and not len(pairs) == len(truth) > 1:
        # A group's error without somebody would flatter whoever misses people.
        bodies, undefined["joint_pa_mpjpe_mm"] = replace(bodies, joint_pa_mpjpe_mm=math.nan), "only where two or more people are, and all were found"
    matched_p = [everyone[i] for i in order]
    progress(0.1, "surfaces")
    sight = SightMap.of(camera, *_joined(truth)) if camera is not None else None
    surfaces = []
    for n, (p, t) in enumerate(zip(matched_p, matched_t)):
        surfaces.append(_measure_surface((p.vertices, p.faces), (t.vertices, t.faces), sight, config.samples, generator))
        progress(0.1 + 0.4 * (n + 1) / len(pairs), "surfaces")
    group, unseen, share = _measure_surface(_joined(everyone), _joined(truth), sight, config.samples, generator)
    progress(0.7, "contact")
    contact, meshes_t = None, [(m.vertices, m.faces) for m in matched_t]
    if len(pairs) > 1:
        contact = contact_metrics([(m.vertices, m.faces) for m in matched_p], meshes_t, radius_m=config.contact_radius_m)
    level = interaction([(m.vertices, m.faces) for m in truth], radius_m=config.contact_radius_m)
    progress(0.8, "pictures")
    image, images = None, (None,) * len(pairs)
    if config.images:
        lpips, absent = _lpips(textured)
        undefined |= absent
        settings = {"camera": camera, "size": config.image_size, "sight": sight, "lpips": lpips, "textured": textured}
        image, images = image_metrics(matched_p, matched_t, **settings)
    people = tuple(PersonMetrics(t.name, p.name, s[0], i, s[1]) for p, t, s, i in zip(matched_p, matched_t, surfaces, images))
    progress(1.0, "done")
    return Metrics(
        alignment=config.alignment,
        people_true=len(truth),
        people_predicted=len(predicted),
        missed=tuple(m.name for j, m in enumerate(truth) if j not in {b for _, b in pairs}),
        invented=tuple(m.name for i, m in enumerate(predicted) if i not in set(order)),
        group=group,
        instance=mean_surface([s[0] for s in surfaces]) or group,
        image=image,
        contact=contact,
        bodies=bodies,
        people=people,
        unseen=unseen,
        unseen_share=share,
        interaction=level,
        undefined=undefined,
    )
