"""The stage: a photo in, all people of the photo out."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from huddle3d.errors import WeightsMissingError
from huddle3d.perception._by_hub import perceive_by_hub
from huddle3d.perception._coco import perceive_coco
from huddle3d.perception._config import PerceiveConfig
from huddle3d.perception._look import look
from huddle3d.perception._observation import WorkingPhoto, assemble
from huddle3d.perception._roi import Picture
from huddle3d.perception._runner import Networks, load_networks, weights_in_use
from huddle3d.progress import Progress, silent
from huddle3d.scene import BodyGuess, People2D, Photo

__all__ = ["perceive", "perceive_with"]

_DEFAULT = PerceiveConfig()


def perceive(
    photo: Photo,
    config: PerceiveConfig = _DEFAULT,
    *,
    coco: Path | None = None,
    guess: BodyGuess | None = None,
    device: torch.device | str = "cpu",
    progress: Progress = silent,
) -> People2D:
    """Find all people in a photo: boxes, key points, metric landmarks and one disjoint mask each.

    Each task (``boxes``, ``keypoints``, ``masks``, ``normals``, ``depth``) is done by the backend that ``config`` names.

    Args:
        photo: the decoded photo.
        config: settings.
        coco: COCO JSON with the people of this photo; what it lacks is estimated with the networks, if they are there.
        guess: people that another system saw, with their key points and 3D landmarks, instead of ``coco``.
        device: where the hub's networks compute; the embedded ones always use the processor.
        progress: receives the steps.

    Raises:
        WeightsMissingError: if networks are needed that have not been fetched; nothing is ever downloaded here.
        InputError: if the COCO file is damaged or has no people for this photo.
        StageError: if nobody is found.
    """
    from huddle3d.weights import weights_path

    networks: Networks | None = None
    try:
        heavy = weights_path("blazepose-heavy") if "blazepose-heavy" in weights_in_use(config) else None
        networks = load_networks(weights_path("blazepose"), config.threads or _processors(), heavy=heavy)
    except WeightsMissingError:
        if coco is None and guess is None and "embedded" in (config.boxes, config.keypoints):
            raise
    if config.from_hub or guess is not None:
        return perceive_by_hub(photo, networks, config, coco=coco, guess=guess, device=device, progress=progress)
    if coco is not None:
        return perceive_coco(photo, coco, networks and networks.landmark_variants()[0], config, progress=progress)
    assert networks is not None
    return perceive_with(photo, networks, config, progress=progress)


def perceive_with(photo: Photo, networks: Networks, config: PerceiveConfig = _DEFAULT, *, progress: Progress = silent) -> People2D:
    """:func:`perceive` with networks that are loaded already (many photos, or a test's own networks)."""
    working = WorkingPhoto.of(photo, config.max_side)
    picture = Picture(working.image)
    progress(0.0, "looking for people")
    people, notes = look(working, picture, networks, config, lambda fraction, note="": progress(0.5 * fraction, note))
    progress(0.7, "masks")
    result = assemble(working, people, config, "blazepose", notes)
    progress(1.0, f"{len(people)} people")
    return result


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
