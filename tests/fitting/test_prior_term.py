"""The proxemics prior inside the fit: which pairs it looks at, what it must not depend on, and what it refuses."""

from dataclasses import fields, replace

import pytest
import torch
from scenes import camera, observe_truth, photo, stand

from huddle3d.bodies import load_body
from huddle3d.diffusion import CosineSchedule, PairPrior, PairSpace, load_prior, save_prior
from huddle3d.errors import InputError
from huddle3d.fitting import FitConfig, fit
from huddle3d.fitting._prior_term import PriorTerm, near_pairs, placement
from huddle3d.fitting._state import Frame, Variables
from huddle3d.geometry import rotation_x, rotation_y
from huddle3d.networks import Buddi

SHARED = ("tilt", "camera_height", "log_focal")


@pytest.fixture(scope="module")
def body():
    return load_body()


@pytest.fixture(scope="module")
def prior(body):
    torch.manual_seed(0)
    space = PairSpace.plain(body)
    network = Buddi(space.config(body, width=16, depth=1, heads=4, feed_forward=20)).eval().requires_grad_(False)
    return PairPrior(network, space, CosineSchedule())


def variables(frame, places, yaws):
    count = len(places)
    z = torch.zeros
    g = torch.Generator().manual_seed(4)
    return Variables(
        rotation_y(torch.tensor(yaws)), z(count, 2), torch.ones(count) * 3, z(count, 3), 0.2 * torch.randn(count, len(frame.fit_joints), 3, generator=g),
        z(count, len(frame.neutral_shape)), torch.tensor([[x, -0.9] for x in places]), z(count), z(2), torch.full((1,), 1.5), z(1),
    )  # fmt: skip


def test_a_row_of_people_has_two_neighbours_each():
    root = torch.zeros(12, 3)
    root[:, 0] = 0.6 * torch.arange(12)
    pairs = near_pairs(root, 0.7)
    assert len(pairs) == 22  # both orders of eleven
    assert torch.equal(pairs[:11].flip(-1), pairs[11:]) and int((pairs[:, 0] - pairs[:, 1]).abs().max()) == 1
    assert len(near_pairs(root[:1], 0.7)) == 0


def test_energy_knows_neither_the_camera_nor_the_order_of_people(body, prior):
    config = replace(FitConfig(), weight_prior=1.0)
    frame = Frame.build(body, photo(), config)
    start = variables(frame, [-0.3, 0.25], [0.4, 2.8])
    energy = float(PriorTerm(prior, start, frame, config)(start))
    swapped = start.take(torch.tensor([1, 0]))
    assert float(PriorTerm(prior, swapped, frame, config)(swapped)) == pytest.approx(energy, rel=1e-4)
    turn = rotation_x(torch.tensor(0.2))  # a camera that looks down sees everybody tilted, and says so
    seen = placement(start, frame)
    view = seen.root @ turn.T
    tilted = replace(
        start,
        R_view_base=turn @ start.R_view_root(),
        base_ray=torch.stack([-view[:, 0] / view[:, 2], view[:, 1] / view[:, 2]], -1),
        base_depth=-view[:, 2],
        shift=torch.zeros(2, 2),
        tilt=torch.tensor([0.2, 0.0]),
    )
    assert torch.allclose(placement(tilted, frame).root, seen.root, atol=1e-5)
    assert float(PriorTerm(prior, tilted, frame, config)(tilted)) == pytest.approx(energy, rel=1e-3)


def test_far_people_are_left_alone(body, prior):
    config = replace(FitConfig(), weight_prior=1.0)
    frame = Frame.build(body, photo(), config)
    start = variables(frame, [-0.3, 0.25, 4.0], [0.4, 2.8, 0.0])
    leaves = {
        f.name: getattr(start, f.name).clone().requires_grad_() for f in fields(start) if f.name in ("pose", "turn", "shift", "log_depth", "tilt")
    }
    term = PriorTerm(prior, start, frame, config)
    moving = replace(start, **leaves)
    pose, turn, shift, depth = torch.autograd.grad(term(moving), [leaves[n] for n in ("pose", "turn", "shift", "log_depth")])
    for gradient in (pose, turn, shift, depth):
        assert float(gradient[2].abs().max()) == 0 and float(gradient[:2].abs().max()) > 0
    alone = start.take(torch.tensor([2]))
    assert float(PriorTerm(prior, alone, frame, config)(alone)) == 0
    half = replace(config, weight_prior=0.5)
    assert float(PriorTerm(prior, start, frame, half)(start)) == pytest.approx(0.5 * float(PriorTerm(prior, start, frame, config)(start)), rel=1e-5)


def test_fit_uses_it_and_says_when_it_cannot(body, prior, tmp_path):
    params = stand(body, body.neutral(2), torch.tensor([20.0, -60.0]), torch.tensor([[-0.35, 0.0], [0.35, 0.1]]))
    people = observe_truth(body, params, camera())
    short = FitConfig(steps_initial=8, steps_joint=6, steps_silhouette=0, steps_polish=2)
    without = fit(photo(760.0), people, short, body=body)
    config = replace(short, weight_prior=1.0)
    first, again = (fit(photo(760.0), people, config, body=body, prior=prior) for _ in range(2))
    assert torch.equal(first.vertices, again.vertices) and not torch.equal(first.vertices, without.vertices)
    ignored = fit(photo(760.0), people, short, body=body, prior=prior)
    assert torch.equal(ignored.vertices, without.vertices)
    with pytest.raises(InputError, match="smplx"):
        fit(photo(760.0), people, config, body=body, prior=replace(prior, model="smplx"))
    save_prior(tmp_path / "own.safetensors", prior)
    own = fit(photo(760.0), people, replace(config, prior_file=str(tmp_path / "own.safetensors")), body=body)
    assert not torch.equal(own.vertices, without.vertices)
    assert float((own.vertices - first.vertices).abs().max()) < 0.02  # half precision
    with pytest.raises(InputError, match="absent"):
        fit(photo(760.0), people, replace(config, prior_file=str(tmp_path / "absent.safetensors")), body=body)


def test_embedded_prior_draws_people_who_stand_near_each_other(body):
    """Ancestral samples: two people within reach, upright, no joint far beyond its limits."""
    prior = load_prior()
    drawn = prior.space.decode(prior.sample(16, torch.Generator().manual_seed(0), steps=50), torch.zeros(body.num_joints, 3))
    apart = drawn.root[1::2].norm(dim=-1)
    assert prior.model == body.name and 0.2 < float(apart.median()) < 1.5
    assert float(drawn.R_world_root[:, 1, 1].median()) > 0.9  # up stays up
    limits = body.joint_limits
    beyond = torch.maximum(drawn.pose - limits[..., 1], limits[..., 0] - drawn.pose)[:, 1:]
    assert float((beyond > 0.3).float().mean()) < 0.01
