"""Conventions of the networks' pictures: mirroring, frames, backgrounds, masks; there and back."""

import math

import pytest
import torch

from huddle3d.diffusion.multiview import ViewAdapter, ViewInputs, Views
from huddle3d.errors import ShapeError

AZIMUTHS = (0, 45, 90, 180, 270, 315)


def sphere(size=64, radius=0.8):
    """Front-frame normals of a sphere in the six views, worked out by hand: camera at (sin a, 0, cos a), image x along (cos a, 0, -sin a)."""
    at = (torch.arange(size) + 0.5) / size * 2 - 1
    y, x = torch.meshgrid(-at, at, indexing="ij")
    inside = x.square() + y.square() < radius**2
    z = (radius**2 - x.square() - y.square()).clamp_min(0).sqrt()
    views = []
    for azimuth in AZIMUTHS:
        a = math.radians(azimuth)
        point = torch.stack([x * math.cos(a) + z * math.sin(a), y, -x * math.sin(a) + z * math.cos(a)], -1)
        views.append(point / radius * inside[..., None])
    return torch.stack(views), inside.expand(6, -1, -1)


def some_views(rng, sets=2, size=32):
    normals = torch.nn.functional.normalize(torch.randn(sets, 6, size, size, 3, generator=rng), dim=-1)
    alpha = torch.zeros(sets, 6, size, size)
    alpha[..., 6:26, 8:20] = 1
    return Views(normals * alpha[..., None], torch.rand(sets, 6, size, size, 3, generator=rng) * alpha[..., None], alpha)


def some_inputs(rng, sets=2, size=32):
    views = some_views(rng, sets, size)
    seen = torch.zeros(sets, 6, size, size, dtype=torch.bool)
    seen[:, 0, 8:16, 8:16] = True
    return ViewInputs(views.normals, views.rgb * seen[..., None], seen, views)


def test_sphere_has_the_published_colours():
    """Front centre encodes to (.5, .5, 1), back centre to (.5, .5, 0): all views are in the front frame."""
    normals, inside = sphere()
    encoded = (ViewAdapter().to_network(normals[None], inside[None].float(), 64)[0] + 1) / 2
    for view, colour in ((0, (0.5, 0.5, 1.0)), (3, (0.5, 0.5, 0.0)), (2, (1.0, 0.5, 0.5)), (4, (0.0, 0.5, 0.5))):
        centre = encoded[view, :, 31:33, 31:33].mean((1, 2))
        torch.testing.assert_close(centre, torch.tensor(colour), atol=0.01, rtol=0)
    assert bool((encoded[:, :, 0, 0] == 1).all())
    # mirrored, the back has the front's x everywhere: the see-through picture
    torch.testing.assert_close(encoded[3, 0], encoded[0, 0], atol=1e-5, rtol=0)


def test_back_and_left_are_mirrored_and_vectors_are_not_negated(rng):
    adapter = ViewAdapter()
    values = torch.rand(1, 6, 8, 8, 3, generator=rng)
    out = adapter.to_network(values, torch.ones(1, 6, 8, 8), 8)
    for v in range(6):
        plain = values[0, v].permute(2, 0, 1)
        assert torch.equal(out[0, v], plain.flip(-1) if v in (3, 4) else plain)
    assert torch.equal(adapter.mirror(adapter.mirror(out, 1), 1), out)


def test_decoding_undoes_mirroring(rng):
    adapter, views = ViewAdapter(), some_views(rng)
    back = adapter.from_network(adapter.to_network(views.normals, views.alpha, 32))
    inside = views.alpha > 0
    torch.testing.assert_close(back[inside], views.normals[inside], atol=1e-5, rtol=1e-5)
    assert bool((back[~inside] == 1).all())


def test_x_mask_is_white_outside_and_black_where_something_is_missing(rng):
    inputs = some_inputs(rng)
    partial, seen = ViewAdapter().x_mask(inputs, 32)
    assert bool((partial[:, :, :, 0] == 1).all())
    assert bool((partial[:, 1, :, 8, 10] == -1).all()) and bool((partial[:, 0, :, 20, 10] == -1).all())
    # the outline (columns 8 to 19) grows by a kernel of 61/768 of the side, here by one pixel to each side
    assert bool((partial[:, 1, :, 10, 7] == -1).all()) and bool((partial[:, 1, :, 10, 20] == -1).all())
    assert bool((partial[:, 1, :, 10, 6] == 1).all()) and bool((partial[:, 1, :, 10, 21] == 1).all())
    torch.testing.assert_close(partial[0, 0, :, 10, 10], 2 * inputs.rgb[0, 0, 10, 10] - 1)
    assert torch.equal(seen[:, :, 0].bool(), ViewAdapter().mirror(inputs.seen, 1))


def test_half_seen_cells_are_not_darkened(rng):
    inputs = some_inputs(rng)
    grey = ViewInputs(
        inputs.body_normals, torch.full_like(inputs.rgb, 0.75) * inputs.seen[..., None], inputs.seen & (torch.arange(32) % 2 == 0), inputs.prior
    )
    partial, seen = ViewAdapter().x_mask(grey, 16)
    torch.testing.assert_close(partial[0, 0, :, 5, 5], torch.full((3,), 0.5))
    assert float(seen[0, 0, 0, 5, 5]) == 0.5


def test_instance_masks_are_disjoint_and_mirrored():
    ids = torch.full((6, 8, 8), -1)
    ids[:, 2:6, 0:3], ids[:, 2:6, 3:5] = 0, 1
    masks = ViewAdapter().instance_masks(ids, 2, 4)
    assert masks.shape == (2, 6, 4, 4) and float(masks.sum(0).max()) == 1
    assert masks[:, 0, 1].tolist() == [[1, 0, 0, 0], [0, 1, 0, 0]]
    assert masks[:, 3, 1].tolist() == [[0, 0, 0, 1], [0, 0, 1, 0]]


def test_inputs_that_do_not_fit_are_named(rng):
    inputs = some_inputs(rng)
    with pytest.raises(ShapeError) as e:
        ViewInputs(inputs.body_normals, inputs.rgb[:1], inputs.seen, inputs.prior)
    assert e.value.name == "rgb"
