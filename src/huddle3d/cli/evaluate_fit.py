"""``huddle3d eval fit``: how good the fitted bodies are, with known, spoilt and found key points."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from huddle3d.bodies import BodyModel, load_body
from huddle3d.cli.console import LogFormat, print_line
from huddle3d.cli.eval_scenes import choose_scenes, exit_status, write_numbers
from huddle3d.cli.tables import print_comparisons
from huddle3d.errors import InputError
from huddle3d.evaluation import (
    FIT_COLUMNS,
    FIT_TARGETS,
    EvaluationSample,
    FitInput,
    FitPictures,
    FitResult,
    compare_fits,
    default_specs,
    draw_fit,
    evaluate_fit,
    fit_json,
    fit_page,
    fit_row,
    fit_summary,
    fits_by_family,
    format_cell,
    read_variants,
    row_name,
    sample_key,
)
from huddle3d.evaluation.datasets import DatasetName
from huddle3d.evaluation.datasets.layout import LazySample
from huddle3d.io import prepare_output_dir, safe_name, write_bytes
from huddle3d.people import PeopleConfig, plain, versions
from huddle3d.scene import Bodies
from huddle3d.synthesis import Assets, SceneBuilder, SceneSpec, build_scene, render_scene
from huddle3d.synthesis.suites.lists import Suite, SuiteName, SuiteScene, in_building_order

__all__ = ["fit"]

_Source = tuple[str, str, Callable[[], EvaluationSample]]
"""Name, key and maker of a sample."""


def fit(
    scenes: int | None = None,
    seed: int = 1000,
    suite: SuiteName | None = None,
    inputs: tuple[FitInput, ...] = ("true", "noisy", "predicted"),
    output: Path = Path("out/eval-fit"),
    json: Path | None = None,
    html: Path | None = None,
    variants: Path | None = None,
    dataset: DatasetName | None = None,
    data: Path | None = None,
    assets: Path | None = None,
    overwrite: bool = False,
    log_format: LogFormat = "text",
    config: PeopleConfig = PeopleConfig(),  # noqa: B008 - frozen; tyro shows its fields as options
) -> int:
    """Fit bodies to scenes and compare them with the truth: joints, depth order, penetration, contact. Runs on the CPU.

    Scenes that are done already in OUTPUT are not repeated. Only the settings of perceive, fit and identity count.

    Args:
        scenes: Number of scenes: seeded ones (default 10), the families in turn, or the first ones of the suite or data set (default all).
        seed: Seed of the first seeded scene; also of the key points' noise.
        suite: Instead of seeded scenes, a suite, made as it is needed: heldout, salsa, crowd, hard.
        inputs: What the fit is given: true key points, masks and 3D landmarks; true2d: without the 3D landmarks; noisy: with errors and drop-outs as
            the embedded backend makes them; predicted: the picture and its focal length.
        output: Folder for the fitted bodies and the numbers of each scene.
        json: Also write all numbers to this file; numbers of an earlier evaluation are replaced, anything else only with --overwrite.
        html: Also write a page into this folder: all tables, and every scene's bodies beside the true ones.
        variants: JSON file of named settings, for example {"full": {}, "no-touch": {"fit.weight_touch": 0}}; the others are compared with the first.
        dataset: Instead of seeded scenes, the samples of a data set on this machine.
        data: Folder of the data set, unpacked as published.
        assets: Folder with makehuman, mocap and avatars, for suite: salsa needs it (or HUDDLE3D_ASSETS), the others are dressed from it.
        overwrite: Fit and measure again what is there.
        log_format: Messages as text or as JSON lines (stderr).
        config: Settings.
    """
    if not inputs:
        raise InputError("--inputs is empty.", next_step="For example --inputs true noisy.")
    chosen = choose_scenes(scenes, json, dataset, data, suite, assets, overwrite)
    configs = read_variants(variants, config) if variants is not None else {"": config}
    if html is not None:
        prepare_output_dir(html, overwrite, marker="index.html")
    body = load_body()
    if chosen.samples is not None:
        sources = _from_dataset(chosen.samples)
    elif chosen.suite is not None:
        sources = _of_suite(chosen.suite, scenes, body, chosen.assets)
    else:
        sources = _synthetic(scenes or 10, seed, body)
    results: list[FitResult] = []
    pictures: list[FitPictures | None] = []
    for name, key, load in sources:
        for source in dict.fromkeys(inputs):
            for variant, settings in configs.items():
                place = output / safe_name(f"{name}_{source}" + (f"_{variant}" if variant else ""))
                result = evaluate_fit(key, load, source, place, body=body, config=settings, variant=variant, seed=seed, overwrite=overwrite)
                results.append(result)
                pictures.append(_draw(load(), result, place, body) if html is not None else None)
                print_line(f"{place.name}: {result.failure or _short(result)}", log_format)
    print_fits(results)
    if variants is not None:
        print_comparisons(compare_fits(results), next(iter(configs)), FIT_COLUMNS)
    facts = {**chosen.facts, "seed": seed, "versions": versions(), "device": "cpu"}
    if json is not None:
        write_numbers(json, fit_json(results, **facts))
        print_line(f"numbers: {json}", log_format)
    if html is not None:
        shown = {**facts, "configuration": {name or "huddle3d": {"fit": plain(c.fit), "perceive": plain(c.perceive)} for name, c in configs.items()}}
        write_bytes(html / "index.html", fit_page(results, pictures, shown).encode(), overwrite=True)
        print_line(f"page: {html / 'index.html'}", log_format)
    return exit_status([r.failure for r in results], log_format)


def _draw(sample: EvaluationSample, result: FitResult, place: Path, body: BodyModel) -> FitPictures:
    return draw_fit(sample, None if result.metrics is None else Bodies.load(place / "bodies"), body.faces.long())


def _short(result: FitResult) -> str:
    row = fit_row(result)
    return ", ".join(f"{FIT_COLUMNS[k].heading} {format_cell(row, k, FIT_COLUMNS[k])}" for k in ("pa_mpjpe_mm", "joint_pa_mpjpe_mm"))


class _Once:
    """Makes a sample when it is first needed, and keeps it for the other inputs and variants of the same scene."""

    def __init__(self, make: Callable[[], EvaluationSample]) -> None:
        self._make, self._sample = make, None

    def __call__(self) -> EvaluationSample:
        self._sample = self._sample or self._make()
        return self._sample


def _synthetic(scenes: int, seed: int, body: BodyModel) -> Iterator[_Source]:
    def make(spec: SceneSpec) -> Callable[[], EvaluationSample]:
        return _Once(lambda: EvaluationSample.of(render_scene(build_scene(spec, body=body))))

    for spec in default_specs(scenes, seed=seed):
        yield f"{spec.family}_{spec.seed}", spec.to_json(), make(spec)


def _of_suite(suite: Suite, scenes: int | None, body: BodyModel, assets: Assets | None) -> Iterator[_Source]:
    build = SceneBuilder(body, assets=assets)

    def make(scene: SuiteScene) -> Callable[[], EvaluationSample]:
        return _Once(lambda: EvaluationSample.of(render_scene(build(scene.spec)), name=scene.name, family=scene.tag))

    for scene in in_building_order(suite.scenes[:scenes]):
        yield scene.name, scene.spec.to_json(), make(scene)


def _from_dataset(items: Sequence[LazySample]) -> Iterator[_Source]:
    for item in items:
        load = _Once(item.load)
        yield item.name, sample_key(load()), load


def print_fits(results: Sequence[FitResult]) -> None:
    """One row per scene, then one per family, and one for everything, of each input and variant; targets last."""
    table = Table("scene", "input", *(c.heading for c in FIT_COLUMNS.values()), "s", title="fitted bodies against the truth")
    for r in results:
        cells = [format_cell(fit_row(r), k, c) for k, c in FIT_COLUMNS.items()]
        table.add_row(r.scene, row_name(r), *(cells if r.metrics else ["failed: " + r.failure]), *([f"{r.seconds:.0f}"] if r.metrics else []))
    for name in dict.fromkeys(row_name(r) for r in results):
        some = [r for r in results if row_name(r) == name]
        table.add_section()
        for family, row in fits_by_family(some).items():
            table.add_row(f"{family} ({row['scenes']})", name, *(format_cell(row, k, c) for k, c in FIT_COLUMNS.items()), f"{row['seconds']:.0f}")
        row = fit_summary(some)
        cells = [format_cell(row, k, c) for k, c in FIT_COLUMNS.items()]
        table.add_row(f"all {row['scenes'] - row['failed']}/{row['scenes']}", name, *cells, f"{row['seconds']:.0f}", style="bold")
        if goals := FIT_TARGETS.get(some[0].input):
            cells = [f"{goals[k][0]} {goals[k][1]:g}" if k in goals else "" for k in FIT_COLUMNS]
            table.add_row("target", some[0].input, *cells, "", style="dim")
    Console(width=max(200, Console().width)).print(table, markup=False)
