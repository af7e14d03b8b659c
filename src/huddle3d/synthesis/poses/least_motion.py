"""The linear problem of one repair step: the least motion that closes what is violated and keeps what holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from huddle3d.synthesis.poses.contacts import Place
from huddle3d.synthesis.poses.kinematics import Motion

if TYPE_CHECKING:
    from huddle3d.bodies import BodyOutput

__all__ = ["Rows", "least_motion"]

_ROUNDS = 6
"""At most so many changes of which rows count."""


class Rows:
    """Wishes about distances between people, linear in the unknowns of a scene."""

    def __init__(self, motion: Motion, out: BodyOutput, pose: Tensor, ahead: float = 0.0) -> None:
        """``ahead``: what is nearer to a violation than this gets rows, too [m]; each row is then a bound, not an equation."""
        self.motion, self.out, self.pose, self.ahead = motion, out, pose, ahead
        self.coefficients: list[Tensor] = []
        self.wanted: list[Tensor] = []

    def add(self, person: int, points: Tensor, place: Place, direction: Tensor, wanted: Tensor, weight: float = 1.0) -> None:
        """Ask that points move by ``wanted`` [m] (with ``ahead``: at least) along ``direction`` relative to places on another person."""
        out, C = self.out, self.motion.columns
        other, corners, bary = place.person, place.corners, place.bary
        rows = torch.zeros(len(points), len(out.vertices) * C)
        rows[:, person * C : (person + 1) * C] += (self.motion(out, self.pose, person, points) @ direction[..., None])[..., 0]
        used, back = torch.unique(corners, return_inverse=True)
        moves = self.motion(out, self.pose, other, used)[back]
        rows[:, other * C : (other + 1) * C] -= torch.einsum("nb,nbcd,nd->nc", bary, moves, direction)
        self.coefficients.append(weight * rows)
        self.wanted.append(weight * wanted)

    def solve(self, damping: float, low: Tensor, high: Tensor) -> Tensor:
        """The least motion, inside the bounds of each unknown."""
        A, b = torch.cat(self.coefficients), torch.cat(self.wanted)
        K, free = damping * self.motion.stiffness, self.motion.free
        return least_motion(A, b, K, free, low, high, bounds=self.ahead > 0)


def least_motion(
    A: Float[Tensor, "R N"], b: Float[Tensor, "R"], K: Float[Tensor, "N N"], free: Bool[Tensor, "N"],
    low: Float[Tensor, "N"], high: Float[Tensor, "N"], *, bounds: bool,
) -> Float[Tensor, "N"]:  # fmt: skip
    """``x`` in ``[low, high]`` that makes |A x - b|² + xᵀ K x least; with ``bounds`` only rows with A x < b count.

    With ``bounds`` the sum is convex and piecewise quadratic: a Newton step on the rows that count, which changes which rows do, until they
    stay the same. Unknowns that are not ``free`` stay 0.
    """
    if not bounds:
        return _inside(A.T @ A + K, A.T @ b, free, low, high)
    free = free & (A != 0).any(0)  # what no row moves stays where it is
    counts = b > 0
    H, g = A[counts].T @ A[counts] + K, A[counts].T @ b[counts]
    x = _inside(H, g, free, low, high)
    for _ in range(_ROUNDS - 1):
        short = A @ x < b
        came, went = A[short & ~counts], A[counts & ~short]
        if not len(came) and not len(went):
            break
        H = H + came.T @ came - went.T @ went
        g = g + came.T @ b[short & ~counts] - went.T @ b[counts & ~short]
        counts = short
        x = _inside(H, g, free, low, high)
    return x


def _inside(H: Tensor, g: Tensor, free: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Least of xᵀ H x / 2 - gᵀ x; what would leave its bounds is held there, the others make up for it."""
    H, g, free = H.double(), g.double(), free.clone()
    step = torch.zeros(len(g), dtype=torch.float64)
    for _ in range(3):
        part = H[free][:, free]
        step[free] = torch.cholesky_solve((g - H[:, ~free] @ step[~free])[free][:, None], torch.linalg.cholesky(part))[:, 0]
        over = free & ((step > high) | (step < low))
        if not bool(over.any()):
            break
        step = torch.where(over, step.clamp(low, high), step)
        free = free & ~over
    return step.float()
