"""What one scene's measuring gives, and its settings."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from huddle3d.evaluation.contacts import ContactMetrics
from huddle3d.evaluation.joints import BodyMetrics
from huddle3d.evaluation.levels import Interaction
from huddle3d.evaluation.surface import SurfaceMetrics
from huddle3d.evaluation.views import ImageMetrics

__all__ = ["EvaluateConfig", "Metrics", "PersonMetrics"]


@dataclass(frozen=True)
class EvaluateConfig:
    """How predicted people are compared with true ones."""

    alignment: Literal["none", "similarity", "surface"] = "none"
    """``"none"``: both live in one world (same camera). ``"similarity"``: one scale, rotation and translation for the whole group, the
    least-squares fit of the predicted COCO-17 landmarks of matched people to the true ones, is applied first (needs both sets of bodies).
    ``"surface"``: one similarity from the surfaces of everybody, see :func:`huddle3d.evaluation.alignment.align_surfaces`."""
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
    unseen: SurfaceMetrics | None = None
    """Distances of the part of this person that the photo does not see; None without a camera."""


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
    unseen: SurfaceMetrics | None = None
    """Distances of the part of the group's true surface that the photo does not see; None without a camera."""
    unseen_share: float = math.nan
    """Share of the true surface's area that the photo does not see, in [0, 1]; NaN without a camera."""
    interaction: Interaction | None = None
    """How closely the true people interact."""
    undefined: dict[str, str] = field(default_factory=dict)
    """Metrics that have no value in this scene, with the reason."""

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
