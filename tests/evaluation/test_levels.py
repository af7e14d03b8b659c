"""Interaction levels on plates whose contact area and distance are known."""

import math

import pytest
import torch

from huddle3d.errors import InputError
from huddle3d.evaluation import interaction

from .shapes import plane


def plates(gap: float, shift: float = 0.0, side: float = 1.0):
    upper, faces = plane(gap, side)
    return [plane(0.0, side), (upper + torch.tensor([shift, 0.0, 0.0]), faces)]


def test_area_of_plates_that_touch_all_over():
    found = interaction(plates(0.005))
    assert found.contact_area_cm2 == pytest.approx(2 * 100 * 100, rel=1e-4)
    assert found.distance_cm == pytest.approx(0.5, rel=1e-4) and found.level == "close"


def test_half_the_area_of_shifted_plates():
    # 5 of 9 columns of vertices touch on each plate; they own 4 cells of 12.5 cm and, at the border, half a cell.
    found = interaction(plates(0.005, shift=0.5))
    assert found.contact_area_cm2 == pytest.approx(2 * 100 * (4 * 12.5 + 6.25), rel=1e-4)
    assert found.level == "close"


@pytest.mark.parametrize("gap, side, level", [(0.005, 0.1, "touch"), (0.05, 1.0, "near"), (0.2, 1.0, "apart"), (0.005, 1.0, "close")])
def test_levels(gap, side, level):
    assert interaction(plates(gap, side=side)).level == level


def test_the_nearest_two_of_three_count():
    assert interaction([plane(0.0), plane(0.05), plane(0.4)]).distance_cm == pytest.approx(5, rel=1e-4)


def test_order_and_rigid_motion_do_not_matter():
    a, b = plates(0.005, shift=0.3)
    base, swapped = interaction([a, b]), interaction([b, a])
    moved = interaction([(v + torch.tensor([1.0, -2.0, 0.5]), f) for v, f in (a, b)])
    for other in (swapped, moved):
        assert other.contact_area_cm2 == pytest.approx(base.contact_area_cm2, rel=1e-4)
        assert other.distance_cm == pytest.approx(base.distance_cm, rel=1e-3)


def test_one_person_and_nobody():
    alone = interaction([plane()])
    assert alone.level == "alone" and alone.contact_area_cm2 == 0 and math.isnan(alone.distance_cm)
    with pytest.raises(InputError):
        interaction([])
    with pytest.raises(InputError):
        interaction([(plane()[0] * torch.nan, plane()[1])])
