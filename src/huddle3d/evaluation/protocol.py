"""The evaluation protocol: seeded synthetic scenes through the main job, with true or with predicted bodies, against their truth."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from huddle3d.bodies import BodyModel
from huddle3d.errors import HuddleError
from huddle3d.evaluation.metrics import EvaluateConfig, Metrics
from huddle3d.evaluation.scene import evaluate_scene
from huddle3d.people import Given, Listener, PeopleConfig, Reconstruction, run_photo
from huddle3d.progress import Progress, silent
from huddle3d.synthesis import FAMILIES, SceneSpec, SyntheticSample, sample_spec

__all__ = ["COLUMNS", "Protocol", "SceneResult", "default_specs", "evaluate_sample", "results_json", "row", "summary"]

Protocol = Literal["true", "predicted"]
"""``"true"``: bodies, camera and masks of the truth are given (the published main tables). ``"predicted"``: only the picture is given."""

COLUMNS = {
    "cd_cm": "CD [cm]", "p2s_cm": "P2S [cm]", "nc": "NC", "f1cm": "F@1cm [%]", "bbox_iou": "IoU", "cp": "CP", "psnr": "PSNR [dB]",
    "occ_psnr": "Occ. PSNR [dB]", "normal_l2": "Normal L2", "penetration_mm": "pen. max [mm]", "joint_pa_mpjpe_mm": "joint PA-MPJPE [mm]",
}  # fmt: skip
"""Keys of a row and their headings."""


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

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        head = {"scene": self.scene, "family": self.family, "protocol": self.protocol, "failure": self.failure}
        cost = {"seconds": round(self.seconds, 2), "peak_mb": round(self.peak_mb)}
        return {**head, **cost, **(row(self.metrics) if self.metrics else {}), "metrics": self.metrics.to_dict() if self.metrics else None}


def default_specs(count: int, *, seed: int = 1000) -> list[SceneSpec]:
    """``count`` two-person scenes: the families in turn, one seed after the other (camera elevations −20…45°)."""
    return [sample_spec(seed + k, family=FAMILIES[k % len(FAMILIES)]) for k in range(count)]


def row(metrics: Metrics) -> dict[str, float | None]:
    """The columns of the published tables, from all metrics of one scene; undefined numbers are None."""
    image, contact, bodies = metrics.image, metrics.contact, metrics.bodies
    values = {
        "cd_cm": metrics.group.chamfer_cm,
        "p2s_cm": metrics.group.p2s_cm,
        "nc": metrics.group.normal_consistency,
        "f1cm": metrics.group.f_score,
        "bbox_iou": metrics.group.bbox_iou,
        "cp": contact.precision if contact else None,
        "psnr": image.psnr_db if image else None,
        "occ_psnr": image.occluded_psnr_db if image else None,
        "normal_l2": image.normal_l2 if image else None,
        "penetration_mm": contact.penetration_max_mm if contact else None,
        "joint_pa_mpjpe_mm": bodies.joint_pa_mpjpe_mm if bodies else None,
    }
    return {k: (v if v is not None and v == v else None) for k, v in values.items()}


def summary(results: Sequence[SceneResult]) -> dict[str, float | None]:
    """Median of each column over the scenes that were reconstructed; None where no scene has a value."""
    rows = [row(r.metrics) for r in results if r.metrics]
    medians: dict[str, float | None] = {}
    for key in COLUMNS:
        values = [v for r in rows if (v := r[key]) is not None]
        medians[key] = statistics.median(values) if values else None
    return medians


def evaluate_sample(
    sample: SyntheticSample,
    protocol: Protocol,
    directory: Path,
    *,
    body: BodyModel,
    config: PeopleConfig | None = None,
    device: torch.device | str = "cpu",
    overwrite: bool = False,
    listener: Listener | None = None,
    progress: Progress = silent,
) -> tuple[SceneResult, Reconstruction | None]:
    """Run the main job on one sample into ``directory`` and measure it.

    With true bodies everything lives in the true world and nothing is aligned; with predicted ones the group is aligned by one similarity of its
    joints, because a single picture fixes neither scale nor the world's origin. A failed run is a result with its reason, not an error.
    """
    scene = sample.scene
    given = Given(people=sample.people2d, bodies=scene.bodies) if protocol == "true" else Given()
    name = f"{scene.spec.family}_{scene.spec.seed}"
    try:
        result = run_photo(sample.photo, directory, config, given=given, body=body, device=device, overwrite=overwrite, listener=listener)
        settings = EvaluateConfig(alignment="none" if protocol == "true" else "similarity")
        metrics = evaluate_scene(
            result.meshes,
            scene.meshes,
            settings,
            camera=scene.bodies.camera,
            predicted_bodies=result.bodies,
            true_bodies=scene.bodies,
            body_faces=body.faces,
            progress=progress,
        )
    except HuddleError as error:
        if error.exit_code == 2 and "--overwrite" in error.next_step:
            raise
        return SceneResult(name, scene.spec.family, protocol, None, str(error), 0.0, 0.0), None
    seconds, peak = sum(c.seconds for c in result.costs), max(c.peak_mb for c in result.costs)
    return SceneResult(name, scene.spec.family, protocol, metrics, "", seconds, peak), result


def results_json(results: Sequence[SceneResult], **extra: object) -> str:
    """All results with their medians by protocol, as strict JSON."""
    protocols = sorted({r.protocol for r in results})
    medians = {p: summary([r for r in results if r.protocol == p]) for p in protocols}
    return json.dumps({"median": medians, "scenes": [r.to_dict() for r in results], **extra}, indent=1, allow_nan=False) + "\n"
