"""Surface distances against values that follow from the shapes, and against scipy and trimesh."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from huddle3d.errors import InputError, ShapeError
from huddle3d.evaluation import bbox_iou, match_people, nearest, pair_surfaces, pairwise_distance, sample_with_normals, surface_metrics
from huddle3d.geometry import apply, se3, so3_exp

from .shapes import cube, plane, sphere

SAMPLES = 20_000


def test_two_parallel_planes(rng):
    m = surface_metrics(plane(0.05), plane(0.0), samples=SAMPLES, generator=rng)
    # Exact: every point of one plane lies 5 cm above the other. Nearest samples add in-plane offsets e of about 4 mm: sqrt(25 + .16) cm.
    assert m.p2s_cm == pytest.approx(5.0, abs=1e-3)
    assert m.chamfer_cm == pytest.approx(10.0, abs=0.1)
    assert m.chamfer_cm > 2 * m.p2s_cm
    assert m.normal_consistency == pytest.approx(1.0, abs=1e-6)
    assert m.f_score == 0.0


def test_chamfer_is_the_sum_of_both_directions(rng):
    # A unit square against the 2 x 2 square around it in the same plane: outwards 0, inwards the mean distance of the frame to the square.
    m = surface_metrics(plane(side=1.0), plane(side=2.0), samples=SAMPLES, generator=rng)
    xy = (torch.rand(1_000_000, 2, generator=rng) * 2 - 1).abs() - 0.5
    inwards = 100 * float(xy.clamp_min(0).norm(dim=-1).mean())
    assert m.p2s_cm == pytest.approx(0.0, abs=1e-4)
    assert m.chamfer_cm == pytest.approx(inwards, abs=1.0)  # sampling floor: two times about 0.4 cm, on 20 000 samples


def test_concentric_spheres(rng):
    m = surface_metrics(sphere(0.5), sphere(0.47), samples=SAMPLES, generator=rng)
    assert m.p2s_cm == pytest.approx(3.0, abs=0.05)  # the polyhedra lie up to 0.5 * (1 - cos(pi / 96)) = 0.3 mm inside the spheres
    assert m.chamfer_cm == pytest.approx(6.0, abs=0.2)
    assert m.normal_consistency > 0.99
    assert m.bbox_iou == pytest.approx((0.47 / 0.5) ** 3, rel=1e-3)


def test_the_same_surface_scores_full_marks_up_to_the_sampling_floor(rng):
    m = surface_metrics(cube(), cube(), samples=SAMPLES, generator=rng)
    # Mean nearest-neighbour distance of n uniform samples on area A is 0.5 * sqrt(A / n): 0.87 cm here, in each direction.
    assert m.chamfer_cm == pytest.approx(2 * 0.5 * 100 * (6 / SAMPLES) ** 0.5, rel=0.05)
    assert m.p2s_cm == pytest.approx(0.0, abs=1e-4)
    assert m.bbox_iou == 1.0


def test_perpendicular_normals_do_not_agree(rng):
    vertices, faces = plane(side=0.2)
    upright = vertices[:, [0, 2, 1]]
    assert surface_metrics((upright, faces), (vertices, faces), samples=2000, generator=rng).normal_consistency < 1e-6


def test_flipped_faces_score_the_same(rng):
    vertices, faces = sphere()
    m = surface_metrics((vertices, faces[:, [0, 2, 1]]), (vertices, faces), samples=5000, generator=rng)
    assert m.normal_consistency > 0.98


@pytest.mark.parametrize("shift, expected", [(0.0, 1.0), (0.5, 1 / 3), (1.0, 0.0), (3.0, 0.0)])
def test_box_overlap_of_shifted_cubes(shift, expected):
    assert bbox_iou(cube()[0], cube((shift, 0, 0))[0]) == pytest.approx(expected)


def test_box_overlap_of_flat_sets_is_zero():
    assert bbox_iou(plane()[0], plane()[0]) == 0.0


def test_nearest_equals_brute_force(rng):
    a, b = torch.rand(300, 3, generator=rng), torch.rand(200, 3, generator=rng)
    distance, index = nearest(a, b)
    table = torch.cdist(a.double(), b.double())
    torch.testing.assert_close(distance, table.min(1).values)
    assert torch.equal(index, table.argmin(1))


def test_p2s_equals_trimesh(rng):
    import trimesh

    vertices, faces = sphere(rings=10)
    moved = vertices * torch.tensor([1.1, 0.9, 1.0]) + 0.02
    m = surface_metrics((moved, faces), (vertices, faces), samples=2000, generator=torch.Generator().manual_seed(3))
    points = sample_with_normals(moved, faces, 2000, generator=torch.Generator().manual_seed(3)).points
    _, distance, _ = trimesh.proximity.closest_point_naive(trimesh.Trimesh(vertices.numpy(), faces.numpy(), process=False), points.numpy())
    assert m.p2s_cm == pytest.approx(100 * float(np.mean(distance)), rel=1e-4)


def test_rigid_motion_of_both_changes_nothing_but_the_boxes(rng):
    T = se3(so3_exp(torch.tensor([0.3, -1.0, 0.4])), torch.tensor([1.0, 2.0, 3.0]))
    (a, fa), (b, fb) = sphere(0.5), cube((0.1, 0, 0))
    still = surface_metrics((a, fa), (b, fb), samples=5000, generator=torch.Generator().manual_seed(1))
    moved = surface_metrics((apply(T, a), fa), (apply(T, b), fb), samples=5000, generator=torch.Generator().manual_seed(1))
    for name in ("chamfer_cm", "p2s_cm", "normal_consistency", "f_score"):
        assert getattr(moved, name) == pytest.approx(getattr(still, name), rel=1e-3)


def test_lengths_scale_with_the_scene(rng):
    (a, fa), (b, fb) = sphere(0.5), sphere(0.4)
    one = surface_metrics((a, fa), (b, fb), samples=5000, generator=torch.Generator().manual_seed(1))
    two = surface_metrics((2 * a, fa), (2 * b, fb), samples=5000, generator=torch.Generator().manual_seed(1))
    assert two.chamfer_cm == pytest.approx(2 * one.chamfer_cm, rel=1e-3)
    assert two.bbox_iou == pytest.approx(one.bbox_iou, rel=1e-4)


def test_people_are_matched_by_surface_not_by_order(rng):
    left, right, far = (sphere(0.2, (x, 0.0, 0.0), rings=8)[0] for x in (-0.3, 0.3, 5.0))
    assert match_people([right + 0.01, left - 0.01], [left, right]) == ((1, 0), (0, 1))
    assert match_people([right], [left, right, far]) == ((0, 1),)
    assert match_people([], [left]) == ()
    assert pairwise_distance([left], [left])[0, 0] == 0


def test_hungarian_beats_greedy():
    # Greedy would take (0, 0) at cost 0.1 and pay 2 x 1.0 for the rest; the best total crosses over.
    truth = [torch.tensor([[0.0, 0, 0]]), torch.tensor([[1.0, 0, 0]])]
    predicted = [torch.tensor([[0.45, 0, 0]]), torch.tensor([[-0.5, 0, 0]])]
    assert match_people(predicted, truth) == ((1, 0), (0, 1))


def test_bad_meshes_are_refused(rng):
    vertices, faces = cube()
    with pytest.raises(ShapeError):
        sample_with_normals(vertices[:, :2], faces, 10)
    with pytest.raises(InputError):
        sample_with_normals(vertices * torch.nan, faces, 10)
    with pytest.raises(InputError):
        sample_with_normals(vertices, faces[:0], 10)


def test_all_metrics_equal_scipy_and_trimesh_on_the_same_samples():
    import trimesh
    from scipy.spatial.distance import cdist

    (a, fa), (b, fb) = sphere(0.1, rings=12), cube((0.02, 0.0, 0.0), 0.17)
    fa = fa[(a[fa][..., 1] > 0).all(-1)]  # half a sphere: the two directions differ
    pair = pair_surfaces((a, fa), (b, fb), samples=1500, generator=torch.Generator().manual_seed(5))
    got = pair.metrics()
    p, t = (s.points.double().numpy() for s in (pair.predicted, pair.truth))

    def normals(v, f, points):
        mesh = trimesh.Trimesh(v.numpy(), f.numpy(), process=False)
        _, distance, face = trimesh.proximity.closest_point_naive(mesh, points)
        assert distance.max() < 1e-6
        return mesh.face_normals[face]

    table = cdist(p, t)
    n_p, n_t = normals(a, fa, p), normals(b, fb, t)
    assert got.chamfer_cm == pytest.approx(100 * (table.min(1).mean() + table.min(0).mean()), rel=1e-3)
    precision, recall = (table.min(1) <= 0.01).mean(), (table.min(0) <= 0.01).mean()
    assert 0 < recall < 0.8 * precision < 1 and got.f_score == pytest.approx(200 * precision * recall / (precision + recall), rel=1e-3)
    nc = np.abs((n_p * n_t[table.argmin(1)]).sum(1)).mean() + np.abs((n_t * n_p[table.argmin(0)]).sum(1)).mean()
    assert got.normal_consistency == pytest.approx(nc / 2, rel=1e-3)
    box_a, box_b = (trimesh.PointCloud(v.numpy()).bounds for v in (a, b))
    shared = np.prod(np.minimum(box_a[1], box_b[1]) - np.maximum(box_a[0], box_b[0]))
    assert got.bbox_iou == pytest.approx(shared / (np.prod(box_a[1] - box_a[0]) + np.prod(box_b[1] - box_b[0]) - shared), rel=1e-3)


def test_parts_of_a_pair(rng):
    pair = pair_surfaces(sphere(0.5), sphere(0.5), samples=SAMPLES, generator=rng)
    everything = torch.ones(SAMPLES, dtype=torch.bool)
    assert pair.metrics(everything) == pair.metrics()
    nothing = pair.metrics(~everything)
    assert np.isnan(nothing.chamfer_cm) and np.isnan(nothing.f_score) and nothing.bbox_iou == 1.0


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_invariances(seed):
    rng = torch.Generator().manual_seed(seed)
    (a, fa), (b, fb) = sphere(0.1, rings=8), cube((0.01, 0.0, 0.0), 0.19)

    def measured(T, sample_seed=0, mirror=False):
        def place(v):
            return apply(T, v * torch.tensor([-1.0, 1, 1]) if mirror else v)

        generator = torch.Generator().manual_seed(sample_seed)
        return surface_metrics((place(a), fa), (place(b), fb), samples=3000, generator=generator)

    still = torch.eye(4)
    T = se3(so3_exp(torch.randn(3, generator=rng)), torch.randn(3, generator=rng))
    base = measured(still)
    for name in ("chamfer_cm", "p2s_cm", "normal_consistency", "f_score"):
        assert getattr(measured(T), name) == pytest.approx(getattr(base, name), rel=2e-3)  # single precision; a sample may cross 1 cm
        assert getattr(measured(still, mirror=True), name) == pytest.approx(getattr(base, name), rel=1e-3)
        assert getattr(measured(still, seed), name) == pytest.approx(getattr(base, name), rel=0.1)  # 3000 samples
    assert measured(still) == base  # same seed, same numbers
    assert measured(still, mirror=True).bbox_iou == pytest.approx(base.bbox_iou, rel=1e-5)
