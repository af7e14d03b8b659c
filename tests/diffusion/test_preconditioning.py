"""What a network that knows a first guess sees and adds: against a least-squares fit on draws, and at both ends of the noise."""

import pytest
import torch

from huddle3d.diffusion.multiview import REST_SPREAD, clean_around

FIRST = torch.tensor([[0.7, -0.2, 0.4]])


@pytest.mark.parametrize("alpha_bar", [0.02, 0.5, 0.97])
def test_a_silent_network_is_the_best_linear_guess(alpha_bar):
    """Slope and error of the regression of the rest on the noisy picture, found from draws."""
    generator = torch.Generator().manual_seed(0)
    n, a = 200_000, torch.tensor([[alpha_bar]])
    rest = REST_SPREAD * torch.randn(n, 1, generator=generator, dtype=torch.float64)
    noisy = a.sqrt() * (0.7 + rest) + (1 - a).sqrt() * torch.randn(n, 1, generator=generator, dtype=torch.float64)
    centred = noisy - a.sqrt() * 0.7
    slope = float((centred * rest).sum() / centred.square().sum())
    first = torch.full_like(noisy, 0.7)
    guess = clean_around(first, noisy, a, torch.zeros_like)
    torch.testing.assert_close(guess, first + slope * centred, atol=0.01, rtol=0.02)
    one = clean_around(first, noisy, a, torch.ones_like)
    missing = (first + rest - guess).std()
    assert float((one - guess).mean()) == pytest.approx(float(missing), rel=0.01)


def test_pure_noise_does_not_reach_the_network_and_clean_pictures_pass():
    seen = []

    def network(shown):
        seen.append(shown)
        return torch.ones_like(shown)

    noise = 10 * torch.ones_like(FIRST)
    made = clean_around(FIRST, noise, torch.tensor([[0.0]]), network)
    assert torch.equal(seen[0], torch.zeros_like(FIRST))
    torch.testing.assert_close(made, FIRST + REST_SPREAD)
    clean = torch.tensor([[0.1, 0.2, 0.3]])
    torch.testing.assert_close(clean_around(FIRST, clean, torch.tensor([[1.0]]), network), clean)
    torch.testing.assert_close(seen[1], (clean - FIRST) / REST_SPREAD)


def test_each_set_has_its_own_noise_level():
    both = clean_around(FIRST.repeat(2, 1), torch.ones(2, 3), torch.tensor([[0.3], [0.8]]), torch.sin)
    each = [clean_around(FIRST, torch.ones(1, 3), torch.tensor([[a]]), torch.sin) for a in (0.3, 0.8)]
    torch.testing.assert_close(both, torch.cat(each))
