"""Key points with errors and drop-outs as the embedded backend makes them, drawn from a table that was measured once.

``data/keypoint_noise.json`` holds, for each kind of point and for points that the true picture shows or hides, the distribution of the backend's
error and of its confidence. ``scripts/measure_keypoint_noise.py`` made it on scenes that no suite uses; the table says from how many.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache
from importlib.resources import files
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.geometry import Camera, apply, so3_exp
from huddle3d.perception._posture import leaned, outwards, trunk_axes
from huddle3d.scene import People2D
from huddle3d.scene.landmarks import LANDMARKS, MIRROR

__all__ = ["HIDDEN", "LIMBS", "KeypointNoise", "NoiseRow", "add_keypoint_noise", "load_keypoint_noise", "pixels_per_metre", "point_kind", "spoil"]

HIDDEN = 0.5
"""True points of less confidence are hidden (the synthetic truth gives them 0.3); those of 0 lie outside the picture."""


def point_kind(name: str) -> str:
    """Row of the table for a landmark: its name without its side; all points of a hand, and of the face, share one."""
    if name.startswith("face_"):
        return "face"
    stem = name.partition("_")[2] if name.startswith(("left_", "right_")) else name
    return "hand" if stem.startswith(("hand", "thumb", "index", "middle", "ring", "pinky")) else stem


def _limb(name: str) -> str:
    kind = point_kind(name)
    if kind in ("nose", "eye", "ear", "face"):
        return "head"
    side = name.partition("_")[0]
    return f"{side}_arm" if kind in ("shoulder", "elbow", "wrist", "hand") else f"{side}_leg"


LIMBS: tuple[str, ...] = tuple(_limb(name) for name in LANDMARKS)
"""The limb of each landmark: errors within a limb go together."""
_GROUPS = tuple(
    f"{name.partition('_')[0]}_hand" if point_kind(name) == "hand" else point_kind(name) if point_kind(name) == "face" else name for name in LANDMARKS
)
"""Points that are found or lost together."""


@dataclass(frozen=True)
class NoiseRow:
    """One kind of point in one state."""

    count: int
    """Measured points behind this row."""
    drop: float
    """Share that the backend does not give (confidence 0)."""
    error_m: tuple[float, ...]
    """Quantiles, evenly spaced from 0 to 1, of the distance in the picture beside the kind's ``offsets_m``, in metres at the person's depth."""
    confidence: tuple[float, ...]
    """Quantiles of the confidence of given points."""
    error3d_m: tuple[float, ...]
    """Quantiles of the distance of the 3D landmark after offsets, leans, and the turn and scale of the whole person are undone [m]; empty where the
    backend has none."""
    confidence3d: tuple[float, ...]
    """Quantiles of its confidence."""


@dataclass(frozen=True)
class KeypointNoise:
    """The measured table."""

    rows: Mapping[str, Mapping[str, NoiseRow]]
    """Kind of point → ``"seen"`` or ``"hidden"`` → distribution."""
    swaps: Mapping[str, float]
    """Share of people whose left and right are exchanged: ``all``, else ``arms``, ``legs``."""
    limb_correlation: float
    """Correlation of the sizes of two errors of one limb (normal scores)."""
    limb_direction: float
    """Mean cosine between the directions of two errors of one limb."""
    limb_direction3d: float
    """The same for the 3D landmarks."""
    confidence_correlation: float
    """Correlation of error and confidence (normal scores); negative: what is wrong is less sure."""
    turn_deg: tuple[float, ...]
    """Quantiles of the angle by which the 3D landmarks of a whole person are turned, beside the leans [deg]."""
    offsets_m: Mapping[str, tuple[float, float, float]]
    """Kind of point → where the backend marks it on everybody: up the trunk, outwards to its own side, forwards [m]."""
    leans: Mapping[str, tuple[float, float]]
    """Kind of bone → slope and offset [deg] of the angle to the picture's plane that the 3D landmarks tell, against the true one."""
    source: Mapping[str, Any]
    """What was measured, on how many people, with which versions."""

    @cached_property
    def marks(self) -> Float[Tensor, "L 3"]:
        """``offsets_m`` of each landmark, with left for outwards."""
        rows = torch.tensor([self.offsets_m.get(point_kind(name), (0.0, 0.0, 0.0)) for name in LANDMARKS])
        return rows * torch.stack([torch.ones(len(LANDMARKS)), outwards(), torch.ones(len(LANDMARKS))], -1)

    @cached_property
    def tables(self) -> tuple[_Table, _Table]:
        """The rows of all landmarks as tensors: seen, hidden."""
        return _Table.build(self, "seen"), _Table.build(self, "hidden")

    def digest(self) -> str:
        """sha256 of the table."""
        return hashlib.sha256(json.dumps(noise_document(self), sort_keys=True).encode()).hexdigest()


def noise_document(noise: KeypointNoise) -> dict[str, Any]:
    """The table as JSON holds it."""
    rows = {kind: {state: vars(row) for state, row in states.items()} for kind, states in noise.rows.items()}
    return {**{f.name: getattr(noise, f.name) for f in fields(noise) if f.name != "rows"}, "rows": rows}


@lru_cache(maxsize=1)
def load_keypoint_noise() -> KeypointNoise:
    """The table of the package."""
    tree = json.loads((files("huddle3d.perception") / "data" / "keypoint_noise.json").read_text(encoding="utf-8"))
    return read_noise(tree)


def read_noise(tree: Mapping[str, Any]) -> KeypointNoise:
    """A table from its document."""

    def row(entry: Mapping[str, Any]) -> NoiseRow:
        spreads = {f.name: tuple(float(v) for v in entry[f.name]) for f in fields(NoiseRow) if f.name not in ("count", "drop")}
        return NoiseRow(count=int(entry["count"]), drop=float(entry["drop"]), **spreads)

    rows = {kind: {state: row(entry) for state, entry in states.items()} for kind, states in tree["rows"].items()}
    told = {k: {kind: tuple(v) for kind, v in tree[k].items()} for k in ("offsets_m", "leans")}
    rest = {k: v for k, v in tree.items() if k not in ("rows", "about")}
    return KeypointNoise(**{**rest, **told, "rows": rows, "turn_deg": tuple(tree["turn_deg"])})


def pixels_per_metre(landmarks: Float[Tensor, "K L 3"], camera: Camera) -> Float[Tensor, "K"]:
    """Size of a metre at each person's mean depth [px]; landmarks in the world of the camera [m]."""
    depth = apply(camera.T_cam_world, landmarks[:, :17])[..., 2].mean(-1)
    return camera.K[0, 0] / depth.clamp_min(0.1)


def add_keypoint_noise(people: People2D, scale: Float[Tensor, "K"], *, seed: int, noise: KeypointNoise | None = None) -> People2D:
    """True people as the embedded backend would report their key points and 3D landmarks; boxes, masks and scores stay true.

    Sizes of errors and confidences are drawn from the measured quantiles through a Gaussian copula: errors of one limb go together, and larger
    errors have lower confidences, both as measured. Directions in the picture are random, similar within a limb. Points outside the picture
    stay unobserved. A person without any observed body point is left out.

    Args:
        people: the truth; confidence 1 = shown, 0.3 = hidden, 0 = outside the picture.
        scale: pixels per metre at each person's depth.
        seed: of all draws.
        noise: the table; None for the package's own.
    """
    noise = noise or load_keypoint_noise()
    generator = torch.Generator().manual_seed(seed)
    keypoints, points3d = people.keypoints.clone(), people.landmarks3d.clone()
    for k in range(len(people.names)):  # one by one: what a person gets does not depend on who else is there
        one = slice(k, k + 1)
        keypoints[one], points3d[one] = spoil(keypoints[one], points3d[one], scale[one], noise, generator)
    kept = [k for k in range(len(people.names)) if bool((keypoints[k, :17, 2] > 0).any())]
    return replace(
        people,
        names=tuple(people.names[k] for k in kept),
        boxes=people.boxes[kept],
        scores=people.scores[kept],
        keypoints=keypoints[kept],
        landmarks3d=points3d[kept],
        masks=people.masks[kept],
        source=f"{people.source}+noise",
    )


def spoil(
    points: Float[Tensor, "B L 3"], points3d: Float[Tensor, "B L 4"], scale: Float[Tensor, "B"], noise: KeypointNoise, generator: torch.Generator
) -> tuple[Float[Tensor, "B L 3"], Float[Tensor, "B L 4"]]:
    """Key points and 3D landmarks of B people with the table's errors: what is common to all, then each person's own, drawn by itself.

    Args:
        points: true key points; confidence 1 = shown, 0.3 = hidden, 0 = outside the picture.
        points3d: true 3D landmarks.
        scale: pixels (or whatever ``points`` are in) per metre at each person's depth.
        noise: the table.
        generator: on the CPU.
    """
    count = len(points)
    order = _exchanged(count, noise, generator)
    points = points.gather(1, order[..., None].expand_as(points))
    points3d = points3d.gather(1, order[..., None].expand_as(points3d))
    inside, hidden = points[..., 2] > 0, points[..., 2] < HIDDEN
    marks = noise.marks @ trunk_axes(points3d[..., :3])
    points = torch.cat([points[..., :2] + scale[:, None, None] * marks[..., :2], points[..., 2:]], -1)
    points3d = torch.cat([leaned(points3d[..., :3] + marks, noise.leans), points3d[..., 3:]], -1)
    size = _latent(count, noise.limb_correlation, generator)
    own = torch.randn(count, len(LIMBS), generator=generator)
    sure = _rank(noise.confidence_correlation * size + math.sqrt(1 - noise.confidence_correlation**2) * own)
    size = _rank(size)
    lost = torch.rand(count, len(LIMBS), generator=generator)[:, _OF_GROUP]
    table = _Table.of(noise, hidden)
    angle = _directions(count, noise.limb_direction, generator)
    error = scale[:, None] * _quantile(table.error, size)
    given = inside & (lost >= table.drop)
    seen = torch.where(given, _quantile(table.confidence, sure), 0.0)
    points = torch.stack([points[..., 0] + error * angle.cos(), points[..., 1] + error * angle.sin(), seen], -1)
    axis = torch.nn.functional.normalize(torch.randn(count, 3, generator=generator), dim=-1)
    turn = torch.deg2rad(_quantile(torch.tensor([noise.turn_deg]).expand(count, -1), torch.rand(count, 1, generator=generator)[:, 0]))
    away = _directions3d(count, noise.limb_direction3d, generator)
    moved = points3d[..., :3] @ so3_exp(axis * turn[:, None]).transpose(-1, -2) + _quantile(table.error3d, size)[..., None] * away
    seen = torch.where(given, _quantile(table.confidence3d, sure), 0.0)
    return points, torch.cat([moved, seen[..., None]], -1)


@dataclass(frozen=True)
class _Table:
    """Quantiles of each landmark; of many people with leading dimensions."""

    drop: Float[Tensor, "*b L"]
    error: Float[Tensor, "*b L Q"]
    confidence: Float[Tensor, "*b L Q"]
    error3d: Float[Tensor, "*b L Q"]
    confidence3d: Float[Tensor, "*b L Q"]

    @staticmethod
    def of(noise: KeypointNoise, hidden: Bool[Tensor, "*b L"]) -> _Table:
        seen, behind = noise.tables
        parts = ((getattr(seen, f.name), getattr(behind, f.name)) for f in fields(_Table))
        return _Table(*(torch.where(hidden if a.ndim == 1 else hidden[..., None], b, a) for a, b in parts))

    @staticmethod
    def build(noise: KeypointNoise, state: str) -> _Table:
        rows = [noise.rows[point_kind(name)][state] for name in LANDMARKS]
        zero = (0.0,) * len(noise.turn_deg)

        def stack(name: str) -> Tensor:
            return torch.tensor([getattr(row, name) or zero for row in rows])

        return _Table(torch.tensor([row.drop for row in rows]), *(stack(n) for n in ("error_m", "confidence", "error3d_m", "confidence3d")))


def _exchanged(count: int, noise: KeypointNoise, generator: torch.Generator) -> Int[Tensor, "B L"]:
    """Rows of the points that each person's points are taken from: mostly their own."""
    order, twin = torch.arange(len(LANDMARKS)), torch.tensor(MIRROR)
    draw = torch.rand(count, 3, generator=generator)
    everything = draw[:, :1] < noise.swaps["all"]
    exchanged = everything.expand(-1, len(LANDMARKS))
    for k, limb in enumerate(("arm", "leg"), 1):
        rows = torch.tensor([name.endswith(limb) for name in LIMBS])
        exchanged = exchanged | (rows & (draw[:, k : k + 1] < noise.swaps[f"{limb}s"]))
    return torch.where(exchanged, twin, order)


def _first(names: tuple[str, ...]) -> Int[Tensor, "L"]:
    """Row of the first landmark of the same name: what it draws, all of them get."""
    return torch.tensor([names.index(name) for name in names])


_OF_LIMB, _OF_GROUP = _first(LIMBS), _first(_GROUPS)


def _latent(count: int, correlation: float, generator: torch.Generator) -> Float[Tensor, "B L"]:
    """Standard normal scores that are correlated within a limb; points of one hand or face share theirs."""
    limb = torch.randn(count, len(LIMBS), generator=generator)[:, _OF_LIMB]
    own = torch.randn(count, len(LIMBS), generator=generator)[:, _OF_GROUP]
    return math.sqrt(correlation) * limb + math.sqrt(1 - correlation) * own


def _directions(count: int, cosine: float, generator: torch.Generator) -> Float[Tensor, "B L"]:
    """Angles in the picture: a limb's own plus a normal spread, so that two points' mean cosine is the given one."""
    limb = 2 * math.pi * torch.rand(count, len(LIMBS), generator=generator)[:, _OF_LIMB]
    spread = math.sqrt(-math.log(min(max(cosine, 1e-3), 1.0)))
    return limb + spread * torch.randn(count, len(LIMBS), generator=generator)[:, _OF_GROUP]


def _directions3d(count: int, cosine: float, generator: torch.Generator) -> Float[Tensor, "B L 3"]:
    """Unit vectors: a limb's own share plus each point's own, so that two points' mean cosine is about the given one."""
    limb = torch.randn(count, len(LIMBS), 3, generator=generator)[:, _OF_LIMB]
    own = torch.randn(count, len(LIMBS), 3, generator=generator)[:, _OF_GROUP]
    return torch.nn.functional.normalize(math.sqrt(cosine) * limb + math.sqrt(1 - cosine) * own, dim=-1)


def _rank(scores: Float[Tensor, "*b L"]) -> Float[Tensor, "*b L"]:
    return torch.special.ndtr(scores)


def _quantile(table: Float[Tensor, "*b Q"], u: Float[Tensor, "*b"]) -> Float[Tensor, "*b"]:
    """Values of the quantile functions at ``u``, linear between their nodes."""
    place = u.clamp(0, 1) * (table.shape[-1] - 1)
    low = place.floor().long().clamp(0, table.shape[-1] - 2)
    a, b = table.gather(-1, low[..., None])[..., 0], table.gather(-1, low[..., None] + 1)[..., 0]
    return a + (place - low) * (b - a)
