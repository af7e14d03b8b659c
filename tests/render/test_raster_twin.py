"""The kernels against the plain-torch twin that defines them, forward and backward."""

import pytest
import torch
from render_shapes import bumpy_pair, perspective_ring, sphere

from huddle3d.errors import ShapeError
from huddle3d.geometry import Camera, canonical_cameras
from huddle3d.render import EdgeTopology, interpolate, rasterize, silhouette
from huddle3d.render._corners import corners
from huddle3d.render._raster_torch import evaluate
from huddle3d.render.antialias import _silhouette_edges

CAMERAS = {"orthographic": canonical_cameras(96), "perspective": perspective_ring(4, 96)}


def both(monkeypatch, run):
    """Results of the Warp kernels and of the twin."""
    out = []
    for backend in ("warp", "torch"):
        monkeypatch.setenv("HUDDLE3D_KERNELS", backend)
        out.append(run())
    return out


@pytest.mark.parametrize("kind", CAMERAS)
@pytest.mark.parametrize("batched_vertices", [False, True])
def test_forward_parity(monkeypatch, kind, batched_vertices):
    vertices, faces = bumpy_pair()
    camera = CAMERAS[kind]
    if batched_vertices:
        vertices = vertices * torch.linspace(0.8, 1.1, len(camera.K))[:, None, None]
    warp, twin = both(monkeypatch, lambda: rasterize(vertices, faces, camera))
    assert warp.face_id.dtype == torch.int32 and (warp.face_id >= 0).float().mean() > 0.15
    # both decide in float64 on the same float32 corners; only the order of the last additions differs, so an edge may tie differently: 1 in 10⁴
    differ = warp.face_id != twin.face_id
    assert differ.float().mean() < 1e-4
    same = ~differ & (warp.face_id >= 0)
    assert torch.allclose(warp.bary[same], twin.bary[same], atol=1e-6)
    assert torch.allclose(warp.depth[same], twin.depth[same], atol=1e-6)
    assert (warp.bary[warp.face_id < 0] == 0).all() and (warp.depth[warp.face_id < 0] == 0).all()


@pytest.mark.parametrize("kind", CAMERAS)
def test_gradient_parity(monkeypatch, kind):
    base, faces = bumpy_pair()
    camera = CAMERAS[kind]
    g = torch.Generator().manual_seed(1)
    colours = torch.rand(len(base), 5, generator=g)
    size = (len(camera.K), camera.height, camera.width)
    w_bary, w_depth, w_image = torch.rand(*size, 3, generator=g), torch.rand(*size, generator=g), torch.rand(*size, 5, generator=g)

    def run():
        vertices, attributes = base.clone().requires_grad_(), colours.clone().requires_grad_()
        raster = rasterize(vertices, faces, camera)
        loss = (raster.bary * w_bary).sum() + (raster.depth * w_depth).sum() + (interpolate(raster, faces, attributes) * w_image).sum()
        return torch.autograd.grad(loss, [vertices, attributes])

    (v_warp, a_warp), (v_twin, a_twin) = both(monkeypatch, run)
    # float32 sums in another order; barycentric gradients of pixel-size triangles are of the order of 1/size
    assert torch.allclose(v_warp, v_twin, rtol=1e-3, atol=1e-4 * float(v_twin.abs().max()))
    assert torch.allclose(a_warp, a_twin, rtol=1e-4, atol=1e-5 * float(a_twin.abs().max()))
    assert v_twin.abs().max() > 1


def test_interpolation_of_one_set_of_attributes_per_view(monkeypatch):
    vertices, faces = sphere(2)
    camera = canonical_cameras(48)
    attributes = torch.rand(6, len(vertices), 2, generator=torch.Generator().manual_seed(2))

    def run():
        leaf = attributes.clone().requires_grad_()
        image = interpolate(rasterize(vertices, faces, camera), faces, leaf)
        return image.detach(), torch.autograd.grad((image * image).sum(), leaf)[0]

    (image_warp, grad_warp), (image_twin, grad_twin) = both(monkeypatch, run)
    assert torch.allclose(image_warp, image_twin, atol=1e-6) and torch.allclose(grad_warp, grad_twin, atol=1e-4)
    one = interpolate(rasterize(vertices, faces, camera[3]), faces, attributes[3])
    assert torch.allclose(image_twin[3], one[0], atol=1e-6)


@pytest.mark.parametrize("kind", ["orthographic", "perspective"])
def test_twin_gradcheck(kind):
    vertices, faces = sphere(0, 0.7, torch.float64)
    camera = (canonical_cameras(9)[1:3] if kind == "orthographic" else perspective_ring(2, 9)).to(torch.float64)
    ids = rasterize(vertices, faces, camera).face_id
    assert (ids >= 0).sum() > 20
    assert torch.autograd.gradcheck(lambda v: evaluate(corners(v, camera), faces, ids), (vertices.requires_grad_(),))


def test_gradient_reaches_the_camera():
    vertices, faces = sphere(2)
    camera = perspective_ring(1, 32)
    focal = torch.ones((), requires_grad=True)
    scale = torch.stack([focal, focal, torch.ones(())])
    out = rasterize(vertices, faces, Camera("perspective", camera.K * scale[:, None], camera.T_cam_world, 32, 32))
    out.bary[..., 0].sum().backward()
    assert focal.grad is not None and focal.grad != 0


def test_float64_vertices_keep_their_type():
    vertices, faces = sphere(2, dtype=torch.float64)
    single, double = rasterize(vertices.float(), faces, CAMERAS["perspective"]), rasterize(vertices, faces, CAMERAS["perspective"])
    assert double.bary.dtype == torch.float64
    assert (single.face_id != double.face_id).float().mean() < 1e-3


@pytest.mark.parametrize("kind", CAMERAS)
def test_silhouette_edges_parity(monkeypatch, kind):
    vertices, faces = bumpy_pair()
    topology, corner = EdgeTopology.from_faces(faces), corners(vertices, CAMERAS[kind])
    warp, twin = both(monkeypatch, lambda: {(int(v), int(e)): int(s) for v, e, s in zip(*_silhouette_edges(corner, topology))})
    # an edge-on face may round to either side
    assert len(set(warp.items()) ^ set(twin.items())) <= 2
    assert len(twin) > 100


def test_empty_meshes_and_one_camera(monkeypatch):
    camera = canonical_cameras(16)[0]
    for backend in ("warp", "torch"):
        monkeypatch.setenv("HUDDLE3D_KERNELS", backend)
        out = rasterize(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.int64), camera)
        assert out.face_id.shape == (1, 16, 16) and (out.face_id == -1).all()
        assert (silhouette(torch.zeros(3, 3), torch.zeros(0, 3, dtype=torch.int64), camera) == 0).all()


def test_non_finite_and_degenerate_faces_are_invisible(monkeypatch):
    vertices = torch.tensor([[-0.5, -0.5, 0.0], [0.5, -0.5, 0], [0, 0.5, 0], [float("nan"), 0, 0], [float("inf"), 0, 0]])
    faces = torch.tensor([[0, 1, 3], [0, 1, 4], [0, 1, 1], [2, 2, 2], [0, 1, 2]])
    for out in both(monkeypatch, lambda: rasterize(vertices, faces, canonical_cameras(33)[0])):
        assert set(out.face_id.unique().tolist()) == {-1, 4}
        assert torch.isfinite(out.bary).all() and torch.isfinite(out.depth).all()


def test_shapes_are_checked():
    vertices, faces = sphere(0)
    camera = canonical_cameras(8)
    with pytest.raises(ShapeError):
        rasterize(vertices[None].expand(2, -1, -1), faces, camera)
    with pytest.raises(ShapeError):
        rasterize(vertices, faces[:, :2], camera)
    with pytest.raises(ShapeError):
        interpolate(rasterize(vertices, faces, camera), faces, torch.zeros(2, len(vertices), 3))
