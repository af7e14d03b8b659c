"""``huddle3d train clothing``: what people usually wear, in numbers."""

from __future__ import annotations

from pathlib import Path

from huddle3d.bodies import load_body
from huddle3d.cli.console import LogFormat, print_line
from huddle3d.cli.train_log import lines
from huddle3d.errors import InputError
from huddle3d.people import save_clothing
from huddle3d.training.clothing import ClothingConfig, fit_clothing, harvest_clothing, measure_clothing, whole_fields

__all__ = ["clothing"]


def clothing(
    output: Path = Path("out/clothing"),
    people: int = 600,
    components: int = 32,
    minutes: float | None = None,
    workers: int = 1,
    assets: Path | None = None,
    seed: int = 0,
    log_format: LogFormat = "text",
) -> int:
    """Measure how far clothes, hair and shoes of synthetic people stand off their bodies, and keep mean and principal components.

    Writes OUTPUT/clothing.safetensors (half precision; canonical.clothing takes it) and the measured people in OUTPUT/people; a run that was
    stopped goes on when the same command is given again.

    Args:
        output: Folder.
        people: Synthetic people to measure; a tenth is left out once, for the errors that are printed.
        components: Principal components to keep.
        minutes: Begin nobody new after so many minutes.
        workers: Processes.
        assets: Folder with MakeHuman clothes; every other person then wears them.
        seed: Seed of the first person; the next ones count up.
        log_format: Messages as text or as JSON lines (stderr).
    """
    if seed < 0 or workers < 1 or (minutes is not None and not minutes > 0):
        raise InputError("--seed must not be negative, --workers at least 1, --minutes more than 0.", next_step="For example --seed 0 --workers 2.")
    if components < 1 or components >= _others(people):
        least = f"--people {2 * components + 4}" if components > 0 else "--components 32"
        raise InputError(
            f"--components {components} cannot be told from --people {people}, a tenth of them left out.", next_step=f"For example {least}."
        )
    body = load_body()
    config = ClothingConfig(first_seed=seed, assets="" if assets is None else str(assets))
    found = harvest_clothing(output / "people", people, config, minutes=minutes, workers=workers, progress=lines(log_format))
    fields = whole_fields(found, body)
    rest = _others(len(fields))
    if components >= rest:
        raise InputError(
            f"{len(fields)} people are measured so far, too few for {components} components.", next_step="Run the same command again to go on."
        )
    report = measure_clothing(fit_clothing(fields[:rest], components, model=body.name), fields[rest:])
    path = output / "clothing.safetensors"
    save_clothing(path, fit_clothing(fields, components, model=body.name), overwrite=True, note={"people": len(fields), "seed": seed})
    errors = f"{report.model_mm:.1f} mm off with the best coefficients, {report.mean_mm:.1f} mm without any, {report.naked_mm:.1f} mm naked"
    text = f"on a tenth of them, left out once, {errors}"
    print_line(f"{path}: {len(fields)} people, {components} components; {text}", log_format)
    return 0


def _others(people: int) -> int:
    """Of whom the errors' model is made: all but a tenth, and at least one."""
    return people - max(1, people // 10)
