"""Depths and volumes of overlapping shapes against their formulas."""

import math

import pytest
import torch
from contact_shapes import cube, sphere

from huddle3d.contact import MeshQuery, intersection_volume, overlapping_pairs, penetration, penetrations
from huddle3d.errors import InputError


def lens_cm3(radius: float, distance: float) -> float:
    """Volume that two equal spheres share."""
    h = radius - distance / 2
    return 2 * math.pi * h * h * (3 * radius - h) / 3 * 1e6


def test_two_spheres():
    (a, fa), (b, fb) = sphere(40, 0.1), sphere(40, 0.1, (0.0, 0.15, 0.0))
    result = penetration(a, fa, b, fb)
    assert result.max_mm == pytest.approx(50, abs=0.2)  # A's pole lies on the line of centres
    assert 0 < result.mean_mm < result.max_mm
    # the sphere's flat faces lose 1 % of a thin lens; the grid another 1 %
    assert result.volume_cm3 == pytest.approx(lens_cm3(0.1, 0.15), rel=0.02)
    assert torch.equal(result.inside, (a - torch.tensor([0, 0.15, 0]).double()).norm(dim=-1) < 0.1 - 1e-4)
    assert 0 < result.cell_mm < 10


def test_cubes_share_a_box():
    vertices, faces = cube(0.5)
    shift = torch.tensor([0.7, 0.6, 0.5]).double()
    volume, _ = intersection_volume(MeshQuery(vertices, faces), MeshQuery(vertices + shift, faces))
    # at edges and corners two surfaces pass through one cell at an angle: allow for that in the cells along them
    assert volume == pytest.approx(0.3 * 0.4 * 0.5 * 1e6, rel=0.01)


@pytest.mark.parametrize("depth", [0.0, 0.001])
def test_skins_that_touch_face_to_face_share_their_overlap_only(depth):
    vertices, faces = cube(0.5)
    other = vertices + torch.tensor([1.0 - depth, 0.0, 0.0]).double()
    low, high = torch.tensor([0.4, -0.6, -0.6]), torch.tensor([0.6, 0.6, 0.6])
    # A protrusion that reaches into the other's box makes the cells centimetres wide, as arms around a back do.
    arm = torch.stack([torch.where(vertices[:, k] > 0, high[k], low[k]).double() for k in range(3)], -1) * 0.5 + torch.tensor([1.2, 1.5, 0.0])
    a, b = (torch.cat([vertices, arm]), torch.cat([faces, faces + len(vertices)])), (other, faces)
    volume, cell = intersection_volume(MeshQuery(*a), MeshQuery(*b), samples=4096)
    # Half-filled cells along the touching faces would count for tens of thousands of cm³ per metre of cell.
    assert volume == pytest.approx(depth * 1e6, rel=0.05, abs=5.0)


def test_one_inside_the_other():
    (a, fa), (b, fb) = sphere(16, 0.05), sphere(16, 0.2)
    result = penetration(a, fa, b, fb)
    assert bool(result.inside.all())
    assert result.volume_cm3 == pytest.approx(4 / 3 * math.pi * 0.05**3 * 1e6, rel=0.03)
    assert penetration(b, fb, a, fa).max_mm == 0


def test_apart_is_zero():
    (a, fa), (b, fb) = sphere(8, 0.1), sphere(8, 0.1, (1.0, 0.0, 0.0))
    result = penetration(a, fa, b, fb)
    assert (result.max_mm, result.mean_mm, result.volume_cm3, result.cell_mm) == (0, 0, 0, 0)
    assert not bool(result.inside.any())


def test_same_twice():
    (a, fa), (b, fb) = sphere(12, 0.1), sphere(12, 0.1, (0.11, 0.02, 0.03))
    first, second = penetration(a, fa, b, fb), penetration(a, fa, b, fb)
    assert (first.max_mm, first.mean_mm, first.volume_cm3) == (second.max_mm, second.mean_mm, second.volume_cm3)


def test_row_of_people():
    vertices, faces = sphere(10, 0.1)
    row = torch.stack([vertices + torch.tensor([0.19 * k, 0, 0]).double() for k in range(4)])
    found = penetrations(row, faces, ["a", "b", "c", "d"])
    assert [(p.a, p.b) for p in found] == [("a", "b"), ("b", "a"), ("b", "c"), ("c", "b"), ("c", "d"), ("d", "c")]
    assert all(5 < p.max_mm <= 10.001 for p in found)
    with pytest.raises(InputError, match="3 names for 4 people"):
        penetrations(row, faces, ["a", "b", "c"])


def test_broad_phase_finds_exactly_the_overlaps(rng):
    boxes = [torch.rand(5, 3, generator=rng) * 0.4 + torch.rand(3, generator=rng) * 2 for _ in range(30)]
    for margin in (0.0, 0.1):
        expected = [
            (i, j)
            for i in range(30)
            for j in range(i + 1, 30)
            if bool(((boxes[i].amin(0) <= boxes[j].amax(0) + margin) & (boxes[j].amin(0) <= boxes[i].amax(0) + margin)).all())
        ]
        assert overlapping_pairs(boxes, margin) == expected
        assert expected
    assert overlapping_pairs(boxes[:1]) == []
    assert overlapping_pairs([]) == []
