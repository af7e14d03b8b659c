"""Lock-step sampling with composition: what is mixed, and that the noise keeps its variance."""

import pytest
import torch

from huddle3d.diffusion.multiview import Composition, NoiseSchedule, SamplerConfig, sample_views
from huddle3d.errors import InputError, ShapeError

S, D, V, C, SIDE = 3, 2, 6, 4, 16
SHAPE = (S, D, V, C, SIDE, SIDE)
SCHEDULE = NoiseSchedule()


def halves():
    """Person 0 on the left, person 1 on the right of every view, nobody below."""
    people = torch.zeros(S - 1, V, SIDE, SIDE)
    people[0, :, :12, :8], people[1, :, :12, 8:] = 1, 1
    return people


class Oracle:
    """Knows the clean pictures of each set; keeps what it was called with."""

    def __init__(self, clean):
        self.clean, self.calls = clean, []

    def __call__(self, x, t):
        time = torch.full((len(x),), t)
        self.calls.append((t, x.clone()))
        return SCHEDULE.target(self.clean, time, SCHEDULE.noise_of(x, time, self.clean))


def clean_pictures(rng):
    return 0.2 * torch.randn(S, 1, 1, C, 1, 1, generator=rng).expand(SHAPE) + 0.0


def noise_spread(call, pictures):
    """Standard deviation of the noise inside the people's masks of the group, at one call."""
    t, x = call
    return float(SCHEDULE.noise_of(x, torch.full((S,), t), pictures)[0, :, :, :, :12].std())


def test_variance_of_the_noise_after_mixing(rng):
    """All sets have the same clean pictures, so only noise is mixed. Correlated noise keeps its spread; the literal formula shrinks it: at first to
    0.825, later less, because what was mixed stays alike."""
    pictures, composition = 0.3 * torch.ones(SHAPE), Composition(halves())
    oracles = {}
    for noise in ("correlated", "literal"):
        oracles[noise] = Oracle(pictures)
        sample_views(oracles[noise], SHAPE, SCHEDULE, composition, SamplerConfig(steps=20, share_photo=0, noise=noise), generator=rng)
    for call in oracles["correlated"].calls:
        assert noise_spread(call, pictures) == pytest.approx(1.0, abs=0.02)
    assert noise_spread(oracles["literal"].calls[0], pictures) == pytest.approx(0.825, abs=0.02)
    assert max(noise_spread(call, pictures) for call in oracles["literal"].calls) < 0.96


def test_group_is_called_with_the_peoples_pictures(rng):
    """The clean part that the network is shown is 0.8 person, 0.2 group inside the masks, the group's own outside."""
    pictures = clean_pictures(rng)
    oracle = Oracle(pictures)
    sample_views(oracle, SHAPE, SCHEDULE, Composition(halves()), SamplerConfig(steps=10, share_photo=0), generator=rng)
    t, x = oracle.calls[-1]
    a = float(SCHEDULE.alphas_bar()[t])
    assert a > 0.99
    means = x[0].mean((-1, -2, 0, 1)), x[0, :, :, :, 12:].mean((-1, -2, 0, 1))
    left, right = x[0, :, :, :, :12, :8].mean((-1, -2, 0, 1)), x[0, :, :, :, :12, 8:].mean((-1, -2, 0, 1))
    value = pictures[:, 0, 0, :, 0, 0]
    torch.testing.assert_close(left, a**0.5 * (0.8 * value[1] + 0.2 * value[0]), atol=0.02, rtol=0)
    torch.testing.assert_close(right, a**0.5 * (0.8 * value[2] + 0.2 * value[0]), atol=0.02, rtol=0)
    torch.testing.assert_close(means[1], a**0.5 * value[0], atol=0.02, rtol=0)
    torch.testing.assert_close(x[1].mean((-1, -2, 0, 1)), a**0.5 * value[1], atol=0.02, rtol=0)


def test_literal_formulas(rng):
    """The second call against S14 and S13 as they are printed."""
    pictures, photo, seen = clean_pictures(rng), torch.rand(S, V, C, SIDE, SIDE, generator=rng), torch.zeros(S, V, SIDE, SIDE)
    seen[..., 2:9, 3:14] = 1
    config = SamplerConfig(steps=4, noise="literal")
    oracle = Oracle(pictures)
    sample_views(oracle, SHAPE, SCHEDULE, Composition(halves(), photo, seen), config, generator=torch.Generator().manual_seed(3))
    twin = torch.Generator().manual_seed(3)
    z = torch.randn(SHAPE, generator=twin)
    for i, t in enumerate(SCHEDULE.visited(4)):
        a = float(SCHEDULE.alphas_bar()[t])
        noised = a**0.5 * photo + (1 - a) ** 0.5 * torch.randn(SHAPE, generator=twin)[:, 1]
        for v in (1, 5):
            m = seen[:, v, None]
            z[:, 1, v] = m * (0.8 * noised[:, v] + 0.2 * z[:, 1, v]) + (1 - m) * z[:, 1, v]
        group = z[0].clone()
        for k, mask in enumerate(halves()):
            inside = mask[None, :, None].expand_as(group) > 0
            group[inside] = (0.8 * z[1 + k] + 0.2 * z[0])[inside]
        z[0] = group
        torch.testing.assert_close(oracle.calls[i][1], z, atol=1e-5, rtol=1e-5)
        time = torch.full((S,), t)
        z = SCHEDULE.step(z, pictures, time, torch.full((S,), SCHEDULE.before(t, 4)), torch.randn(SHAPE, generator=twin), 1.0)


def test_photo_pulls_only_what_it_shows(rng):
    pictures, photo, seen = torch.zeros(SHAPE), torch.full((S, V, C, SIDE, SIDE), 0.7), torch.zeros(S, V, SIDE, SIDE)
    seen[..., :8] = 1
    oracle = Oracle(pictures)
    config = SamplerConfig(steps=10, share_group=0)
    sample_views(oracle, SHAPE, SCHEDULE, Composition(halves(), photo, seen), config, generator=rng)
    _, x = oracle.calls[-1]
    assert x[:, 1, 1, :, :, :8].mean() == pytest.approx(0.56, abs=0.02) and x[:, 1, 5, :, :, :8].mean() == pytest.approx(0.56, abs=0.02)
    for untouched in (x[:, 0], x[:, 1, 0], x[:, 1, 2:5], x[:, 1, 1, :, :, 8:]):
        assert untouched.mean() == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("people", [0, 1, 6])
@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_an_oracle_is_followed_for_any_number_of_people(people, eta, rng):
    shape = (1 + people, 2, 6, 3, 8, 8)
    pictures = torch.rand(shape, generator=rng)

    def oracle(x, t):
        time = torch.full((len(x),), t)
        return SCHEDULE.target(pictures, time, SCHEDULE.noise_of(x, time, pictures))

    out = sample_views(oracle, shape, SCHEDULE, Composition(torch.zeros(people, 6, 8, 8)), SamplerConfig(steps=3, eta=eta), generator=rng)
    torch.testing.assert_close(out, pictures, atol=1e-3, rtol=1e-3)


def test_same_seed_same_pictures():
    outs = [
        sample_views(lambda x, t: 0.5 * x, SHAPE, SCHEDULE, Composition(halves()), SamplerConfig(steps=3), generator=torch.Generator().manual_seed(s))
        for s in (1, 1, 2)
    ]
    assert torch.equal(outs[0], outs[1]) and not torch.equal(outs[0], outs[2])


def test_bad_composition_is_refused(rng):
    with pytest.raises(InputError, match="overlap"):
        Composition(torch.ones(2, V, SIDE, SIDE))
    with pytest.raises(InputError, match="belong together"):
        Composition(halves(), torch.zeros(S, V, C, SIDE, SIDE))
    for composition in (
        Composition(torch.zeros(1, V, SIDE, SIDE)),
        Composition(halves(), torch.zeros(S, V, 3, SIDE, SIDE), torch.zeros(S, V, SIDE, SIDE)),
        Composition(halves(), torch.zeros(S, V, C, SIDE, SIDE), torch.zeros(S, V, 8, SIDE)),
    ):
        with pytest.raises(ShapeError):
            sample_views(lambda x, t: x, SHAPE, SCHEDULE, composition, generator=rng)
