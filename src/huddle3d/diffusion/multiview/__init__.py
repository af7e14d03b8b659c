"""Multi-view diffusion (HUG-MVD): conventions of its pictures, noise, lock-step sampling of a group and its people, stored models."""

from huddle3d.diffusion.multiview.adapter import ViewAdapter, ViewInputs, Views
from huddle3d.diffusion.multiview.denoiser import NetworkDenoiser, PictureConditions, sets_at_once
from huddle3d.diffusion.multiview.model import MULTIVIEW_WEIGHTS, MultiViewModel, first_completion, load_multiview, read_multiview, save_multiview
from huddle3d.diffusion.multiview.sampling import Composition, Denoiser, SamplerConfig, sample_views
from huddle3d.diffusion.multiview.schedule import NoiseSchedule, Prediction, check_prediction

__all__ = [
    "Composition",
    "Denoiser",
    "MULTIVIEW_WEIGHTS",
    "MultiViewModel",
    "NetworkDenoiser",
    "NoiseSchedule",
    "PictureConditions",
    "Prediction",
    "SamplerConfig",
    "ViewAdapter",
    "ViewInputs",
    "Views",
    "check_prediction",
    "first_completion",
    "load_multiview",
    "read_multiview",
    "sample_views",
    "save_multiview",
    "sets_at_once",
]
