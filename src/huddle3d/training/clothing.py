"""The clothing model: how far clothes, hair and shoes of synthetic people stand off their bodies, as a mean and principal components."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from torch import Tensor

from huddle3d.errors import InputError
from huddle3d.geometry import edges, sample_surface, vertex_normals
from huddle3d.io import display_name, write_tensors
from huddle3d.people import ClothingModel, fill_colours
from huddle3d.progress import Progress, silent
from huddle3d.synthesis import Assets, SceneBuilder
from huddle3d.synthesis.suites.splits import training_spec
from huddle3d.training.numbered import check_counts, make_numbered

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel
    from huddle3d.scene import PersonMesh

__all__ = [
    "ClothingConfig",
    "ClothingReport",
    "clothing_field",
    "fit_clothing",
    "harvest_clothing",
    "measure_clothing",
    "read_fields",
    "whole_fields",
]

_KIND = "huddle3d-clothing-fields"
_FIRST_SEED = 700_000
"""Far from the seeds of the other banks."""
_BARE = ("face", "left_hand", "right_hand")
"""Regions that nothing covers: the body's own detail stays."""
_FILL = 1.0
"""Stiffness of the membrane that fills vertices without samples."""


@dataclass(frozen=True)
class ClothingConfig:
    """Who is measured, and how."""

    first_seed: int = 0
    """Seed of the first person; the next ones count up."""
    assets: str = ""
    """Folder of MakeHuman clothes: every other person wears them; empty for clothes made here only."""
    each: int = 8
    """People of a file."""
    points: int = 60000
    """Samples of a person's surface."""
    beside_m: float = 0.02
    """A sample says something of its nearest vertex if it lies at most this far beside the vertex's normal [m]."""
    least_m: float = -0.02
    """Samples deeper than this [m] are inside."""
    most_m: float = 0.06
    """Larger distances count as this one [m], lest skirts and bags outweigh everything else."""


def clothing_field(
    mesh: PersonMesh, vertices: Float[Tensor, "V 3"], faces: Tensor, generator: torch.Generator, config: ClothingConfig | None = None
) -> Float[Tensor, "V"]:
    """Distance of a dressed person's outer surface from each vertex of the body, along the vertex normal [m]; NaN where no sample tells.

    The outermost sample counts: what lies below it nobody sees.

    Args:
        mesh: the dressed person, world.
        vertices: the body in it, world.
        faces: of the body.
        generator: of the samples.
        config: limits.
    """
    from scipy.spatial import KDTree

    config = config or ClothingConfig()
    points = sample_surface(mesh.vertices.float(), mesh.faces.long(), config.points, generator=generator)[0].double().numpy()
    body, normals = vertices.double().numpy(), vertex_normals(vertices, faces).double().numpy()
    distance, nearest = (np.asarray(x) for x in KDTree(body).query(points))
    along = ((points - body[nearest]) * normals[nearest]).sum(-1)
    beside = np.sqrt(np.maximum(distance**2 - along**2, 0))
    told = (beside < config.beside_m) & (along > config.least_m)
    out = np.full(len(body), -np.inf)
    np.maximum.at(out, nearest[told], np.minimum(along[told], config.most_m))
    return torch.from_numpy(np.where(np.isfinite(out), out, np.nan)).float()


def _fields_of_index(index: int, config: ClothingConfig, body: BodyModel, assets: Assets | None) -> Float[Tensor, "n V"]:
    """The people of one file; depends on nothing but its number and the config."""
    found = []
    for k in range(config.each):
        seed = config.first_seed + config.each * index + k
        worn = assets if seed % 2 else None
        scene = SceneBuilder(body, assets=worn)(training_spec(_FIRST_SEED + seed, people=1, family="solo", assets=worn))
        found.append(clothing_field(scene.meshes[0], scene.bodies.vertices[0], body.faces.long(), torch.Generator().manual_seed(seed), config))
    return torch.stack(found)


_SOURCES: dict[str, tuple[BodyModel, Assets | None]] = {}
"""One a worker process."""


def _work(index: int, config: ClothingConfig, folder: str) -> int:
    from huddle3d.bodies import load_body

    torch.set_num_threads(1)
    if config.assets not in _SOURCES:
        _SOURCES[config.assets] = load_body(), Assets.open(Path(config.assets)) if config.assets else None
    fields = _fields_of_index(index, config, *_SOURCES[config.assets])
    header = {"huddle3d": json.dumps({"kind": _KIND, "index": index})}
    write_tensors(Path(folder) / f"{index:06d}.safetensors", {"fields": fields.contiguous()}, metadata=header, overwrite=True)
    return len(fields)


def harvest_clothing(
    output: str | os.PathLike[str],
    people: int,
    config: ClothingConfig = ClothingConfig(),
    *,
    minutes: float | None = None,
    workers: int = 1,
    progress: Progress = silent,
) -> Float[Tensor, "n V"]:
    """Measure so many people, or what the minutes allow; a run that was stopped goes on.

    Args:
        output: folder; one file of ``config.each`` people a number.
        people: how many; the folder may hold some more.
        config: who, and how; a folder takes files of one config only.
        minutes: begin no further file after so long; None for no limit.
        workers: processes.
        progress: told the share done.

    Raises:
        InputError: the folder holds something else or files of another config, or the assets are missing.
    """
    if config.assets:
        Assets.open(Path(config.assets))
    files = math.ceil(people / config.each)
    check_counts(files, 1, workers)
    folder = make_numbered(output, files, config, _work, what="people", minutes=minutes, workers=workers, progress=progress)
    return read_fields(folder, files)[:people]


def read_fields(folder: str | os.PathLike[str], files: int | None = None) -> Float[Tensor, "n V"]:
    """The measured people of a folder that :func:`harvest_clothing` wrote, or of its first files.

    Raises:
        InputError: none, or damaged files.
    """
    parts: list[Tensor] = []
    for path in sorted(Path(folder).glob("[0-9]*.safetensors"))[:files]:
        try:
            with safe_open(str(path), framework="pt") as file:
                if json.loads((file.metadata() or {}).get("huddle3d", "{}")).get("kind") != _KIND:
                    continue
                parts.append(file.get_tensor("fields"))
        except (OSError, SafetensorError, ValueError, AttributeError) as e:
            raise InputError(
                f"{display_name(path)}: not a readable file of measured people.", why=f"{e}.", next_step="Remove it and run again."
            ) from e
    if not parts or any(p.ndim != 2 or p.shape[1] != parts[0].shape[1] for p in parts):
        raise InputError(f"{display_name(Path(folder))}: no measured people in it.", next_step="Make them with `huddle3d train clothing`.")
    return torch.cat(parts)


def whole_fields(fields: Float[Tensor, "n V"], body: BodyModel) -> Float[Tensor, "n V"]:
    """Fields without holes: a membrane over the mesh, held where a sample tells; 0 on faces and hands.

    Args:
        fields: of :func:`clothing_field`.
        body: their model.
    """
    pairs = edges(body.faces.long())
    strength = torch.full((len(pairs),), _FILL)
    bare = torch.isin(body.regions, torch.tensor([i for i, name in enumerate(body.region_names) if name in _BARE]))
    out = []
    for field in fields:
        told = ~field.isnan() | bare
        value = torch.where(bare, 0.0, field.nan_to_num(0.0))
        whole = fill_colours(pairs, strength, value[:, None], told.float(), rest=value.new_zeros(1))[:, 0]
        out.append(torch.where(bare, 0.0, whole))
    return torch.stack(out)


def fit_clothing(fields: Float[Tensor, "n V"], components: int, *, model: str = "anny") -> ClothingModel:
    """Mean and the strongest principal components of whole fields.

    Raises:
        InputError: not more people than components.
    """
    if not 1 <= components < len(fields):
        raise InputError(
            f"{components} components cannot be told from {len(fields)} people.", next_step="Measure more people, or ask for fewer components."
        )
    mean = fields.mean(0)
    _, strength, rows = torch.linalg.svd((fields - mean).double(), full_matrices=False)
    basis = rows[:components] * strength[:components, None] / math.sqrt(len(fields))
    return ClothingModel(mean, basis.float(), model)


@dataclass(frozen=True)
class ClothingReport:
    """Root mean square distance between what people wear and what is said of it, over all vertices [mm]."""

    naked_mm: float
    """If nothing is said."""
    mean_mm: float
    """The model's mean."""
    model_mm: float
    """The nearest that the components reach: the model's own limit."""


def measure_clothing(model: ClothingModel, fields: Float[Tensor, "n V"]) -> ClothingReport:
    """Measure a model on whole fields of people that it was not made of."""

    def rms(x: Tensor) -> float:
        return 1000 * float(x.square().mean().sqrt())

    off = fields - model.mean
    coefficients = torch.linalg.lstsq(model.basis.T.double(), off.T.double()).solution.T.float()
    return ClothingReport(rms(fields), rms(off), rms(off - coefficients @ model.basis))
