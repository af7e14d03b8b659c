"""Silhouettes: covered areas, their derivatives, and which edges are blended."""

import math

import pytest
import torch
from render_shapes import box, bumpy_pair, perspective_ring, sphere

from huddle3d.errors import ShapeError
from huddle3d.geometry import Camera, canonical_cameras
from huddle3d.render import EdgeTopology, antialias, interpolate, mask, rasterize, silhouette


def square(half: float, shift: tuple[float, float] = (0.0, 0.0)) -> tuple[torch.Tensor, torch.Tensor]:
    """Axis-aligned square at depth 3 of the front camera."""
    x, y = shift
    v = torch.tensor([[-half + x, -half + y, 0], [half + x, -half + y, 0], [half + x, half + y, 0], [-half + x, half + y, 0]])
    return v, torch.tensor([[0, 1, 2], [0, 2, 3]])


@pytest.mark.parametrize("offset", [0.0, 0.13, 0.31, 0.5, 0.77])
def test_a_straight_edge_covers_its_exact_share(offset):
    """Columns of a square whose sides lie ``offset`` px off the pixel borders."""
    size = 32
    px = 2 / size
    vertices, faces = square(10 * px, (offset * px, 0.0))
    cover = silhouette(vertices, faces, canonical_cameras(size)[0])[0]
    row = cover[size // 2]
    want = torch.zeros(size)
    want[6:26] = 1
    want[6] -= offset
    want[26] += offset
    assert torch.allclose(row, want, atol=1e-4)
    assert float(cover.sum()) == pytest.approx(400, abs=1e-2)


def test_area_of_a_disc_and_its_growth():
    """Dense mesh (triangles smaller than a pixel): area π r² and derivative 2 π r² with respect to the scale."""
    radius, size = 0.6, 64
    vertices, faces = sphere(4, radius)
    scale = torch.ones((), requires_grad=True)
    cover = silhouette(vertices * scale, faces, canonical_cameras(size))
    area = math.pi * (radius * size / 2) ** 2
    # the rim where steep and flat edges meet is not exact; the inscribed polygon loses 0.1 %
    assert torch.allclose(cover.sum((1, 2)), torch.full((6,), area), rtol=5e-3)
    cover.sum().backward()
    assert float(scale.grad) / 6 == pytest.approx(2 * area, rel=0.05)


@pytest.mark.parametrize("kind", ["orthographic", "perspective"])
def test_gradients_agree_with_finite_differences(kind):
    """Derivatives of a weighted coverage with respect to translation, rotation-like shear and scale of a folded, self-occluding mesh."""
    base, faces = bumpy_pair(torch.float64)
    camera = (canonical_cameras(64)[1:2] if kind == "orthographic" else perspective_ring(1, 64)).to(torch.float64)
    v, u = torch.meshgrid(torch.linspace(0, 1, 64, dtype=torch.float64), torch.linspace(0, 1, 64, dtype=torch.float64), indexing="ij")
    weight = torch.sin(3 * u) + torch.cos(2 * v) + 2  # smooth, so that moving the outline changes the sum smoothly
    topology = EdgeTopology.from_faces(faces)

    def loss(p: torch.Tensor) -> torch.Tensor:
        moved = base * (1 + p[3]) + p[:3] + p[4] * base[:, [1, 2, 0]]
        return (silhouette(moved, faces, camera, topology=topology) * weight).sum()

    p = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(p), p)
    step = 0.02  # about half a pixel: the coverage is piecewise smooth, so a secant over several kinks is compared
    eye = torch.eye(5, dtype=torch.float64) * step
    secant = torch.stack([(loss(e) - loss(-e)) / (2 * step) for e in eye]).detach()
    scale = secant.abs().max()
    assert ((gradient - secant).abs() < 0.08 * scale).all(), (gradient, secant)


def test_only_visible_silhouettes_are_blended():
    """A small square wholly in front of a large one: its outline is blended; the large one's hidden part and inner edges are not."""
    size = 32
    px = 2 / size
    back, f = square(8.3 * px)
    front = square(3.3 * px)[0] + torch.tensor([0, 0, 0.5])
    hidden = square(2.2 * px)[0] - torch.tensor([0, 0, 0.5])
    vertices, faces = torch.cat([back, front, hidden]), torch.cat([f, f + 4, f + 8])
    camera = canonical_cameras(size)[0]
    raster = rasterize(vertices, faces, camera)
    values = torch.tensor([0.2] * 4 + [1.0] * 4 + [5.0] * 4)[:, None]
    image = interpolate(raster, faces, values)
    row = antialias(image, raster, vertices, faces, camera)[0, size // 2, :, 0]
    # borders at 16 ± 8.3 px (background | 0.2) and 16 ± 3.3 px (0.2 | 1)
    want = torch.zeros(size)
    want[8:24], want[13:19] = 0.2, 1.0
    want[7] = want[24] = 0.3 * 0.2
    want[12] = want[19] = 0.7 * 0.2 + 0.3 * 1.0
    assert torch.allclose(row, want, atol=1e-4)


def test_gradients_reach_image_and_vertices():
    vertices, faces = bumpy_pair()
    camera = perspective_ring(2, 48)
    vertices.requires_grad_()
    raster = rasterize(vertices, faces, camera)
    image = torch.rand(2, 48, 48, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    antialias(image, raster, vertices, faces, camera).square().sum().backward()
    assert (image.grad.abs().sum(-1) > 0).all()
    # only the vertices of silhouette edges move the picture
    assert 10 < (vertices.grad.abs().sum(-1) > 0).sum() < len(vertices) / 2


def test_topology_of_closed_and_open_meshes():
    _, faces = sphere(1)
    topology = EdgeTopology.from_faces(faces)
    assert len(topology.ends) == len(faces) * 3 // 2 and (topology.opposite[:, 0] != topology.opposite[:, 1]).all()
    _, faces = square(1.0)
    border = EdgeTopology.from_faces(faces)
    assert len(border.ends) == 5 and int((border.opposite[:, 0] == border.opposite[:, 1]).sum()) == 4
    turned = EdgeTopology.from_faces(faces[:, [0, 2, 1]])
    assert torch.equal(turned.ends, border.ends)


def test_behind_the_camera_and_wrong_shapes():
    vertices, faces = box((-1, -1, 1), (1, 1, 3))
    camera = Camera.perspective(40.0, 32, 32)  # at the origin, looking along +z
    assert (silhouette(-vertices, faces, camera) == 0).all()
    raster = rasterize(vertices - torch.tensor([0.0, 0, 2]), faces, camera)  # crosses the near plane
    flat = mask(raster).float()[..., None]
    assert torch.isfinite(antialias(flat, raster, vertices - torch.tensor([0.0, 0, 2]), faces, camera)).all()
    with pytest.raises(ShapeError):
        antialias(flat[0], raster, vertices, faces, camera)
