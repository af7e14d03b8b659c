"""Small meshes and cameras for the renderer's tests."""

import torch
import trimesh

from huddle3d.geometry import Camera, look_at


def sphere(subdivisions: int = 3, radius: float = 0.6, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    """Icosphere with outward counter-clockwise faces."""
    mesh = trimesh.creation.icosphere(subdivisions=subdivisions, radius=radius)
    return torch.tensor(mesh.vertices, dtype=dtype), torch.tensor(mesh.faces, dtype=torch.int64)


def bumpy_pair(dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    """Two intersecting spheres with seeded dents: folds, occlusion, intersections, triangles of many sizes."""
    g = torch.Generator().manual_seed(5)
    parts = []
    for shift, subdivisions in ((-0.3, 3), (0.35, 2)):
        v, f = sphere(subdivisions, 0.5, torch.float64)
        v = v * (1 + 0.12 * torch.rand(len(v), 1, generator=g, dtype=torch.float64)) + torch.tensor([shift, 0.05, 0.3 * shift], dtype=torch.float64)
        parts.append((v.to(dtype), f))
    return torch.cat([v for v, _ in parts]), torch.cat([parts[0][1], parts[1][1] + len(parts[0][0])])


def box(low: tuple[float, float, float], high: tuple[float, float, float]) -> tuple[torch.Tensor, torch.Tensor]:
    """Axis-aligned box, 24 vertices (four per side, sides in the order -x, +x, -y, +y, -z, +z), outward counter-clockwise faces."""
    vertices, faces = [], []
    for axis in range(3):
        for sign in (0, 1):
            u, v = (axis + 1) % 3, (axis + 2) % 3
            for a, b in ((0, 0), (1, 0), (1, 1), (0, 1)) if sign else ((0, 0), (0, 1), (1, 1), (1, 0)):
                p = [0.0, 0.0, 0.0]
                p[axis], p[u], p[v] = (low, high)[sign][axis], (low, high)[a][u], (low, high)[b][v]
                vertices.append(p)
            k = len(vertices) - 4
            faces += [[k, k + 1, k + 2], [k, k + 2, k + 3]]
    return torch.tensor(vertices, dtype=torch.float32), torch.tensor(faces)


def perspective_ring(count: int, size: int, *, distance: float = 2.5, focal: float = 1.3, dtype: torch.dtype = torch.float32) -> Camera:
    """Perspective cameras around the origin, slightly above it."""
    a = torch.arange(count, dtype=torch.float64) * (2 * torch.pi / count)
    eye = torch.stack([distance * a.sin(), torch.full_like(a, 0.4), distance * a.cos()], -1)
    K = torch.tensor([[focal * size, 0, size / 2], [0, focal * size, size / 2], [0, 0, 1]], dtype=torch.float64)
    return Camera("perspective", K.expand(count, 3, 3).contiguous(), look_at(eye, torch.zeros_like(eye)), size, size).to(dtype)
