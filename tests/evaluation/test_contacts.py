"""Contact precision and recall, and penetration, on cubes and planes."""

import math

import pytest
import torch

from huddle3d.errors import InputError
from huddle3d.evaluation import contact_metrics, contact_vertices, group_penetration

from .shapes import cube, plane, sphere


def two_plates(gap: float, shift: float = 0.0):
    """Two unit plates of 9 x 9 vertices, 0.125 m apart, one above the other."""
    upper, faces = plane(gap)
    return [plane(0.0), (upper + torch.tensor([shift, 0.0, 0.0]), faces)]


def test_plates_touch_within_one_centimetre_only():
    assert all(bool(c.all()) for c in contact_vertices(two_plates(0.009)))
    assert not any(bool(c.any()) for c in contact_vertices(two_plates(0.011)))


def test_half_of_a_shifted_plate_touches():
    lower, upper = contact_vertices(two_plates(0.005, shift=0.5))
    assert int(lower.sum()) == int(upper.sum()) == 5 * 9  # columns 0, .125, .25, .375, .5 of the overlap


def test_precision_and_recall_of_partly_right_contacts():
    m = contact_metrics(two_plates(0.005, shift=0.5), two_plates(0.005))
    assert m.precision == 1.0  # everything truly touches
    assert m.true_vertices == 162 and m.predicted_vertices == 90
    # Lower plate: 45 of 81 true contacts are predicted. Upper plate, nearest predicted vertex at 0.5 m less: x >= 0 maps onto itself
    # (columns 4..8 of the truth = columns 0..4 of the prediction, which touch), x < 0 onto the border column, which touches: 81 of 81.
    assert m.recall == pytest.approx((45 + 81) / 162)


def test_no_predicted_contact_scores_zero():
    m = contact_metrics(two_plates(0.5), two_plates(0.005))
    assert (m.precision, m.recall, m.predicted_vertices) == (0.0, 0.0, 0)


def test_depth_of_overlapping_cubes():
    # A cube of side 0.2 whose lower corners lie 30 mm inside the unit cube's top face: 4 vertices at 30 mm.
    small, big = cube((0.0, 0.57, 0.0), 0.2), cube()
    found = group_penetration([small, big])
    assert found.max_mm == pytest.approx(30, abs=0.05)
    assert found.mean_mm == pytest.approx(30, abs=0.05)
    assert found.volume_cm3 == pytest.approx(20 * 20 * 3, rel=0.01)  # sampled on a grid; its documented error is below 1 %
    assert group_penetration([cube((0, 0.61, 0), 0.2), big]) == (0.0, 0.0, 0.0)


def test_spheres_that_overlap(rng):
    a, b = sphere(0.5), sphere(0.5, (0.96, 0.0, 0.0))
    m = contact_metrics([a, b], [a, sphere(0.5, (1.005, 0.0, 0.0))])
    assert m.penetration_max_mm == pytest.approx(40, abs=1.0)  # the poles of the overlap; facets lie up to 0.3 mm inside the sphere
    assert 0 < m.penetration_mean_mm < m.penetration_max_mm
    assert m.true_penetration_max_mm == 0
    lens = math.pi * (4 * 0.5 + 0.96) * (2 * 0.5 - 0.96) ** 2 / 12 * 1e6  # of two equal spheres at distance 0.96
    assert m.penetration_volume_cm3 == pytest.approx(lens, rel=0.04)  # 1 % of the grid, and facets up to 0.3 mm inside a lens 40 mm thick


def test_contact_precision_equals_an_independent_computation(rng):
    import trimesh
    from scipy.spatial import cKDTree

    def peer(people, others):
        flags = []
        for i, (v, _) in enumerate(people):
            other = people[1 - i]
            mesh = trimesh.Trimesh(other[0].numpy(), other[1].numpy(), process=False)
            flags.append(trimesh.proximity.closest_point_naive(mesh, v.numpy())[1] <= 0.01)
        return flags

    def ball(x, y):
        return sphere(0.1, (x, y, 0.0), rings=20)

    predicted, truth = [ball(-0.1, 0.0), ball(0.098, 0.04)], [ball(-0.1, 0.0), ball(0.1, 0.0)]
    got = contact_metrics(predicted, truth)
    flags_p, flags_t = peer(predicted, truth), peer(truth, predicted)
    hits = [flags_t[k][cKDTree(truth[k][0].numpy()).query(predicted[k][0].numpy()[flags_p[k]])[1]] for k in range(2)]
    assert 0 < got.predicted_vertices == sum(f.sum() for f in flags_p)
    assert got.precision == pytest.approx(sum(h.sum() for h in hits) / got.predicted_vertices, rel=1e-3)
    assert 0 < got.precision < 1


def test_bad_groups_are_refused():
    plates = two_plates(0.005)
    nan = [plates[0], (plates[1][0] * torch.nan, plates[1][1])]
    for predicted, truth in (([], []), (plates[:1], plates[:1]), (plates, plates[:1]), (nan, plates), (plates, nan)):
        with pytest.raises(InputError):
            contact_metrics(predicted, truth)
