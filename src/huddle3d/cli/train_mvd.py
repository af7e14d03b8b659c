"""``huddle3d train mvd`` and ``train upsampler``: the view completion, and its enlargement."""

from __future__ import annotations

from pathlib import Path

from huddle3d.cli.console import LogFormat, print_line
from huddle3d.cli.train_log import begin_training, lines
from huddle3d.training.mvd import MvdTraining, TrainingData, UpsamplerTraining, train_mvd, train_upsampler
from huddle3d.training.views import read_view_bank

__all__ = ["mvd", "upsampler"]


def mvd(
    bank: Path,
    output: Path = Path("out/mvd"),
    data: TrainingData = "all",
    held: Path | None = None,
    minutes: float = 30.0,
    steps: int | None = None,
    device: str = "auto",
    tensorboard: bool = False,
    overwrite: bool = False,
    log_format: LogFormat = "text",
    config: MvdTraining = MvdTraining(),  # noqa: B008 - frozen; tyro shows its fields as options
) -> int:
    """Train the view completion: six views of normals and colours of a group and of its people, from what one photograph shows.

    Writes mvd.safetensors (half precision), state.safetensors, log.jsonl and pictures; a run that was stopped goes on when the same command
    is given again, and takes what the bank has gained since. Several GPUs: accelerate launch -m huddle3d train mvd …

    Args:
        bank: Bank made by `train views`.
        output: Folder.
        data: Which sets are learned: all, groups only or people (one at a time) only; the last two are for the ablations of eval people.
        held: Bank made with `train views --held`, to validate on; default some scenes of the bank, which then are not learned.
        minutes: Time limit of this run.
        steps: Total number of steps, over which the learning rate falls; default no limit, and a rate that stays.
        device: auto, cpu, cuda or cuda:N.
        tensorboard: Also write events and pictures for TensorBoard into OUTPUT (needs the package tensorboard).
        overwrite: Start anew in a folder that holds a training.
        log_format: Messages as text or as JSON lines (stderr).
        config: Settings of the network and the training.
    """
    chosen, log = begin_training(output, minutes, steps, device, tensorboard, log_format)
    _, report = train_mvd(
        read_view_bank(bank), output, config, data=data, held=None if held is None else read_view_bank(held), minutes=minutes, steps=steps,
        device=chosen, overwrite=overwrite, log=log, progress=lines(log_format, 60.0),
    )  # fmt: skip
    a, b = report.baseline, report.one_step
    text = f"unseen colours {b.psnr_unseen_db:.2f} dB (body-prior {a.psnr_unseen_db:.2f}), normals {b.normal_deg:.1f} deg ({a.normal_deg:.1f})"
    print_line(f"{output / 'mvd.safetensors'}: {text}", log_format)
    return 0


def upsampler(
    bank: Path,
    output: Path = Path("out/upsampler"),
    held: Path | None = None,
    minutes: float = 30.0,
    steps: int | None = None,
    device: str = "auto",
    tensorboard: bool = False,
    overwrite: bool = False,
    log_format: LogFormat = "text",
    config: UpsamplerTraining = UpsamplerTraining(),  # noqa: B008 - frozen; tyro shows its fields as options
) -> int:
    """Train the upsampler of completed views, guided by body normals, seen pixels and the baseline's completion at full size.

    Writes upsampler.safetensors (half precision), state.safetensors, log.jsonl and pictures; goes on as `train mvd` does.

    Args:
        bank: Bank made by `train views`; its patches are learned.
        output: Folder.
        held: Bank made with `train views --held`, to validate on; default some scenes of the bank, which then are not learned.
        minutes: Time limit of this run.
        steps: Total number of steps, over which the learning rate falls; default no limit, and a rate that stays.
        device: auto, cpu, cuda or cuda:N.
        tensorboard: Also write events and pictures for TensorBoard into OUTPUT (needs the package tensorboard).
        overwrite: Start anew in a folder that holds a training.
        log_format: Messages as text or as JSON lines (stderr).
        config: Settings of the network and the training.
    """
    chosen, log = begin_training(output, minutes, steps, device, tensorboard, log_format)
    _, report = train_upsampler(
        read_view_bank(bank), output, config, held=None if held is None else read_view_bank(held), minutes=minutes, steps=steps,
        device=chosen, overwrite=overwrite, log=log, progress=lines(log_format, 60.0),
    )  # fmt: skip
    text = f"colours {report.psnr_db:.2f} dB (bilinear {report.bilinear_psnr_db:.2f}), normals {report.normal_deg:.1f} deg ({report.bilinear_normal_deg:.1f})"
    print_line(f"{output / 'upsampler.safetensors'}: {text}", log_format)
    return 0
