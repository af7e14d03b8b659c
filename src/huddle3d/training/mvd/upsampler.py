"""``train upsampler``: patches of large views from small ones, guided by what is known at full size."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.errors import InputError
from huddle3d.io import display_name, prepare_output_dir
from huddle3d.networks import ViewUpsampler
from huddle3d.people import ViewMaps, large_pictures, save_upsampler, shrink, upsampler_guide
from huddle3d.progress import Progress, silent
from huddle3d.training.course import Course, Measured
from huddle3d.training.keeper import STATE
from huddle3d.training.mvd.config import UpsamplerTraining
from huddle3d.training.mvd.run import TrainingRun
from huddle3d.training.views import TrueMaps, ViewBank, decode

__all__ = ["UpsamplerValidation", "train_upsampler", "validate_upsampler"]

Log = Callable[[int, dict[str, float], Float[Tensor, "H W 3"] | None], None]


def _small(maps: TrueMaps | ViewMaps, factor: int) -> Float[Tensor, "n 7 h w"]:
    """The small views of truth, or of the baseline."""
    true = isinstance(maps, TrueMaps)
    normals, colours, alpha = (maps.normals, maps.colours, maps.alpha) if true else (maps.prior_normals, maps.prior_rgb, maps.prior_alpha)
    size = alpha.shape[-1] // factor
    return large_pictures(shrink(normals, size), shrink(colours, size, alpha), shrink(alpha[..., None], size)[..., 0])


@dataclass(frozen=True)
class _Patches:
    small: Float[Tensor, "n 7 h w"]
    guide: Float[Tensor, "n 14 H W"]
    large: Float[Tensor, "n 7 H W"]
    weight: Float[Tensor, "n 1 H W"]


def _patches(
    bank: ViewBank, chosen: list[tuple[int, int]], config: UpsamplerTraining, generator: torch.Generator, *, perfect: bool = False
) -> _Patches:
    """Patches with their small views; those are spoilt unless ``perfect``."""
    given, truth = decode(torch.stack([bank.patch(f, r)[0] for f, r in chosen]))
    factor = config.network.factor
    small = _small(truth, factor)
    if not perfect:
        share = config.blend * torch.rand(len(small), 1, 1, 1, generator=generator)
        small = torch.lerp(small, _small(given, factor), share)
        coarse = torch.randn(*small.shape[:2], *(max(1, s // 2) for s in small.shape[2:]), generator=generator)
        small = small + config.noise * torch.nn.functional.interpolate(coarse, size=small.shape[2:], mode="bilinear", align_corners=False)
    weight = 1 + config.foreground * torch.maximum(truth.alpha, given.prior_alpha)[:, None]
    return _Patches(small, upsampler_guide(given), large_pictures(truth.normals, truth.colours, truth.alpha), weight)


def _rows(bank: ViewBank) -> list[tuple[int, int]]:
    rows = [(f, r) for f, count in enumerate(bank.patches) for r in range(count)]
    if not rows:
        raise InputError(f"{display_name(bank.folder)}: no patches of large views in it.", next_step="Make another bank with `huddle3d train views`.")
    return rows


def _differences(x: Tensor) -> tuple[Tensor, Tensor]:
    return x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]


def upsampler_loss(told: Float[Tensor, "n 7 H W"], p: _Patches, config: UpsamplerTraining) -> Tensor:
    """Weighted absolute error of pixels, and of the differences of neighbours."""
    total = ((told - p.large).abs() * p.weight).mean()
    for a, b, w in zip(_differences(told), _differences(p.large), (p.weight[..., 1:], p.weight[..., 1:, :])):
        total = total + config.edges * ((a - b).abs() * w).mean()
    return total


@dataclass(frozen=True)
class UpsamplerValidation:
    """On patches that were not learned, with spoilt small views: of the bilinear enlargement, and of the network."""

    loss: float
    bilinear_psnr_db: float
    """Colours on white where somebody is [dB]."""
    psnr_db: float
    bilinear_normal_deg: float
    """Mean angle of normals where somebody is [deg]."""
    normal_deg: float


def _angle(told: Tensor, true: Tensor, inside: Tensor) -> float:
    a, b = told[:, :3].movedim(1, -1)[inside], true[:, :3].movedim(1, -1)[inside]
    return float(torch.rad2deg(torch.arccos(torch.nn.functional.cosine_similarity(a, b, dim=-1).clamp(-1, 1))).mean())


def _psnr(told: Tensor, true: Tensor, inside: Tensor) -> float:
    error = ((told[:, 3:6] - true[:, 3:6]) / 2).square().mean(1)[inside].mean()
    return -10 * math.log10(max(float(error), 1e-10))


@torch.no_grad()
def validate_upsampler(
    model: ViewUpsampler, bank: ViewBank, config: UpsamplerTraining, device: torch.device
) -> tuple[UpsamplerValidation, Float[Tensor, "H W 3"]]:
    """Scores, and a picture of the first patches: small views, bilinear, told, true; colours, then normals."""
    rows = _rows(bank)
    rows = rows[:: max(1, len(rows) // config.validation_patches)][: config.validation_patches]
    p = _patches(bank, rows, config, torch.Generator().manual_seed(77))
    told = torch.cat([model(s.to(device), g.to(device)).float().cpu() for s, g in zip(p.small.split(8), p.guide.split(8))])
    base, inside = model.enlarged(p.small), p.large[:, 6] > 0
    report = UpsamplerValidation(
        float(upsampler_loss(told, p, config)),
        _psnr(base, p.large, inside),
        _psnr(told, p.large, inside),
        _angle(base, p.large, inside),
        _angle(told, p.large, inside),
    )
    lines = [torch.cat([x[k, c] for x in (base, told, p.large) for c in (slice(3, 6), slice(0, 3))], -1) for k in range(min(6, len(told)))]
    return report, ((torch.cat(lines, 1) + 1) / 2).clamp(0, 1).permute(1, 2, 0)


def train_upsampler(
    bank: ViewBank,
    output: str | os.PathLike[str],
    config: UpsamplerTraining | None = None,
    *,
    held: ViewBank | None = None,
    minutes: float = 30.0,
    steps: int | None = None,
    device: str = "cpu",
    overwrite: bool = False,
    log: Log | None = None,
    progress: Progress = silent,
) -> tuple[ViewUpsampler, UpsamplerValidation]:
    """Train the upsampler on a bank's patches, or go on; arguments, files (``upsampler.safetensors``) and promises as of ``train_mvd``."""
    config = config or UpsamplerTraining()
    folder = prepare_output_dir(output, overwrite, marker=STATE)
    learned, kept = (bank, held) if held is not None else bank.split(config.validation_share)
    rows = _rows(learned)
    run = TrainingRun(lambda: ViewUpsampler(config.network), config, torch.device(device))
    run.keeper.resume(folder, overwrite=overwrite)

    def loss_of(model: torch.nn.Module) -> Tensor:
        generator = run.generator(0, run.step)
        chosen = [rows[i] for i in torch.randint(0, len(rows), (config.patches,), generator=generator).tolist()]
        p = _patches(learned, chosen, config, generator)
        p = _Patches(p.small.to(run.device), p.guide.to(run.device), p.large.to(run.device), p.weight.to(run.device))
        return upsampler_loss(model(p.small, p.guide), p, config)

    def measure() -> Measured[UpsamplerValidation]:
        report, sheet = validate_upsampler(run.average(), kept, config, run.device)
        return Measured(report, asdict(report), sheet)

    def write(report: UpsamplerValidation) -> None:
        known = {k: round(v, 5) for k, v in asdict(report).items() if v == v}
        save_upsampler(folder / "upsampler.safetensors", run.average(), note={"steps": run.step, "seed": config.seed, **known})

    course = Course(
        folder, minutes, steps, 60 * config.validate_every, log, progress, by_the_clock=False, writes=run.accelerator.is_main_process
    )  # fmt: skip
    report = course.run(run.keeper, advance=lambda share: run.advance(loss_of, run.rate(share)), measure=measure, write=write)
    return run.average().cpu(), report
