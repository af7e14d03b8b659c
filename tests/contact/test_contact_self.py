"""Crossing triangles, and a worm that bends into itself."""

import pytest
import torch
from contact_shapes import cube, sphere

from huddle3d.contact import crossing_faces, self_crossing_faces, self_penetration
from huddle3d.errors import InputError, ShapeError


def pairs(tensor) -> set[tuple[int, int]]:
    return set(map(tuple, tensor.tolist()))


@pytest.mark.parametrize("scale", [1.0, 0.01])
def test_kernel_and_twin_find_the_same_crossings(scale, rng, monkeypatch):
    """At metre scale and at centimetre scale, where an absolute tolerance in metres would fail."""
    soup = torch.rand(400, 3, 3, generator=rng, dtype=torch.float64) * 0.3 + torch.rand(400, 1, 3, generator=rng, dtype=torch.float64)
    vertices, faces = soup.reshape(-1, 3) * scale, torch.arange(1200).reshape(-1, 3)
    found = {}
    for backend in ("warp", "torch"):
        monkeypatch.setenv("HUDDLE3D_KERNELS", backend)
        found[backend] = pairs(crossing_faces(vertices[:600], faces[:200], vertices[600:], faces[:200]))
        assert {(i, j + 200) for i, j in found[backend]} <= pairs(self_crossing_faces(vertices, faces))
    assert len(found["torch"]) > 100
    assert len(found["warp"] ^ found["torch"]) <= 2  # float32 against float64: grazing edges


@pytest.mark.parametrize("backend", ["warp", "torch"])
def test_a_clean_mesh_does_not_cross_itself(backend, monkeypatch):
    monkeypatch.setenv("HUDDLE3D_KERNELS", backend)
    vertices, faces = sphere(10, 0.1)
    assert self_crossing_faces(vertices, faces).shape == (0, 2)
    shifted = vertices + torch.tensor([0.15, 0.013, 0.007]).double()
    both = self_crossing_faces(torch.cat([vertices, shifted]), torch.cat([faces, faces + len(vertices)]))
    assert len(both) > 10
    assert bool((both[:, 0] < len(faces)).all() & (both[:, 1] >= len(faces)).all())
    assert torch.equal(both, both[torch.argsort(both[:, 0] * 10**6 + both[:, 1])])


def test_crossings_refuse_bad_faces():
    vertices, faces = cube()
    with pytest.raises(InputError):
        self_crossing_faces(vertices, faces + 1)
    with pytest.raises(InputError):
        crossing_faces(vertices, faces, vertices * float("inf"), faces)


def worm(bend: float, length: float = 1.0, radius: float = 0.05, pitch: float = 0.0):
    """A closed tube along an arc of the angle ``bend`` [rad], as long whatever the bend; ``pitch`` lifts one end above the other."""
    rings, sectors = 60, 16
    s = torch.linspace(0, 1, rings, dtype=torch.float64)
    angle = (s - 0.5) * bend
    r = length / bend
    centre = torch.stack([r * angle.sin(), r * angle.cos() - r, pitch * s], -1)
    outward = torch.stack([angle.sin(), angle.cos(), torch.zeros_like(s)], -1)
    phi = torch.arange(sectors) * (2 * torch.pi / sectors)
    side = torch.tensor([0.0, 0.0, 1.0]).double()
    tube = centre[:, None] + radius * (phi.cos()[None, :, None] * outward[:, None] + phi.sin()[None, :, None] * side)
    vertices = torch.cat([tube.reshape(-1, 3), centre[:1], centre[-1:]])
    faces = []
    for k in range(sectors):
        m = (k + 1) % sectors
        for i in range(rings - 1):
            a, b, c, d = i * sectors + k, i * sectors + m, (i + 1) * sectors + k, (i + 1) * sectors + m
            faces += [(a, b, c), (b, d, c)]
        faces += [(rings * sectors, m, k), (rings * sectors + 1, (rings - 1) * sectors + k, (rings - 1) * sectors + m)]
    return vertices, torch.tensor(faces)


def volume(vertices, faces) -> float:
    a, b, c = vertices[faces].unbind(1)
    return float((a * torch.linalg.cross(b, c)).sum() / 6)


def test_worm_is_a_solid_with_outward_faces():
    vertices, faces = worm(0.1)
    assert volume(vertices, faces) == pytest.approx(torch.pi * 0.05**2, rel=0.05)


def test_a_body_at_rest_does_not_penetrate_itself():
    vertices, faces = worm(0.1)
    assert self_penetration(vertices, vertices, faces).max_mm == 0


def test_a_gentle_bend_does_not_penetrate():
    rest, faces = worm(0.1)
    result = self_penetration(worm(5.0)[0], rest, faces)
    assert (result.max_mm, result.volume_cm3) == (0, 0)
    assert not bool(result.inside.any())


def test_ends_that_meet_penetrate_as_deep_as_they_are_thick():
    """Bent by a turn and a seventh, both ends of the worm run along each other for 13 cm."""
    rest, faces = worm(0.1)
    result = self_penetration(worm(7.2, pitch=0.04)[0], rest, faces)
    apart = 0.04 * 2 * torch.pi / 7.2  # of both ends' axes, where they run side by side: 3.5 cm
    assert result.max_mm == pytest.approx(1000 * (0.05 - abs(apart - 0.05)), abs=3)
    cap = torch.zeros(len(rest), dtype=torch.bool)
    cap[-2:] = True
    assert bool(result.inside[cap].all())
    middle = torch.zeros(len(rest), dtype=torch.bool)
    middle[16 * 10 : 16 * 50] = True
    assert not bool((result.inside & middle).any())


def test_a_crease_is_no_penetration():
    """Folded tighter than its own radius the inner side passes through itself, but only near flesh does."""
    rest, faces = worm(0.1, length=0.2)
    folded, _ = worm(5.0, length=0.2)  # radius of the arc 4 cm, of the tube 5 cm
    assert len(self_crossing_faces(folded, faces)) > 0
    assert self_penetration(folded, rest, faces, neighbourhood=0.25).max_mm == 0


def test_parts_that_lie_inside_by_design_do_not_count():
    """An eyeball inside a head penetrates neither at rest nor after a rigid motion."""
    (head, fh), (eye, fe) = sphere(12, 0.1), sphere(8, 0.015, (0.0, 0.0, 0.06))
    rest, faces = torch.cat([head, eye]), torch.cat([fh, fe + len(head)])
    turn = torch.tensor([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]).double()
    assert self_penetration(rest @ turn.T + 0.3, rest, faces).max_mm == 0


def test_shapes_must_agree():
    vertices, faces = cube()
    with pytest.raises(ShapeError):
        self_penetration(vertices, vertices[:-1], faces)
