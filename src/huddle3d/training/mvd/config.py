"""Settings of the training of the view completion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from huddle3d.diffusion.multiview.model import Prediction
from huddle3d.networks import EMBEDDED_64, MultiViewConfig, UpsamplerConfig

__all__ = ["MvdTraining", "Prediction", "RunSettings", "TrainingData", "UpsamplerTraining"]

TrainingData = Literal["all", "groups", "people"]
"""Which sets of a bank are learned: all, those of groups, or those of one person. The last two are ablations."""


@dataclass(frozen=True)
class RunSettings:
    """Settings of any training of views."""

    accumulate: int = 1
    """Steps whose gradients are added up."""
    learning_rate: float = 4e-4
    """Of AdamW, reached after ``warm_up`` steps. With a number of steps given it falls to a twentieth by a cosine; else it stays."""
    warm_up: int = 100
    """Steps."""
    weight_decay: float = 0.01
    """Of AdamW."""
    ema: float = 0.999
    """Decay of the running mean of the weights, which is what is kept (faster in the first steps)."""
    validation_share: float = 0.1
    """Share of the bank's files that are kept for validation, if no other bank is given for it."""
    validate_every: float = 15.0
    """Minutes between two validations."""
    bf16: bool = False
    """Compute in half precision (bfloat16) where that is safe."""
    channels_last: bool = True
    """Memory layout of pictures; faster convolutions on most machines."""
    seed: int = 0
    """Of everything random."""


@dataclass(frozen=True)
class MvdTraining(RunSettings):
    """Settings of ``huddle3d train mvd``."""

    network: MultiViewConfig = EMBEDDED_64
    """Sizes of the denoiser."""
    prediction: Prediction = "preconditioned"
    """What the network tells: the clean pictures (x0), the velocity (v), what is to be added to the baseline's completion (residual: a fresh network is the
    baseline), or to the best linear guess from the baseline and the noisy picture (preconditioned)."""
    sets: int = 6
    """Sets of six views in two domains per step and process: photographs are drawn until they are full, the group of each with its people."""
    per_view_steps: int = 1500
    """First steps, in which the multi-view layers do nothing: each view is learned for itself."""
    unmasked_steps: int = 1500
    """Steps of the first stage of the curriculum: groups and single people only. After them people are also isolated by their masks."""
    contact: float = 2.0
    """Weight of pixels where people touch, on top of the others', in the second stage."""
    foreground: float = 4.0
    """The same of pixels that somebody covers, in both."""
    min_snr: float = 5.0
    """Weights of noise levels are ``min(SNR, this)`` on the clean pictures."""
    snr_floor: float = 0.25
    """But not less than this: the first of few sampling steps sees almost pure noise."""
    drop_text: float = 0.15
    """Share of captions that are left out."""
    colour_jitter: float = 0.5
    """Share of photographs with other brightness and tint, the same in what is given and in the truth."""
    colour_swap: float = 0.2
    """Share with red, green and blue exchanged, and without captions."""
    photo_light: bool = True
    """Whether true colours take on the light of the photograph, as far as it shows the set, before they are learned and compared."""
    mirror: float = 0.5
    """Share that is mirrored."""
    validation_photos: int = 12
    """Most photographs that are measured."""
    sampling_steps: int = 4
    """Sampling steps of the validation, beside one; the file names the better of both."""


@dataclass(frozen=True)
class UpsamplerTraining(RunSettings):
    """Settings of ``huddle3d train upsampler``."""

    network: UpsamplerConfig = UpsamplerConfig()
    """Sizes of the upsampler."""
    learning_rate: float = 1e-3
    """As for all, higher: the network is small."""
    patches: int = 12
    """Patches of large views per step and process."""
    edges: float = 1.0
    """Weight of differences of neighbouring pixels next to the pixels themselves."""
    foreground: float = 4.0
    """Weight of pixels that somebody covers, on top of the others'."""
    blend: float = 0.5
    """The small views are true ones, moved by up to this share towards the baseline's: completed ones are not perfect."""
    noise: float = 0.05
    """And with so much noise of a few pixels' size, in units of the pictures [-1, 1]."""
    validation_patches: int = 96
    """Most patches that are measured."""
