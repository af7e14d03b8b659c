"""A network that knows a first guess: what it sees of noisy pictures, and what it adds (preconditioning of Karras et al., 2022, around the guess).

Let the clean picture be ``x0 = f + r`` with the first completion ``f`` and a rest ``r`` of standard deviation σ, and ``d = x_t - √ᾱ f = √ᾱ r + √(1-ᾱ) ε``.
The best linear guess of the rest is ``k d`` with ``k = √ᾱ σ² / (ᾱ σ² + 1 - ᾱ)``, its error has the standard deviation ``s = σ √((1-ᾱ) / (ᾱ σ² + 1 - ᾱ))``.
The network is shown ``k d / σ`` in place of the noisy picture and tells what is still missing, in units of ``s``. So pure noise does not reach it,
it has nothing to do where the picture is nearly clean, and a fresh network (that tells zero) is already the linear guess.
"""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

__all__ = ["REST_SPREAD", "clean_around"]

REST_SPREAD = 0.33
"""σ: root mean square of what ``body-prior`` lacks, weighted as in training, over 339 photographs of a bank of views."""


def clean_around(
    first: Float[Tensor, "S *picture"],
    noisy: Float[Tensor, "S *picture"],
    alpha_bar: Float[Tensor, "S *ones"],
    network: Callable[[Float[Tensor, "S *picture"]], Float[Tensor, "S *picture"]],
    spread: float = REST_SPREAD,
) -> Float[Tensor, "S *picture"]:
    """Clean pictures from noisy ones.

    Args:
        first: the first completion.
        noisy: ``√ᾱ x0 + √(1 - ᾱ) ε``.
        alpha_bar: ᾱ of each set.
        network: is shown the scaled linear guess of the rest, tells the error of that guess in units of its spread.
        spread: σ.
    """
    total = alpha_bar * spread**2 + 1 - alpha_bar
    rest = alpha_bar.sqrt() * spread**2 / total * (noisy - alpha_bar.sqrt() * first)
    return first + rest + spread * ((1 - alpha_bar) / total).sqrt() * network(rest / spread)
