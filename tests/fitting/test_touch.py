"""Contact attraction: what is pulled, what is left alone, and that a small gap closes."""

from types import SimpleNamespace

import pytest
import torch
import trimesh

from huddle3d.fitting import FitConfig
from huddle3d.fitting._image_terms import SmallMasks
from huddle3d.fitting._touch_term import TouchPoints, near_in_picture
from huddle3d.geometry import Camera, se3

RADIUS = 0.2
CONFIG = FitConfig()


def balls(gap, depth=0.0):
    """Two balls side by side 3 m before the camera, ``gap`` apart along x, the second one ``depth`` behind; vertices in view axes."""
    mesh = trimesh.creation.icosphere(3, RADIUS)
    points = torch.tensor(mesh.vertices, dtype=torch.float32)
    step = RADIUS + gap / 2
    vertices = torch.stack([points + torch.tensor([-step, 0, -3]), points + torch.tensor([step, 0, -3 - depth])])
    faces = torch.tensor(mesh.faces)
    regions = (points[:, 1] > 0).long()  # below: "chest", above: "left_hand"
    body = SimpleNamespace(proxy_faces=faces, proxy_regions=regions, region_names=("chest", "left_hand"))
    return vertices, body


def picture(apart_px=0):
    """Masks of 96² that meet in the middle column, or leave ``apart_px`` columns free there, and the camera."""
    share = torch.zeros(2, 96, 96)
    share[0, :, : 48 - apart_px // 2] = 1
    share[1, :, 48 + apart_px // 2 :] = 1
    flip = torch.diag(torch.tensor([1.0, -1, -1]))
    camera = Camera.perspective(96.0, 96, 96, se3(flip, torch.zeros(3)))
    return SmallMasks(share, share.flip(0), torch.ones(2, dtype=torch.bool)), camera


def test_points_where_the_pictures_meet():
    vertices, _ = balls(0.02)
    masks, camera = picture()
    near = near_in_picture(vertices, camera, masks, 2)
    uv, _ = camera.project(vertices[0])
    assert torch.equal(near[0, 1], (uv[:, 0] >= 46) & (uv[:, 0] < 50))  # 2 px on both sides of the line
    assert near[0, 1].any() and not near[0, 1].all()
    assert near[0, 0].any()  # of itself: where it is drawn on its own pixels
    assert not near_in_picture(vertices, camera, picture(apart_px=20)[0], 2)[0, 1].any()


def test_each_part_counts_once_and_small_gaps_only():
    masks, camera = picture()
    vertices, body = balls(0.04)
    touch = TouchPoints.freeze(vertices, body, camera, masks, CONFIG)
    # two people, each with two parts that may touch: the hand, and the nearest region if that is not the hand
    parts = {
        (int(a), int(body.proxy_regions[v % vertices.shape[1]]))
        for v, a, w in zip(touch.pairs.vertex, touch.pairs.person[:, 0], touch.weight, strict=True)
        if w > 0
    }
    assert {(0, 1), (1, 1)} <= parts
    assert float(touch.weight.sum()) == pytest.approx(len(parts), rel=1e-5)
    assert int((touch.weight > 0).sum()) <= CONFIG.touch_points * len(parts)
    far = TouchPoints.freeze(balls(CONFIG.touch_reach + 0.01)[0], body, camera, masks, CONFIG)
    assert float(far.energy(balls(CONFIG.touch_reach + 0.01)[0], CONFIG)) == 0


def test_without_masks_or_with_pictures_apart_nothing_is_pulled():
    vertices, body = balls(0.03)
    masks, camera = picture()
    empty = SmallMasks(torch.zeros_like(masks.share), torch.zeros_like(masks.share), torch.zeros(2, dtype=torch.bool))
    for each in (empty, picture(apart_px=20)[0]):
        assert float(TouchPoints.freeze(vertices, body, camera, each, CONFIG).energy(vertices, CONFIG)) == 0


def test_descent_closes_a_gap_in_depth_and_then_stops():
    masks, camera = picture()
    vertices, body = balls(-0.16, depth=0.34)  # overlapping in the picture, 3 cm apart along the line of sight
    shift = torch.zeros((), requires_grad=True)
    optimiser = torch.optim.SGD([shift], lr=1e-5)

    def gap():
        moved = torch.stack([vertices[0], vertices[1] + torch.stack([shift * 0, shift * 0, shift])])
        centre = (moved.mean(1)[0] - moved.mean(1)[1]).norm()
        return moved, float(centre.detach()) - 2 * RADIUS

    start = gap()[1]
    for _ in range(100):
        moved, _ = gap()
        touch = TouchPoints.freeze(moved, body, camera, masks, CONFIG)
        optimiser.zero_grad()
        touch.energy(moved, CONFIG).backward()
        optimiser.step()
    assert 0.015 < start < 0.05
    # The pull ends at L_pen's tolerance; the facets, and the steps between two looks, take a few millimetres more.
    assert -0.005 < gap()[1] < CONFIG.polish_tolerance + 0.002
