"""Analytic meshes for the tests of this folder."""

import torch

from huddle3d.scene import PersonMesh


def plane(z: float = 0.0, side: float = 1.0, cells: int = 8):
    """A square in the plane ``z``, normal +z."""
    n = cells + 1
    grid = torch.linspace(-side / 2, side / 2, n)
    y, x = torch.meshgrid(grid, grid, indexing="ij")
    vertices = torch.stack([x, y, torch.full_like(x, z)], -1).reshape(-1, 3)
    index = torch.arange(n * n).reshape(n, n)
    a, b, c, d = (t.reshape(-1) for t in (index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]))
    return vertices, torch.cat([torch.stack([a, b, c], -1), torch.stack([a, c, d], -1)])


def cube(centre=(0.0, 0.0, 0.0), side: float = 1.0):
    """Axis-aligned, outward faces."""
    corners = torch.tensor([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=torch.float32) - 0.5
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = torch.tensor([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))])
    return corners * side + torch.tensor(centre), faces


def sphere(radius: float = 0.5, centre=(0.0, 0.0, 0.0), rings: int = 48):
    """UV sphere, outward faces."""
    segments = 2 * rings
    theta = torch.linspace(0, torch.pi, rings + 1)[1:-1]
    phi = torch.arange(segments) * (2 * torch.pi / segments)
    t, p = torch.meshgrid(theta, phi, indexing="ij")
    body = torch.stack([t.sin() * p.cos(), t.cos(), -t.sin() * p.sin()], -1).reshape(-1, 3)
    vertices = torch.cat([body, torch.tensor([[0.0, 1, 0], [0, -1, 0]])]) * radius + torch.tensor(centre)
    faces = []
    north, south = len(body), len(body) + 1
    for s in range(segments):
        n = (s + 1) % segments
        faces.append((north, s, n))
        for r in range(rings - 2):
            a, b, c, d = r * segments + s, r * segments + n, (r + 1) * segments + n, (r + 1) * segments + s
            faces += [(a, d, c), (a, c, b)]
        last = (rings - 2) * segments
        faces.append((south, last + n, last + s))
    return vertices, torch.tensor(faces)


def person(name: str, mesh, colour=(0.5, 0.5, 0.5)) -> PersonMesh:
    """A mesh of one colour."""
    vertices, faces = mesh
    texture = torch.tensor(colour).expand(4, 4, 3).contiguous()
    return PersonMesh(name, vertices, faces, torch.tensor([[0.5, 0.5]]), torch.zeros_like(faces), texture, torch.ones(len(vertices)))
