"""Synthetic people with exact truth: seeded scenes of dressed people who touch, made of nothing but the body model and this code."""

from huddle3d.synthesis.assets import Assets
from huddle3d.synthesis.build import SyntheticScene, build_scene, place_camera
from huddle3d.synthesis.photograph import SyntheticSample, render_scene
from huddle3d.synthesis.sampling import DEMO_FAMILY, DEMO_SEED, sample_spec
from huddle3d.synthesis.solve import SolveConfig, solve_interaction
from huddle3d.synthesis.spec import (
    FAMILIES,
    RGB,
    BackdropSpec,
    CameraSpec,
    Family,
    GarmentSpec,
    HairSpec,
    LensSpec,
    LightSpec,
    PatternSpec,
    PersonSpec,
    PieceSpec,
    SceneSpec,
    WardrobeSpec,
)
from huddle3d.synthesis.wardrobes import draw_wardrobe
from huddle3d.synthesis.writing import write_sample

__all__ = [
    "Assets",
    "DEMO_FAMILY",
    "DEMO_SEED",
    "FAMILIES",
    "RGB",
    "BackdropSpec",
    "CameraSpec",
    "Family",
    "GarmentSpec",
    "HairSpec",
    "LensSpec",
    "LightSpec",
    "PatternSpec",
    "PersonSpec",
    "PieceSpec",
    "SceneSpec",
    "SolveConfig",
    "SyntheticSample",
    "SyntheticScene",
    "WardrobeSpec",
    "build_scene",
    "draw_wardrobe",
    "place_camera",
    "render_scene",
    "sample_spec",
    "solve_interaction",
    "write_sample",
]
