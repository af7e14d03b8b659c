"""The protocol of ``huddle3d eval fit``: perception and fitting of one sample with known, spoilt or no key points, against its truth."""

from __future__ import annotations

import hashlib
import json
import math
import time
import typing
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import torch

import huddle3d
from huddle3d.bodies import BodyModel
from huddle3d.errors import HuddleError, InputError
from huddle3d.evaluation.fit_metrics import FitMetrics, fit_metrics
from huddle3d.evaluation.protocol import blames_the_scene
from huddle3d.evaluation.sample import EvaluationSample
from huddle3d.fitting import fit, fit_weights_digest
from huddle3d.io import display_name, write_bytes
from huddle3d.people import PeopleConfig, agree, plain
from huddle3d.perception import perceive, weights_digest
from huddle3d.perception.keypoint_noise import add_keypoint_noise, load_keypoint_noise, pixels_per_metre
from huddle3d.progress import Progress, silent
from huddle3d.scene import Bodies, People2D

__all__ = ["FIT_INPUTS", "FitInput", "FitResult", "evaluate_fit", "fit_identity", "sample_key"]

FitInput = Literal["true", "true2d", "noisy", "predicted"]
"""``"true"``: the synthetic truth's key points (hidden ones with weight 0.3), masks and 3D landmarks. ``"true2d"``: the same without 3D landmarks.
``"noisy"``: with errors and drop-outs as the embedded backend makes them, true masks. ``"predicted"``: the picture alone.
The picture's focal length is known in all of them, as EXIF would tell it."""
FIT_INPUTS: tuple[FitInput, ...] = typing.get_args(FitInput)
_ROOMS = (
    "bodies",
    "compute",
    "contact",
    "diffusion",
    "evaluation",
    "fitting",
    "geometry",
    "io",
    "networks",
    "people/identity",
    "perception",
    "render",
    "scene",
    "synthesis",
    "weights",
)
"""Whose code the numbers depend on: kept numbers do not outlive it."""


@dataclass(frozen=True)
class FitResult:
    """One scene with one input and one configuration."""

    scene: str
    family: str
    input: FitInput
    variant: str
    """Name of the configuration; empty for the only one."""
    metrics: FitMetrics | None
    """None if perception or the fit failed."""
    failure: str
    """Why, or empty."""
    seconds: float
    """Of perception and fit."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        head = {"scene": self.scene, "family": self.family, "input": self.input, "variant": self.variant, "failure": self.failure}
        return {**head, "seconds": round(self.seconds, 2), **(self.metrics.to_dict() if self.metrics else {})}


@lru_cache(maxsize=1)
def _code_digest() -> str:
    root = Path(huddle3d.__file__).parent
    h = hashlib.sha256()
    for room in _ROOMS:
        for path in sorted((root / room).rglob("*.py")):
            h.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return h.hexdigest()


def fit_identity(sample_key: str, source: FitInput, config: PeopleConfig, seed: int) -> str:
    """sha256 of everything that a scene's numbers depend on: the sample, what is given, the settings and weights used, the noise table, the code."""
    used = {"fit": plain(config.fit), "weights": fit_weights_digest(config.fit), "seed": config.seed}
    if config.identity.rounds > 1:
        used["identity"] = plain(config.identity)
    if source == "predicted":
        used |= {"perceive": plain(config.perceive), "networks": weights_digest(config.perceive)}
    if source == "noisy":
        used |= {"noise": load_keypoint_noise().digest(), "noise_seed": seed}
    text = json.dumps([sample_key, source, used, _code_digest()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def evaluate_fit(
    key: str,
    load: Callable[[], EvaluationSample],
    source: FitInput,
    directory: Path,
    *,
    body: BodyModel,
    config: PeopleConfig | None = None,
    variant: str = "",
    seed: int = 0,
    overwrite: bool = False,
    progress: Progress = silent,
) -> FitResult:
    """Perceive (if only the picture is given), fit (in as many rounds as ``identity.rounds`` says) and measure one sample; numbers that are there already are read, not made again.

    The folder gets ``result.json``, and ``people2d`` and ``bodies`` as artefacts. The result depends on the arguments alone (no other scene, no
    order). A failure of perception or of the fit is a result with its reason, not an error, unless the scene is not to blame
    (missing weights, a full disk).

    Args:
        key: identifies the sample with all that it is made from (the scene file, or the picture's hash).
        load: makes or reads the sample; called only if it is needed.
        source: what the fit is given.
        directory: of this sample, input and variant.
        body: the body model of the fit.
        config: settings of perception and fit.
        variant: name of ``config`` in the result.
        seed: of the noise, together with the sample's key.
        overwrite: measure again.
        progress: receives the steps.
    """
    config = config or PeopleConfig()
    identity = fit_identity(key, source, config, seed)
    path = directory / "result.json"
    kept = None if overwrite else _read(path, identity, variant)
    if kept is not None:
        return kept
    sample = load()
    started = time.perf_counter()
    metrics, failure = None, ""
    directory.mkdir(parents=True, exist_ok=True)
    try:
        people = _people(sample, source, config, key, seed)
        bodies = fit(sample.photo, people, config.fit, body=body, seed=config.seed, progress=progress)
        if config.identity.rounds > 1:
            agreed = agree(sample.photo, people, bodies, config.identity, config.fit, body=body, seed=config.seed, progress=progress)
            people, bodies = agreed.people, agreed.bodies
        seconds = time.perf_counter() - started
        people.save(directory / "people2d")
        bodies.save(directory / "bodies")
        metrics = fit_metrics(bodies, sample, body, pairs=_pairs(bodies, sample, source))
    except HuddleError as error:
        if not blames_the_scene(error):  # a kept failure would outlive its cause
            raise
        failure, seconds = str(error), time.perf_counter() - started
    result = FitResult(sample.name, sample.family, source, variant, metrics, failure, seconds)
    document = {"identity": identity, "result": {**asdict(result), "metrics": metrics.to_dict() if metrics else None}}
    write_bytes(path, (json.dumps(document, indent=1, allow_nan=False) + "\n").encode(), overwrite=True)
    return result


def _people(sample: EvaluationSample, source: FitInput, config: PeopleConfig, key: str, seed: int) -> People2D:
    if source == "predicted":
        return perceive(sample.photo, config.perceive)
    if sample.people2d is None or sample.bodies is None:
        raise InputError(f"{sample.name}: no true key points and masks.", next_step="Only the input 'predicted' can run on this data set.")
    if source == "true":
        return sample.people2d
    if source == "true2d":
        blind = sample.people2d.landmarks3d.clone()
        blind[..., 3] = 0
        return replace(sample.people2d, landmarks3d=blind)
    draw = int.from_bytes(hashlib.sha256(f"{key}|{seed}".encode()).digest()[:6], "big")
    return add_keypoint_noise(sample.people2d, pixels_per_metre(sample.bodies.landmarks, sample.camera), seed=draw)


def _pairs(bodies: Bodies, sample: EvaluationSample, source: FitInput) -> list[tuple[int, int]] | None:
    """Who is who by name where the truth was given; None where only the picture was."""
    if source == "predicted" or sample.bodies is None:
        return None
    return [(k, sample.bodies.names.index(name)) for k, name in enumerate(bodies.names)]


def _read(path: Path, identity: str, variant: str) -> FitResult | None:
    """Numbers that were kept, if they belong to exactly this run."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["identity"] != identity:
            return None
        entry = document["result"]
        metrics = FitMetrics(**{k: _numbers(k, v) for k, v in entry.pop("metrics").items()}) if entry["metrics"] else None
        entry.pop("metrics", None)
        return FitResult(**{**entry, "variant": variant}, metrics=metrics)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:
        raise InputError(f"{display_name(path)}: damaged.", why=f"{e}.", next_step="Delete it, or pass --overwrite.") from e


def _numbers(name: str, value: Any) -> Any:
    if name == "contact_by_region":
        return {k: tuple(v) for k, v in value.items()}
    if isinstance(value, list):
        return tuple(math.nan if v is None else v for v in value)
    return math.nan if value is None else value


def sample_key(sample: EvaluationSample) -> str:
    """Key of a sample of a data set: its name, its picture and its true joints."""
    truth = sample.bodies.landmarks if sample.bodies is not None else sample.joints
    digest = hashlib.sha256(truth.detach().contiguous().numpy().tobytes()).hexdigest() if isinstance(truth, torch.Tensor) else ""
    return f"{sample.name}|{sample.photo.sha256}|{digest}"
