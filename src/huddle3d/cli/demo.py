"""``huddle3d demo``: a picture made here, reconstructed, and measured against its truth."""

from __future__ import annotations

from pathlib import Path

from huddle3d.bodies import load_body
from huddle3d.cli.console import LogFormat, StageProgress, print_line
from huddle3d.cli.tables import print_results
from huddle3d.compute import choose_device
from huddle3d.errors import StageError
from huddle3d.evaluation import evaluate_sample, results_json
from huddle3d.io import prepare_output_dir, write_bytes
from huddle3d.people import PeopleConfig
from huddle3d.synthesis import DEMO_FAMILY, DEMO_SEED, Family, build_scene, render_scene, sample_spec, write_sample

__all__ = ["demo"]


def demo(
    output: Path = Path("out/demo"),
    seed: int | None = None,
    family: Family | None = None,
    device: str = "auto",
    overwrite: bool = False,
    log_format: LogFormat = "text",
    config: PeopleConfig = PeopleConfig(),  # noqa: B008 - frozen; tyro shows its fields as options
) -> int:
    """Make the seeded demo picture of two people, reconstruct them from it, and print the metrics against the truth.

    Args:
        output: Folder for the results; the truth goes to OUTPUT/truth, the numbers to OUTPUT/metrics.json.
        seed: Another scene than the demo's own.
        family: The interaction of that scene.
        device: Where the larger networks compute: auto, cpu, cuda or cuda:N.
        overwrite: Replace another run's outputs in the same folder.
        log_format: Messages and progress as text or as JSON lines (stderr).
        config: Every setting of every stage.
    """
    prepare_output_dir(output, overwrite, marker="run.json")
    choice = choose_device(device)
    print_line(f"device: {choice.device} ({choice.reason})", log_format)
    body = load_body()
    spec = sample_spec(DEMO_SEED if seed is None else seed, family=DEMO_FAMILY if seed is None and family is None else family)
    print_line(f"making the picture: {spec.family}, seed {spec.seed}", log_format)
    sample = render_scene(build_scene(spec, body=body))
    with StageProgress("demo", log_format) as listener:
        result, _ = evaluate_sample(
            sample, "predicted", output, body=body, config=config, device=choice.device, overwrite=overwrite, listener=listener
        )
    if result.metrics is None:
        raise StageError("demo", str(output), result.failure, next_step="This is a defect: report it with the seed.")
    write_sample(sample, output / "truth", overwrite=True)
    write_bytes(output / "metrics.json", results_json([result], seed=spec.seed, family=spec.family).encode(), overwrite=True)
    print_results([result])
    print_line(f"{result.seconds:.0f} s in all stages, {result.peak_mb:.0f} MiB at most", log_format)
    print_line(f"look at {output}/report.html, or: huddle3d view {output}", log_format)
    return 0
