"""The surface network's data and training: windows of synthetic photographs, and what is true in them."""

from huddle3d.training.surface.augment import mirrored, photometric
from huddle3d.training.surface.bank import CropBank, CropsConfig, crops_of_index, harvest_crops, read_crop_bank
from huddle3d.training.surface.crops import CropConfig, SurfaceTarget, crops_of_photo, decode, encode
from huddle3d.training.surface.train import SurfaceTraining, SurfaceValidation, surface_loss, train_surface, validate_surface

__all__ = [
    "CropBank",
    "CropConfig",
    "CropsConfig",
    "SurfaceTarget",
    "SurfaceTraining",
    "SurfaceValidation",
    "crops_of_index",
    "crops_of_photo",
    "decode",
    "encode",
    "harvest_crops",
    "mirrored",
    "photometric",
    "read_crop_bank",
    "surface_loss",
    "train_surface",
    "validate_surface",
]
