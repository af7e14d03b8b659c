"""``huddle3d eval``: the metrics table on seeded synthetic scenes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from tyro.extras import SubcommandApp

from huddle3d.bodies import load_body
from huddle3d.cli.console import LogFormat, StageProgress, print_line
from huddle3d.cli.tables import print_results
from huddle3d.compute import choose_device
from huddle3d.errors import InputError
from huddle3d.evaluation import Protocol, SceneResult, default_specs, evaluate_sample, results_json
from huddle3d.io import write_bytes
from huddle3d.people import PeopleConfig, versions
from huddle3d.synthesis import build_scene, render_scene

__all__ = ["build_app"]


def build_app() -> SubcommandApp:
    """The ``eval`` group."""
    app = SubcommandApp()
    app.command(people)
    return app


def people(
    scenes: int = 10,
    seed: int = 1000,
    bodies: Literal["true", "predicted", "both"] = "both",
    output: Path = Path("out/eval"),
    json: Path | None = None,
    device: str = "auto",
    overwrite: bool = False,
    log_format: LogFormat = "text",
    config: PeopleConfig = PeopleConfig(),  # noqa: B008 - frozen; tyro shows its fields as options
) -> int:
    """Reconstruct seeded two-person scenes and compare them with their truth: CD, P2S, NC, F-score, IoU, CP, PSNR, penetration.

    Scenes that are done already in OUTPUT are not repeated.

    Args:
        scenes: Number of scenes; the families in turn.
        seed: Seed of the first scene.
        bodies: Give the true bodies, camera and masks, or only the picture, or do both.
        output: Folder for the runs.
        json: Also write all numbers to this file.
        device: auto, cpu, cuda or cuda:N.
        overwrite: Replace other runs' outputs in the same folders.
        log_format: Messages and progress as text or as JSON lines (stderr).
        config: Every setting of every stage.
    """
    if scenes < 1:
        raise InputError("--scenes must be at least 1.", next_step="For example --scenes 10.")
    if json is not None and (json.is_dir() or not json.absolute().parent.is_dir()):
        raise InputError(f"--json {json} cannot be written.", next_step="Name a file in a folder that exists.")
    choice = choose_device(device)
    print_line(f"device: {choice.device} ({choice.reason})", log_format)
    body = load_body(device=str(choice.device))
    protocols: tuple[Protocol, ...] = ("true", "predicted") if bodies == "both" else (bodies,)
    results: list[SceneResult] = []
    for spec in default_specs(scenes, seed=seed):
        sample = render_scene(build_scene(spec, body=body))
        for protocol in protocols:
            name = f"{spec.family}_{spec.seed}_{protocol}"
            with StageProgress(name, log_format) as listener:
                result, _ = evaluate_sample(
                    sample, protocol, output / name, body=body, config=config, device=choice.device, overwrite=overwrite, listener=listener
                )
            results.append(result)
            print_line(f"{name}: {result.failure or 'measured'}", log_format)
    print_results(results)
    if json is not None:
        write_bytes(json, results_json(results, seed=seed, versions=versions(), device=str(choice.device)).encode(), overwrite=True)
        print_line(f"numbers: {json}", log_format)
    return 0
