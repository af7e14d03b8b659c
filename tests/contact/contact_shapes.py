"""Analytic meshes for the tests of this room."""

import torch

from huddle3d.contact import MeshQuery

BACKENDS = ("warp", "torch")


def sphere(rings: int = 24, radius: float = 1.0, centre=(0.0, 0.0, 0.0), dtype=torch.float64):
    """Latitude-longitude sphere with vertices on the sphere; faces outwards."""
    theta = torch.linspace(0, torch.pi, rings + 1, dtype=torch.float64)[1:-1]
    phi = torch.arange(2 * rings, dtype=torch.float64) * (torch.pi / rings)
    t, p = torch.meshgrid(theta, phi, indexing="ij")
    ring = torch.stack([t.sin() * p.sin(), t.cos(), t.sin() * p.cos()], -1).reshape(-1, 3)
    vertices = torch.cat([torch.tensor([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0]], dtype=torch.float64), ring])
    n = 2 * rings
    faces = []
    for k in range(n):
        m = (k + 1) % n
        faces.append((0, 2 + k, 2 + m))
        last = 2 + (rings - 2) * n
        faces.append((1, last + m, last + k))
        for r in range(rings - 2):
            a, b = 2 + r * n, 2 + (r + 1) * n
            faces += [(a + k, b + k, b + m), (a + k, b + m, a + m)]
    return (vertices * radius + torch.tensor(centre, dtype=torch.float64)).to(dtype), torch.tensor(faces)


def cube(half: float = 1.0, dtype=torch.float64):
    """Axis-aligned cube of 12 triangles; the last two are its top (+y)."""
    corners = [(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (0, 2, 6, 4), (1, 5, 7, 3), (2, 3, 7, 6)]
    faces = [f for a, b, c, d in quads for f in ((a, b, c), (a, c, d))]
    return torch.tensor(corners, dtype=dtype) * half, torch.tensor(faces)


def cube_distance(p: torch.Tensor, half: float = 1.0) -> torch.Tensor:
    """Exact signed distance of an axis-aligned cube."""
    q = p.abs() - half
    return q.clamp_min(0).norm(dim=-1) + q.amax(-1).clamp_max(0)


def query(mesh, backend: str, **options) -> MeshQuery:
    return MeshQuery(*mesh, backend=backend, **options)
