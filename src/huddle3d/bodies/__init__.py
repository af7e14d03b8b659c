"""Parametric bodies: Anny (embedded) and the SMPL family (files of the user) behind one differentiable interface."""

from huddle3d.bodies._bvh import BVH_ROTATIONS, bvh_motion
from huddle3d.bodies._npz import MODEL_LICENCES, BodiesFile, read_bodies_npz, write_bodies_npz
from huddle3d.bodies._unpickle import read_pickled_arrays
from huddle3d.bodies.load import body_names, joint_regressor, load_body
from huddle3d.bodies.model import BodyModel, Garment, Proxy
from huddle3d.bodies.types import BodyOutput

__all__ = [
    "BVH_ROTATIONS",
    "MODEL_LICENCES",
    "BodiesFile",
    "bvh_motion",
    "read_bodies_npz",
    "write_bodies_npz",
    "BodyModel",
    "BodyOutput",
    "Garment",
    "Proxy",
    "body_names",
    "joint_regressor",
    "load_body",
    "read_pickled_arrays",
]
