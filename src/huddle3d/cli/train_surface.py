"""``huddle3d train crops`` and ``train surface``: the network that sees normals and relief of dressed people in a photo."""

from __future__ import annotations

from pathlib import Path

from huddle3d.cli.console import LogFormat, print_line
from huddle3d.cli.train_log import begin_training, lines
from huddle3d.errors import InputError
from huddle3d.training.surface import CropsConfig, SurfaceTraining, harvest_crops, read_crop_bank, train_surface
from huddle3d.training.views import SceneConfig

__all__ = ["crops", "surface"]


def crops(
    output: Path = Path("crops"),
    scenes: int = 500,
    minutes: float | None = None,
    workers: int = 1,
    photos: int = 4,
    neighbours: int = 3,
    assets: Path | None = None,
    poses: Path | None = None,
    held: bool = False,
    seed: int = 0,
    log_format: LogFormat = "text",
) -> int:
    """Make a bank of windows around synthetic people, with true normals, relief and mask: the data of `train surface`.

    One file a scene number. A run that was stopped goes on when the same command is given again.

    Args:
        output: Folder of the bank.
        scenes: Scene numbers wanted: solved pairs with their neighbours, single people, groups of three.
        minutes: Begin no further scene after so long.
        workers: Processes.
        photos: Photographs of each dressed pose, at most 10.
        neighbours: Other poses and builds around each solved pair, each dressed anew.
        assets: Folder with MakeHuman clothes; every other scene then wears them.
        poses: Pose bank made by `train bank`; half of the pairs are then taken from it instead of solved.
        held: Only people, clothes, families and places that training leaves out (to measure with).
        seed: Seed of the first scene; the next ones count up.
        log_format: Messages as text or as JSON lines (stderr).
    """
    if seed < 0 or neighbours < 0:
        raise InputError("--seed and --neighbours must not be negative.", next_step="Use 0 or more.")
    people = SceneConfig(held, seed, neighbours, assets="" if assets is None else str(assets), poses="" if poses is None else str(poses))
    bank = harvest_crops(output, scenes, CropsConfig(photos, people), minutes=minutes, workers=workers, progress=lines(log_format))
    print_line(f"{output}: {len(bank)} windows of {len(bank.files)} scenes", log_format)
    return 0


def surface(
    bank: Path,
    output: Path = Path("out/surface"),
    minutes: float = 30.0,
    steps: int | None = None,
    device: str = "auto",
    tensorboard: bool = False,
    overwrite: bool = False,
    log_format: LogFormat = "text",
    config: SurfaceTraining = SurfaceTraining(),  # noqa: B008 - frozen; tyro shows its fields as options
) -> int:
    """Train the surface network: a photo's window and the fitted body's normals → normals, relief and mask of the dressed person.

    Writes surface.safetensors (half precision), state.safetensors and log.jsonl; a run that was stopped goes on when the same command is
    given again.

    Args:
        bank: Folder made by `train crops`.
        output: Folder.
        minutes: Time limit of this run.
        steps: Total number of steps; default as many as fit into the minutes.
        device: auto, cpu, cuda or cuda:N.
        tensorboard: Also write events for TensorBoard into OUTPUT (needs the package tensorboard).
        overwrite: Start anew in a folder that holds a training.
        log_format: Messages as text or as JSON lines (stderr).
        config: Settings of the training.
    """
    chosen, log = begin_training(output, minutes, steps, device, tensorboard, log_format)
    _, report = train_surface(
        read_crop_bank(bank), output, config, minutes=minutes, steps=steps, device=chosen, overwrite=overwrite, log=log,
        progress=lines(log_format, 60.0),
    )  # fmt: skip
    better = f"normals {report.normal_on_body_deg:.1f}° off (the body's {report.body_normal_deg:.1f}°), relief {report.relief_mm:.1f} mm"
    print_line(f"{output / 'surface.safetensors'}: {better} (the body's {report.body_relief_mm:.1f} mm)", log_format)
    return 0
