"""From the bank of views to what the network reads and should return."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.errors import InputError
from huddle3d.io import display_name
from huddle3d.networks import encode_captions
from huddle3d.people import ViewMaps, condition_of, picture_of
from huddle3d.training.mvd.config import MvdTraining, TrainingData
from huddle3d.training.views import SetRecord, TrueMaps, ViewBank, decode

__all__ = ["MIRRORED", "Draw", "ViewBatch", "draw_photos", "in_the_photo_s_light", "make_batch", "may_learn", "mirrored_maps", "network_space"]

MIRRORED = (3, 4)
"""Back and left views are mirrored in network space (PSHuman): the back view then has the front view's outline."""
_TWIN = [0, 5, 4, 3, 2, 1]
"""The view that shows in a mirror what each view shows."""


@dataclass(frozen=True)
class ViewBatch:
    """B sets of V = 6 views, in network space."""

    clean: Float[Tensor, "B 2 V 4 h h"]
    """Normals and opacity; colours on white and opacity; all in [-1, 1]."""
    condition: Float[Tensor, "B 2 V 11 h h"]
    """See :func:`huddle3d.people.condition_of`."""
    weight: Float[Tensor, "B 1 V 1 h h"]
    """Of the loss of each pixel."""
    tokens: Int[Tensor, "B phrases words"]
    """Captions."""
    group: Bool[Tensor, "B"]
    """Sets that show several people."""
    given: ViewMaps
    """Not mirrored for the network."""
    truth: TrueMaps
    """The same."""

    def __len__(self) -> int:
        return len(self.clean)

    def to(self, device: torch.device) -> ViewBatch:
        """Network tensors on a device; the maps stay."""
        moved = {n: getattr(self, n).to(device, non_blocking=True) for n in ("clean", "condition", "weight", "tokens", "group")}
        return replace(self, **moved)


def network_space(pictures: Float[Tensor, "B D V c h w"]) -> Float[Tensor, "B D V c h w"]:
    """Pictures with the back and the left view mirrored; its own inverse."""
    out = pictures.clone()
    out[:, :, list(MIRRORED)] = pictures[:, :, list(MIRRORED)].flip(-1)
    return out


def clean_of(truth: TrueMaps) -> Float[Tensor, "B 2 V 4 h h"]:
    """What the network should return, not mirrored."""
    opacity = 2 * truth.alpha[..., None] - 1
    both = torch.stack([torch.cat([truth.normals, opacity], -1), torch.cat([picture_of(truth.colours, truth.alpha), opacity], -1)], 1)
    return both.movedim(-1, -3).contiguous()


def mirrored_maps(given: ViewMaps, truth: TrueMaps) -> tuple[ViewMaps, TrueMaps]:
    """The scene in a mirror at x = 0: views change places, pictures flip, normals' x changes its sign."""
    turn = torch.tensor([-1.0, 1.0, 1.0])

    def flip(t: Tensor) -> Tensor:
        return t[:, _TWIN].flip(3)

    given, truth = given.map(flip), truth.map(flip)
    given = replace(given, body_normals=given.body_normals * turn, prior_normals=given.prior_normals * turn)
    return given, replace(truth, normals=truth.normals * turn)


@dataclass(frozen=True)
class Draw:
    """Sets of one photograph that are learned together."""

    file: int
    rows: tuple[int, ...]


def may_learn(record: SetRecord, data: TrainingData, *, masked: bool) -> bool:
    """Whether a set is learned: of these training data, in this stage of the curriculum."""
    return (masked or record.kind != "instance") and (data == "all" or (record.kind == "group") == (data == "groups"))


def draw_photos(bank: ViewBank, config: MvdTraining, generator: torch.Generator, *, masked: bool, data: TrainingData = "all") -> list[Draw]:
    """Photographs whose sets fill a batch: a file uniformly, then a photograph of it; the last one is cut where the batch is full.

    Args:
        bank: files.
        config: number of sets.
        generator: of the random numbers.
        masked: also instances that are isolated by their masks; else groups and single people only.
        data: which sets are learned at all.
    """
    if not any(may_learn(r, data, masked=masked) for records in bank.records for r in records):
        raise InputError(f"{display_name(bank.folder)}: nothing to learn in it.", next_step="Make another bank with `huddle3d train views`.")
    out: list[Draw] = []
    left = config.sets
    while left > 0:
        file = int(torch.randint(0, len(bank.files), (), generator=generator))
        records = [(i, r) for i, r in enumerate(bank.records[file]) if may_learn(r, data, masked=masked)]
        if not records:
            continue
        photos = sorted({r.photo for _, r in records})
        photo = photos[int(torch.randint(0, len(photos), (), generator=generator))]
        rows = [i for i, r in records if r.photo == photo]
        if len(rows) > left:
            order = torch.randperm(len(rows), generator=generator)[:left].tolist()
            rows = [rows[i] for i in sorted(order)]
        out.append(Draw(file, tuple(rows)))
        left -= len(rows)
    return out


def in_the_photo_s_light(given: ViewMaps, truth: TrueMaps, *, least: int = 12) -> TrueMaps:
    """The truth as bright and as tinted as the photograph shows each set.

    The true colours are those of the surface itself, the given ones have the photograph's light in them, and ``paint`` puts the photograph itself
    beside the completed views: the network should go on in its light, or there are seams.

    Args:
        given: what the photograph showed.
        truth: true colours.
        least: pixels that a set must show; a set of fewer gets the mean factor of the others of its batch, or none.
    """
    both = (given.seen > 0.9) & (truth.alpha > 0.9)
    gains: list[Tensor | None] = []
    for rgb, colours, where in zip(given.rgb, truth.colours, both):
        ratio = rgb[where] / colours[where].clamp_min(0.04)
        gains.append(ratio.median(0).values.clamp(0.3, 1.4) if len(ratio) >= least else None)
    known = [g for g in gains if g is not None]
    usual = torch.stack(known).mean(0) if known else torch.ones(3)
    gain = torch.stack([usual if g is None else g for g in gains])
    return replace(truth, colours=(truth.colours * gain[:, None, None, None]).clamp(0, 1))


def _recoloured(given: ViewMaps, truth: TrueMaps, change: tuple[Tensor, Tensor]) -> tuple[ViewMaps, TrueMaps]:
    matrix, gain = change

    def apply(colours: Tensor) -> Tensor:
        return (colours @ matrix * gain).clamp(0, 1)

    return replace(given, rgb=apply(given.rgb), prior_rgb=apply(given.prior_rgb)), replace(truth, colours=apply(truth.colours))


def _chance(p: float, generator: torch.Generator) -> bool:
    return float(torch.rand((), generator=generator)) < p


def _augmented(given: ViewMaps, truth: TrueMaps, config: MvdTraining, generator: torch.Generator) -> tuple[ViewMaps, TrueMaps, bool]:
    """Mirrored and recoloured at random; and whether the captions still hold."""
    if _chance(config.mirror, generator):
        given, truth = mirrored_maps(given, truth)
    matrix, gain, named = torch.eye(3), torch.ones(3), True
    if _chance(config.colour_swap, generator):
        matrix, named = torch.eye(3)[torch.randperm(3, generator=generator)], False
    if _chance(config.colour_jitter, generator):
        gain = (0.75 + 0.4 * torch.rand(1, generator=generator)) * (0.94 + 0.12 * torch.rand(3, generator=generator))
    given, truth = _recoloured(given, truth, (matrix, gain))
    return given, truth, named


def make_batch(bank: ViewBank, draws: list[Draw], config: MvdTraining, generator: torch.Generator | None, *, masked: bool = True) -> ViewBatch:
    """Read, change at random and encode.

    Args:
        bank: where the sets lie.
        draws: which sets.
        config: how they are changed and weighted.
        generator: of the random changes; None for none of them (validation).
        masked: second stage: pixels of contact count more.
    """
    givens, truths, captions, groups = [], [], [], []
    for draw in draws:
        given, truth = decode(bank.views(draw.file, draw.rows))
        if config.photo_light:
            truth = in_the_photo_s_light(given, truth)
        named = True
        if generator is not None:
            given, truth, named = _augmented(given, truth, config, generator)
        for r in draw.rows:
            record = bank.records[draw.file][r]
            dropped = not named or (generator is not None and _chance(config.drop_text, generator))
            captions.append("" if dropped else record.caption)
            groups.append(record.kind == "group")
        givens.append(given)
        truths.append(truth)
    given = ViewMaps(*(torch.cat([getattr(g, n) for g in givens]) for n in ViewMaps.__dataclass_fields__))
    truth = TrueMaps(*(torch.cat([getattr(t, n) for t in truths]) for n in TrueMaps.__dataclass_fields__))
    covered = torch.maximum(truth.alpha, given.prior_alpha)
    weight = 1 + config.foreground * covered + (config.contact * truth.contact if masked else 0.0)
    weight = network_space(weight[:, None, :, None])
    clean, condition = network_space(clean_of(truth)), network_space(condition_of(given))
    return ViewBatch(clean, condition, weight, encode_captions(captions), torch.tensor(groups), given, truth)
