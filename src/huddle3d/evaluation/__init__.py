"""Measures: predicted people against true ones, in the definitions of the published tables."""

from huddle3d.evaluation.contacts import ContactMetrics, contact_metrics, contact_vertices, group_penetration
from huddle3d.evaluation.images import normal_l2, psnr, ssim
from huddle3d.evaluation.joints import BodyMetrics, body_metrics
from huddle3d.evaluation.matching import match_people, pairwise_distance
from huddle3d.evaluation.protocol import COLUMNS, Protocol, SceneResult, default_specs, evaluate_sample, results_json, row, summary
from huddle3d.evaluation.scene import EvaluateConfig, Metrics, PersonMetrics, evaluate_scene
from huddle3d.evaluation.surface import SurfaceMetrics, SurfaceSamples, bbox_iou, nearest, sample_with_normals, surface_metrics
from huddle3d.evaluation.views import ImageMetrics, evaluation_cameras, image_metrics

__all__ = [
    "COLUMNS",
    "Protocol",
    "SceneResult",
    "default_specs",
    "evaluate_sample",
    "results_json",
    "row",
    "summary",
    "BodyMetrics",
    "ContactMetrics",
    "EvaluateConfig",
    "ImageMetrics",
    "Metrics",
    "PersonMetrics",
    "SurfaceMetrics",
    "SurfaceSamples",
    "bbox_iou",
    "body_metrics",
    "contact_metrics",
    "contact_vertices",
    "evaluate_scene",
    "evaluation_cameras",
    "group_penetration",
    "image_metrics",
    "match_people",
    "nearest",
    "normal_l2",
    "pairwise_distance",
    "psnr",
    "sample_with_normals",
    "ssim",
    "surface_metrics",
]
