"""``huddle3d train regressor``: the network that tells first bodies to the fit."""

from __future__ import annotations

from pathlib import Path

from huddle3d.bodies import load_body
from huddle3d.cli.console import LogFormat, print_line
from huddle3d.cli.train_log import begin_training, lines
from huddle3d.training import RegressorTraining, read_banks, train_regressor

__all__ = ["regressor"]


def regressor(
    banks: tuple[Path, ...],
    output: Path = Path("out/regressor"),
    minutes: float = 30.0,
    steps: int | None = None,
    device: str = "auto",
    tensorboard: bool = False,
    overwrite: bool = False,
    log_format: LogFormat = "text",
    config: RegressorTraining = RegressorTraining(),  # noqa: B008 - frozen; tyro shows its fields as options
) -> int:
    """Train the first guess of the fit: bodies from keypoints, 3D landmarks and masks, with the errors that the embedded detector makes.

    Writes regressor.safetensors (half precision), state.safetensors and log.jsonl; a run that was stopped goes on when the same command is
    given again. No picture is rendered: points are projected, and hidden ones found by depth. Held-out families and takes are not learned.

    Args:
        banks: Pose banks made by `train bank`.
        output: Folder.
        minutes: Time limit of this run, without the making of the views.
        steps: Total number of steps; default as many as fit into the minutes.
        device: auto, cpu, cuda or cuda:N.
        tensorboard: Also write events for TensorBoard into OUTPUT (needs the package tensorboard).
        overwrite: Start anew in a folder that holds a training.
        log_format: Messages as text or as JSON lines (stderr).
        config: Settings of the training.
    """
    chosen, log = begin_training(output, minutes, steps, device, tensorboard, log_format)
    _, report = train_regressor(
        read_banks(banks), output, config, body=load_body(), minutes=minutes, steps=steps, device=chosen, overwrite=overwrite, log=log,
        progress=lines(log_format, 60.0),
    )  # fmt: skip
    print_line(
        f"{output / 'regressor.safetensors'}: joints off by {report.joint_mm:.0f} mm, the other person's depth by {report.depth_mm:.0f} mm",
        log_format,
    )
    return 0
