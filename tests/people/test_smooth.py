"""The membrane, the optimiser built on it, and the colour fill."""

from __future__ import annotations

import torch

from huddle3d.geometry import edges
from huddle3d.people._adaptive import adaptive_rate
from huddle3d.people._fill import fill_colours, matched_difference
from huddle3d.people._smooth import Membrane, SmoothAdam


def grid(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A flat n × n grid of vertices and its faces."""
    y, x = torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij")
    vertices = torch.stack([x, y, 0 * x], -1).reshape(-1, 3).float()
    a = (torch.arange(n - 1)[:, None] * n + torch.arange(n - 1)).reshape(-1)
    faces = torch.cat([torch.stack([a, a + 1, a + n], -1), torch.stack([a + 1, a + n + 1, a + n], -1)])
    return vertices, faces


def test_the_membrane_is_the_inverse_of_its_matrix(rng: torch.Generator) -> None:
    _, faces = grid(6)
    pairs = edges(faces)
    L = torch.zeros(36, 36, dtype=torch.float64)
    for i, j in pairs.tolist():
        L[i, i] += 1
        L[j, j] += 1
        L[i, j] -= 1
        L[j, i] -= 1
    b = torch.rand(2, 36, 3, generator=rng, dtype=torch.float64)
    expected = torch.linalg.solve(torch.eye(36, dtype=torch.float64) + 7 * L, b)
    torch.testing.assert_close(Membrane(faces, 36, 7.0)(b), expected)


def test_a_step_has_the_stated_length_and_spares_people_without_gradient() -> None:
    _, faces = grid(12)
    gradient = torch.zeros(2, 144, 3)
    gradient[0, 70, 2] = 5.0
    step = SmoothAdam(Membrane(faces, 144, 1.0), lr=0.01).step(gradient)
    assert step[1].abs().max() == 0
    torch.testing.assert_close(step[0].norm(dim=-1).max(), torch.tensor(0.01), rtol=1e-4, atol=0)
    assert step[0, 70, 2] < 0 and step[0, 71, 2] < 0  # downhill, and the neighbours follow
    assert step[0, 0].norm() < 0.2 * step[0, 70].norm()


def test_known_colours_stay_and_unknown_ones_are_harmonic() -> None:
    _, faces = grid(9)
    pairs = edges(faces)
    pairs = pairs[(pairs[:, 0] // 9 == pairs[:, 1] // 9) | (pairs[:, 0] % 9 == pairs[:, 1] % 9)]  # plain four-neighbour grid
    colours, weight = torch.zeros(81, 3), torch.zeros(81)
    column = torch.arange(81) % 9
    colours[column == 8] = 1.0
    weight[(column == 0) | (column == 8)] = 1e6
    out = fill_colours(pairs, torch.ones(len(pairs)), colours, weight)
    # between two held columns the harmonic solution is a ramp
    torch.testing.assert_close(out[:, 0], column / 8.0, rtol=0, atol=1e-3)


def test_colour_does_not_cross_a_barrier_and_lonely_pieces_take_the_mean() -> None:
    _, faces = grid(9)
    pairs = edges(faces)
    column = torch.arange(81) % 9
    strength = torch.where((column[pairs] > 4).any(-1) & (column[pairs] <= 4).any(-1), 1e-4, 1.0)
    colours, weight = torch.zeros(82, 3), torch.zeros(82)
    colours[column.eq(8).nonzero()[:, 0]] = 1.0
    weight[:81] = ((column == 0) | (column == 8)).float()
    out = fill_colours(pairs, strength, colours, weight)
    assert out[:81][column == 4].max() < 0.01 and out[:81][column == 5].min() > 0.99
    torch.testing.assert_close(out[81], torch.full((3,), 0.5), rtol=0, atol=1e-3)
    nothing = fill_colours(pairs, strength, colours, torch.zeros(82))
    torch.testing.assert_close(nothing, torch.full((82, 3), 0.5))


def test_the_adaptive_rate_falls_near_hands_and_faces() -> None:
    # values of sigmoid(200 d - 10), the reading of eq. S17 whose sign makes rates lower there
    distance = torch.tensor([0.0, 0.04, 0.05, 0.06, 0.1])
    vertices = torch.stack([distance, torch.zeros(5), torch.zeros(5)], -1)[None]
    rate = adaptive_rate(vertices, torch.zeros(1, 1, 3))[0]
    torch.testing.assert_close(rate, torch.tensor([4.54e-5, 0.1192, 0.5, 0.8808, 0.99995]), rtol=1e-3, atol=1e-6)


def test_a_copy_joins_the_seen_surface_without_a_step() -> None:
    """Light falls from the left: the right half is 0.1 darker. Of the right half only the columns next to the middle are seen."""
    _, faces = grid(11)
    pairs = edges(faces)
    column = torch.arange(121) % 11
    mirror = torch.arange(121) - column + (10 - column)
    true = torch.where(column[:, None] > 5, 0.4, 0.5).expand(121, 3)
    weight = (column <= 7).float()
    change = matched_difference(pairs, torch.ones(len(pairs)), true, weight, mirror)
    hidden = column > 7
    torch.testing.assert_close((true[mirror] + change)[hidden], true[hidden], rtol=0, atol=0.01)
    # a pattern (difference 0.5) is not taken for light
    assert matched_difference(pairs, torch.ones(len(pairs)), true * (1 + 4 * (column[:, None] <= 5)), weight, mirror).abs().max() <= 0.2
