"""Foreign checkpoints to safetensors under our names and shapes, with every difference named."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from huddle3d.errors import InputError
from huddle3d.io import display_name, write_tensors
from huddle3d.networks import BuddiConfig, buddi_shapes, codeformer_shapes, spare_buddi_key
from huddle3d.weights._checkpoint import read_checkpoint
from huddle3d.weights._registry import cache_dir

__all__ = ["CONVERSIONS", "Conversion", "Converted", "convert"]


@dataclass(frozen=True)
class Conversion:
    """What a family of checkpoints must hold."""

    title: str
    """What it is, in one line."""
    licence: str
    """Whose terms bind the user."""
    shapes: Callable[[], dict[str, tuple[int, ...]]]
    """Names and shapes that are needed."""
    spare: Callable[[str], bool]
    """Names that the network never uses; they are left out."""


CONVERSIONS: dict[str, Conversion] = {
    "buddi": Conversion(
        "BUDDI, conditioned on a first estimate (buddi_cond_bev.pt): proxemics prior for SMPL-X",
        "the publisher's terms; not redistributed",
        buddi_shapes,
        spare_buddi_key,
    ),
    "buddi-unconditional": Conversion(
        "BUDDI without guidance (buddi_unconditional.pt): proxemics prior for SMPL-X",
        "the publisher's terms; not redistributed",
        lambda: buddi_shapes(BuddiConfig(guidance="")),
        lambda key: spare_buddi_key(key) or key.startswith("embed_guidance_"),
    ),
    "codeformer": Conversion(
        "CodeFormer for inpainting (codeformer_inpainting.pth): restores faces that the photo does not show (paint.faces)",
        "S-Lab License 1.0: not for commercial use; not redistributed",
        codeformer_shapes,
        lambda key: False,
    ),
}
"""Families of checkpoints by name."""


@dataclass(frozen=True)
class Converted:
    """What :func:`convert` did."""

    path: Path
    """The written file."""
    tensors: int
    """Tensors in it."""
    left_out: tuple[str, ...]
    """Names of the checkpoint that the network never uses."""


def convert(kind: str, checkpoint: Path, output: Path | None = None, *, overwrite: bool = False) -> Converted:
    """Write a foreign checkpoint as safetensors that our network class loads. No code of the file is run.

    Args:
        kind: a name in :data:`CONVERSIONS`.
        checkpoint: the publisher's ``.pt`` (PyTorch's zip format) or ``.safetensors``.
        output: default ``KIND.safetensors`` in the cache folder of the weights.
        overwrite: replace a file.

    Raises:
        InputError: unknown kind, unreadable file, or one whose names or shapes are not this network's; the message lists them.
    """
    if kind not in CONVERSIONS:
        raise InputError(f"Unknown kind of checkpoint {display_name(kind)!r}.", next_step=f"Known: {', '.join(CONVERSIONS)}.")
    conversion, found = CONVERSIONS[kind], read_checkpoint(checkpoint)
    wanted = conversion.shapes()
    _compare(display_name(checkpoint), kind, wanted, {k: tuple(v.shape) for k, v in found.items() if k in wanted or not conversion.spare(k)})
    tensors = {k: _number(found[k]) for k in wanted}
    bad = [k for k, v in tensors.items() if v.is_floating_point() and not bool(v.isfinite().all())]
    if bad:
        raise InputError(f"{display_name(checkpoint)}: {len(bad)} tensors hold numbers that are not finite.", why=_listed(bad))
    output = output or cache_dir() / kind / f"{kind}.safetensors"
    with contextlib.suppress(OSError):  # the write below tells it better
        output.parent.mkdir(parents=True, exist_ok=True)
    write_tensors(output, tensors, metadata={"huddle3d": json.dumps({"kind": kind, "licence": conversion.licence})}, overwrite=overwrite)
    return Converted(output, len(tensors), tuple(sorted(set(found) - set(wanted))))


def _number(value: Tensor) -> Tensor:
    return (value.to(torch.float32) if value.is_floating_point() else value).contiguous().clone()


def _compare(name: str, kind: str, wanted: dict[str, tuple[int, ...]], found: dict[str, tuple[int, ...]]) -> None:
    missing, extra = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
    other = [f"{k}: {found[k]} instead of {wanted[k]}" for k in sorted(set(wanted) & set(found)) if wanted[k] != found[k]]
    if not (missing or extra or other):
        return
    parts = [("missing", missing), ("not known", extra), ("of another shape", other)]
    why = " ".join(f"{len(keys)} {what}: {_listed(keys)}" for what, keys in parts if keys)
    raise InputError(
        f"{name}: not a checkpoint of {kind!r}.",
        why=why,
        next_step="Give the publisher's file, or another kind.",
        missing=missing,
        extra=extra,
        shapes=other,
    )


def _listed(keys: list[str], most: int = 8) -> str:
    more = f" and {len(keys) - most} more" if len(keys) > most else ""
    return ", ".join(keys[:most]) + more + "."
