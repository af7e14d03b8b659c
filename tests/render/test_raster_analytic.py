"""The rasteriser against shapes whose pictures are known."""

import math

import pytest
import torch
from render_shapes import box, bumpy_pair, perspective_ring, sphere

from huddle3d.geometry import AZIMUTHS_DEG, Camera, canonical_cameras, look_at
from huddle3d.render import depth_map, instance_ids, interpolate, mask, merge_meshes, normal_map, rasterize

BACKENDS = pytest.mark.parametrize("backend", ["warp", "torch"])


@BACKENDS
def test_sphere_depth_and_normals(monkeypatch, backend):
    monkeypatch.setenv("HUDDLE3D_KERNELS", backend)
    radius, size = 0.6, 64
    vertices, faces = sphere(4, radius)
    camera = canonical_cameras(size)
    raster = rasterize(vertices, faces, camera)
    uv = camera.pixel_centres()
    xy = (uv - size / 2) / (size / 2)
    r2 = xy.square().sum(-1)
    inside = r2 < (0.97 * radius) ** 2
    depth = 3 - (radius**2 - r2).clamp_min(0).sqrt()
    # the middle of an icosphere(4) triangle (circumradius 0.042 r) lies 0.042² / 2 r = 5.3e-4 below the sphere, seen obliquely (1/cos < 4.2)
    assert ((raster.depth - depth).abs()[:, inside] < 2.4e-3).all()
    points = camera.unproject(uv.reshape(1, -1, 2).expand(6, -1, -1), depth.reshape(1, -1).expand(6, -1)).reshape(6, size, size, 3)
    normals = normal_map(raster, vertices, faces)
    assert ((normals - points / radius).norm(dim=-1)[:, inside] < 0.02).all()
    outside = r2 > (1.01 * radius) ** 2
    assert (raster.face_id[:, outside] == -1).all() and (normals[:, outside] == 0).all()


def test_normals_encode_to_the_front_frame():
    """Convention of the normal maps: +z towards the front camera in all views, so the front centre is (.5, .5, 1) and the back centre (.5, .5, 0)."""
    vertices, faces = sphere(4)
    colour = (normal_map(rasterize(vertices, faces, canonical_cameras(65)), vertices, faces) + 1) / 2
    assert torch.allclose(colour[0, 32, 32], torch.tensor([0.5, 0.5, 1.0]), atol=0.02)
    assert torch.allclose(colour[3, 32, 32], torch.tensor([0.5, 0.5, 0.0]), atol=0.02)
    assert torch.allclose(colour[2, 32, 32], torch.tensor([1.0, 0.5, 0.5]), atol=0.02)  # azimuth 90: the camera is on +x
    assert torch.allclose(colour[4, 32, 32], torch.tensor([0.0, 0.5, 0.5]), atol=0.02)


@BACKENDS
def test_marker_cube_at_the_canonical_azimuths(monkeypatch, backend):
    """An asymmetric coloured cube: each view shows the right side, upright and not mirrored."""
    monkeypatch.setenv("HUDDLE3D_KERNELS", backend)
    vertices, faces = box((-0.4, -0.4, -0.4), (0.4, 0.4, 0.4))
    side = torch.arange(24) // 4  # -x, +x, -y, +y, -z, +z
    # a marker per corner direction: red grows to world +x, green to +y, blue to +z
    colours = (vertices + 0.4) / 0.8
    size = 64
    camera = canonical_cameras(size)
    raster = rasterize(vertices, faces, camera)
    image = interpolate(raster, faces, colours)
    shown = instance_ids(raster, side[faces[:, 0]])
    centre = size // 2
    assert [int(shown[k, centre, centre]) for k in (0, 2, 3, 4)] == [5, 1, 4, 0]
    # at 45° the cube's edge x = z = 0.4 is in the middle: +z on the left of it, +x on the right; at 315° -x on the left, +z on the right
    assert int(shown[1, centre, centre - 8]) == 5 and int(shown[1, centre, centre + 8]) == 1
    assert int(shown[5, centre, centre - 8]) == 0 and int(shown[5, centre, centre + 8]) == 5
    for k, azimuth in enumerate(AZIMUTHS_DEG):
        a = math.radians(azimuth)
        right = torch.tensor([math.cos(a), 0.0, -math.sin(a)])  # image right in the world, for a camera at (sin a, 0, cos a)
        for du, dv in ((-6, -9), (7, 5)):
            x, y = centre + du, centre + dv
            assert int(shown[k, y, x]) >= 0
            world = image[k, y, x] * 0.8 - 0.4
            want = torch.tensor([(x + 0.5 - size / 2) / (size / 2), -(y + 0.5 - size / 2) / (size / 2)])
            assert torch.allclose(torch.stack([world @ right, world[1]]), want, atol=1e-5)


def test_far_perspective_is_orthographic():
    vertices, faces = bumpy_pair()
    size, distance = 96, 400.0
    T = look_at(torch.tensor([0.0, 0, distance], dtype=torch.float64), torch.zeros(3, dtype=torch.float64)).float()
    far = Camera.perspective(size / 2 * distance, size, size, T)
    near = canonical_cameras(size)[0]
    a, b = rasterize(vertices, faces, far), rasterize(vertices, faces, near)
    # perspective moves a point by at most 0.7 · 0.6 / 400 · 48 = 0.05 px: one pixel in 20 along an outline of some 200
    assert (mask(a) != mask(b)).sum() <= 12
    both = mask(a) & mask(b)
    assert ((a.depth - distance) - (b.depth - 3))[both].abs().median() < 1e-3


def test_perspective_barycentrics_are_those_of_the_surface_point():
    vertices, faces = bumpy_pair()
    camera = perspective_ring(3, 64)
    raster = rasterize(vertices, faces, camera)
    points = interpolate(raster, faces, vertices)
    uv, z = camera.project(points.reshape(3, -1, 3))
    seen = mask(raster).reshape(3, -1)
    centres = camera.pixel_centres().reshape(1, -1, 2).expand(3, -1, -1)
    assert torch.allclose(uv[seen], centres[seen], atol=1e-3)
    assert torch.allclose(z[seen], raster.depth.reshape(3, -1)[seen], atol=1e-5)
    assert torch.allclose(raster.bary.sum(-1)[mask(raster)], torch.ones(()), atol=1e-6)
    assert torch.equal(depth_map(vertices, faces, camera), raster.depth)


@BACKENDS
def test_triangles_that_cross_the_near_plane_keep_their_visible_part(monkeypatch, backend):
    monkeypatch.setenv("HUDDLE3D_KERNELS", backend)
    # a floor one unit below the camera, from 30 units behind it to 30 ahead
    vertices = torch.tensor([[-30.0, -1, 30], [30, -1, 30], [30, -1, -30], [-30, -1, -30]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    camera = Camera.perspective(50.0, 64, 64, look_at(torch.zeros(3), torch.tensor([0.0, 0, -1])))
    raster = rasterize(vertices, faces, camera)
    v = camera.pixel_centres()[..., 1] - 32
    depth = torch.where(v > 0, 50 / v.clamp_min(0.1), 0)
    depth = torch.where(depth < 30, depth, 0)  # the floor ends there
    assert torch.equal(mask(raster)[0], depth > 0)
    assert torch.allclose(raster.depth[0], depth, rtol=1e-5)
    # wholly behind: nothing
    assert not mask(rasterize(vertices + torch.tensor([0.0, 0, 60]), faces, camera)).any()


@BACKENDS
def test_no_cracks_along_shared_edges(monkeypatch, backend):
    """A jittered grid that covers the image: every pixel is hit, also with vertices and edges exactly on pixel centres."""
    monkeypatch.setenv("HUDDLE3D_KERNELS", backend)
    n = 24
    axis = torch.linspace(-1.5, 1.5, n + 1)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    i = torch.arange(n * n)
    a = i // n * (n + 1) + i % n
    faces = torch.cat([torch.stack([a, a + 1, a + n + 2], -1), torch.stack([a, a + n + 2, a + n + 1], -1)])
    g = torch.Generator().manual_seed(0)
    jitter = 0.04 * torch.rand(2, n + 1, n + 1, generator=g)
    for dx, dy in (jitter, torch.zeros(2, n + 1, n + 1)):
        vertices = torch.stack([x + dx, y + dy, torch.zeros_like(x)], -1).reshape(-1, 3)
        for camera in (canonical_cameras(128)[0], perspective_ring(1, 129, distance=1.5)):
            assert mask(rasterize(vertices, faces, camera)).all()


def test_nearest_surface_wins_and_ties_go_to_the_first():
    vertices = torch.tensor([[-1.0, -1, 0], [1, -1, 0], [0, 1, 0]])
    near = vertices + torch.tensor([0, 0, 0.2])
    v, f, owner = merge_meshes([(vertices, torch.tensor([[0, 1, 2]])), (near, torch.tensor([[0, 1, 2]])), (near, torch.tensor([[0, 2, 1]]))])
    raster = rasterize(v, f, canonical_cameras(32)[0])
    assert set(instance_ids(raster, owner).unique().tolist()) == {-1, 1}
    assert merge_meshes([])[1].shape == (0, 3)
