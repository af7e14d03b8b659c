"""Colours for surface that nothing shows: a membrane over the mesh, held where colours are known."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["fill_colours", "matched_difference"]


def fill_colours(
    pairs: Int[Tensor, "e 2"],
    strength: Float[Tensor, "e"],
    colours: Float[Tensor, "V c"],
    weight: Float[Tensor, "V"],
    *,
    rest: Float[Tensor, "c"] | None = None,
) -> Float[Tensor, "V c"]:
    """Minimise ``Σ weight |x - colour|² + Σ strength |x_i - x_j|²`` over the mesh's graph (one sparse solve).

    Args:
        pairs: edges.
        strength: of each edge.
        colours: known values.
        weight: how well each is known; 0 = unknown.
        rest: value of pieces of the mesh that nothing reaches; default the weighted mean of the known ones (0.5 if none is).
    """
    from scipy.sparse import coo_matrix, diags
    from scipy.sparse.linalg import splu

    w = weight.detach().cpu().numpy().astype(np.float64)
    values = colours.detach().cpu().numpy().astype(np.float64)
    if rest is not None:
        base = rest.detach().cpu().numpy().astype(np.float64)
    else:
        base = (w[:, None] * values).sum(0) / w.sum() if w.sum() > 0 else np.full(values.shape[1], 0.5)
    faint = 1e-7  # reaches only pieces without any other data, and keeps the system regular
    i, j = pairs.cpu().numpy().T
    half = coo_matrix((strength.detach().cpu().numpy().astype(np.float64), (i, j)), (len(w), len(w)))
    adjacency = half + half.T
    system = diags(np.asarray(adjacency.sum(1)).ravel() + w + faint) - adjacency
    lu = splu(system.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    return torch.from_numpy(lu.solve(w[:, None] * values + faint * base)).to(colours)


def matched_difference(
    pairs: Int[Tensor, "e 2"],
    strength: Float[Tensor, "e"],
    known: Float[Tensor, "V c"],
    weight: Float[Tensor, "V"],
    source: Int[Tensor, "V"],
    *,
    limit: float = 0.2,
) -> Float[Tensor, "V c"]:
    """What to add to the colour of each vertex's ``source`` so that a copy joins the seen surface without a step.

    Where a vertex and its source are both seen their difference is known; a membrane carries it to where only the source is seen (the
    light falls differently on the two sides). Differences beyond ``limit`` are patterns, not light, and are cut there.
    """
    both = (torch.minimum(weight, weight[source]) > 0.1) & (source != torch.arange(len(source), device=source.device))
    difference = (known - known[source]).clamp(-limit, limit)
    return fill_colours(pairs, strength, difference, 50.0 * both, rest=known.new_zeros(known.shape[1])).clamp(-limit, limit)
