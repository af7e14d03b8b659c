"""HUG3D: one photograph → one textured mesh per person."""

from huddle3d.people._clothing import ClothingModel, read_clothing, save_clothing
from huddle3d.people._diffusion_completer import known_photo, own_model
from huddle3d.people._fill import fill_colours
from huddle3d.people._html import Figure, Section, page, table
from huddle3d.people._learned_upsampling import large_pictures, learned_upsampler, read_upsampler, save_upsampler, upsampler_guide
from huddle3d.people._surface import RELIEF_M, SurfaceWindows, WindowSurface, mask_logits, predicted_normals, surface_windows, understand
from huddle3d.people._surface_network import SurfaceNetwork, observe_surface, read_surface_network, save_surface_network
from huddle3d.people._view_maps import CONDITION_CHANNELS, ViewMaps, condition_of, picture_of, shrink, view_maps
from huddle3d.people.canonical import CanonicalConfig, PartialConfig, canonicalise
from huddle3d.people.carve import CarveConfig, carve
from huddle3d.people.complete import (
    BodyPrior,
    CompleteConfig,
    Completer,
    DiffusionCompleter,
    DiffusionConfig,
    FoundationCompleter,
    complete,
    completer_of,
)
from huddle3d.people.export import BODY_FORMATS, BodyFormat, coco_image, export_bodies, fitted_keypoints, read_run
from huddle3d.people.identity import Agreed, IdentityChange, IdentityConfig, agree, repair_identity
from huddle3d.people.measure import Measurements, measure_people
from huddle3d.people.outputs import scene_of, versions, write_outputs
from huddle3d.people.paint import PaintConfig, paint
from huddle3d.people.pipeline import STAGES, Listener, PeopleConfig, Reconstruction, reconstruct
from huddle3d.people.run import Given, run_photo
from huddle3d.people.store import RunStore, StageRecord, plain

__all__ = [
    "Agreed",
    "IdentityChange",
    "IdentityConfig",
    "agree",
    "repair_identity",
    "BODY_FORMATS",
    "RELIEF_M",
    "SurfaceNetwork",
    "SurfaceWindows",
    "WindowSurface",
    "mask_logits",
    "ClothingModel",
    "fill_colours",
    "observe_surface",
    "predicted_normals",
    "read_clothing",
    "read_surface_network",
    "save_clothing",
    "save_surface_network",
    "surface_windows",
    "understand",
    "CONDITION_CHANNELS",
    "BodyFormat",
    "BodyPrior",
    "coco_image",
    "export_bodies",
    "fitted_keypoints",
    "read_run",
    "STAGES",
    "CanonicalConfig",
    "CarveConfig",
    "CompleteConfig",
    "Completer",
    "DiffusionCompleter",
    "DiffusionConfig",
    "Figure",
    "FoundationCompleter",
    "Given",
    "Listener",
    "Measurements",
    "PaintConfig",
    "PartialConfig",
    "PeopleConfig",
    "Reconstruction",
    "RunStore",
    "Section",
    "StageRecord",
    "ViewMaps",
    "canonicalise",
    "carve",
    "complete",
    "learned_upsampler",
    "known_photo",
    "large_pictures",
    "completer_of",
    "condition_of",
    "measure_people",
    "own_model",
    "page",
    "paint",
    "picture_of",
    "plain",
    "save_upsampler",
    "read_upsampler",
    "reconstruct",
    "run_photo",
    "scene_of",
    "shrink",
    "table",
    "upsampler_guide",
    "versions",
    "view_maps",
    "write_outputs",
]
