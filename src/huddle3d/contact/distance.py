"""One-shot forms of the queries of :class:`~huddle3d.contact.query.MeshQuery`; they build its tree on every call."""

from __future__ import annotations

import math

from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.contact.query import Closest, MeshQuery

__all__ = ["closest_point", "signed_distance", "winding_number"]


def closest_point(
    points: Float[Tensor, "N 3"], vertices: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"], *, max_distance: float = math.inf
) -> Closest:
    """Nearest point of the mesh to each point [m]; see :meth:`MeshQuery.closest_point`."""
    return MeshQuery(vertices, faces, winding=False).closest_point(points, max_distance=max_distance)


def winding_number(points: Float[Tensor, "N 3"], vertices: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"]) -> Float[Tensor, "N"]:
    """Generalised winding number (Jacobson et al. 2013); see :meth:`MeshQuery.winding_number`."""
    return MeshQuery(vertices, faces).winding_number(points)


def signed_distance(
    points: Float[Tensor, "N 3"], vertices: Float[Tensor, "V 3"], faces: Int[Tensor, "F 3"], *, max_distance: float = math.inf
) -> Float[Tensor, "N"]:
    """Signed distance [m], negative inside, with gradients to the points and the vertices; see :meth:`MeshQuery.signed_distance`.

    Example:
        The centre of a tetrahedron lies inside it, a far point outside.

        >>> import torch
        >>> corners = torch.tensor([[1.0, 1.0, 1.0], [1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]])
        >>> faces = torch.tensor([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])
        >>> distance = signed_distance(torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 3.0]]), corners, faces)
        >>> [round(d, 3) for d in distance.tolist()]
        [-0.577, 2.0]
    """
    return MeshQuery(vertices, faces).signed_distance(points, max_distance=max_distance)
