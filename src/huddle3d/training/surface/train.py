"""``train surface``: the surface network from banks of windows; CPU or CUDA, resumable."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.errors import InputError
from huddle3d.io import prepare_output_dir
from huddle3d.networks import SurfaceNet, SurfaceNetConfig
from huddle3d.people import SurfaceNetwork, mask_logits, predicted_normals, save_surface_network
from huddle3d.progress import Progress, silent
from huddle3d.training.course import Course, Measured
from huddle3d.training.keeper import STATE, Keeper, cosine_rate
from huddle3d.training.surface.augment import mirrored, photometric
from huddle3d.training.surface.bank import CropBank
from huddle3d.training.surface.crops import SurfaceTarget, decode

__all__ = ["SurfaceTraining", "SurfaceValidation", "surface_loss", "train_surface", "validate_surface"]


@dataclass(frozen=True)
class SurfaceTraining:
    """Settings of the training."""

    network: SurfaceNetConfig = SurfaceNetConfig()
    batch: int = 8
    """Windows per step."""
    learning_rate: float = 1e-3
    """Of AdamW, after a warm-up, falling along a cosine."""
    warm_up: int = 100
    """Steps."""
    weight_decay: float = 1e-2
    ema: float = 0.998
    """Decay of the running mean of the weights, which is what is kept."""
    weight_normals: float = 1.0
    """Of ``1 - cos`` plus the mean absolute error of the normals."""
    weight_relief: float = 1.0
    """Of the smooth absolute error of the relief, less its mean over the person: only its shape can be seen."""
    weight_mask: float = 0.3
    """Of the cross entropy of the mask."""
    validation_share: float = 0.05
    """Of the scenes."""
    validation_most: int = 256
    """Windows measured at each validation."""
    seed: int = 0


@dataclass(frozen=True)
class SurfaceValidation:
    """On windows that training never saw, over pixels that show the person; in brackets what doing nothing gives."""

    normal_deg: float
    """Mean angle between predicted and true normals."""
    body_normal_deg: float
    """(The same of the fitted body's normals, where they exist.)"""
    normal_on_body_deg: float
    """``normal_deg`` over the same pixels as ``body_normal_deg``."""
    relief_mm: float
    """Mean absolute error of the relief, less the person's median error."""
    body_relief_mm: float
    """(The same of the body itself.)"""
    mask_iou: float
    """Of the mask and the true one."""
    given_iou: float
    """(Of the mask that was given.)"""


def _relief_error(relief: Float[Tensor, "B S S"], target: SurfaceTarget) -> Float[Tensor, "B S S"]:
    """Difference to the truth without each person's mean; 0 outside of the mask."""
    mask = target.mask.float()
    count = mask.sum((-2, -1), keepdim=True).clamp_min(1)
    error = (relief - target.relief) * mask
    return (error - error.sum((-2, -1), keepdim=True) / count) * mask


def surface_loss(
    outputs: Float[Tensor, "B 5 S S"], inputs: Float[Tensor, "B 10 S S"], target: SurfaceTarget, config: SurfaceTraining
) -> Float[Tensor, ""]:
    """The training loss; normals and relief over the person's visible pixels, the mask over the window."""
    mask = target.mask.float()
    count = mask.sum().clamp_min(1)
    normals = predicted_normals(outputs, inputs)
    angle = ((1 - (normals * target.normals).sum(-1)) + (normals - target.normals).abs().mean(-1)) * mask
    relief = torch.nn.functional.smooth_l1_loss(_relief_error(outputs[:, 3], target), torch.zeros_like(mask), beta=0.1, reduction="none")
    cross = torch.nn.functional.binary_cross_entropy_with_logits(mask_logits(outputs, inputs), mask)
    return config.weight_normals * angle.sum() / count + config.weight_relief * relief.sum() / count + config.weight_mask * cross


@torch.no_grad()
def validate_surface(network: SurfaceNet, bank: CropBank, *, most: int = 256, device: str = "cpu") -> SurfaceValidation:
    """Measure a network on windows spread over a bank."""
    network = network.eval()
    rows = torch.linspace(0, len(bank) - 1, min(most, len(bank))).round().long().unique().tolist()
    sums: dict[str, float] = dict.fromkeys(SurfaceValidation.__dataclass_fields__, 0.0)
    pixels = on_body = 0.0
    for first in range(0, len(rows), 16):
        inputs, target = decode(bank.windows(rows[first : first + 16]))
        outputs = network(inputs.to(device)).cpu()
        mask = target.mask
        both = mask & (inputs[:, 8] > 0.5)
        found, body = predicted_normals(outputs, inputs), torch.nn.functional.normalize(inputs[:, 5:8], dim=1).permute(0, 2, 3, 1)
        for name, normals, where in (("normal_deg", found, mask), ("normal_on_body_deg", found, both), ("body_normal_deg", body, both)):
            cosine = (normals * target.normals).sum(-1)[where].clamp(-1, 1)
            sums[name] += float(torch.rad2deg(torch.acos(cosine)).sum())
        for name, relief in (("relief_mm", outputs[:, 3]), ("body_relief_mm", torch.zeros_like(outputs[:, 3]))):
            for k in range(len(mask)):
                error = (relief[k] - target.relief[k])[both[k]]
                sums[name] += 100 * float((error - error.median()).abs().sum()) if len(error) else 0.0
        for name, here in (("mask_iou", mask_logits(outputs, inputs) > 0), ("given_iou", inputs[:, 3] > 0.5)):
            sums[name] += float(((here & mask).sum((-2, -1)) / (here | mask).sum((-2, -1)).clamp_min(1)).sum())
        pixels, on_body = pixels + float(mask.sum()), on_body + float(both.sum())
    sums["normal_deg"] /= max(1.0, pixels)
    for name in ("normal_on_body_deg", "body_normal_deg", "relief_mm", "body_relief_mm"):
        sums[name] /= max(1.0, on_body)
    for name in ("mask_iou", "given_iou"):
        sums[name] /= max(1, len(rows))
    return SurfaceValidation(**sums)


def _batch(bank: CropBank, config: SurfaceTraining, step: int) -> tuple[Tensor, SurfaceTarget]:
    """Windows of one step; its random numbers depend on the step alone, so a resumed run draws the same."""
    generator = torch.Generator().manual_seed((config.seed << 32) + step)
    rows = torch.randint(0, len(bank), (config.batch,), generator=generator).tolist()
    inputs, target = decode(bank.windows(rows))
    inputs, target = mirrored(inputs, target, torch.rand(config.batch, generator=generator) < 0.5)
    return photometric(inputs, generator), target


def train_surface(
    bank: CropBank,
    output: str | os.PathLike[str],
    config: SurfaceTraining = SurfaceTraining(),
    *,
    minutes: float = 30.0,
    steps: int | None = None,
    device: str = "cpu",
    overwrite: bool = False,
    log: Callable[[int, dict[str, float]], None] | None = None,
    progress: Progress = silent,
) -> tuple[SurfaceNet, SurfaceValidation]:
    """Train, or go on training, for so many minutes or steps.

    The folder gets ``surface.safetensors`` (half precision, what is embedded), ``state.safetensors`` (to go on) and ``log.jsonl``. With ``steps``
    the learning rate follows the steps; with minutes alone it follows the clock.

    Args:
        bank: windows.
        output: folder.
        config: settings.
        minutes: time limit of this run.
        steps: total number of steps; None for as many as fit into the minutes.
        device: of the network.
        overwrite: start anew in a folder that holds a training.
        log: called at each validation with the step and its numbers (for TensorBoard).
        progress: told the share done and the loss.

    Raises:
        InputError: windows that the network cannot take, or a training of other settings.
    """
    if bank.size % config.network.multiple:
        raise InputError(f"Windows of {bank.size} px are not a multiple of {config.network.multiple}.", next_step="Make the bank anew.")
    folder = prepare_output_dir(output, overwrite, marker=STATE)
    train, held = bank.split(config.validation_share)
    torch.manual_seed(config.seed)
    network = SurfaceNet(config.network).to(device)
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.learning_rate, betas=(0.9, 0.99), weight_decay=config.weight_decay)
    keeper = Keeper(network, optimiser, config.ema, repr(config))
    keeper.resume(folder, overwrite=overwrite)

    def average() -> SurfaceNet:
        return keeper.average(lambda: SurfaceNet(config.network))

    def advance(share: float) -> float:
        network.train()
        inputs, target = _batch(train, config, keeper.step)
        inputs, target = inputs.to(device), SurfaceTarget(*(t.to(device) for t in (target.normals, target.relief, target.mask)))
        rate = config.learning_rate * cosine_rate(share, keeper.step, config.warm_up)
        return keeper.advance(surface_loss(network(inputs), inputs, target, config), rate)

    def measure() -> Measured[SurfaceValidation]:
        report = validate_surface(average(), held, most=config.validation_most)
        return Measured(report, asdict(report))

    def write(report: SurfaceValidation) -> None:
        note: dict[str, object] = {"steps": keeper.step, "windows": len(train), "scenes": len(train.files), "seed": config.seed}
        save_surface_network(folder / "surface.safetensors", SurfaceNetwork(average(), bank.size), overwrite=True, note=note)

    report = Course(folder, minutes, steps, 180.0, log, progress).run(keeper, advance=advance, measure=measure, write=write)
    return average(), report
