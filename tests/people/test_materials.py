"""What the body model says about colours before any is seen."""

from __future__ import annotations

import pytest
import torch

from huddle3d.bodies import load_body
from huddle3d.people._fill import fill_colours
from huddle3d.people._materials import MATERIALS, SurfaceLinks, surface_links


@pytest.fixture(scope="module")
def links() -> SurfaceLinks:
    return surface_links(load_body(), crossing=0.02)


def test_materials_follow_the_regions(links: SurfaceLinks) -> None:
    body = load_body()
    for name, material in (("left_hand", "hands"), ("right_foot", "feet"), ("chest", "upper"), ("left_thigh", "lower"), ("face", "skin")):
        here = body.regions == body.region_names.index(name)
        assert (links.material[here] == MATERIALS.index(material)).all(), name
    rest = body(body.neutral(1))
    scalp = rest.vertices[0, links.material == MATERIALS.index("hair")]
    top = rest.vertices[0, :, 1].max()
    assert scalp[:, 1].max() == top and len(scalp) > 100


def test_the_opposite_of_a_garment_is_at_the_same_place_on_its_other_side(links: SurfaceLinks) -> None:
    body = load_body()
    points = body(body.neutral(1)).vertices[0]
    here, there = points[links.has_opposite], points[links.opposite[links.has_opposite]]
    assert len(here) > 1000
    assert (here - there)[:, :2].norm(dim=-1).max() < 0.03
    belly = links.has_opposite & (body.regions == body.region_names.index("belly"))
    front = belly & (points[:, 2] > points[belly, 2].median())
    assert int(front.sum()) > 20
    assert (points[front, 2] - points[links.opposite[front], 2]).median() > 0.1


def test_a_hem_runs_around_the_leg(links: SurfaceLinks) -> None:
    """Shorts end above the knee; only the outer side of the leg is seen. The inner side must change colour at the same height."""
    body = load_body()
    points = body(body.neutral(1)).vertices[0]
    leg = torch.isin(body.regions, torch.tensor([body.region_names.index(n) for n in ("left_thigh", "left_shin")]))
    hem = points[body.regions == body.region_names.index("left_thigh"), 1].quantile(0.3)
    true = (points[:, 1:2] > hem).float().expand(-1, 3)
    outer = leg & (points[:, 0] > points[leg, 0].median())
    inner = leg & ~outer & ((points[:, 1] - hem).abs() < 0.15)
    filled = fill_colours(links.pairs, links.strength, true, 50 * outer.float())
    even = fill_colours(links.pairs, torch.ones_like(links.strength), true, 50 * outer.float())
    wrong, wrong_even = (((f - true)[inner, 0].abs() > 0.3).float().mean() for f in (filled, even))
    assert wrong < 0.25
    assert wrong < 0.7 * wrong_even
