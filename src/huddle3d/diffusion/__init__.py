"""Diffusion: noise schedules, samplers, guidance; and the spaces in which pairs of bodies are denoised."""

from huddle3d.diffusion.pairs import PairSpace, Placement
from huddle3d.diffusion.prior import PairPrior, load_prior, read_prior, save_prior
from huddle3d.diffusion.sampling import guided, sample_pairs, score_distillation
from huddle3d.diffusion.schedule import CosineSchedule

__all__ = [
    "CosineSchedule",
    "PairPrior",
    "PairSpace",
    "Placement",
    "guided",
    "load_prior",
    "read_prior",
    "sample_pairs",
    "save_prior",
    "score_distillation",
]
