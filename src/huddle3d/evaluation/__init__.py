"""Measures: predicted people against true ones, in the definitions of the published tables."""

from huddle3d.evaluation.ablations import ABLATIONS, Ablations, PaperTable, ablations, paper_tables
from huddle3d.evaluation.aggregate import by_family, by_level, compare_variants, intervals, results_json, summary
from huddle3d.evaluation.alignment import align_surfaces
from huddle3d.evaluation.columns import BODY_COLUMNS, COLUMNS, INSTANCE_COLUMNS, PAPER_COLUMNS, UNSEEN_COLUMNS, Column, format_cell, format_p, row
from huddle3d.evaluation.contacts import ContactMetrics, GroupPenetration, contact_metrics, contact_vertices, group_penetration
from huddle3d.evaluation.depth_order import DepthOrder, depth_order
from huddle3d.evaluation.fit_metrics import FitMetrics, fit_metrics, match_in_picture, true_joints
from huddle3d.evaluation.fit_page import fit_page
from huddle3d.evaluation.fit_pictures import FitPictures, draw_fit
from huddle3d.evaluation.fit_protocol import FIT_INPUTS, FitInput, FitResult, evaluate_fit, sample_key
from huddle3d.evaluation.fit_summary import FIT_COLUMNS, FIT_TARGETS, compare_fits, fit_json, fit_row, fit_summary, fits_by_family, row_name
from huddle3d.evaluation.images import normal_l2, psnr, ssim
from huddle3d.evaluation.joints import BodyMetrics, body_metrics
from huddle3d.evaluation.levels import LEVELS, Interaction, Level, interaction
from huddle3d.evaluation.lpips import LPIPS_VARIABLE, Lpips, load_lpips
from huddle3d.evaluation.matching import match_people, pairwise_distance
from huddle3d.evaluation.metrics import EvaluateConfig, Metrics, PersonMetrics
from huddle3d.evaluation.page import evaluation_page
from huddle3d.evaluation.pictures import ScenePictures, draw_scene
from huddle3d.evaluation.protocol import Protocol, SceneResult, default_specs, evaluate_sample
from huddle3d.evaluation.region_contacts import RegionContacts, TouchingBodies, region_contacts
from huddle3d.evaluation.sample import EvaluationSample
from huddle3d.evaluation.scene import evaluate_scene
from huddle3d.evaluation.statistics import Interval, PairedComparison, median_interval, paired_comparison
from huddle3d.evaluation.surface import (
    SurfaceMetrics,
    SurfacePair,
    SurfaceSamples,
    bbox_iou,
    nearest,
    pair_surfaces,
    sample_with_normals,
    surface_metrics,
)
from huddle3d.evaluation.unseen import SightMap
from huddle3d.evaluation.variants import override, read_variants
from huddle3d.evaluation.views import ImageMetrics, evaluation_cameras, image_metrics
from huddle3d.perception.keypoint_noise import KeypointNoise, NoiseRow, add_keypoint_noise, load_keypoint_noise, pixels_per_metre

__all__ = [
    "ABLATIONS",
    "Ablations",
    "PaperTable",
    "ablations",
    "paper_tables",
    "DepthOrder",
    "depth_order",
    "FitMetrics",
    "FitPictures",
    "draw_fit",
    "fit_metrics",
    "fit_page",
    "match_in_picture",
    "true_joints",
    "FIT_INPUTS",
    "FitInput",
    "FitResult",
    "evaluate_fit",
    "sample_key",
    "FIT_COLUMNS",
    "FIT_TARGETS",
    "fits_by_family",
    "compare_fits",
    "fit_json",
    "fit_row",
    "fit_summary",
    "row_name",
    "KeypointNoise",
    "NoiseRow",
    "add_keypoint_noise",
    "load_keypoint_noise",
    "pixels_per_metre",
    "RegionContacts",
    "TouchingBodies",
    "region_contacts",
    "BODY_COLUMNS",
    "INSTANCE_COLUMNS",
    "PAPER_COLUMNS",
    "UNSEEN_COLUMNS",
    "Column",
    "EvaluationSample",
    "ScenePictures",
    "draw_scene",
    "evaluation_page",
    "align_surfaces",
    "by_family",
    "by_level",
    "compare_variants",
    "format_cell",
    "format_p",
    "intervals",
    "override",
    "read_variants",
    "LEVELS",
    "LPIPS_VARIABLE",
    "GroupPenetration",
    "Interaction",
    "Interval",
    "Level",
    "Lpips",
    "PairedComparison",
    "SightMap",
    "SurfacePair",
    "interaction",
    "load_lpips",
    "median_interval",
    "pair_surfaces",
    "paired_comparison",
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
