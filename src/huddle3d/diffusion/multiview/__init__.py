"""Multi-view diffusion (HUG-MVD): conventions of its pictures, noise, lock-step sampling of a group and its people, stored models."""

from huddle3d.diffusion.multiview.adapter import ViewAdapter, ViewInputs, Views
from huddle3d.diffusion.multiview.denoiser import NetworkDenoiser, PictureConditions
from huddle3d.diffusion.multiview.foundation import FoundationModel, view_prompts
from huddle3d.diffusion.multiview.memory import SetMemory, call_bytes, weight_bytes
from huddle3d.diffusion.multiview.model import MULTIVIEW_WEIGHTS, MultiViewModel, first_completion, load_multiview, read_multiview, save_multiview
from huddle3d.diffusion.multiview.preconditioning import REST_SPREAD, clean_around
from huddle3d.diffusion.multiview.published import PublishedNetworks, read_control, read_published, read_unet
from huddle3d.diffusion.multiview.sampling import Composition, Denoiser, SamplerConfig, sample_views
from huddle3d.diffusion.multiview.schedule import NoiseSchedule, Prediction, check_prediction

__all__ = [
    "Composition",
    "Denoiser",
    "FoundationModel",
    "MULTIVIEW_WEIGHTS",
    "MultiViewModel",
    "NetworkDenoiser",
    "NoiseSchedule",
    "PictureConditions",
    "Prediction",
    "PublishedNetworks",
    "REST_SPREAD",
    "SamplerConfig",
    "SetMemory",
    "ViewAdapter",
    "ViewInputs",
    "Views",
    "call_bytes",
    "check_prediction",
    "clean_around",
    "first_completion",
    "load_multiview",
    "read_control",
    "read_multiview",
    "read_published",
    "read_unet",
    "sample_views",
    "save_multiview",
    "view_prompts",
    "weight_bytes",
]
