"""Rotations, transforms, cameras, sampling, triangles. Torch only; imports nothing of the project but its errors."""

from huddle3d.geometry.cameras import AZIMUTHS_DEG, Camera, canonical_cameras, look_at
from huddle3d.geometry.rotations import (
    matrix_from_quaternion,
    matrix_from_six_d,
    nearest_rotation,
    quaternion_from_matrix,
    rotation_angle,
    rotation_between,
    rotation_x,
    rotation_y,
    rotation_z,
    six_d_from_matrix,
    skew,
    so3_exp,
    so3_log,
)
from huddle3d.geometry.sampling import sample_image
from huddle3d.geometry.transforms import apply, apply_direction, inverse, scale_of, se3, similarity, umeyama
from huddle3d.geometry.triangles import edges, face_areas, face_normals, mean_neighbour, sample_surface, vertex_normals

__all__ = [
    "AZIMUTHS_DEG",
    "Camera",
    "apply",
    "apply_direction",
    "canonical_cameras",
    "edges",
    "face_areas",
    "face_normals",
    "inverse",
    "look_at",
    "matrix_from_quaternion",
    "matrix_from_six_d",
    "mean_neighbour",
    "nearest_rotation",
    "quaternion_from_matrix",
    "rotation_angle",
    "rotation_between",
    "rotation_x",
    "rotation_y",
    "rotation_z",
    "sample_image",
    "sample_surface",
    "scale_of",
    "se3",
    "similarity",
    "six_d_from_matrix",
    "skew",
    "so3_exp",
    "so3_log",
    "umeyama",
    "vertex_normals",
]
