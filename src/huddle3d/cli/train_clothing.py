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
        people: Synthetic people to measure; a tenth of them judges the model.
        components: Principal components to keep.
        minutes: Measure nobody after so long.
        workers: Processes.
        assets: Folder with MakeHuman clothes; every other person then wears them.
        seed: Seed of the first person; the next ones count up.
        log_format: Messages as text or as JSON lines (stderr).
    """
    if seed < 0 or components < 1 or people < 2:
        raise InputError("--seed must not be negative, --components at least 1, --people at least 2.", next_step="For example --people 600.")
    body = load_body()
    config = ClothingConfig(first_seed=seed, assets="" if assets is None else str(assets))
    found = harvest_clothing(output / "people", people, config, minutes=minutes, workers=workers, progress=lines(log_format))
    fields = whole_fields(found, body)
    judges = max(1, len(fields) // 10)
    report = measure_clothing(fit_clothing(fields[:-judges], components, model=body.name), fields[-judges:])
    path = output / "clothing.safetensors"
    save_clothing(path, fit_clothing(fields, components, model=body.name), overwrite=True, note={"people": len(fields), "seed": seed})
    text = (
        f"on {judges} other people {report.model_mm:.1f} mm off at best, {report.mean_mm:.1f} mm with the mean alone, {report.naked_mm:.1f} mm naked"
    )
    print_line(f"{path}: {len(fields)} people, {components} components; {text}", log_format)
    return 0
