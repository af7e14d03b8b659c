"""View completion: full normals and colours in the six canonical views, by the baseline or by multi-view diffusion (HUG3D section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

import torch

from huddle3d.bodies import BodyModel
from huddle3d.errors import ShapeError
from huddle3d.people._body_prior import BodyPrior, BodyPriorConfig
from huddle3d.people._diffusion_completer import DiffusionCompleter, DiffusionConfig
from huddle3d.people._foundation_completer import FoundationCompleter
from huddle3d.progress import Progress, silent
from huddle3d.scene import CompletedViews, ViewSet

__all__ = [
    "BodyPrior",
    "BodyPriorConfig",
    "CompleteConfig",
    "Completer",
    "DiffusionCompleter",
    "DiffusionConfig",
    "FoundationCompleter",
    "complete",
    "completer_of",
]


class Completer(Protocol):
    """Anything that completes views: :class:`BodyPrior` is the baseline, :class:`DiffusionCompleter` a network."""

    @property
    def name(self) -> str:
        """Recorded in the result (``CompletedViews.method``)."""
        ...

    def __call__(self, views: ViewSet, *, body: BodyModel, progress: Progress = silent) -> CompletedViews:
        """Full normals (canonical frame), colours and alpha of the group and of each person, at the cameras and size of ``views``."""
        ...


@dataclass(frozen=True)
class CompleteConfig:
    """Which completer runs when the caller gives none."""

    method: Literal["body-prior", "diffusion"] = "body-prior"
    """``"body-prior"``: the named baseline; normals of the partial meshes, colours by symmetry and diffusion. ``"diffusion"``: a multi-view diffusion model
    on top of it."""
    body_prior: BodyPriorConfig = field(default_factory=BodyPriorConfig)
    """Settings of the baseline."""
    diffusion: DiffusionConfig = field(default_factory=DiffusionConfig)
    """Settings of the diffusion."""


def completer_of(config: CompleteConfig, *, device: torch.device | str = "cpu") -> Completer:
    """The completer that a configuration names, its network on the given device.

    Raises:
        WeightsMissingError: ``"diffusion"`` without trained weights.
        InputError: weights that are not such a model's.
    """
    if config.method == "body-prior":
        return BodyPrior(config.body_prior)
    prior, weights = BodyPrior(config.body_prior), config.diffusion.weights
    if weights is not None and weights.is_dir():
        return FoundationCompleter.of(weights, config.diffusion, prior=prior, device=device)
    return DiffusionCompleter.of(config.diffusion, prior=prior, device=device)


def complete(
    views: ViewSet,
    config: CompleteConfig | None = None,
    *,
    body: BodyModel,
    completer: Completer | None = None,
    device: torch.device | str = "cpu",
    progress: Progress = silent,
) -> CompletedViews:
    """Complete the views with the given completer, or with the one that the configuration names.

    Args:
        views: from ``canonicalise``.
        config: names the method.
        body: the body model: its symmetry, regions and faces.
        completer: another one instead.
        device: where the network that the configuration names computes; the views stay where they are.
        progress: hears how far it is.

    Raises:
        ShapeError: the completer returned views of another number, size or group.
        WeightsMissingError: the configuration names a network without trained weights.
    """
    config = config or CompleteConfig()
    completer = completer or completer_of(config, device=device)
    out = completer(views, body=body, progress=progress)
    for name in ("normals_group", "normals_inst", "rgb_group", "rgb_inst"):
        expected = getattr(views, name).shape
        if getattr(out, name).shape != expected:
            raise ShapeError(f"{completer.name}: {name}", getattr(out, name).shape, tuple(expected))
    return out
