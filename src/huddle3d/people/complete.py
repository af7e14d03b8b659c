"""View completion: full normals and colours in the six canonical views. The slot for the multi-view diffusion model (HUG3D section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from huddle3d.bodies import BodyModel
from huddle3d.errors import ShapeError
from huddle3d.people._body_prior import BodyPrior, BodyPriorConfig
from huddle3d.progress import Progress, silent
from huddle3d.scene import CompletedViews, ViewSet

__all__ = ["BodyPrior", "BodyPriorConfig", "CompleteConfig", "Completer", "complete"]


class Completer(Protocol):
    """Anything that completes views; :class:`BodyPrior` is the baseline, a multi-view diffusion model another."""

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

    method: Literal["body-prior"] = "body-prior"
    """``"body-prior"``: the named baseline; normals of the partial meshes, colours by symmetry and diffusion."""
    body_prior: BodyPriorConfig = field(default_factory=BodyPriorConfig)
    """Settings of that baseline."""


def complete(
    views: ViewSet, config: CompleteConfig | None = None, *, body: BodyModel, completer: Completer | None = None, progress: Progress = silent
) -> CompletedViews:
    """Complete the views with the given completer, or with the baseline that the configuration names.

    Args:
        views: from ``canonicalise``.
        config: names the baseline.
        body: the body model: its symmetry, regions and faces.
        completer: a network instead.
        progress: hears how far it is.

    Raises:
        ShapeError: the completer returned views of another number, size or group.
    """
    config = config or CompleteConfig()
    completer = completer or BodyPrior(config.body_prior)
    out = completer(views, body=body, progress=progress)
    for name in ("normals_group", "normals_inst", "rgb_group", "rgb_inst"):
        expected = getattr(views, name).shape
        if getattr(out, name).shape != expected:
            raise ShapeError(f"{completer.name}: {name}", getattr(out, name).shape, tuple(expected))
    return out
