"""The ablations of HUG3D (its table 4, and the baseline) as named variants, and their results in the layout of its tables 1 to 4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huddle3d.diffusion.multiview import MULTIVIEW_WEIGHTS
from huddle3d.errors import InputError, WeightsMissingError
from huddle3d.evaluation.aggregate import compare_variants, intervals
from huddle3d.evaluation.columns import PAPER_COLUMNS
from huddle3d.evaluation.protocol import SceneResult
from huddle3d.evaluation.variants import override
from huddle3d.io import display_name
from huddle3d.people import PeopleConfig, own_model
from huddle3d.weights import registry

__all__ = ["ABLATIONS", "Ablations", "PaperTable", "ablations", "paper_tables"]

ABLATIONS = {
    "full": "full",
    "body-prior": "body-prior baseline",
    "no-composition": "without instance-to-group composition",
    "group-normals": "group normals only",
    "instance-normals": "instance normals only",
    "group-data": "group-only training data",
    "instance-data": "instance-only training data",
    "no-pers2ortho": "without Pers2Ortho",
    "naked": "body-prior baseline without the clothing model",
}
"""Names of the variants and what they are, in the order of the tables; the others are compared with the first that runs."""

_TABLES = {
    "Table 1, geometry": ("cd_cm", "p2s_cm", "nc", "f1cm", "bbox_iou", "normal_l2", "cp"),
    "Table 2, texture": ("psnr", "ssim", "lpips"),
    "Table 3, occluded parts": ("occ_normal_l2", "occ_psnr", "occ_ssim"),
    "Table 4, ablations": ("cd_cm", "p2s_cm", "occ_normal_l2", "psnr", "lpips", "occ_psnr"),
}
_SURE = 0.01


@dataclass(frozen=True)
class Ablations:
    """What is compared."""

    configs: dict[str, PeopleConfig]
    """By name: the variants that can run."""
    left_out: dict[str, str]
    """By name: why a variant cannot run."""

    def facts(self) -> dict[str, Any]:
        """For the file of numbers."""
        return {"ablations": {n: ABLATIONS[n] for n in self.configs}, "left_out": self.left_out}


def ablations(base: PeopleConfig, *, group_data: Path | None = None, instance_data: Path | None = None) -> Ablations:
    """The variants of a configuration. Whatever needs weights that are not there is left out with its reason: nothing else runs in its place.

    Where only the group's or only the people's normals are left, they get the weight of both, so that normals as a whole count as before.

    Args:
        base: settings of ``full``; its method becomes ``"diffusion"``.
        group_data: a model that was trained on groups only (``huddle3d train mvd --data groups``).
        instance_data: a model that was trained on single people only (``--data people``).

    Raises:
        WeightsMissingError: a file that is named is not there.
        InputError: a file that is named is no such model, or was trained on something else.
    """
    full, own = override(base, "complete.method", "diffusion"), base.complete.diffusion.weights
    if own is not None and not own.exists():
        raise WeightsMissingError(f"{display_name(own)}: no such file.", next_step="Name the file that `huddle3d train mvd` wrote.")
    normals = base.carve.normal_group + base.carve.normal_inst
    changes: dict[str, dict[str, Any]] = {
        "full": {},
        "body-prior": {"complete.method": "body-prior"},
        "no-composition": {"complete.diffusion.share_group": 0.0},
        "group-normals": {"carve.normal_group": normals, "carve.normal_inst": 0.0},
        "instance-normals": {"carve.normal_group": 0.0, "carve.normal_inst": normals},
        "group-data": {"complete.diffusion.weights": _trained_on("groups", group_data)},
        "instance-data": {"complete.diffusion.weights": _trained_on("people", instance_data)},
        "no-pers2ortho": {"canonical.reprojection": "none", "canonical.partial.iterations": 0, "canonical.clothing": "none"},
        "naked": {"complete.method": "body-prior", "canonical.clothing": "none"},
    }
    trained = {"group-data": ("groups", group_data), "instance-data": ("people", instance_data)}
    there = own is not None or any(name in registry() for name in MULTIVIEW_WEIGHTS)
    configs, left_out = {}, {}
    for name, settings in changes.items():
        data, file = trained.get(name, ("", None))
        if data and file is None:
            left_out[name] = f"no weights were given: `huddle3d train mvd --data {data}`, then --{name} FILE"
        elif not (data or there or settings.get("complete.method") == "body-prior"):
            left_out[name] = "no weights: this version embeds none. `huddle3d train mvd`, then --config.complete.diffusion.weights FILE"
        else:
            configs[name] = full
            for setting, value in settings.items():
                configs[name] = override(configs[name], setting, value)
    return Ablations(configs, left_out)


def _trained_on(data: str, file: Path | None) -> Path | None:
    """The file, if its header says that it was trained on these data."""
    if file is None:
        return None
    found = own_model(file).note.get("data", "all")
    if found != data:
        step = f"Train one with `huddle3d train mvd --data {data}`."
        raise InputError(f"{display_name(file)}: its training data were {found!r}, not {data!r}.", next_step=step)
    return file


@dataclass(frozen=True)
class PaperTable:
    """A table ready to be printed."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str
    """What a star means."""


def _cell(key: str, found: Mapping[str, Any], tested: Mapping[str, Any]) -> str:
    if key not in found:
        return "–"
    spread, digits = found[key], PAPER_COLUMNS[key].digits
    text = f"{spread.median:z.{digits}f} [{spread.low:z.{digits}f}, {spread.high:z.{digits}f}]"
    return text + "*" if key in tested and tested[key].p_value < _SURE else text


def paper_tables(results: Sequence[SceneResult], left_out: Mapping[str, str]) -> list[PaperTable]:
    """Medians with 95 % bootstrap intervals, by protocol and in the columns of each published table; a row for each ablation, also for those left out.

    A star: differs from the first variant with p < 0.01 (Wilcoxon's signed-rank test, paired by scene).
    """
    out, tested = [], compare_variants(results)
    note = f"Medians with 95 % bootstrap intervals. * differs from '{ABLATIONS[results[0].variant]}': p < {_SURE} (Wilcoxon, paired by scene)."
    for protocol in sorted({r.protocol for r in results}, key=lambda p: p != "true"):
        some = {name: [r for r in results if (r.protocol, r.variant) == (protocol, name)] for name in ABLATIONS}
        for title, keys in _TABLES.items():
            head = ("variant", "scenes", *(f"{PAPER_COLUMNS[k].heading} {PAPER_COLUMNS[k].better}" for k in keys))
            rows = []
            for name, words in ABLATIONS.items():
                if name in left_out:
                    rows.append((words, "left out", *[""] * len(keys)))
                elif some[name]:
                    found, marks = intervals(some[name]), tested.get(protocol, {}).get(name, {})
                    count = f"{sum(r.metrics is not None for r in some[name])}/{len(some[name])}"
                    rows.append((words, count, *(_cell(k, found, marks) for k in keys)))
            out.append(PaperTable(f"{title} ({protocol} bodies)", head, tuple(rows), note))
    return out
