"""Descent on vertex positions that stays smooth: gradients pass through ``(I + λL)⁻¹`` before and after Adam.

Nicolet, Jacobson, Jakob: Large Steps in Inverse Rendering of Geometry (2021), section 4. Raw Adam on vertices tears a mesh whose only signal sits on its
outline: each vertex with the slightest gradient takes a full step. Here a step is a smooth field, and its size is set by the
largest gradient, so what nothing observes stays where it is.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.geometry import edges

__all__ = ["Membrane", "SmoothAdam"]


class Membrane:
    """Solves ``(I + λL) x = b`` on one mesh topology, L the uniform graph Laplacian; factorised once (sparse LU, on the CPU).

    Args:
        faces: triangles.
        num_vertices: V.
        stiffness: λ; values spread over about √λ edges.
    """

    def __init__(self, faces: Int[Tensor, "f 3"], num_vertices: int, stiffness: float) -> None:
        from scipy.sparse import coo_matrix, diags
        from scipy.sparse.linalg import splu

        pairs = edges(faces.cpu()).numpy()
        half = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), (num_vertices, num_vertices))
        adjacency = half + half.T
        degree = np.asarray(adjacency.sum(1)).ravel()
        system = diags(1 + stiffness * degree) - stiffness * adjacency
        self._lu = splu(system.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})

    def __call__(self, values: Float[Tensor, "*batch v c"]) -> Float[Tensor, "*batch v c"]:
        """Smoothed values; not differentiable (the matrix is symmetric: its adjoint is this function itself)."""
        v, c = values.shape[-2:]
        columns = values.detach().reshape(-1, v, c).permute(1, 0, 2).reshape(v, -1)
        solved = torch.from_numpy(self._lu.solve(columns.cpu().numpy().astype(np.float64))).to(values)
        return solved.reshape(v, -1, c).permute(1, 0, 2).reshape(values.shape)


def _largest(field: Float[Tensor, "K V c"]) -> Float[Tensor, "K"]:
    return (field * field).sum(-1).amax(-1).sqrt()


class SmoothAdam:
    """Adam with one second moment per person (the largest over its vertices) in the membrane's coordinates.

    Args:
        membrane: smooths gradients and steps.
        lr: length of a step where the gradient is largest, in units of the vertices.
        betas: decay of the moments.
    """

    def __init__(self, membrane: Membrane, lr: float, betas: tuple[float, float] = (0.9, 0.99)) -> None:
        self._membrane, self._lr, self._betas = membrane, lr, betas
        self._first: Tensor | None = None
        self._second: Tensor | None = None
        self._count = 0

    def step(self, gradient: Float[Tensor, "K V c"], *, rate: float = 1.0) -> Float[Tensor, "K V c"]:
        """The update to add to the values whose gradient is given; ``rate`` scales the learning rate of this step."""
        g = self._membrane(gradient)
        largest = _largest(g).square()[:, None, None]
        if self._first is None or self._second is None:
            self._first, self._second = torch.zeros_like(g), torch.zeros_like(largest)
        b1, b2 = self._betas
        self._count += 1
        self._first = b1 * self._first + (1 - b1) * g
        self._second = b2 * self._second + (1 - b2) * largest
        m = self._first / (1 - b1**self._count)
        scale = (self._second / (1 - b2**self._count)).sqrt().clamp_min(1e-12)
        step = self._membrane(m)
        # the second smoothing shortens the step: restore the length that the learning rate names
        restore = _largest(m) / _largest(step).clamp_min(1e-20)
        return -self._lr * rate * restore[:, None, None] * step / scale
