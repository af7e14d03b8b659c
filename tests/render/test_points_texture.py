"""Point splats and UV textures."""

import pytest
import torch
from render_shapes import box, perspective_ring

from huddle3d.errors import ShapeError
from huddle3d.geometry import Camera, canonical_cameras
from huddle3d.render import mask, rasterize, splat_points, texture_lookup


@pytest.mark.parametrize("radius", [0.0, 0.8, 2.5, "mixed"])
def test_splats_equal_their_twin(monkeypatch, radius):
    g = torch.Generator().manual_seed(4)
    points = torch.rand(300, 3, generator=g) * 2 - 1
    points[:3] = torch.tensor([[0, 0, 30.0], [float("nan"), 0, 0], [0.5, 0.5, float("inf")]])
    values = torch.rand(300, 2, generator=g)
    size = torch.rand(300, generator=g) * 4 if radius == "mixed" else radius
    for camera in (canonical_cameras(40), perspective_ring(3, 40)):
        out = []
        for backend in ("warp", "torch"):
            monkeypatch.setenv("HUDDLE3D_KERNELS", backend)
            out.append(splat_points(points, values, camera, size))
        (a, za, ha), (b, zb, hb) = out
        # float32 distances to the disc's rim may round differently
        assert (ha != hb).float().mean() < 1e-3 and ha.any()
        assert (za != zb).float().mean() < 1e-3 and ((a != b).any(-1)).float().mean() < 1e-3


def test_one_disc_and_its_depth():
    camera = Camera.orthographic(1.0, 16, 16)
    points = torch.tensor([[0.03, 0.03, 2.0], [0.03, 0.03, 1.0]])  # pixel (8.24, 8.24)
    image, depth, hit = splat_points(points, torch.tensor([[1.0], [2.0]]), camera, 1.3)
    at = [(7, 8), (8, 7), (8, 8), (8, 9), (9, 8), (7, 7), (9, 9)]
    v, u = hit[0].nonzero(as_tuple=True)
    centres = torch.stack([u, v], -1) + 0.5
    assert ((centres - 8.24).norm(dim=-1) <= 1.3).all() and len(u) == sum(((x + 0.5 - 8.24) ** 2 + (y + 0.5 - 8.24) ** 2) <= 1.69 for x, y in at)
    assert (image[0][hit[0]] == 2).all() and (depth[0][hit[0]] == 1).all() and (depth[0][~hit[0]] == 0).all()
    assert splat_points(points[:0], torch.zeros(0, 1), camera)[2].sum() == 0
    with pytest.raises(ShapeError):
        splat_points(points, torch.zeros(3, 1), camera)


def test_texture_is_upright_and_differentiable():
    """A texture on the front side of a cube: u to the image right, v up, first texture row at the top."""
    vertices, faces = box((-0.8, -0.8, -0.8), (0.8, 0.8, 0.8))
    front = faces[10:]  # +z
    uv = (vertices[:, :2] + 0.8) / 1.6
    texture = torch.zeros(4, 4, 3)
    texture[0, 0], texture[0, 3], texture[3, 0] = torch.tensor([1.0, 0, 0]), torch.tensor([0, 1.0, 0]), torch.tensor([0, 0, 1.0])
    texture.requires_grad_()
    raster = rasterize(vertices, front, canonical_cameras(40)[0])
    image = texture_lookup(raster, uv, front, texture)[0]
    assert image[5, 5].argmax() == 0 and image[5, 34].argmax() == 1 and image[34, 5].argmax() == 2
    assert image[5, 5, 0] > 0.95 and image[34, 34].sum() < 0.05
    image.sum().backward()
    # every covered pixel spreads weight 1 per channel over the texels
    assert float(texture.grad.sum()) == pytest.approx(3 * int(mask(raster).sum()), rel=1e-4)
