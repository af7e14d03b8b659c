"""Both depth filters on surfaces whose edges are known."""

from __future__ import annotations

import torch

from huddle3d.people._filters import EdgeFilter, confident, depth_edges, erode, fill_background, nearest_pixel, visible_depth


def step_depth(step: float, size: int = 64) -> torch.Tensor:
    depth = torch.full((size, size), 3.0)
    depth[:, size // 2 :] += step
    return depth


def test_edges_follow_the_step_and_its_dilation() -> None:
    edges = depth_edges(step_depth(0.2), EdgeFilter(dilation_px=5))
    columns = edges[20].nonzero()[:, 0]
    # Canny marks a step as one or two pixels beside column 32; a kernel of 5 adds two on each side
    assert 5 <= len(columns) <= 6
    assert columns.min() >= 29 and columns.max() <= 34


def test_small_steps_and_slopes_are_no_edges() -> None:
    assert not depth_edges(step_depth(0.005), EdgeFilter()).any()
    slope = 3 + 0.003 * torch.arange(64.0).expand(64, 64)  # 3 mm per pixel: a body seen at 45°
    assert not depth_edges(slope, EdgeFilter()).any()


def test_the_threshold_does_not_depend_on_the_depth_range() -> None:
    depth = step_depth(0.2)
    depth[:8] = 30.0  # a third person far behind must not hide the step (an 8-bit depth picture would)
    assert depth_edges(depth, EdgeFilter())[40, 31:33].any()


def test_the_outline_against_the_background_is_no_depth_edge_but_is_not_trusted() -> None:
    depth = torch.zeros(64, 64)
    depth[16:48, 16:48] = 3.0
    config = EdgeFilter(erosion_px=3)
    assert not depth_edges(depth, config).any()
    good = confident(depth, config)
    assert good[17:47, 17:47].all() and not good[16].any() and not good[:, 47].any()


def test_people_cut_by_the_image_border_keep_their_pixels_there() -> None:
    mask = torch.zeros(32, 32, dtype=torch.bool)
    mask[10:, 8:24] = True
    assert erode(mask, 5)[31, 16]
    assert not erode(mask, 5)[10, 16]


def test_background_takes_the_nearest_depth() -> None:
    depth = torch.zeros(8, 8)
    depth[:, 2], depth[:, 6] = 1.0, 2.0
    filled = fill_background(depth)
    assert (filled[:, :4] == 1).all() and (filled[:, 5:] == 2).all()
    empty = torch.zeros(4, 4)
    assert torch.equal(fill_background(empty), empty)
    assert torch.equal(nearest_pixel(empty > 0).flatten(), torch.arange(16))


def test_filter_b_is_the_inequality_of_the_paper() -> None:
    mesh, point = torch.tensor([3.0, 3.0, 3.0, 0.0]), torch.tensor([3.019, 3.021, 2.981, 0.0])
    assert visible_depth(mesh, point, 0.02).tolist() == [True, False, True, False]
