"""``train mvd``: the view completion from a bank of views; one process or many, CPU or CUDA, resumable at any step."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.diffusion.multiview import save_multiview
from huddle3d.errors import InputError
from huddle3d.io import display_name, prepare_output_dir
from huddle3d.progress import Progress, silent
from huddle3d.training.course import Course, Measured
from huddle3d.training.keeper import STATE
from huddle3d.training.mvd.batches import Draw, ViewBatch, draw_photos, make_batch, may_learn
from huddle3d.training.mvd.config import MvdTraining, TrainingData
from huddle3d.training.mvd.model import ViewDenoiser, sample_views
from huddle3d.training.mvd.run import TrainingRun
from huddle3d.training.mvd.validate import Scores, Tally, baseline_pictures, completed_pictures, picture_sheet
from huddle3d.training.views import ViewBank

__all__ = ["MvdValidation", "train_mvd", "validate_mvd"]

Log = Callable[[int, dict[str, float], Float[Tensor, "H W 3"] | None], None]


@dataclass(frozen=True)
class MvdValidation:
    """Scores on photographs that were not learned."""

    loss: float
    """The training loss at fixed noise."""
    baseline: Scores
    """Of ``body-prior``."""
    one_step: Scores
    """Of one call of the network on pure noise."""
    sampled: Scores
    """As inference samples, with the config's number of steps."""

    def best_steps(self, sampling: int) -> int:
        """1, or ``sampling`` if so many steps get the unseen colours better."""
        return sampling if self.sampled.psnr_unseen_db > self.one_step.psnr_unseen_db else 1

    def numbers(self) -> dict[str, float]:
        """As one flat table."""
        out = {"loss": self.loss}
        for name in ("baseline", "one_step", "sampled"):
            out |= {f"{name}/{k}": v for k, v in asdict(getattr(self, name)).items()}
        return out


def denoising_loss(model: torch.nn.Module, batch: ViewBatch, config: MvdTraining, generator: torch.Generator, schedule: Any) -> Tensor:
    """Weighted squared error of the clean pictures: one noise level a set, min-SNR weights, more weight on people and contacts."""
    count = len(batch)
    level = torch.randint(0, schedule.steps, (count,), generator=generator)
    noise = torch.randn(batch.clean.shape, generator=generator).to(batch.clean.device)
    a = schedule.at(level)
    snr = (a / (1 - a))[:, 0]
    weight = snr.clamp(config.snr_floor, config.min_snr) / config.min_snr
    shape = (count, 1, 1, 1, 1, 1)
    a = a.reshape(shape).to(batch.clean.device)
    noisy = a.sqrt() * batch.clean + (1 - a).sqrt() * noise
    told = model(noisy, batch.condition, level.to(batch.clean.device), batch.tokens, batch.group)
    error = (told - batch.clean).square() * batch.weight
    return (error.flatten(1).mean(1) / batch.weight.flatten(1).mean(1) * weight.to(error)).mean()


@torch.no_grad()
def validate_mvd(
    model: ViewDenoiser, bank: ViewBank, config: MvdTraining, device: torch.device
) -> tuple[MvdValidation, Float[Tensor, "H W 3"] | None]:
    """Scores next to the baseline's on the same photographs, and a picture of the first ones."""
    tallies = {"baseline": Tally(), "one_step": Tally(), "sampled": Tally()}
    losses, sheet = [], None
    photos = bank.photos
    chosen = photos[:: max(1, len(photos) // config.validation_photos)][: config.validation_photos]
    for i, (file, rows) in enumerate(chosen):
        generator = torch.Generator().manual_seed(1000 + i)
        batch = make_batch(bank, [Draw(file, rows)], config, None).to(device)
        losses.append(float(denoising_loss(model, batch, config, generator, model.schedule)))
        found = {"baseline": baseline_pictures(batch.given)}
        for name, steps in (("one_step", 1), ("sampled", config.sampling_steps)):
            found[name] = completed_pictures(sample_views(model, batch, steps, generator))
        for name, pictures in found.items():
            tallies[name].add(pictures, batch.given, batch.truth)
        if i < 2:
            part = picture_sheet(batch, list(found.items()), most=3 if i else 2)
            sheet = part if sheet is None else torch.cat([sheet, part])
    scores = {name: tally.scores() for name, tally in tallies.items()}
    return MvdValidation(sum(losses) / max(1, len(losses)), **scores), sheet


class _Trainer(TrainingRun):
    """A run of the denoiser on a bank."""

    def __init__(self, bank: ViewBank, config: MvdTraining, device: torch.device, data: TrainingData) -> None:
        learned = "" if data == "all" else f", {data} only"
        super().__init__(lambda: ViewDenoiser(config.network, config.prediction), config, device, learned=learned)
        self.settings, self.bank = config, bank
        self.data: TrainingData = data
        self.schedule = self.plain.schedule
        self.multiview = {id(p) for p in self.plain.unet.multiview_parameters()}
        self.whole = any(may_learn(r, data, masked=False) for records in bank.records for r in records)
        self.pool = ThreadPoolExecutor(2, thread_name_prefix="huddle3d-views")
        self.ready: dict[int, Future[ViewBatch]] = {}

    def _batch(self, step: int) -> ViewBatch:
        generator = self.generator(0, step)
        masked = step >= self.settings.unmasked_steps or not self.whole
        draws = draw_photos(self.bank, self.settings, generator, masked=masked, data=self.data)
        return make_batch(self.bank, draws, self.settings, generator, masked=masked)

    def _next(self) -> ViewBatch:
        """This step's batch; beside a GPU the next ones are read meanwhile."""
        if self.device.type == "cpu":
            return self._batch(self.step)
        for ahead in range(self.step, self.step + 4):
            if ahead not in self.ready:
                self.ready[ahead] = self.pool.submit(self._batch, ahead)
        return self.ready.pop(self.step).result().to(self.device)

    def learn(self, done: float) -> float:
        """One step; the loss."""
        batch, generator = self._next(), self.generator(1, self.step)
        frozen = self.multiview if self.step < self.settings.per_view_steps else None
        return self.advance(lambda m: denoising_loss(m, batch, self.settings, generator, self.schedule), self.rate(done), frozen)


def train_mvd(
    bank: ViewBank,
    output: str | os.PathLike[str],
    config: MvdTraining | None = None,
    *,
    data: TrainingData = "all",
    held: ViewBank | None = None,
    minutes: float = 30.0,
    steps: int | None = None,
    device: str = "cpu",
    overwrite: bool = False,
    log: Log | None = None,
    progress: Progress = silent,
) -> tuple[ViewDenoiser, MvdValidation]:
    """Train, or go on training, for so many minutes or steps.

    The folder gets ``mvd.safetensors`` (half precision, the running mean), ``state.safetensors`` (to go on), ``log.jsonl`` and ``pictures``. Batches and
    noise depend on the seed and the step alone: on one machine's CPU the result is the same however often the run was stopped, as
    long as the bank is. Under ``accelerate launch`` every process draws other photographs.

    Args:
        bank: what is learned.
        output: folder.
        config: settings.
        data: which sets are learned; measured are all.
        held: a bank of held-out people to validate on; None for some files of the bank.
        minutes: time limit of this run.
        steps: total number of steps, over which the learning rate falls; None for no limit, and a rate that stays.
        device: ``cpu`` or ``cuda``; under ``accelerate launch`` each process has its own.
        overwrite: start anew in a folder that holds a training.
        log: called at each validation with the step, its numbers and a picture (for TensorBoard).
        progress: told the share done and the loss.
    """
    config = config or MvdTraining()
    if bank.size != config.network.size:
        raise InputError(
            f"{display_name(bank.folder)}: views of {bank.size} px, the network completes {config.network.size} px.", next_step="Make another bank."
        )
    folder = prepare_output_dir(output, overwrite, marker=STATE)
    learned, kept = (bank, held) if held is not None else bank.split(config.validation_share)
    trainer = _Trainer(learned, config, torch.device(device), data)
    trainer.keeper.resume(folder, overwrite=overwrite)
    began, first = time.monotonic(), trainer.step

    def measure() -> Measured[MvdValidation]:
        report, sheet = validate_mvd(trainer.average(), kept, config, trainer.device)
        rate = (trainer.step - first) * config.sets / max(1e-9, time.monotonic() - began)
        return Measured(report, {"photos": len(learned.photos), "sets_per_second": rate, **report.numbers()}, sheet)

    def write(report: MvdValidation) -> None:
        note: dict[str, object] = {"steps": trainer.step, "photos": len(learned.photos), "data": data, "seed": config.seed}
        note |= {k: v for k, v in report.numbers().items() if v == v}
        save_multiview(folder, "mvd", trainer.average().stored(note, report.best_steps(config.sampling_steps)), overwrite=True)

    course = Course(
        folder, minutes, steps, 60 * config.validate_every, log, progress, by_the_clock=False, writes=trainer.accelerator.is_main_process
    )  # fmt: skip
    report = course.run(trainer.keeper, advance=trainer.learn, measure=measure, write=write)
    return trainer.average().cpu(), report
