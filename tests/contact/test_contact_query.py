"""Distances, winding numbers and their gradients on shapes whose answers are known, and kernels against twins."""

import math

import pytest
import torch
from contact_shapes import BACKENDS, cube, cube_distance, query, sphere

from huddle3d.contact import MeshQuery, closest_point, signed_distance, winding_number
from huddle3d.errors import HuddleError, InputError, ShapeError

FLOAT32 = 2e-6  # the tree works in float32: coordinates near 1 carry 6e-8, distances a few of them


def points_in(count: int, half: float, rng: torch.Generator) -> torch.Tensor:
    return (torch.rand(count, 3, generator=rng, dtype=torch.float64) * 2 - 1) * half


@pytest.mark.parametrize("backend", BACKENDS)
def test_cube_distance_is_exact_inside_and_outside(backend, rng):
    points = points_in(3000, 2.0, rng)
    assert torch.allclose(query(cube(), backend).signed_distance(points), cube_distance(points), atol=FLOAT32)


@pytest.mark.parametrize("backend", BACKENDS)
def test_closest_point_lies_on_its_face_at_its_distance(backend, rng):
    vertices, faces = cube()
    points = points_in(500, 2.0, rng)
    found = query((vertices, faces), backend).closest_point(points)
    assert torch.allclose((vertices[faces[found.face]] * found.bary[..., None]).sum(1), found.point)
    assert torch.allclose((points - found.point).norm(dim=-1), found.distance)
    assert torch.allclose(found.distance, cube_distance(points).abs(), atol=FLOAT32)
    assert found.bary.min() >= -1e-6
    assert torch.allclose(found.bary.sum(-1), torch.ones(500, dtype=torch.float64))


@pytest.mark.parametrize("backend", BACKENDS)
def test_sphere_distance_within_its_faceting(backend, rng):
    rings = 24
    points = points_in(1000, 1.5, rng)
    sagitta = 1 - math.cos(math.pi / rings)  # the flat faces lie at most this far below the sphere (doubled for the diagonal)
    error = query(sphere(rings), backend).signed_distance(points) - (points.norm(dim=-1) - 1)
    assert error.min() > -FLOAT32
    assert error.max() < 2 * sagitta


@pytest.mark.parametrize("backend", BACKENDS)
def test_winding_number_is_one_inside_and_zero_outside(backend, rng):
    points = points_in(1000, 1.5, rng)
    points = points[(points.norm(dim=-1) - 1).abs() > 0.02]
    w = query(sphere(), backend).winding_number(points)
    assert torch.allclose(w, (points.norm(dim=-1) < 1).double(), atol=1e-3)


def test_inverted_mesh_counts_minus_one(rng):
    vertices, faces = sphere()
    assert torch.allclose(winding_number(torch.zeros(1, 3, dtype=torch.float64), vertices, faces.flip(-1)), torch.tensor([-1.0]).double(), atol=1e-3)


@pytest.mark.parametrize("backend", BACKENDS)
def test_open_box_is_still_inside_below_its_rim(backend):
    vertices, faces = cube()
    open_box = query((vertices, faces[:-2]), backend)
    points = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.9, 0.0], [0.0, 1.1, 0.0], [0.0, 3.0, 0.0]], dtype=torch.float64)
    assert torch.allclose(open_box.winding_number(points)[0], torch.tensor(5 / 6).double(), atol=1e-3)  # the lid is a sixth of all directions
    assert (open_box.signed_distance(points) < 0).tolist() == [True, True, False, False]


@pytest.mark.parametrize("backend", BACKENDS)
def test_overlapping_parts_stay_inside(backend):
    (a, fa), (b, fb) = sphere(centre=(-0.5, 0, 0)), sphere(centre=(0.5, 0, 0))
    both = query((torch.cat([a, b]), torch.cat([fa, fb + len(a)])), backend)
    centre = torch.zeros(1, 3, dtype=torch.float64)
    assert torch.allclose(both.winding_number(centre), torch.tensor([2.0]).double(), atol=1e-3)
    assert both.signed_distance(centre) < 0


@pytest.mark.parametrize("lid", [True, False])
def test_signs_along_paths_equal_the_inside_test(lid, rng):
    """Steps far shorter than the distances, so that signs are taken over from point to point; through walls, and through the missing lid."""
    vertices, faces = cube()
    box = query((vertices, faces if lid else faces[:-2]), "warp")
    ends = points_in(80, 1.6, rng).reshape(40, 2, 3)
    along = torch.linspace(0, 1, 100, dtype=torch.float64)[:, None]
    paths = (ends[:, :1] * (1 - along) + ends[:, 1:] * along).reshape(-1, 3)
    changes = 0
    for part in paths.split(1000):  # few enough that their order is kept
        inside = box.inside(part)
        near_rim = (box.winding_number(part) - 0.5).abs() < 0.01
        assert torch.equal((box.signed_distance(part) < 0)[~near_rim], inside[~near_rim])
        assert torch.equal((box.signed_distance(part, max_distance=0.3) < 0)[~near_rim], inside[~near_rim])
        changes += int((inside[1:] != inside[:-1]).sum())
    assert changes > 20


@pytest.mark.parametrize("signed", [False, True])
def test_kernels_equal_the_twin_on_a_rough_open_mesh(signed, rng):
    vertices, faces = sphere(16)
    vertices = vertices * (1 + 0.2 * torch.rand(len(vertices), 1, generator=rng, dtype=torch.float64))
    faces = faces[torch.rand(len(faces), generator=rng) > 0.1]
    points = points_in(3000, 1.5, rng)  # above the size from which queries are reordered
    fast, slow = query((vertices, faces), "warp"), query((vertices, faces), "torch")
    assert torch.allclose(fast.winding_number(points), slow.winding_number(points), atol=1e-3)
    if not signed:
        a, b = fast.closest_point(points), slow.closest_point(points)
        assert torch.allclose(a.distance, b.distance, atol=FLOAT32)
        inner = (a.bary.amin(-1) > 1e-3) & (b.bary.amin(-1) > 1e-3)  # on shared edges and vertices several faces are nearest
        assert inner.sum() > 500
        assert (a.face[inner] == b.face[inner]).double().mean() > 0.99
        return
    clear = (slow.winding_number(points) - 0.5).abs() > 1e-3  # at a hole the sign may flip within the expansion's error
    assert clear.double().mean() > 0.99
    assert torch.allclose(fast.signed_distance(points)[clear], slow.signed_distance(points)[clear], atol=FLOAT32)
    assert torch.equal(fast.inside(points)[clear], slow.inside(points)[clear])


def test_order_of_points_does_not_change_the_result(rng):
    points = points_in(5000, 1.5, rng).float()
    q = query(sphere(dtype=torch.float32), "warp")
    shuffle = torch.randperm(5000, generator=rng)
    assert torch.allclose(q.signed_distance(points)[shuffle], q.signed_distance(points[shuffle]), atol=FLOAT32)


@pytest.mark.parametrize("backend", BACKENDS)
def test_truncation(backend):
    q = query(cube(), backend)
    points = torch.tensor([[3.0, 0, 0], [1.05, 0, 0], [0.95, 0, 0], [0.2, 0, 0]], dtype=torch.float64, requires_grad=True)
    outside = q.signed_distance(points, max_distance=0.1)
    assert torch.allclose(outside, torch.tensor([0.1, 0.05, -0.05, -0.8]).double(), atol=FLOAT32)
    both = q.signed_distance(points, max_distance=0.1, truncate_inside=True)
    assert torch.allclose(both, torch.tensor([0.1, 0.05, -0.05, -0.1]).double(), atol=FLOAT32)
    both.sum().backward()
    assert torch.allclose(points.grad[:, 0], torch.tensor([0.0, 1.0, 1.0, 0.0]).double(), atol=1e-5)
    near = q.closest_point(points.detach(), max_distance=0.1)
    assert near.face[0] == -1
    assert near.distance[0] == 0.1
    assert torch.equal(near.point[0], points[0].detach())


def test_gradcheck_of_the_twin(rng):
    vertices, faces = sphere(4)
    points = torch.tensor([[0.3, 0.2, 0.1], [1.4, 0.3, 0.2], [0.9, 0.9, 0.4], [-0.2, -1.7, 0.1]], dtype=torch.float64)

    def distance(p, v):
        return signed_distance_twin(p, v, faces)

    assert torch.autograd.gradcheck(distance, (points.requires_grad_(), vertices.requires_grad_()), atol=1e-6)


def signed_distance_twin(points, vertices, faces):
    return MeshQuery(vertices, faces, backend="torch").signed_distance(points)


def test_gradients_of_the_kernel_by_finite_differences(rng):
    """Central differences of the float64 twin along random directions, against the closed form behind the float32 tree."""
    vertices, faces = sphere(8)
    vertices = vertices * (1 + 0.1 * torch.rand(len(vertices), 1, generator=rng, dtype=torch.float64))
    points = points_in(40, 1.6, rng)
    p, v = points.clone().requires_grad_(), vertices.clone().requires_grad_()
    weight = torch.randn(40, generator=rng, dtype=torch.float64)
    (MeshQuery(v, faces, backend="warp").signed_distance(p) * weight).sum().backward()
    for k in range(4):
        dp, dv = torch.randn(points.shape, generator=rng).double(), torch.randn(vertices.shape, generator=rng).double()
        dp, dv = (dp, torch.zeros_like(dv)) if k < 2 else (torch.zeros_like(dp), dv)
        step = 1e-6
        plus = signed_distance_twin(points + step * dp, vertices + step * dv, faces)
        minus = signed_distance_twin(points - step * dp, vertices - step * dv, faces)
        numeric = ((plus - minus) * weight).sum() / (2 * step)
        assert torch.allclose((p.grad * dp).sum() + (v.grad * dv).sum(), numeric, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradient_on_the_surface_is_the_outward_normal(backend):
    points = torch.tensor([[1.0, 0.3, 0.2]], dtype=torch.float32, requires_grad=True)
    query(cube(dtype=torch.float32), backend).signed_distance(points).sum().backward()
    assert torch.allclose(points.grad, torch.tensor([[1.0, 0.0, 0.0]]))


def test_refit_equals_a_new_build_and_carries_gradients(rng):
    vertices, faces = sphere(12, dtype=torch.float32)
    points = points_in(300, 2.0, rng).float()
    moved = (vertices * torch.tensor([1.0, 1.5, 0.7]) + 0.1).requires_grad_()
    q = MeshQuery(vertices, faces)
    before = q.signed_distance(points)
    after = q.refit(moved).signed_distance(points)
    assert not torch.allclose(before, after, atol=1e-2)
    assert torch.allclose(after, signed_distance(points, moved.detach(), faces), atol=FLOAT32)
    after.sum().backward()
    assert torch.allclose(moved.grad.sum(0), -torch.autograd.grad(shifted(points, moved.detach(), faces), shifted.shift)[0], atol=1e-3)


def shifted(points, vertices, faces):
    """Sum of distances as a function of a common shift of the points: the counterpart of shifting the mesh the other way."""
    shifted.shift = torch.zeros(3, requires_grad=True)
    return signed_distance(points + shifted.shift, vertices, faces).sum()


@pytest.mark.parametrize("backend", BACKENDS)
def test_degenerate_faces_are_passed_over(backend, rng):
    vertices, faces = cube()
    vertices = torch.cat([vertices, torch.tensor([[3.0, 0, 0], [3.0, 1, 0], [3.0, 2, 0]]).double()])
    faces = torch.cat([faces, torch.tensor([[8, 9, 10]])])
    points = points_in(200, 4.0, rng)
    assert torch.allclose(query((vertices, faces), backend).signed_distance(points), cube_distance(points), atol=2 * FLOAT32)


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_points_give_empty_results(backend):
    q = query(cube(), backend)
    none = torch.zeros(0, 3, dtype=torch.float64)
    assert q.signed_distance(none).shape == (0,)
    assert q.winding_number(none).shape == (0,)
    assert q.closest_point(none).point.shape == (0, 3)


@pytest.mark.parametrize("backend", BACKENDS)
def test_bad_input_is_a_typed_error(backend):
    vertices, faces = cube()
    points = torch.zeros(2, 3, dtype=torch.float64)
    bad = [
        lambda: query((vertices, faces[:0]), backend),
        lambda: query((vertices[:0], faces), backend),
        lambda: query((vertices, faces + 1), backend),
        lambda: query((vertices, -faces), backend),
        lambda: query((vertices, faces.float()), backend),
        lambda: query((vertices, faces[:, :2]), backend),
        lambda: query((vertices * math.nan, faces), backend),
        lambda: query((vertices, faces), backend).signed_distance(points * math.nan),
        lambda: query((vertices, faces), backend).signed_distance(points + math.inf),
        lambda: query((vertices, faces), backend).signed_distance(points[:, :2]),
        lambda: query((vertices, faces), backend).signed_distance(points.long()),
        lambda: query((vertices, faces), backend).refit(vertices[:4]),
        lambda: query((vertices * 0, faces), backend).signed_distance(points + 1),
        lambda: query((vertices, faces), backend, winding=False).signed_distance(points),
    ]
    for call in bad:
        with pytest.raises(HuddleError):
            call()


def test_error_names_what_is_wrong():
    vertices, faces = cube()
    with pytest.raises(InputError, match="vertices 1 … 8, but the mesh has 8"):
        closest_point(vertices, vertices, faces + 1)
    with pytest.raises(ShapeError, match="points"):
        closest_point(vertices[None], vertices, faces)


def test_types_and_layouts_mix(rng):
    """float32 points on a float64 mesh, int32 faces, strided inputs: converted, not refused; the mesh's type is the result's."""
    vertices, faces = cube()
    points = points_in(50, 2.0, rng)
    strided = points.float().repeat_interleave(2, 0)[::2]
    out = MeshQuery(vertices, faces.int()).signed_distance(strided)
    assert out.dtype == torch.float64
    assert torch.allclose(out, cube_distance(points), atol=FLOAT32)


def test_backend_follows_the_environment(monkeypatch):
    monkeypatch.setenv("HUDDLE3D_KERNELS", "torch")
    assert MeshQuery(*cube()).backend == "torch"
