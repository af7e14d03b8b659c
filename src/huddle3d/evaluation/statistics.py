"""What a handful of scenes can say: medians with bootstrap intervals, and paired tests between variants."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from huddle3d.errors import InputError

__all__ = ["Interval", "PairedComparison", "median_interval", "paired_comparison"]

RESAMPLES = 2000


@dataclass(frozen=True)
class Interval:
    """A median and how sure it is."""

    median: float
    """Of the values."""
    low: float
    """Lower end of the bootstrap interval of the median."""
    high: float
    """Upper end."""
    count: int
    """Number of values."""

    def to_dict(self) -> dict[str, float | int]:
        """Plain values for a JSON file."""
        return asdict(self)


@dataclass(frozen=True)
class PairedComparison:
    """Two variants on the same scenes; differences are ``b - a``."""

    count: int
    """Scenes where both have a value."""
    median_difference: float
    """Median over the scenes of ``b - a``, in the metric's unit."""
    low: float
    """Lower end of the bootstrap interval of that median."""
    high: float
    """Upper end."""
    p_value: float
    """Two-sided Wilcoxon signed-rank test; 1 if no scene differs. With 5 scenes it cannot fall below 0.0625, with 6 not below 0.03125."""

    def to_dict(self) -> dict[str, float | int]:
        """Plain values for a JSON file."""
        return asdict(self)


def _finite(values: Sequence[float], what: str) -> np.ndarray:
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or array.size == 0:
        raise InputError(f"{what}: no values.", why="Statistics need at least one number.", next_step="Leave out metrics that no scene has.")
    if not np.isfinite(array).all():
        raise InputError(f"{what}: NaN or infinite values.", next_step="Leave out scenes where the metric is not defined.")
    return array


def median_interval(values: Sequence[float], *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """Median with its percentile-bootstrap interval (Efron 1979): scenes are drawn with replacement, ``resamples`` times.

    Deterministic for a seed and independent of the order of the values (they are sorted first). One value gives an interval of width zero,
    which says nothing: read ``count``.

    Args:
        values: one per scene, finite.
        level: of the interval, in (0, 1).
        resamples: bootstrap draws.
        seed: of the draws.

    Raises:
        InputError: no values, NaN, or an impossible level.

    Example:
        >>> found = median_interval([3.0, 1.0, 2.0, 5.0, 4.0])
        >>> found.median, found.low <= found.median <= found.high, found.count
        (3.0, True, 5)
    """
    if not 0 < level < 1 or resamples < 1:
        raise InputError(f"A level of {level} with {resamples} resamples is impossible.", next_step="Give a level between 0 and 1, for example 0.95.")
    array = np.sort(_finite(values, "median_interval"))
    rows = np.random.default_rng(seed).integers(0, array.size, (resamples, array.size))
    low, high = np.quantile(np.median(array[rows], axis=1), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(np.median(array)), float(low), float(high), int(array.size))


def paired_comparison(
    a: Sequence[float | None], b: Sequence[float | None], *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> PairedComparison:
    """Compare two variants scene by scene: entry k of both is the same scene; scenes where either has None are left out.

    Wilcoxon's signed-rank test (two-sided; zero differences dropped; exact for small samples without ties, else the normal approximation), as
    in the paper's "p < .001 on all metrics".

    Raises:
        InputError: lists of different lengths, no scene that both have, NaN.
    """
    from scipy.stats import wilcoxon

    if len(a) != len(b):
        raise InputError(f"Two variants have {len(a)} and {len(b)} scenes.", next_step="Compare results on the same scenes, in one order.")
    pairs = [(x, y) for x, y in zip(a, b) if x is not None and y is not None]
    difference = _finite([y - x for x, y in pairs], "paired_comparison")
    spread = median_interval(difference.tolist(), level=level, resamples=resamples, seed=seed)
    # Rounding noise of equal runs is no difference.
    moved = difference[np.abs(difference) > 1e-12 * max(1.0, float(np.abs(difference).max()))]
    p_value = float(np.asarray(wilcoxon(moved)[1])) if moved.size else 1.0
    return PairedComparison(len(pairs), spread.median, spread.low, spread.high, p_value if math.isfinite(p_value) else 1.0)
