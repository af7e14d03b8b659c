"""A first guess of bodies from keypoints, 3D landmarks and masks, learned from synthetic pairs."""

from huddle3d.fitting.regressor.answers import Answer, Numbers, answer_size
from huddle3d.fitting.regressor.model import REGRESSOR_WEIGHTS, Regressor, load_regressor, read_regressor, save_regressor
from huddle3d.fitting.regressor.sights import MAP, POINTS, Sights, virtual_camera

__all__ = [
    "MAP",
    "POINTS",
    "REGRESSOR_WEIGHTS",
    "Answer",
    "Numbers",
    "Regressor",
    "Sights",
    "answer_size",
    "load_regressor",
    "read_regressor",
    "save_regressor",
    "virtual_camera",
]
