"""People by the hub's networks, task by task; what a task leaves to the embedded networks, they do."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from huddle3d.errors import InputError, WeightsMissingError
from huddle3d.geometry import rotation_between
from huddle3d.io import CocoPerson
from huddle3d.perception._coco import given_in_coco, observe_given, table_of_coco, tables_of
from huddle3d.perception._config import PerceiveConfig
from huddle3d.perception._limbs import keypoint_scale
from huddle3d.perception._look import look, nobody
from huddle3d.perception._observation import Observation, WorkingPhoto, assemble
from huddle3d.perception._roi import Picture
from huddle3d.perception._runner import Networks
from huddle3d.perception._similarity import oks
from huddle3d.perception.hub import Loaded, PersonPrompt, find_boxes, find_depth, find_keypoints, find_normals, load_network, segment_people
from huddle3d.progress import Progress, silent
from huddle3d.scene import BodyGuess, People2D, Photo
from huddle3d.scene.landmarks import BODY, LANDMARK_INDEX
from huddle3d.scene.mhr70 import table_of_mhr70
from huddle3d.weights import folders_of

__all__ = ["perceive_by_hub", "table_of_network"]

_AGREES = 0.5
"""OKS below which two sets of key points are of different people."""
_SAME = 0.85
"""OKS from which two boxes hold one person."""


class _Stage:
    """One photo and the settings, for the steps below."""

    def __init__(self, photo: Photo, networks: Networks | None, config: PerceiveConfig, device: torch.device | str) -> None:
        self.photo, self.networks, self.config, self.device = photo, networks, config, device
        self.working = WorkingPhoto.of(photo, config.max_side)
        self.picture = Picture(self.working.image)
        self.notes: list[str] = []
        self.folders = folders_of(config.weights)

    def network(self, task: str) -> AbstractContextManager[Loaded]:
        return load_network(self.config.from_hub[task], given=self.folders, device=self.device, precision=self.config.precision)


def perceive_by_hub(
    photo: Photo,
    networks: Networks | None,
    config: PerceiveConfig,
    *,
    coco: Path | None = None,
    guess: BodyGuess | None = None,
    device: torch.device | str = "cpu",
    progress: Progress = silent,
) -> People2D:
    """:func:`huddle3d.perception.perceive` where at least one task is a hub network's. One network is in memory at a time.

    Args:
        photo: the decoded photo.
        networks: the embedded networks, if they are there.
        config: settings.
        coco: COCO JSON with the people of this photo; the hub's networks add what it lacks.
        guess: people that another system saw, instead of ``coco``.
        device: where the hub's networks compute.
        progress: receives the steps.

    Raises:
        WeightsMissingError: a network, the package ``transformers``, or embedded networks that are needed are missing.
        InputError: the COCO file is damaged or has no people for this photo.
        StageError: nobody is found.
    """
    stage = _Stage(photo, networks, config, device)
    hub = config.from_hub
    progress(0.0, "looking for people")
    people = _people(stage, coco, progress) if guess is None else _guessed(stage, guess)
    if "masks" in hub:
        progress(0.6, f"masks: {hub['masks']}")
        people = _with_masks(stage, people)
    else:
        progress(0.6, "masks")
    first = "sam-3d-body" if guess is not None else "coco-json" if coco is not None else hub.get("boxes", "blazepose")
    source = " + ".join(dict.fromkeys([first, *(hub[t] for t in ("keypoints", "masks", "normals", "depth") if t in hub)]))
    result = assemble(stage.working, people, config, source, stage.notes)
    result = _with_surface(stage, result, progress)
    progress(1.0, f"{len(people)} people")
    return result


def _people(stage: _Stage, coco: Path | None, progress: Progress) -> list[Observation]:
    """Boxes and key points of everybody."""
    config, networks = stage.config, stage.networks
    if coco is not None:
        given, notes = given_in_coco(stage.photo, coco, config)
        stage.notes += notes
        return _given(stage, list(given), coco, progress, from_user=True)
    if "boxes" in config.from_hub:
        with stage.network("boxes") as network:
            boxes, scores = find_boxes(stage.working.image, network, threshold=config.box_threshold)
        least = config.min_height * stage.working.image.shape[0]
        rows = [(b, s) for b, s in zip(boxes, scores, strict=True) if b[3] - b[1] >= least]
        if not rows:
            raise nobody(stage.photo.name, [f"{config.boxes} found nobody with a score of {config.box_threshold} or more."])
        if len(rows) > config.max_people:
            stage.notes.append(f"{len(rows)} people were found; the {config.max_people} surest ones are used.")
        people = [CocoPerson(box=(b / stage.working.factor).astype(np.float32), score=float(s)) for b, s in rows[: config.max_people]]
        return _given(stage, people, Path(stage.photo.name), progress)
    if networks is None:
        raise WeightsMissingError("The embedded networks are not on this machine.", next_step="Run `huddle3d models fetch blazepose`.")
    found, notes = look(stage.working, stage.picture, networks, config, lambda fraction, note="": progress(0.4 * fraction, note))
    stage.notes += notes
    return _with_keypoints(stage, found, progress) if "keypoints" in config.from_hub else found


def _guessed(stage: _Stage, guess: BodyGuess) -> list[Observation]:
    """The people of another system's result: its key points and 3D landmarks; soft masks from the embedded networks where they see the same person."""
    count = min(len(guess.boxes), stage.config.max_people)
    if count < len(guess.boxes):
        stage.notes.append(f"The file has {len(guess.boxes)} people; the first {count} are used.")
    tables = [t * (stage.working.factor, stage.working.factor, 1) for t in guess.keypoints[:count].double().numpy()]
    people = [CocoPerson(box=b.numpy().astype(np.float32)) for b in guess.boxes[:count]]
    variant = stage.networks and stage.networks.landmark_variants()[0]
    seen = observe_given(people, tables, stage.working, stage.picture, variant, Path(stage.photo.name))
    focal = stage.photo.focal_px or guess.focal_px
    return [replace(o, landmarks3d=_in_crop_axes(g, b, stage.photo, focal)) for o, g, b in zip(seen, guess.landmarks, guess.boxes)]


def _in_crop_axes(landmarks: Float[torch.Tensor, "L 4"], box: Float[torch.Tensor, "4"], photo: Photo, focal: float) -> Float[np.ndarray, "L 4"]:
    """Hip-centred, in the axes of a camera that looks along the ray through the box, as landmarks from a crop are."""
    points = landmarks.double()
    centre = (box[:2] + box[2:]).double() / 2 - torch.tensor([photo.width / 2, photo.height / 2])
    ray = torch.cat([centre / focal, torch.ones(1, dtype=torch.float64)])
    R_cam_crop = rotation_between(torch.tensor([0.0, 0, 1], dtype=torch.float64), ray)
    hips = points[[LANDMARK_INDEX["left_hip"], LANDMARK_INDEX["right_hip"]], :3].mean(0)
    turned = (points[:, :3] - hips) @ R_cam_crop
    return torch.where(points[:, 3:] > 0, torch.cat([turned, points[:, 3:]], -1), 0).numpy()


def _given(stage: _Stage, people: list[CocoPerson], source: Path, progress: Progress, *, from_user: bool = False) -> list[Observation]:
    """People whose boxes (or more) are known: key points where there are none, and the embedded networks for what is still missing."""
    tables: list[Float[np.ndarray, "L 3"] | None] = tables_of(people, stage.working)
    bare = [k for k, t in enumerate(tables) if (t is None or not (t[BODY, 2] > 0).any()) and people[k].box is not None]
    if "keypoints" in stage.config.from_hub and bare:
        progress(0.3, f"key points: {stage.config.keypoints}")
        boxes = np.stack([people[k].box for k in bare]).astype(float) * stage.working.factor  # type: ignore[misc]
        for k, table in zip(bare, _keypoints(stage, boxes), strict=True):
            tables[k] = table
        people, tables = _without_doubles(stage, people, tables)
    observed: list[Observation] = []
    variant = stage.networks and stage.networks.landmark_variants()[0]
    for k, (person, table) in enumerate(zip(people, tables, strict=True)):
        try:
            observed += observe_given([person], [table], stage.working, stage.picture, variant, source)
        except InputError:
            if from_user:
                raise
            stage.notes.append(f"In box {k + 1} of {stage.config.boxes} (score {person.score:.2f}) no key points were found; it is left out.")
    if not observed:
        raise nobody(stage.photo.name, stage.notes)
    return observed


def _keypoints(stage: _Stage, boxes: Float[np.ndarray, "K 4"]) -> list[Float[np.ndarray, "L 3"]]:
    """Landmark tables [working px] of boxed people; 0 confidence outside the picture."""
    height, width = stage.working.image.shape[:2]
    with stage.network("keypoints") as network:
        points = find_keypoints(stage.working.image, boxes, network, batch=stage.config.batch, expert=stage.config.expert)
    tables = [table_of_network(p, stage.config.keypoints) for p in points]
    for table in tables:
        table[:, 2] *= ((table[:, :2] >= 0) & (table[:, :2] <= (width, height))).all(-1)
    return tables


def table_of_network(points: Float[np.ndarray, "N 3"], name: str) -> Float[np.ndarray, "L 3"]:
    """A network's own points in the landmark table.

    Raises:
        WeightsMissingError: a number of points that we do not know.
    """
    if len(points) in (17, 133):
        return table_of_coco(points)
    if len(points) == 308:
        return table_of_mhr70(points[:70])
    raise WeightsMissingError(
        f"The network '{name}' gives {len(points)} points.", next_step="Use one with 17 (COCO), 133 (COCO-WholeBody) or 308 (Sapiens2) points."
    )


def _with_keypoints(stage: _Stage, people: Sequence[Observation], progress: Progress) -> list[Observation]:
    """The embedded networks' people with the hub's key points; theirs stay for the landmarks that the hub's network lacks, unless the two disagree."""
    progress(0.45, f"key points: {stage.config.keypoints}")
    boxes = np.stack([_extent(p) for p in people])
    out = []
    for k, (person, table) in enumerate(zip(people, _keypoints(stage, boxes), strict=True)):
        if _likeness(person.keypoints, table) >= _AGREES:
            out.append(replace(person, keypoints=np.where(table[:, 2:] > 0, table, person.keypoints)))
        else:
            stage.notes.append(f"{stage.config.keypoints} and the embedded networks see different people in box {k + 1}; the former is believed.")
            out.append(replace(person, keypoints=table, landmarks3d=np.zeros_like(person.landmarks3d)))
    return out


def _without_doubles(
    stage: _Stage, people: list[CocoPerson], tables: list[Float[np.ndarray, "L 3"] | None]
) -> tuple[list[CocoPerson], list[Float[np.ndarray, "L 3"] | None]]:
    """Two boxes around one person: the surer one stays."""
    kept: list[int] = []
    for k in sorted(range(len(people)), key=lambda i: -people[i].score):
        table = tables[k]
        if table is None or not any((t := tables[j]) is not None and _likeness(t, table) >= _SAME for j in kept):
            kept.append(k)
        else:
            stage.notes.append(f"A second box around one person (score {people[k].score:.2f}) was dropped.")
    return [people[k] for k in sorted(kept)], [tables[k] for k in sorted(kept)]


def _likeness(a: Float[np.ndarray, "L 3"], b: Float[np.ndarray, "L 3"]) -> float:
    weights = np.minimum(a[BODY, 2], b[BODY, 2])
    area = 0.12 * (min(keypoint_scale(a), keypoint_scale(b)) / 0.29) ** 2
    return oks(a[BODY, :2], b[BODY, :2], area, weights)


def _extent(person: Observation) -> Float[np.ndarray, "4"]:
    """The given box, or one around the sure key points and the soft mask [working px]."""
    if person.box is not None:
        return person.box
    sure = person.keypoints[person.keypoints[:, 2] > 0.3, :2]
    ys, xs = np.nonzero(person.probability > 0.5)
    corners = [sure] if len(sure) else []
    if len(xs):
        corners.append(np.array([[xs.min(), ys.min()], [xs.max() + 1, ys.max() + 1]], float))
    points = np.concatenate(corners) if corners else person.keypoints[:, :2]
    return np.concatenate([points.min(0), points.max(0)])


def _with_masks(stage: _Stage, people: Sequence[Observation]) -> list[Observation]:
    """Masks for those who have none of their own."""
    prompts = [PersonPrompt(_extent(p), p.keypoints) for p in people]
    with stage.network("masks") as network:
        found = segment_people(stage.working.image, prompts, network, passes=stage.config.mask_passes, batch=stage.config.batch)
    stage.notes += found.notes
    return [p if p.mask is not None or m is None else replace(p, mask=m) for p, m in zip(people, found.masks, strict=True)]


def _with_surface(stage: _Stage, people: People2D, progress: Progress) -> People2D:
    """Normals and depth of the photo, at its own size."""
    hub, photo, image = stage.config.from_hub, stage.photo, stage.working.image
    boxes = people.boxes.numpy().astype(float) * stage.working.factor
    notes: list[str] = []
    normals = depth = None
    if "normals" in hub:
        progress(0.8, f"normals: {hub['normals']}")
        small = torch.nn.functional.interpolate(people.masks[None].float(), size=image.shape[:2], mode="nearest")[0] > 0.5
        with stage.network("normals") as network:
            found = find_normals(image, boxes, network, list(small.numpy()))
        enlarged = _enlarged(found.values.permute(2, 0, 1), photo)
        sure = _enlarged(found.valid[None].float(), photo)[0] > 0.999
        normals = torch.where(sure[..., None], torch.nn.functional.normalize(enlarged, dim=0).permute(1, 2, 0), 0)
        notes += found.notes
    if "depth" in hub:
        progress(0.9, f"depth: {hub['depth']}")
        with stage.network("depth") as network:
            found = find_depth(image, boxes, network)
        sure = _enlarged(found.valid[None].float(), photo)[0] > 0.999
        depth = torch.where(sure, _enlarged(found.values[None], photo)[0], torch.nan)
    if ("normals" in hub) != ("depth" in hub):
        notes.append("Only one of normals and depth was asked for; the mesh follows the photo's surface where it has both.")
    return replace(people, normals=normals, depth=depth, warnings=(*people.warnings, *notes))


def _enlarged(maps: Float[torch.Tensor, "c h w"], photo: Photo) -> Float[torch.Tensor, "c height width"]:
    if tuple(maps.shape[1:]) == (photo.height, photo.width):
        return maps
    return torch.nn.functional.interpolate(maps[None], size=(photo.height, photo.width), mode="bilinear", align_corners=False)[0]
