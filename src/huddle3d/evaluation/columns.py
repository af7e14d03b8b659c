"""One scene's numbers as a row: names, headings, digits and which way is better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from huddle3d.evaluation.metrics import Metrics
from huddle3d.evaluation.surface import SurfaceMetrics
from huddle3d.evaluation.views import ImageMetrics

__all__ = ["BODY_COLUMNS", "COLUMNS", "INSTANCE_COLUMNS", "PAPER_COLUMNS", "UNSEEN_COLUMNS", "Column", "format_cell", "format_p", "row"]

COLUMNS = {
    "cd_cm": "CD [cm]", "p2s_cm": "P2S [cm]", "nc": "NC", "f1cm": "F@1cm [%]", "bbox_iou": "IoU", "cp": "CP", "psnr": "PSNR [dB]",
    "occ_psnr": "Occ. PSNR [dB]", "normal_l2": "Normal L2", "penetration_mm": "pen. max [mm]", "joint_pa_mpjpe_mm": "joint PA-MPJPE [mm]",
}  # fmt: skip
"""Keys and headings of the table in the terminal."""


@dataclass(frozen=True)
class Column:
    """A column of a printed table."""

    heading: str
    """With the unit."""
    digits: int
    """After the point."""
    better: str
    """``"↓"`` if smaller is better, ``"↑"`` if larger is."""


PAPER_COLUMNS = {
    "cd_cm": Column("CD [cm]", 2, "↓"), "p2s_cm": Column("P2S [cm]", 2, "↓"), "nc": Column("NC", 3, "↑"), "f1cm": Column("F-score [%]", 1, "↑"),
    "bbox_iou": Column("bbox-IoU", 3, "↑"), "normal_l2": Column("Norm L2", 4, "↓"), "cp": Column("CP", 3, "↑"), "psnr": Column("PSNR [dB]", 2, "↑"),
    "ssim": Column("SSIM", 3, "↑"), "lpips": Column("LPIPS", 3, "↓"), "occ_normal_l2": Column("Occ. Norm L2", 4, "↓"),
    "occ_psnr": Column("Occ. PSNR [dB]", 2, "↑"), "occ_ssim": Column("Occ. SSIM", 3, "↑"),
}  # fmt: skip
"""The published main tables (geometry, texture, occluded parts), in their order."""

INSTANCE_COLUMNS = {f"inst_{k}": PAPER_COLUMNS[k] for k in ("cd_cm", "p2s_cm", "nc", "f1cm", "bbox_iou", "normal_l2", "psnr", "ssim", "lpips")}
"""The published table per instance: means over the people of a scene."""

BODY_COLUMNS = {
    "mpjpe_mm": Column("MPJPE [mm]", 1, "↓"), "pa_mpjpe_mm": Column("PA-MPJPE [mm]", 1, "↓"),
    "joint_pa_mpjpe_mm": Column("joint PA-MPJPE [mm]", 1, "↓"), "mve_mm": Column("MVE [mm]", 1, "↓"),
    "body_penetration_mm": Column("body pen. max [mm]", 2, "↓"), "body_penetration_mean_mm": Column("body pen. mean [mm]", 2, "↓"),
    "body_penetration_cm3": Column("body pen. volume [cm³]", 1, "↓"), "penetration_mm": Column("mesh pen. max [mm]", 2, "↓"),
    "penetration_mean_mm": Column("mesh pen. mean [mm]", 2, "↓"), "penetration_cm3": Column("mesh pen. volume [cm³]", 1, "↓"),
    "contact_recall": Column("contact recall", 3, "↑"),
}  # fmt: skip
"""Bodies, contact and penetration."""

UNSEEN_COLUMNS = {
    "unseen_share": Column("share of the surface", 2, ""), "unseen_cd_cm": Column("CD [cm]", 2, "↓"), "unseen_p2s_cm": Column("P2S [cm]", 2, "↓"),
    "unseen_nc": Column("NC", 3, "↑"), "unseen_f1cm": Column("F-score [%]", 1, "↑"), "unseen_normal_l2": Column("Norm L2", 4, "↓"),
    "unseen_psnr": Column("PSNR [dB]", 2, "↑"), "unseen_ssim": Column("SSIM", 3, "↑"),
}  # fmt: skip
"""Restricted to the part of the truth that the input view does not see."""


def format_cell(values: Mapping[str, float | None], key: str, column: Column) -> str:
    """The number with the column's digits, zero without a sign; a dash for a value that is not defined."""
    value = values.get(key)
    return "–" if value is None else f"{value:z.{column.digits}f}"


def format_p(p_value: float) -> str:
    """Three digits, and never a p of zero."""
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}"


def _surface(m: SurfaceMetrics | None, prefix: str) -> dict[str, float]:
    if m is None:
        return {}
    return {f"{prefix}cd_cm": m.chamfer_cm, f"{prefix}p2s_cm": m.p2s_cm, f"{prefix}nc": m.normal_consistency, f"{prefix}f1cm": m.f_score}


def _mean_images(images: list[ImageMetrics]) -> dict[str, float]:
    out = {}
    for key, name in (("inst_normal_l2", "normal_l2"), ("inst_psnr", "psnr_db"), ("inst_ssim", "ssim"), ("inst_lpips", "lpips")):
        known = [v for m in images if not math.isnan(v := getattr(m, name))]
        out[key] = math.fsum(known) / len(known) if known else math.nan
    return out


def _image(image: ImageMetrics) -> dict[str, float]:
    return {
        "psnr": image.psnr_db,
        "ssim": image.ssim,
        "lpips": image.lpips,
        "normal_l2": image.normal_l2,
        "occ_psnr": image.occluded_psnr_db,
        "occ_ssim": image.occluded_ssim,
        "occ_normal_l2": image.occluded_normal_l2,
        "unseen_psnr": image.unseen_psnr_db,
        "unseen_ssim": image.unseen_ssim,
        "unseen_normal_l2": image.unseen_normal_l2,
    }


def row(metrics: Metrics) -> dict[str, float | None]:
    """Every column of every table, from all metrics of one scene; undefined numbers are None."""
    values = {**_surface(metrics.group, ""), "bbox_iou": metrics.group.bbox_iou, "unseen_share": metrics.unseen_share}
    values |= {**_surface(metrics.unseen, "unseen_"), **_surface(metrics.instance, "inst_"), "inst_bbox_iou": metrics.instance.bbox_iou}
    if metrics.image:
        values |= _image(metrics.image) | _mean_images([p.image for p in metrics.people if p.image])
    if c := metrics.contact:
        values |= {"cp": c.precision, "contact_recall": c.recall, "penetration_mm": c.penetration_max_mm}
        values |= {"penetration_mean_mm": c.penetration_mean_mm, "penetration_cm3": c.penetration_volume_cm3}
    if b := metrics.bodies:
        values |= {"mpjpe_mm": b.mpjpe_mm, "pa_mpjpe_mm": b.pa_mpjpe_mm, "joint_pa_mpjpe_mm": b.joint_pa_mpjpe_mm, "mve_mm": b.mve_mm}
        values |= {"body_penetration_mm": b.penetration_max_mm, "body_penetration_mean_mm": b.penetration_mean_mm}
        values |= {"body_penetration_cm3": b.penetration_volume_cm3}
    keys = dict.fromkeys([*COLUMNS, *PAPER_COLUMNS, *INSTANCE_COLUMNS, *BODY_COLUMNS, *UNSEEN_COLUMNS])
    return {k: (v if (v := values.get(k)) is not None and math.isfinite(v) else None) for k in keys}
