"""Loss terms of carving and of the partial mesh against hand-made cases."""

from __future__ import annotations

import pytest
import torch

from huddle3d.contact import penetrations
from huddle3d.geometry import Camera, look_at
from huddle3d.people._carve_losses import depth_order, normal_loss, shrink_views
from huddle3d.people._partial import affine_invariant, geometry_loss
from huddle3d.people._separate import SeparateConfig, separate


def sphere(centre: tuple[float, float, float], radius: float = 0.2) -> tuple[torch.Tensor, torch.Tensor]:
    import trimesh

    mesh = trimesh.creation.icosphere(subdivisions=4, radius=radius)
    return torch.tensor(mesh.vertices, dtype=torch.float32) + torch.tensor(centre), torch.tensor(mesh.faces)


def test_normal_loss_is_the_mean_over_pixels_and_the_sum_over_views() -> None:
    up, side = torch.tensor([0.0, 0, 1]), torch.tensor([1.0, 0, 0])
    target = up.expand(2, 4, 4, 3)
    rendered = target.clone()
    rendered[0, :2] = side
    valid = torch.ones(2, 4, 4, dtype=torch.bool)
    valid[1] = False
    assert normal_loss(target, rendered, valid).item() == pytest.approx(0.5)
    valid[0, 2:] = False
    assert normal_loss(target, rendered, valid).item() == pytest.approx(1.0)


def test_affine_invariant_depth_forgets_scale_and_shift_but_not_sign(rng: torch.Generator) -> None:
    depth, valid = torch.rand(8, 8, generator=rng), torch.rand(8, 8, generator=rng) > 0.3
    a, b = affine_invariant(depth, valid), affine_invariant(3 * depth + 7, valid)
    torch.testing.assert_close(a, b, rtol=0, atol=1e-4)
    assert not torch.allclose(a, affine_invariant(-depth, valid))
    normals = torch.nn.functional.normalize(torch.rand(8, 8, 3, generator=rng), dim=-1)
    assert geometry_loss(normals, depth, normals, 2 * depth + 1, valid).item() == pytest.approx(0.0, abs=1e-5)
    assert geometry_loss(-normals, depth, normals, depth, valid).item() == pytest.approx(2.0, abs=1e-5)


def test_views_shrink_by_area() -> None:
    image = torch.arange(16.0).reshape(1, 4, 4, 1)
    assert shrink_views(image, 2).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]


def test_depth_order_pulls_the_hidden_owner_of_a_pixel_forward() -> None:
    front, faces = sphere((0.0, 0.0, 0.05))
    behind, _ = sphere((0.0, 0.0, 0.0))
    vertices = torch.stack([front, behind])
    camera = Camera.perspective(200.0, 64, 64, look_at(torch.tensor([0.0, 0, 2]), torch.zeros(3)))
    masks = torch.zeros(2, 64, 64, dtype=torch.bool)
    masks[1, 24:40, 24:40] = True  # the photo shows person 1 where the meshes show person 0
    order = depth_order(masks, camera, vertices, faces, torch.zeros(len(front), dtype=torch.long))
    assert len(order.share) == 256
    free = vertices.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(order.loss(free), free)
    assert gradient[1, :, 2].sum() < 0 < gradient[0, :, 2].sum()  # descent: person 1 towards the camera (+z), person 0 away
    assert order.loss(vertices + torch.tensor([[[0.0, 0, -0.1]], [[0.0, 0, 0.1]]])) < 0.05 * order.loss(vertices)
    right = depth_order(masks.flip(0), camera, vertices, faces, torch.zeros(len(front), dtype=torch.long))
    assert len(right.share) == 0 and right.loss(vertices) == 0


def test_separation_leaves_at_most_the_tolerance_and_moves_the_willing_one() -> None:
    a, faces = sphere((0.0, 0.0, 0.0))
    b, _ = sphere((0.37, 0.0, 0.0))
    vertices = torch.stack([a, b])
    names = ("a", "b")
    assert max(p.max_mm for p in penetrations(vertices, faces, names)) > 25
    out = separate(vertices, faces, torch.ones(2, len(a)), SeparateConfig())
    assert max((p.max_mm for p in penetrations(out, faces, names)), default=0.0) <= 1.5  # tolerance 1 mm; nearest points move between rounds
    far = a[:, 0] < 0
    assert (out[0, far] - a[far]).norm(dim=-1).max() < 2e-3
    moved = (out - vertices).norm(dim=-1).amax(-1)
    assert 0.5 < moved[0] / moved[1] < 2
    stiff = separate(vertices, faces, torch.stack([torch.zeros(len(a)), torch.ones(len(a))]), SeparateConfig())
    assert (stiff[0] - a).norm(dim=-1).max() < 0.2 * (stiff[1] - b).norm(dim=-1).max()


def test_people_apart_are_left_alone() -> None:
    a, faces = sphere((0.0, 0.0, 0.0))
    b, _ = sphere((1.0, 0.0, 0.0))
    vertices = torch.stack([a, b])
    assert torch.equal(separate(vertices, faces, torch.ones(2, len(a)), SeparateConfig()), vertices)


def test_a_mask_of_somebody_else_is_not_trusted() -> None:
    from huddle3d.people._targets import crop_targets
    from huddle3d.render import rasterize

    body, faces = sphere((0.0, 0.0, 0.0))
    camera = Camera.perspective(200.0, 96, 96, look_at(torch.tensor([0.0, 0, 2]), torch.zeros(3)))
    own = rasterize(body, faces, camera).face_id[0] >= 0
    other = own.roll(20, 1)  # half of it lies beside the body
    trust = [float(crop_targets(m[None], camera, body[None], faces, 64).trust[0]) for m in (own, other)]
    assert trust[0] == 1.0 and trust[1] < 0.3
