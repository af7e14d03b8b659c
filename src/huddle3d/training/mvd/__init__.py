"""Training of the view completion: denoiser of 64² views, and the upsampler to 256²."""

from huddle3d.training.mvd.batches import Draw, ViewBatch, draw_photos, make_batch, mirrored_maps, network_space
from huddle3d.training.mvd.config import MvdTraining, Prediction, RunSettings, TrainingData, UpsamplerTraining
from huddle3d.training.mvd.model import ViewDenoiser, sample_views
from huddle3d.training.mvd.train import MvdValidation, train_mvd, validate_mvd
from huddle3d.training.mvd.upsampler import UpsamplerValidation, train_upsampler, validate_upsampler
from huddle3d.training.mvd.validate import Scores, Tally, baseline_pictures, completed_pictures, picture_sheet

__all__ = [
    "Draw",
    "MvdTraining",
    "MvdValidation",
    "Prediction",
    "RunSettings",
    "Scores",
    "Tally",
    "TrainingData",
    "UpsamplerTraining",
    "UpsamplerValidation",
    "ViewBatch",
    "ViewDenoiser",
    "baseline_pictures",
    "completed_pictures",
    "draw_photos",
    "make_batch",
    "mirrored_maps",
    "network_space",
    "picture_sheet",
    "sample_views",
    "train_mvd",
    "train_upsampler",
    "validate_mvd",
    "validate_upsampler",
]
