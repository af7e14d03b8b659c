"""Noise schedule, samplers and guidance against closed forms; the pair frame against moved, turned, swapped and mirrored people."""

import math
from dataclasses import replace

import pytest
import torch

from huddle3d.bodies import load_body
from huddle3d.diffusion import CosineSchedule, PairPrior, PairSpace, Placement, guided, read_prior, sample_pairs, save_prior, score_distillation
from huddle3d.errors import InputError
from huddle3d.geometry import rotation_y, so3_exp, so3_log
from huddle3d.networks import Buddi, BuddiConfig, PairState
from huddle3d.scene import BodyParams

SMALL = BuddiConfig(width=16, depth=1, heads=4, feed_forward=20, pose=6, shape=2)
GROUPS = ("orient", "pose", "shape", "transl")


@pytest.fixture(scope="module")
def body():
    return load_body()


def state(generator, count=4, config=SMALL):
    return PairState(*(torch.randn(count, 2, config.size(g), generator=generator) for g in GROUPS))


def people(body, generator, count=2):
    pose = 0.25 * torch.randn(count, body.num_joints, 3, generator=generator)
    pose[:, 0, 1] += 6 * torch.rand(count, generator=generator)
    shape = 0.3 + 0.4 * torch.rand(count, body.num_shape, generator=generator)
    return BodyParams(shape, pose, torch.randn(count, 3, generator=generator), shape[:, :0])


def test_schedule_is_the_squared_cosine():
    alphas = CosineSchedule(1000).alphas_bar()
    f = [math.cos((s / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2 for s in range(1001)]
    for t in (0, 10, 500, 990):
        assert float(alphas[t]) == pytest.approx(f[t + 1] / f[0], rel=1e-9)
    assert float(alphas[-1]) == pytest.approx(float(alphas[-2]) * 0.001, rel=1e-6)  # the last beta is clamped
    assert float(CosineSchedule().at(torch.tensor([-1]))) == 1.0
    known = {0: 0.99937, 20: 0.88910, 40: 0.63252, 60: 0.32612, 80: 0.08515, 99: 2.4e-7}  # of 100 steps, as published by CloseInt
    for t, value in known.items():
        assert float(CosineSchedule(100).alphas_bar()[t]) == pytest.approx(value, rel=2e-2 if t == 99 else 1e-4)
    assert CosineSchedule().visited(10) == [901, 801, 701, 601, 501, 401, 301, 201, 101, 1]
    with pytest.raises(InputError, match="sampling steps"):
        CosineSchedule().visited(0)


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_samples_of_a_gaussian_have_its_mean_and_spread(rng, eta):
    mean, spread, schedule = 0.7, 0.4, CosineSchedule()
    like = PairState(*(torch.zeros(300, 2, n) for n in (6, 6, 2, 3)))

    def exact(noisy, time):  # posterior mean of N(mean, spread²) data
        a = schedule.at(time)
        x0 = mean + a.sqrt() * spread**2 / (a * spread**2 + 1 - a) * (noisy.flat() - a.sqrt() * mean)
        return noisy.like(x0)

    flat = sample_pairs(exact, like, rng, steps=100, eta=eta).flat()
    assert float(flat.mean()) == pytest.approx(mean, abs=0.02)
    assert float(flat.std()) == pytest.approx(spread, rel=0.06)


def test_a_denoiser_that_knows_the_answer_is_believed(rng):
    answer = state(rng)
    out = sample_pairs(lambda *_: answer, answer.zeros(), rng, steps=5)
    assert torch.equal(out.flat(), answer.flat())


def test_guidance_is_linear_in_its_scale(rng):
    torch.manual_seed(0)
    network = Buddi(SMALL).eval()
    noisy, told, time = state(rng), state(rng), torch.full((4,), 300)
    free, bound, far = (guided(network, told, s)(noisy, time).flat() for s in (0.0, 1.0, 3.0))
    assert torch.allclose(free, network(noisy, time, told.zeros()).flat(), atol=1e-6)
    assert torch.allclose(bound, network(noisy, time, told).flat(), atol=1e-6)
    assert torch.allclose(far - free, 3 * (bound - free), atol=1e-5)


def test_distillation_pulls_straight_to_the_denoised_pair(rng):
    current = state(rng)
    target = state(rng)
    flat = current.flat().requires_grad_()
    noise = torch.zeros(4, flat.shape[1])
    distance = score_distillation(current.like(flat), lambda *_: target, 10, noise)
    for g in GROUPS:
        expected = (getattr(current, g) - getattr(target, g)).flatten(1).norm(dim=-1)
        assert torch.allclose(distance[g], expected, atol=1e-4)
    (gradient,) = torch.autograd.grad(sum(d.sum() for d in distance.values()), flat)
    offset = current.like(gradient).pose.flatten(1)
    wanted = torch.nn.functional.normalize((current.pose - target.pose).flatten(1), dim=-1)
    assert torch.allclose(offset, wanted, atol=1e-4)


def test_where_the_pair_stands_and_looks_is_not_told(body, rng):
    space = PairSpace.plain(body)
    params = people(body, rng)
    turn, shift = rotation_y(2.1), torch.tensor([3.0, 0.4, -2.0])
    pose = params.pose.clone()
    pose[:, 0] = so3_log(turn @ so3_exp(pose[:, 0]))
    moved = replace(params, pose=pose, translation=params.translation @ turn.T + shift)
    pairs = torch.tensor([[0, 1], [1, 0]])
    told, again = space.encode(Placement.of(params), pairs), space.encode(Placement.of(moved), pairs)
    assert torch.allclose(told.flat(), again.flat(), atol=1e-5)
    nearer = replace(params, translation=params.translation + torch.tensor([[0.0, 0, 0], [0.1, 0, 0]]))
    assert not torch.allclose(space.encode(Placement.of(nearer), pairs).transl, told.transl, atol=0.05)


def test_who_is_called_first_only_swaps_the_orders(body, rng):
    space = PairSpace.plain(body)
    params = people(body, rng)
    swapped = BodyParams(*(getattr(params, f).flip(0) for f in ("shape", "pose", "translation", "expression")))
    both = torch.tensor([[0, 1], [1, 0]])
    a, b = space.encode(Placement.of(params), both).flat(), space.encode(Placement.of(swapped), both).flat()
    assert torch.equal(a, b.flip(0))
    torch.manual_seed(0)
    network = Buddi(space.config(body, width=16, depth=1, heads=4, feed_forward=20)).eval()
    prior = PairPrior(network, space, CosineSchedule())
    noise = torch.randn(1, a.shape[1], generator=rng).expand(2, -1)
    total = [sum(float(d.sum()) for d in prior.distances(Placement.of(p), both, None, 20, noise).values()) for p in (params, swapped)]
    assert total[0] == pytest.approx(total[1], rel=1e-6)


def test_numbers_become_the_same_bodies_again(body, rng):
    plain = PairSpace.plain(body)
    params = people(body, rng, 6)
    rows = torch.tensor(plain.joints)
    pose = torch.zeros_like(params.pose).index_copy(1, rows, params.pose[:, rows])
    pose[:, 0] = params.pose[:, 0]
    params = replace(params, pose=pose)
    pairs = torch.tensor([[0, 1], [3, 2], [4, 5]])
    space = plain.measured(plain.encode(Placement.of(params), pairs))
    told = space.encode(Placement.of(params), pairs)
    assert float(told.flat().mean(0).abs().max()) < 1e-3
    back = space.decode(told, torch.zeros(body.num_joints, 3)).params()
    for i, (a, b) in enumerate(pairs.tolist()):
        joints, again = body.joints(params)[[a, b]].flatten(0, 1), body.joints(back)[2 * i : 2 * i + 2].flatten(0, 1)
        assert torch.allclose(torch.cdist(joints, joints), torch.cdist(again, again), atol=2e-3)
        first = back.pose[2 * i, 0]
        left = so3_exp(first)[:, 0]
        assert float(left[2].abs()) < 1e-4 and float(left[0]) > 0  # person 0 faces +z


def test_prior_file_keeps_the_network(body, rng, tmp_path):
    torch.manual_seed(0)
    space = PairSpace.plain(body)
    network = Buddi(space.config(body, width=16, depth=1, heads=4, feed_forward=20)).eval()
    path = tmp_path / "prior.safetensors"
    save_prior(path, PairPrior(network, space, CosineSchedule(500)), note={"pairs": 3})
    back = read_prior(path)
    assert back.schedule.steps == 500 and back.space.joints == space.joints and back.model == "anny"
    sample, again = (
        PairPrior(n, space, CosineSchedule()).sample(2, torch.Generator().manual_seed(1), steps=3).flat() for n in (network, back.network)
    )
    assert torch.allclose(sample, again, atol=5e-2) and not torch.equal(sample, again)  # half precision
    bodies = Placement.of(people(body, rng))
    drawn = back.resample(bodies, torch.tensor([[0, 1]]), torch.Generator().manual_seed(1), steps=3)
    assert drawn.pose.shape == (1, 2, 6 * len(space.joints)) and bool(drawn.flat().isfinite().all())
    (tmp_path / "bad.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ")
    for name in ("bad.safetensors", "absent.safetensors"):
        with pytest.raises(InputError, match=name):
            read_prior(tmp_path / name)
