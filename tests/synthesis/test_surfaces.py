"""Noise, atlas, cutting and patterns on cases with known answers."""

import pytest
import torch

from huddle3d.geometry import face_areas, sample_image
from huddle3d.synthesis import PatternSpec
from huddle3d.synthesis.clothes.atlas import cell_atlas
from huddle3d.synthesis.clothes.cutting import Sheet, clip, smooth, subdivide
from huddle3d.synthesis.clothes.patterns import cloth_colour
from huddle3d.synthesis.noise import cell_tone, fractal_noise, value_noise


def square(cells: int = 4) -> Sheet:
    grid = torch.linspace(0, 1, cells + 1)
    y, x = torch.meshgrid(grid, grid, indexing="ij")
    v = torch.stack([x, y, torch.zeros_like(x)], -1).reshape(-1, 3)
    i = torch.arange((cells + 1) ** 2).reshape(cells + 1, cells + 1)
    a, b, c, d = (t.reshape(-1) for t in (i[:-1, :-1], i[:-1, 1:], i[1:, 1:], i[1:, :-1]))
    return Sheet(v, 2 * v, torch.cat([torch.stack([a, b, c], -1), torch.stack([a, c, d], -1)]))


def test_noise_is_bounded_continuous_and_seeded(rng):
    p = torch.rand(5000, 3, generator=rng) * 40 - 20
    n = value_noise(p, 3)
    assert float(n.abs().max()) <= 1 and float(n.std()) > 0.2 and abs(float(n.mean())) < 0.1
    assert torch.equal(n, value_noise(p, 3)) and not torch.equal(n, value_noise(p, 4))
    step = 1e-3
    assert float((value_noise(p + step, 3) - n).abs().max()) < 3 * 3 * step  # |d/dx| of the cubic fade is at most 1.5 · 2 per axis
    assert float(fractal_noise(p, 1).abs().max()) <= 1
    whole = torch.randint(-9, 9, (50, 2), generator=rng)
    assert torch.allclose(value_noise(whole.float(), 7), 2 * cell_tone(whole, 7) - 1, atol=1e-6)


def test_atlas_returns_the_colour_that_was_painted(rng):
    sheet = square(5)
    atlas = cell_atlas(len(sheet.faces), size=64)
    place = (sheet.rest[sheet.faces[atlas.face]] * atlas.bary[..., None]).sum(1)
    texture = atlas.paint(place)  # colour = place: linear, so bilinear lookups inside a triangle must return it exactly
    bary = torch.rand(200, 3, generator=rng)
    bary = bary / bary.sum(-1, keepdim=True)
    face = torch.randint(0, len(sheet.faces), (200,), generator=rng)
    uv = (atlas.uv[atlas.faces_uv[face]] * bary[..., None]).sum(1)
    pixels = torch.stack([uv[:, 0] * atlas.size, (1 - uv[:, 1]) * atlas.size], -1)
    expected = (sheet.rest[sheet.faces[face]] * bary[..., None]).sum(1)
    # Texels beyond the long edge repeat the edge's colour: within half a texel of it the lookup is off by a fraction of a texel's step.
    assert float((sample_image(texture, pixels) - expected).abs().max()) < 0.2 / 5
    assert float((sample_image(texture, pixels) - expected).abs().mean()) < 0.01 / 5


def test_atlas_cells_are_disjoint_and_grow_with_the_mesh():
    atlas = cell_atlas(2001, size=128)
    assert len(torch.unique(atlas.texel)) == len(atlas.texel)
    assert atlas.size >= 128 and int(atlas.texel.max()) < atlas.size**2
    assert float(atlas.uv.min()) >= 0 and float(atlas.uv.max()) <= 1
    assert torch.equal(torch.unique(atlas.face), torch.arange(2001))


def test_subdivision_keeps_area_and_both_poses():
    sheet = square()
    fine = subdivide(sheet)
    assert len(fine.faces) == 4 * len(sheet.faces)
    assert float(face_areas(fine.rest, fine.faces).sum()) == pytest.approx(1.0)
    assert float(face_areas(fine.posed, fine.faces).sum()) == pytest.approx(4.0)
    assert torch.allclose(fine.posed, 2 * fine.rest)


@pytest.mark.parametrize("cut", [0.3, 0.5, 0.77])
def test_clipping_keeps_exactly_the_part_inside(cut):
    part = clip(square(), cut - square().rest[:, 0])
    assert float(face_areas(part.rest, part.faces).sum()) == pytest.approx(cut, abs=1e-5)
    assert float(part.rest[:, 0].max()) <= cut + 1e-6
    normals = torch.linalg.cross(part.rest[part.faces[:, 1]] - part.rest[part.faces[:, 0]], part.rest[part.faces[:, 2]] - part.rest[part.faces[:, 0]])
    assert bool((normals[:, 2] > 0).all())  # no face was turned over


def test_clipping_everything_or_nothing():
    assert len(clip(square(), torch.ones(25)).faces) == 32
    assert len(clip(square(), -torch.ones(25)).faces) == 0


def test_smoothing_flattens_bumps_and_keeps_the_border_on_itself():
    sheet = square(8)
    bumpy = Sheet(sheet.rest, sheet.posed + torch.tensor([0.0, 0.0, 1.0]) * (torch.arange(81) % 2)[:, None] * 0.1, sheet.faces)
    flat = smooth(bumpy, 2)
    assert float(flat.posed[:, 2].std()) < 0.5 * float(bumpy.posed[:, 2].std())
    edge = (sheet.rest[:, 0] == 0) & (sheet.rest[:, 1] > 0.3) & (sheet.rest[:, 1] < 0.7)
    assert torch.allclose(flat.rest[edge, 0], torch.zeros(int(edge.sum())), atol=1e-6)


@pytest.mark.parametrize("kind", ["plain", "stripes", "checks", "gradient", "dots", "print"])
def test_patterns_show_their_colours(kind, rng):
    pattern = PatternSpec(kind, ((0.8, 0.1, 0.1), (0.1, 0.1, 0.8), (0.1, 0.8, 0.1)), 0.1, 0.0, 5)
    points = torch.rand(4000, 3, generator=rng)
    colour = cloth_colour(points, pattern, points[:, :2])
    assert float(colour.min()) >= 0 and float(colour.max()) <= 1
    blue = float((colour[:, 2] > 0.5).float().mean())
    assert (blue == 0) if kind == "plain" else (0.05 < blue < 0.95)
    assert torch.equal(colour, cloth_colour(points, pattern, points[:, :2]))
