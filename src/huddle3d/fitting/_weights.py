"""Which learned weights a fit uses."""

from __future__ import annotations

import hashlib

from huddle3d.diffusion.prior import PRIOR_WEIGHTS
from huddle3d.fitting._config import FitConfig
from huddle3d.fitting.regressor import REGRESSOR_WEIGHTS
from huddle3d.io import read_regular_file

__all__ = ["fit_weights_digest"]

_LIMIT_BYTES = 64 << 20


def fit_weights_digest(config: FitConfig) -> str:
    """Names and hashes of the prior and the regressor that :func:`~huddle3d.fitting.fit` uses (if it fits Anny); equal text, equal networks."""
    from huddle3d.weights import registry

    parts = []
    for weight, file, name in (
        (config.weight_prior, config.prior_file, PRIOR_WEIGHTS),
        (config.weight_regressor, config.regressor_file, REGRESSOR_WEIGHTS),
    ):
        if weight > 0:
            parts.append(f"{name} {_digest(file) if file else registry()[name].sha256}")
    return ", ".join(parts)


def _digest(path: str) -> str:
    return hashlib.sha256(read_regular_file(path, _LIMIT_BYTES)).hexdigest()
