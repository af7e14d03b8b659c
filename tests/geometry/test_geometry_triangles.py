"""Measures of triangle meshes by hand: a cube, and what has no area."""

import pytest
import torch

from huddle3d.geometry import edges, face_areas, face_normals, mean_neighbour, sample_surface, vertex_normals

_QUADS = torch.tensor([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
FACES = torch.cat([_QUADS[:, [0, 1, 2]], _QUADS[:, [0, 2, 3]]])
VERTICES = torch.tensor([[x, y, z] for x in (0.0, 1.0) for y in (0.0, 1.0) for z in (0.0, 1.0)], dtype=torch.float64)


def test_cube() -> None:
    torch.testing.assert_close(face_areas(VERTICES, FACES), torch.full((12,), 0.5, dtype=torch.float64))
    normals = face_normals(VERTICES, FACES)
    outward = VERTICES[FACES].mean(1) - 0.5
    assert ((normals * outward).sum(-1) > 0.4).all()  # counter-clockwise = outwards
    v = vertex_normals(VERTICES, FACES)
    torch.testing.assert_close(v.norm(dim=-1), torch.ones(8, dtype=torch.float64))
    assert ((v * (VERTICES - 0.5)).sum(-1) > 0.7).all()


def test_edges_of_a_cube() -> None:
    e = edges(FACES)
    assert len(e) == 18  # Euler: V − E + F = 8 − 18 + 12 = 2
    assert (e[:, 0] < e[:, 1]).all() and len(e.unique(dim=0)) == 18


def test_batches_agree_with_single_meshes() -> None:
    batch = torch.stack([VERTICES, 2 * VERTICES + 1])
    torch.testing.assert_close(vertex_normals(batch, FACES)[1], vertex_normals(2 * VERTICES + 1, FACES))
    torch.testing.assert_close(face_areas(batch, FACES)[1], torch.full((12,), 2.0, dtype=torch.float64))


def test_degenerate_faces_and_lonely_vertices_are_zero() -> None:
    vertices = torch.cat([VERTICES, torch.full((1, 3), 9.0, dtype=torch.float64)]).requires_grad_()
    faces = torch.cat([FACES, torch.tensor([[0, 0, 1]])])
    assert face_normals(vertices, faces)[-1].tolist() == [0, 0, 0] and vertex_normals(vertices, faces)[-1].tolist() == [0, 0, 0]
    (vertex_normals(vertices, faces).sum() + face_normals(vertices, faces).sum()).backward()
    assert vertices.grad is not None and vertices.grad.isfinite().all()


def test_mean_neighbour() -> None:
    line = torch.tensor([[0, 1], [1, 2]])
    values = torch.tensor([[0.0], [4.0], [10.0], [7.0]])
    assert mean_neighbour(values, line)[:, 0].tolist() == [4, 5, 4, 7]
    assert mean_neighbour(values.expand(2, 4, 1), line)[1, :, 0].tolist() == [4, 5, 4, 7]


def test_samples_lie_on_the_surface_and_are_uniform() -> None:
    vertices = VERTICES * torch.tensor([3.0, 1.0, 1.0], dtype=torch.float64)
    points, face, bary = sample_surface(vertices, FACES, 20_000, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close((vertices[FACES[face]] * bary[..., None]).sum(1), points)
    assert (bary >= 0).all() and torch.allclose(bary.sum(-1), torch.ones(20_000, dtype=torch.float64))
    share = torch.bincount(face, minlength=12) / 20_000
    expected = face_areas(vertices, FACES) / face_areas(vertices, FACES).sum()
    assert (share - expected).abs().max() < 0.012  # five standard deviations of the largest share (3/28)
    # Uniform inside a triangle: the mean is the centroid (standard deviation of the mean ≈ 0.24·3/√2100).
    k = int(expected.argmax())
    assert (points[face == k].mean(0) - vertices[FACES[k]].mean(0)).abs().max() < 0.08


def test_samples_repeat_with_the_seed() -> None:
    a, b = (sample_surface(VERTICES, FACES, 10, generator=torch.Generator().manual_seed(5))[0] for _ in range(2))
    assert torch.equal(a, b)


def test_faces_without_area_are_not_sampled() -> None:
    faces = torch.cat([torch.tensor([[0, 0, 1]]), FACES, torch.tensor([[2, 2, 2]])])
    _, face, _ = sample_surface(VERTICES, faces, 2000, generator=torch.Generator().manual_seed(0))
    assert set(face.tolist()) == set(range(1, 13))


def test_normals_gradient() -> None:
    assert torch.autograd.gradcheck(lambda v: vertex_normals(v, FACES), VERTICES.clone().requires_grad_())
    assert torch.autograd.gradcheck(lambda v: face_areas(v, FACES), VERTICES.clone().requires_grad_())


@pytest.mark.parametrize("count", [0, 1])
def test_few_samples(count: int) -> None:
    assert sample_surface(VERTICES, FACES, count)[0].shape == (count, 3)
