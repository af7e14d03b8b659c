"""Textured surfaces that are cut and joined: positions at rest and posed per vertex, texture coordinates per corner."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.synthesis.clothes.cutting import edges_of_corners

__all__ = ["Panel"]


@dataclass(frozen=True)
class Panel:
    """One textured surface of a person."""

    rest: Float[Tensor, "v 3"]
    """On the body in its identity pose [m]."""
    posed: Float[Tensor, "v 3"]
    """World [m]."""
    faces: Int[Tensor, "f 3"]
    uv: Float[Tensor, "f 3 2"]
    """In [0, 1], v up, of each corner."""

    def kept(self, keep: Bool[Tensor, "f"]) -> Panel:
        """Only the chosen faces and their vertices."""
        used, faces = torch.unique(self.faces[keep], return_inverse=True)
        return Panel(self.rest[used], self.posed[used], faces, self.uv[keep])

    def moved(self, posed: Float[Tensor, "v 3"]) -> Panel:
        """The same panel at other places."""
        return replace(self, posed=posed)

    def _with_middles(self, a: Tensor, b: Tensor, t: Tensor, faces: Tensor, uv: Tensor) -> Panel:
        t = t[:, None]
        rest, posed = (torch.cat([x, torch.lerp(x[a], x[b], t)]) for x in (self.rest, self.posed))
        return Panel(rest, posed, faces, uv)

    def subdivided(self) -> Panel:
        """Each face into four."""
        unique, inverse = edges_of_corners(self.faces)
        m = (inverse + len(self.rest)).reshape(-1, 3)
        corner = torch.cat([self.faces, m], 1)
        middle = (self.uv + self.uv[:, [1, 2, 0]]) / 2
        uv = torch.cat([self.uv, middle], 1)
        split = [[0, 3, 5], [3, 1, 4], [5, 4, 2], [3, 4, 5]]
        half = torch.full((len(unique),), 0.5)
        return self._with_middles(unique[:, 0], unique[:, 1], half, torch.cat([corner[:, k] for k in split]), torch.cat([uv[:, k] for k in split]))

    def clipped(self, level: Float[Tensor, "v"]) -> Panel:
        """The part where ``level`` ≥ 0; faces across the zero line are cut along it."""
        inside = level >= 0
        flags = inside[self.faces]
        count = flags.sum(1)
        whole, cut = count == 3, (count == 1) | (count == 2)
        if not bool(cut.any()):
            return self.kept(whole)
        f, uv, flags = self.faces[cut], self.uv[cut], flags[cut]
        odd = torch.where(flags.sum(1) == 1, flags.long().argmax(1), (~flags).long().argmax(1))
        turn = (odd[:, None] + torch.arange(3)) % 3  # the corner that differs from the two others comes first
        f, uv = f.gather(1, turn), uv.gather(1, turn[..., None].expand(-1, -1, 2))
        pairs = torch.stack([f[:, [0, 1]], f[:, [0, 2]]], 1).reshape(-1, 2)
        code, inverse = torch.unique(pairs.amin(1) * len(self.rest) + pairs.amax(1), return_inverse=True)
        a, b = code // len(self.rest), code % len(self.rest)
        p, q = (inverse + len(self.rest)).reshape(-1, 2).unbind(1)
        t = level[f[:, :1]] / (level[f[:, :1]] - level[f[:, 1:]])
        at = torch.lerp(uv[:, :1].expand(-1, 2, 2), uv[:, 1:], t[..., None])
        lone = inside[f[:, 0]]
        corner = torch.stack([f[:, 0], p, q], -1)[lone]
        first, second = (torch.stack(x, -1)[~lone] for x in ((p, f[:, 1], f[:, 2]), (p, f[:, 2], q)))
        uv_corner = torch.stack([uv[:, 0], at[:, 0], at[:, 1]], 1)[lone]
        uv_first = torch.stack([at[:, 0], uv[:, 1], uv[:, 2]], 1)[~lone]
        uv_second = torch.stack([at[:, 0], uv[:, 2], at[:, 1]], 1)[~lone]
        faces = torch.cat([self.faces[whole], corner, first, second])
        grown = self._with_middles(a, b, level[a] / (level[a] - level[b]), faces, torch.cat([self.uv[whole], uv_corner, uv_first, uv_second]))
        return grown.kept(torch.ones(len(faces), dtype=torch.bool))
