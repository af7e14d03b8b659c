"""The transformer block of the multi-view denoiser: joint RGB-normal attention, row-wise multi-view attention, text, feed-forward.

PSHuman's block (Li et al., 2024) under its key names: those of the stock block and ``norm_mv``, ``attn_mv``. Order of operations:
``x += attn1(norm1 x)`` (with the face blended in), ``x_body += attn_mv(norm_mv x_body)``, ``x += attn2(norm2 x, text)``, ``x += ff(norm3 x)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["Grid", "MultiViewBlock"]


@dataclass(frozen=True)
class Grid:
    """How the flat batch of a call is made up: domains outermost, then samples, then views."""

    domains: int
    samples: int
    views: int
    """With the face slot, if there is one."""
    face: bool
    """Whether the last view is the face."""
    height: int
    """Of the pictures that the network was given."""
    width: int

    @property
    def body_views(self) -> int:
        """Views without the face slot."""
        return self.views - self.face

    def plane(self, tokens: int) -> tuple[int, int]:
        """Height and width of a feature map of this many tokens."""
        factor = math.isqrt(self.height * self.width // tokens)
        return self.height // factor, self.width // factor


class MultiViewBlock(nn.Module):
    """A stock block of diffusers, with its two attentions over views and domains.

    Args:
        stock: a ``BasicTransformerBlock``; its layers are taken over.
        joint: normals and colours of a view attend to each other.
        rowwise: add ``attn_mv``; its output layer starts at zero, so that a fresh block does what the stock one did.
    """

    def __init__(self, stock: Any, *, joint: bool, rowwise: bool) -> None:
        super().__init__()
        self.norm1, self.attn1, self.norm2, self.attn2, self.norm3, self.ff = (
            stock.norm1,
            stock.attn1,
            stock.norm2,
            stock.attn2,
            stock.norm3,
            stock.ff,
        )
        self.joint, self.rowwise = joint, rowwise
        if rowwise:
            width = stock.dim
            self.norm_mv = nn.LayerNorm(width)
            self.attn_mv = type(stock.attn1)(query_dim=width, heads=stock.num_attention_heads, dim_head=stock.attention_head_dim)
            nn.init.zeros_(self.attn_mv.to_out[0].weight)
            nn.init.zeros_(self.attn_mv.to_out[0].bias)

    def forward(
        self,
        hidden_states: Float[Tensor, "DBV n c"],
        attention_mask: None = None,
        encoder_hidden_states: Float[Tensor, "DBV l t"] | None = None,
        encoder_attention_mask: None = None,
        timestep: None = None,
        cross_attention_kwargs: dict[str, Any] | None = None,
        class_labels: None = None,
    ) -> Float[Tensor, "DBV n c"]:
        """As the stock block; ``cross_attention_kwargs`` carries the :class:`Grid`, masks are not supported."""
        assert cross_attention_kwargs is not None
        grid: Grid = cross_attention_kwargs["grid"]
        x = hidden_states
        seen = self._joint_attention(self.norm1(x), grid)
        x = x + (_blend_face(seen, grid) if grid.face else seen)
        if self.rowwise:
            x = self._add_rows(x, grid)
        x = x + self.attn2(self.norm2(x), encoder_hidden_states=encoder_hidden_states)
        return x + self.ff(self.norm3(x))

    def _joint_attention(self, x: Tensor, grid: Grid) -> Tensor:
        if not self.joint:
            return self.attn1(x)
        (n, c), D, BV = x.shape[1:], grid.domains, grid.samples * grid.views
        tokens = x.reshape(D, BV, n, c).transpose(0, 1).reshape(BV, D * n, c)
        return self.attn1(tokens).reshape(BV, D, n, c).transpose(0, 1).reshape(D * BV, n, c)

    def _add_rows(self, x: Tensor, grid: Grid) -> Tensor:
        h, w = grid.plane(x.shape[1])
        planes = x.reshape(grid.domains * grid.samples, grid.views, h, w, -1)
        body = planes[:, : grid.body_views]
        rows = body.transpose(1, 2).reshape(-1, grid.body_views * w, x.shape[-1])
        change = self.attn_mv(self.norm_mv(rows)).reshape(-1, h, grid.body_views, w, x.shape[-1]).transpose(1, 2)
        return torch.cat([body + change, planes[:, grid.body_views :]], 1).reshape(x.shape)


def _blend_face(seen: Tensor, grid: Grid) -> Tensor:
    """Half of the face view, shrunk to a third and cut from the graph, into the top middle of the front view, in each domain."""
    h, w = grid.plane(seen.shape[1])
    planes = seen.reshape(-1, grid.views, h, w, seen.shape[-1])
    top, left = h // 3, w // 3
    face = planes[:, -1].detach().permute(0, 3, 1, 2)
    face = nn.functional.interpolate(face, (top, w - 2 * left), mode="bilinear", align_corners=False).permute(0, 2, 3, 1)
    out = planes.clone()
    out[:, 0, :top, left : w - left] = 0.5 * planes[:, 0, :top, left : w - left] + 0.5 * face
    return out.reshape(seen.shape)
