"""The BUDDI denoiser (Müller et al., CVPR 2024): two people as eight tokens, a time token, and eight more tokens of guidance.

Every group of parameters of every person is one token of width d: ``orient`` (global orientation, 6D), ``pose`` (6D of each joint),
``shape`` and ``transl``. A token is ``W2 silu(W1 p + b1) + b2``, plus a learned vector of its person and one of its group; there is no
positional encoding, so the order of the tokens is without effect. Guidance (a first estimate of the same parameters) enters through its own
input layers and shares those vectors. A transformer encoder (post-norm, ReLU) mixes all tokens; the eight target tokens are read out, each
by its own two layers, as the clean parameters ``x0``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self, TypeVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from huddle3d.errors import ShapeError

__all__ = ["Buddi", "BuddiConfig", "PairState", "buddi_shapes", "spare_buddi_key"]

GROUPS = ("orient", "pose", "shape", "transl")
PEOPLE = ("h0", "h1")
_T = TypeVar("_T")


@dataclass(frozen=True)
class PairState:
    """Parameters of B pairs of people, in the frame and units that their network was trained in."""

    orient: Float[Tensor, "B 2 O"]
    """Global orientations; 6D."""
    pose: Float[Tensor, "B 2 P"]
    """Joint rotations; 6D, joint after joint."""
    shape: Float[Tensor, "B 2 S"]
    """Shape parameters."""
    transl: Float[Tensor, "B 2 T"]
    """Places; those of person 0 are zero, person 1 is relative to person 0."""

    def flat(self) -> Float[Tensor, "B D"]:
        """All numbers of a pair in one row."""
        return torch.cat([getattr(self, g).flatten(1) for g in GROUPS], 1)

    def like(self, flat: Float[Tensor, "B D"]) -> PairState:
        """The state of rows made by :meth:`flat`."""
        sizes = [2 * getattr(self, g).shape[-1] for g in GROUPS]
        return PairState(*(part.reshape(len(flat), 2, -1) for part in flat.split(sizes, 1)))

    def zeros(self) -> PairState:
        """The null guidance: zeros, in place of an estimate."""
        return self.like(torch.zeros_like(self.flat()))

    def swapped(self) -> PairState:
        """People 1 and 0 as they are; the numbers are not moved to the other person's frame."""
        return PairState(*(getattr(self, g).flip(1) for g in GROUPS))


@dataclass(frozen=True)
class BuddiConfig:
    """Sizes of the network; the defaults are the published ones (SMPL-X with 21 body joints, ten betas and a child blend)."""

    width: int = 152
    """Width d of a token."""
    depth: int = 6
    """Encoder layers."""
    heads: int = 8
    """Attention heads."""
    feed_forward: int = 500
    """Hidden width of an encoder layer."""
    dropout: float = 0.1
    """In training."""
    orient: int = 6
    """Numbers of a global orientation."""
    pose: int = 126
    """Numbers of a pose."""
    shape: int = 11
    """Numbers of a shape."""
    transl: int = 3
    """Numbers of a place."""
    guidance: str = "bev"
    """Infix of the names of the guidance layers (``embed_guidance_pose_bev_h0``); empty for a network without guidance."""

    def size(self, group: str) -> int:
        """Numbers of one group of parameters."""
        return int(getattr(self, group))


class _TwoLayers(nn.Module):
    """Linear, SiLU, Linear; the hidden width is the output's, as published."""

    def __init__(self, size: int, out: int) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(size, out), nn.SiLU(), nn.Linear(out, out))

    def forward(self, x: Tensor) -> Tensor:
        return self.embed(x)


class _TimeEncoding(nn.Module):
    """Sines, then cosines, of the time at d / 2 frequencies from 1 to 1/10000."""

    emb: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.register_buffer("emb", torch.exp(torch.arange(half) * (-math.log(10000) / (half - 1))))

    def forward(self, time: Float[Tensor, "B"]) -> Float[Tensor, "B d"]:
        angle = time[:, None] * self.emb
        return torch.cat([angle.sin(), angle.cos()], -1)


class _TimeToken(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.encode = _TimeEncoding(width)
        self.embed = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, time: Float[Tensor, "B"]) -> Float[Tensor, "B d"]:
        return self.embed(self.encode(time))


class Buddi(nn.Module):
    """Predicts the clean parameters of two people from noisy ones.

    The frame, the units and the meaning of a time step are the caller's: the published network takes parameters in the axes of the camera
    (x right, y down, z forward) with metres and 1000 cosine steps; the network for Anny takes the pair frame of
    :class:`huddle3d.diffusion.PairSpace`.
    """

    def __init__(self, config: BuddiConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or BuddiConfig()
        layer = nn.TransformerEncoderLayer(c.width, c.heads, c.feed_forward, c.dropout, batch_first=True)
        self.transformer_encoder = nn.TransformerEncoder(layer, c.depth, enable_nested_tensor=False)
        self.embed_timestep = _TimeToken(c.width)
        for person in PEOPLE:
            for group in GROUPS:
                self.add_module(f"embed_input_{group}_{person}", _TwoLayers(c.size(group), c.width))
                self.add_module(f"unembed_input_{group}_{person}", _TwoLayers(c.width, c.size(group)))
                if c.guidance:
                    self.add_module(f"embed_guidance_{group}_{c.guidance}_{person}", _TwoLayers(c.size(group), c.width))
        for name in (*(f"human_embedding_{p}" for p in PEOPLE), *(f"param_embedding_{g}" for g in GROUPS)):
            self.register_parameter(name, nn.Parameter(torch.randn(c.width)))

    def forward(self, noisy: PairState, time: Float[Tensor, "B"], guidance: PairState | None = None) -> PairState:
        """Clean parameters of B pairs.

        Args:
            noisy: parameters at their noise level.
            time: step of the noise schedule of each pair, ``0 … T - 1``; any number type.
            guidance: a first estimate in the same frame (zeros = none known); None leaves the guidance tokens out.

        Raises:
            ShapeError: parameters of other sizes than the config's.
        """
        c = self.config
        for group in GROUPS:
            if getattr(noisy, group).shape[1:] != (2, c.size(group)):
                raise ShapeError(group, getattr(noisy, group).shape, ("B", 2, c.size(group)))
        tokens = self._tokens(noisy, "embed_input_{group}_{person}")
        tokens.append(self.embed_timestep(time.to(noisy.pose.dtype)))
        if guidance is not None and c.guidance:
            tokens += self._tokens(guidance, f"embed_guidance_{{group}}_{c.guidance}_{{person}}")
        mixed = self.transformer_encoder(torch.stack(tokens, 1))
        read = [self._layer(f"unembed_input_{g}_{p}", _TwoLayers)(mixed[:, i]) for i, (g, p) in enumerate(_order())]
        return PairState(*(torch.stack(read[2 * k : 2 * k + 2], 1) for k in range(len(GROUPS))))

    def _tokens(self, state: PairState, name: str) -> list[Tensor]:
        out = []
        for group, person in _order():
            token = self._layer(name.format(group=group, person=person), _TwoLayers)(getattr(state, group)[:, PEOPLE.index(person)])
            mark = self._layer(f"human_embedding_{person}", Tensor) + self._layer(f"param_embedding_{group}", Tensor)
            out.append(token + mark)
        return out

    def _layer(self, name: str, kind: type[_T]) -> _T:
        return cast(_T, getattr(self, name))

    @classmethod
    def meta(cls, config: BuddiConfig) -> Self:
        """The network without memory: for its key names and shapes."""
        with torch.device("meta"):
            return cls(config)


def _order() -> list[tuple[str, str]]:
    """Tokens in the published order: both people of one group side by side."""
    return [(g, p) for g in GROUPS for p in PEOPLE]


def buddi_shapes(config: BuddiConfig | None = None) -> dict[str, tuple[int, ...]]:
    """Key names and shapes of the network's state."""
    return {key: tuple(value.shape) for key, value in Buddi.meta(config or BuddiConfig()).state_dict().items()}


_SPARE = (
    *(f"embed_guidance_{g}_{p}." for g in GROUPS for p in PEOPLE),
    *(f"{end}embed_input_human_{p}." for end in ("", "un") for p in PEOPLE),
    *(f"embed_guidance_human_{p}." for p in PEOPLE),
    "embed_guidance_action.",
    "embed_guidance_contact.",
)


def spare_buddi_key(key: str) -> bool:
    """Whether a key of a published checkpoint belongs to a layer that its forward pass never uses (contact maps, actions, whole people)."""
    return key.startswith(_SPARE)
