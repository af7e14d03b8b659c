"""Contact by vertex and by named region on spheres whose caps are known."""

import pytest
import torch
from contact_shapes import sphere

from huddle3d.contact import MeshQuery, contact_map, contact_regions
from huddle3d.errors import InputError, ShapeError

REGIONS = ("left", "right")


def people(gap: float, count: int = 2):
    """Unit-ish spheres in a row along x; region 1 is the half at larger x."""
    vertices, faces = sphere(16, 0.1)
    regions = (vertices[:, 0] > 0).long()
    return torch.stack([vertices + torch.tensor([(0.2 + gap) * k, 0, 0]).double() for k in range(count)]), faces, regions


def test_contact_map_by_vertex():
    vertices, faces, _ = people(0.004)
    touched = contact_map(vertices[0], MeshQuery(vertices[1], faces), radius=0.01)
    other_centre = torch.tensor([0.204, 0, 0]).double()
    exact = (vertices[0] - other_centre).norm(dim=-1) - 0.1
    sure = (exact - 0.01).abs() > 1e-3  # the facets lie up to 1 mm below the sphere
    assert torch.equal(touched.touching[sure], (exact < 0.01)[sure])
    assert touched.touching.sum() > 3
    assert torch.allclose(touched.distance[touched.touching], exact[touched.touching], atol=1e-3)
    assert bool((touched.distance[~touched.touching] == 0.01).all())
    assert bool((touched.face[touched.touching] >= 0).all())
    assert bool((touched.face[~touched.touching] == -1).all())


def test_vertices_deep_inside_touch():
    vertices, faces, _ = people(-0.15)
    touched = contact_map(vertices[0], MeshQuery(vertices[1], faces), radius=0.001)
    assert touched.distance.min() < -0.045
    assert bool((touched.face[touched.touching] >= 0).all())


def test_regions_that_face_each_other_touch():
    vertices, faces, regions = people(0.004, count=3)
    found = contact_regions(vertices, faces, regions, REGIONS, ["a", "b", "c"], radius=0.01)
    assert [(c.a, c.region_a, c.b, c.region_b) for c in found] == [
        ("a", "right", "b", "left"),
        ("b", "left", "a", "right"),
        ("b", "right", "c", "left"),
        ("c", "left", "b", "right"),
    ]
    touched = contact_map(vertices[0], MeshQuery(vertices[1], faces), radius=0.01)
    assert found[0].vertices == int(touched.touching.sum())
    assert found[0].distance_mm == pytest.approx(4.0, abs=0.3)  # between the poles, across one facet's sagitta


def test_negative_distance_means_penetration():
    vertices, faces, regions = people(-0.01)
    found = contact_regions(vertices, faces, regions, REGIONS, ["a", "b"])
    assert found[0].distance_mm == pytest.approx(-10.0, abs=0.5)
    assert [c.vertices for c in found if c.a == "a"] == sorted((c.vertices for c in found if c.a == "a"), reverse=True)


def test_nobody_near_is_no_contact():
    vertices, faces, regions = people(0.5)
    assert contact_regions(vertices, faces, regions, REGIONS, ["a", "b"]) == ()
    assert contact_regions(vertices[:1], faces, regions, REGIONS, ["a"]) == ()
    assert not contact_map(vertices[0], MeshQuery(vertices[1], faces)).touching.any()


def test_small_contacts_can_be_left_out():
    vertices, faces, regions = people(0.004)
    everything = contact_regions(vertices, faces, regions, REGIONS, ["a", "b"], radius=0.01)
    assert contact_regions(vertices, faces, regions, REGIONS, ["a", "b"], radius=0.01, min_vertices=everything[0].vertices + 1) == ()


def test_bad_input():
    vertices, faces, regions = people(0.0)
    with pytest.raises(InputError, match="1 names for 2"):
        contact_regions(vertices, faces, regions, REGIONS, ["a"])
    with pytest.raises(ShapeError, match="regions"):
        contact_regions(vertices, faces, regions[:-1], REGIONS, ["a", "b"])
    with pytest.raises(InputError, match="radius"):
        contact_map(vertices[0], MeshQuery(vertices[1], faces), radius=0.0)
    with pytest.raises(InputError, match="NaN"):
        contact_regions(vertices * float("nan"), faces, regions, REGIONS, ["a", "b"])
