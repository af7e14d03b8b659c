"""Synthetic people with exact truth: seeded scenes of dressed people who touch, made of nothing but the body model and this code."""

from huddle3d.synthesis.assets.folder import Assets
from huddle3d.synthesis.build import SceneBuilder, SyntheticScene, build_scene, dress_scene, place_camera
from huddle3d.synthesis.captions import CAPTION_WORDS, caption_group, caption_person, colour_name
from huddle3d.synthesis.clothes.outfits import OUTFIT_STYLES, OutfitStyle, draw_outfit, draw_person, draw_shape
from huddle3d.synthesis.pictures.photograph import PreparedScene, Shot, SyntheticSample, photographs, prepare_scene, render_scene
from huddle3d.synthesis.pictures.styles import is_held_out, sample_style
from huddle3d.synthesis.pictures.truth import SurfaceTruth
from huddle3d.synthesis.pictures.viewpoints import view_cameras
from huddle3d.synthesis.pictures.writing import write_sample
from huddle3d.synthesis.poses.motion import close_frames, plan_motion, read_couple, retarget
from huddle3d.synthesis.poses.solve import SolveConfig, goal_gaps, solve_interaction
from huddle3d.synthesis.sampling import DEMO_FAMILY, DEMO_SEED, ClothesRange, sample_spec
from huddle3d.synthesis.spec import (
    ALL_FAMILIES,
    FAMILIES,
    RGB,
    AvatarSpec,
    BackdropSpec,
    CameraSpec,
    Family,
    GarmentSpec,
    HairSpec,
    LensSpec,
    LightSpec,
    MotionSpec,
    PatternSpec,
    PersonSpec,
    PieceSpec,
    SceneSpec,
    WardrobeSpec,
    families_for,
)
from huddle3d.synthesis.wardrobe.draws import draw_wardrobe

__all__ = [
    "Assets",
    "ALL_FAMILIES",
    "CAPTION_WORDS",
    "DEMO_FAMILY",
    "DEMO_SEED",
    "FAMILIES",
    "OUTFIT_STYLES",
    "RGB",
    "AvatarSpec",
    "BackdropSpec",
    "CameraSpec",
    "ClothesRange",
    "Family",
    "GarmentSpec",
    "HairSpec",
    "LensSpec",
    "LightSpec",
    "MotionSpec",
    "OutfitStyle",
    "PatternSpec",
    "PersonSpec",
    "PieceSpec",
    "SceneBuilder",
    "PreparedScene",
    "SceneSpec",
    "Shot",
    "SolveConfig",
    "SurfaceTruth",
    "SyntheticSample",
    "SyntheticScene",
    "WardrobeSpec",
    "build_scene",
    "draw_outfit",
    "dress_scene",
    "draw_person",
    "draw_shape",
    "draw_wardrobe",
    "caption_group",
    "caption_person",
    "close_frames",
    "colour_name",
    "families_for",
    "goal_gaps",
    "is_held_out",
    "photographs",
    "place_camera",
    "prepare_scene",
    "plan_motion",
    "read_couple",
    "render_scene",
    "retarget",
    "sample_spec",
    "sample_style",
    "solve_interaction",
    "view_cameras",
    "write_sample",
]
