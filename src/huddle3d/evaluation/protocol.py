"""The evaluation protocol: one sample through the main job, with true or with predicted bodies, against its truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from huddle3d.bodies import BodyModel
from huddle3d.errors import DeviceError, HuddleError, InputError, LicenceRequiredError, WeightsMissingError
from huddle3d.evaluation.columns import row
from huddle3d.evaluation.metrics import EvaluateConfig, Metrics
from huddle3d.evaluation.sample import EvaluationSample
from huddle3d.evaluation.scene import evaluate_scene
from huddle3d.people import Given, Listener, PeopleConfig, Reconstruction, run_photo
from huddle3d.progress import Progress, silent
from huddle3d.synthesis import FAMILIES, SceneSpec, SyntheticSample, sample_spec

__all__ = ["Protocol", "SceneResult", "blames_the_scene", "default_specs", "evaluate_sample"]

Protocol = Literal["true", "predicted"]
"""``"true"``: bodies, camera and masks of the truth are given (the published main tables). ``"predicted"``: the picture and its
focal length (as EXIF tells it), nothing else."""


@dataclass(frozen=True)
class SceneResult:
    """One scene under one protocol."""

    scene: str
    """Name of the scene."""
    family: str
    """Its interaction."""
    protocol: Protocol
    metrics: Metrics | None
    """None if the main job failed."""
    failure: str
    """Why, or empty."""
    seconds: float
    """Of all stages."""
    peak_mb: float
    """Peak resident memory over the stages [MiB]."""
    variant: str = ""
    """Name of the configuration; empty for the only one."""
    notes: tuple[str, ...] = ()
    """What reading the sample assumed."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        head = {"scene": self.scene, "family": self.family, "protocol": self.protocol, "failure": self.failure}
        head |= {"variant": self.variant} if self.variant else {}
        cost = {"seconds": round(self.seconds, 2), "peak_mb": round(self.peak_mb)}
        return {**head, **cost, **(row(self.metrics) if self.metrics else {}), "metrics": self.metrics.to_dict() if self.metrics else None}


def blames_the_scene(error: HuddleError) -> bool:
    """Whether a failure says something about the scene, so that it is a result.

    Missing weights, an absent device, a full disk and a folder of another run would fail every scene alike, and would be measured as the method's.
    """
    if isinstance(error, WeightsMissingError | LicenceRequiredError | DeviceError):
        return False
    return not (isinstance(error, InputError) and ("--overwrite" in error.next_step or error.what.endswith("cannot be written.")))


def default_specs(count: int, *, seed: int = 1000) -> list[SceneSpec]:
    """``count`` two-person scenes: the families in turn, one seed after the other (camera elevations −20…45°)."""
    return [sample_spec(seed + k, family=FAMILIES[k % len(FAMILIES)]) for k in range(count)]


def evaluate_sample(
    sample: SyntheticSample | EvaluationSample,
    protocol: Protocol,
    directory: Path,
    *,
    body: BodyModel,
    config: PeopleConfig | None = None,
    device: torch.device | str = "cpu",
    overwrite: bool = False,
    listener: Listener | None = None,
    variant: str = "",
    others: Sequence[Path] = (),
    progress: Progress = silent,
) -> tuple[SceneResult, Reconstruction | None]:
    """Run the main job on one sample into ``directory`` and measure it.

    With true bodies everything lives in the true world and nothing is aligned; with predicted ones the group is aligned by one similarity,
    because a single picture fixes neither scale nor the world's origin: of its joints where the truth has landmarks, else of its surfaces. A
    failed run is a result with its reason, not an error, unless the scene is not to blame (:func:`blames_the_scene`).

    Args:
        sample: the picture and its truth.
        protocol: what is given to the main job.
        directory: of the run; a finished one is not repeated.
        body: the body model, on the CPU.
        config: of the main job.
        device: where the main job's larger networks compute.
        overwrite: replace another run in the folder.
        listener: hears of stages.
        variant: name of ``config`` in the result.
        others: folders of other variants' runs, whose stages are copied where nothing that they depend on differs.
        progress: receives the measuring's share done.
    """
    if isinstance(sample, SyntheticSample):
        sample = EvaluationSample.of(sample)

    def done(metrics: Metrics | None, failure: str, seconds: float, peak: float) -> SceneResult:
        return SceneResult(sample.name, sample.family, protocol, metrics, failure, seconds, peak, variant, sample.notes)

    if protocol == "true" and (sample.bodies is None or sample.people2d is None):
        return done(None, f"no true {body.name} bodies: only the protocol 'predicted' can run on this data set", 0.0, 0.0), None
    if not sample.meshes:
        return done(None, "the truth has no surfaces to compare with: eval fit measures its joints", 0.0, 0.0), None
    given = Given(people=sample.people2d, bodies=sample.bodies) if protocol == "true" else Given()
    alignment = "none" if protocol == "true" else "similarity" if sample.bodies is not None else "surface"
    try:
        result = run_photo(
            sample.photo, directory, config, given=given, body=body, device=device, overwrite=overwrite, listener=listener, others=others
        )
        metrics = evaluate_scene(
            result.meshes,
            sample.meshes,
            EvaluateConfig(alignment=alignment),
            camera=sample.camera,
            predicted_bodies=result.bodies,
            true_bodies=sample.bodies,
            body_faces=body.faces,
            textured=sample.textured,
            progress=progress,
        )
    except HuddleError as error:
        if not blames_the_scene(error):
            raise
        return done(None, str(error), 0.0, 0.0), None
    return done(metrics, "", sum(c.seconds for c in result.costs), max(c.peak_mb for c in result.costs)), result
