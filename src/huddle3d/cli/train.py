"""``huddle3d train``: pose banks, and the networks that are learned from synthetic people."""

from __future__ import annotations

from pathlib import Path

from tyro.extras import SubcommandApp

from huddle3d.bodies import load_body
from huddle3d.cli import train_clothing, train_mvd, train_regressor, train_surface
from huddle3d.cli.console import LogFormat, print_line
from huddle3d.cli.train_log import begin_training, lines
from huddle3d.errors import InputError
from huddle3d.training import BankConfig, PriorTraining, RecordedConfig, RecordedSet, harvest, is_held, read_banks, record_bank, train_prior
from huddle3d.training.views import SceneConfig, ViewsConfig, harvest_views

__all__ = ["build_app"]


def build_app() -> SubcommandApp:
    """The ``train`` group."""
    app = SubcommandApp()
    app.command(bank)
    app.command(prior)
    app.command(train_regressor.regressor)
    app.command(views)
    app.command(train_surface.crops)
    app.command(train_surface.surface)
    app.command(train_clothing.clothing)
    app.command(train_mvd.mvd)
    app.command(train_mvd.upsampler)
    return app


def bank(
    count: int = 1000,
    output: Path = Path("bank.safetensors"),
    minutes: float | None = None,
    assets: Path | None = None,
    workers: int = 1,
    held: bool = False,
    seed: int = 0,
    neighbours: int = 16,
    dataset: RecordedSet | None = None,
    data: Path | None = None,
    model_file: Path | None = None,
    every: int = 16,
    leave: tuple[str, ...] = ("s03",),
    overwrite: bool = False,
    log_format: LogFormat = "text",
) -> int:
    """Solve interactions and keep the poses: pairs in contact without deep interpenetration, for `train prior`.

    With --dataset the pairs are those of a data set of your own, converted to Anny; give that bank to `train prior` beside a solved one.

    A run that was stopped goes on when the same command is given again.

    Args:
        count: Pairs wanted, neighbours of solved pairs included.
        output: The bank (safetensors).
        minutes: Stop after so long with what there is.
        assets: Folder with recorded couples (mocap/60_01.bvh …); every other pair then is a frame of theirs.
        workers: Processes.
        held: Only families, takes of motion and heights that training leaves out (for tests).
        seed: Seed of the first pair; the next ones count up.
        neighbours: Neighbours tried for each solved pair.
        dataset: Recorded pairs instead of solved ones: hi4d, chi3d, or amass (folders of two AMASS-style files each).
        data: Folder of the data set, as published.
        model_file: Your own file of SMPL or SMPL-X, or a folder to search; default the folder that HUDDLE3D_BODY_MODELS names.
        every: Of a data set: so many frames apart.
        leave: Of a data set: subjects or pairs to leave out, for tests.
        overwrite: Replace an existing bank.
        log_format: Messages as text or as JSON lines (stderr).
    """
    if seed < 0 or neighbours < 0:
        raise InputError("--seed and --neighbours must not be negative.", next_step="Use 0 or more.")
    if (dataset is None) != (data is None):
        raise InputError("--dataset and --data belong together.", next_step="For example --dataset chi3d --data FOLDER.")
    if dataset is not None and (held or assets is not None):
        raise InputError("--held and --assets are for solved pairs.", next_step="Leave them out, or leave out --dataset.")
    if dataset is not None:
        recorded = RecordedConfig(dataset, str(data), "" if model_file is None else str(model_file), every, leave)
        made = record_bank(output, count, recorded, minutes=minutes, workers=workers, overwrite=overwrite, progress=lines(log_format))
        kept = int((~is_held(made)).sum())
        text = f"{output}: {len(made)} pairs of {len(made.group.unique())} sequences; {len(made) - kept} have builds that training leaves out"
        print_line(text, log_format)
        return 0
    config = BankConfig(neighbours=neighbours, held=held, first_seed=seed, assets="" if assets is None else str(assets))
    made = harvest(output, count, config, minutes=minutes, workers=workers, overwrite=overwrite, progress=lines(log_format))
    print_line(f"{output}: {len(made)} pairs from {len(made.group.unique())} solved ones, {len(made.source_names)} sources", log_format)
    return 0


def prior(
    banks: tuple[Path, ...],
    output: Path = Path("out/prior"),
    minutes: float = 30.0,
    steps: int | None = None,
    device: str = "auto",
    tensorboard: bool = False,
    overwrite: bool = False,
    log_format: LogFormat = "text",
    config: PriorTraining = PriorTraining(),  # noqa: B008 - frozen; tyro shows its fields as options
) -> int:
    """Train the proxemics prior of Anny: how two people who touch stand to each other.

    Writes prior.safetensors (half precision), state.safetensors and log.jsonl; a run that was stopped goes on when the same command is given
    again. Held-out families and takes in the banks are not learned.

    Args:
        banks: Pose banks made by `train bank`.
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
    _, report = train_prior(
        read_banks(banks), output, config, body=load_body(), minutes=minutes, steps=steps, device=chosen, overwrite=overwrite, log=log,
        progress=lines(log_format, 60.0),
    )  # fmt: skip
    print_line(f"{output / 'prior.safetensors'}: estimates off by {report.rough_mm:.1f} mm become {report.restored_mm:.1f} mm", log_format)
    return 0


def views(
    output: Path = Path("views"),
    scenes: int = 500,
    minutes: float | None = None,
    workers: int = 1,
    photos: int = 3,
    neighbours: int = 3,
    assets: Path | None = None,
    avatars: float = 0.0,
    poses: Path | None = None,
    held: bool = False,
    seed: int = 0,
    log_format: LogFormat = "text",
) -> int:
    """Make a bank of canonical views, given and true, of synthetic people: the data of `train mvd`.

    One file a scene number, and index.json. A run that was stopped goes on when the same command is given again.

    Args:
        output: Folder of the bank.
        scenes: Scene numbers wanted: solved pairs with their neighbours, single people, groups of three.
        minutes: Begin no further scene after so long.
        workers: Processes.
        photos: Photographs of each dressed pose, at most 10.
        neighbours: Other poses and builds around each solved pair, each dressed anew.
        assets: Folder with MakeHuman clothes; every other scene then wears them.
        avatars: Share of the people who wear those clothes that are the folder's rigged avatars instead (its folder avatars).
        poses: Pose bank made by `train bank`; half of the pairs are then taken from it instead of solved.
        held: Only people, clothes, families and places that training leaves out (to measure with).
        seed: Seed of the first scene; the next ones count up.
        log_format: Messages as text or as JSON lines (stderr).
    """
    if seed < 0 or neighbours < 0:
        raise InputError("--seed and --neighbours must not be negative.", next_step="Use 0 or more.")
    if not 0 <= avatars <= 1 or (avatars > 0 and assets is None):
        raise InputError("--avatars is a share, and needs --assets.", next_step="For example --assets FOLDER --avatars 0.3.")
    folder, bank_file = ("" if p is None else str(p) for p in (assets, poses))
    people = SceneConfig(held, seed, neighbours, assets=folder, avatars=avatars, poses=bank_file)
    bank = harvest_views(
        output, scenes, ViewsConfig(photos, people), minutes=minutes, workers=workers, progress=lines(log_format)
    )  # fmt: skip
    print_line(f"{output}: {len(bank)} sets of views from {len(bank.photos)} photographs of {len(bank.files)} scenes", log_format)
    return 0
