"""One photograph of a synthetic scene as the views that a completion network would be given, and those that it should return."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from huddle3d.geometry import Camera
from huddle3d.people import BodyPrior, CanonicalConfig, PartialConfig, ViewMaps, canonicalise, view_maps
from huddle3d.synthesis import PreparedScene, Shot, photographs, sample_style, view_cameras
from huddle3d.training.views.disturb import DisturbConfig, disturbed_bodies, disturbed_masks, occluded_masks
from huddle3d.training.views.truth import TrueMaps, true_maps, true_views

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["Patches", "SampleConfig", "ViewSample", "view_sample"]


@dataclass(frozen=True)
class SampleConfig:
    """Sizes of one sample."""

    size: int = 64
    """Side of the views that the network completes [px]."""
    large: int = 256
    """Side of the canonical stage's views here, and of those that the upsampler learns [px]."""
    photo: int = 512
    """Side of the photographs [px]."""
    patch: int = 128
    """Side of the patches of large views that are kept for the upsampler [px]; 0 for none."""
    patches: int = 1
    """Patches of each set of views."""
    partial: PartialConfig = field(default_factory=lambda: PartialConfig(iterations=30, lr=0.05, size=112))
    """Partial meshes: fewer and longer steps in smaller windows than at inference, where they take most of the time."""
    exact: float = 0.1
    """Share of photographs with the partial mesh of inference."""
    disturb: DisturbConfig = DisturbConfig()
    """Errors of bodies and masks."""


@dataclass(frozen=True)
class Patches:
    """Squares cut out of large views."""

    given: ViewMaps
    """P patches of one view each: ``[P 1 p p …]``."""
    truth: TrueMaps
    """The same."""
    at: Int[Tensor, "P 4"]
    """Set, view, row and column of the upper left corner [px of the large view]; multiples of ``large / size``."""


@dataclass(frozen=True)
class ViewSample:
    """S = 1 + K sets of one photograph: the group, then each person alone in the group's cameras (one set only if K = 1)."""

    given: ViewMaps
    truth: TrueMaps
    patches: Patches | None
    disturbed: bool
    """Bodies with errors."""


def _camera(points: Tensor, size: int, generator: torch.Generator) -> Camera:
    """One of the eight perspective cameras of A.3.2."""
    _, perspective = view_cameras(points, size=size, generator=generator)
    return perspective[int(torch.randint(0, 8, (), generator=generator))]


def _sets(count: int) -> slice:
    """A single person is his own group."""
    return slice(0, 1) if count == 1 else slice(None)


def view_sample(scene: PreparedScene, body: BodyModel, seed: int, config: SampleConfig | None = None, *, held: bool = False) -> ViewSample | None:
    """Photograph a scene once, run the canonical stage and the baseline on it, and render the truth. None if the photo shows nobody.

    Args:
        scene: dressed people.
        body: their model.
        seed: of camera, light, errors and patches.
        config: sizes.
        held: light and place from the evaluation's half of the synthetic world.
    """
    config = config or SampleConfig()
    generator = torch.Generator().manual_seed(seed)
    meshes = scene.scene.meshes
    camera = _camera(torch.cat([m.vertices for m in meshes]), config.photo, generator)
    light, backdrop, lens = sample_style(seed, held_out=held)
    sample = next(iter(photographs(scene, [Shot(camera, light, backdrop, lens, seed)])))
    masks = _masks(sample.people2d.masks, sample.amodal, generator, config.disturb)
    if not bool(masks.any()):
        return None
    bodies = sample.scene.bodies
    off = float(torch.rand((), generator=generator)) < config.disturb.bodies
    if off:
        bodies = disturbed_bodies(bodies, body, generator, config.disturb)
    partial = PartialConfig() if float(torch.rand((), generator=generator)) < config.exact else config.partial
    views = canonicalise(sample.photo, replace(sample.people2d, masks=masks), bodies, CanonicalConfig(size=config.large, partial=partial), body=body)
    prior = BodyPrior()(views, body=body)
    true = true_views(meshes, scene.surface.touching, views.T_canon_world, config.large)
    keep = _sets(len(meshes))
    given, truth = view_maps(views, prior, config.size), true_maps(true, config.size)
    patches = None
    if config.patch and config.patches:
        patches = _patches(view_maps(views, prior, config.large), true_maps(true, config.large), keep, generator, config)
    return ViewSample(given.map(lambda t: t[keep]), truth.map(lambda t: t[keep]), patches, off)


def _masks(masks: Bool[Tensor, "K H W"], amodal: Bool[Tensor, "K H W"], generator: torch.Generator, config: DisturbConfig) -> Bool[Tensor, "K H W"]:
    if len(masks) == 1:
        masks = occluded_masks(masks, amodal[0], generator, config)
    if float(torch.rand((), generator=generator)) < config.masks:
        masks = disturbed_masks(masks, generator, config)
    return masks


def _patches(given: ViewMaps, truth: TrueMaps, keep: slice, generator: torch.Generator, config: SampleConfig) -> Patches:
    """Patches around random places that somebody covers."""
    p, step = config.patch, config.large // config.size
    rows: list[list[int]] = []
    for s in range(*keep.indices(len(truth.alpha))):
        for _ in range(config.patches):
            view = int(torch.randint(0, truth.alpha.shape[1], (), generator=generator))
            inside = (truth.alpha[s, view] > 0.5).nonzero()
            middle = inside[int(torch.randint(0, len(inside), (), generator=generator))] if len(inside) else torch.tensor([config.large // 2] * 2)
            y, x = (min(max(int(m) - p // 2, 0), config.large - p) // step * step for m in middle)
            rows.append([s, view, y, x])

    def cut(t: Tensor) -> Tensor:
        return torch.stack([t[s, v, y : y + p, x : x + p] for s, v, y, x in rows])[:, None]

    return Patches(given.map(cut), truth.map(cut), torch.tensor(rows, dtype=torch.int16))
