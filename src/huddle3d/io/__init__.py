"""Files in and out, and all their limits. What comes from outside is checked here and nowhere else; what goes out is complete or absent."""

from huddle3d.io.body_results import BodyResults, read_body_results
from huddle3d.io.bvh import BvhMotion, read_bvh
from huddle3d.io.bvh_write import write_bvh
from huddle3d.io.coco import CocoFile, CocoImage, CocoPerson, read_coco, write_coco
from huddle3d.io.files import atomic_file, prepare_output_dir, safe_name, write_bytes
from huddle3d.io.glb_read import read_glb
from huddle3d.io.glb_write import linear_from_srgb, srgb_from_linear, write_glb
from huddle3d.io.images import DecodedImage, encode_image, read_image, rgb_bytes, write_image
from huddle3d.io.json_files import json_path, parse_json, validate_json
from huddle3d.io.layout import Layout, leading_number, read_arrays
from huddle3d.io.limits import MAX_JSON_BYTES, display_name, read_regular_file
from huddle3d.io.mesh_data import MeshData, corner_normals, corner_split
from huddle3d.io.mhclo import ClothesFile, read_mhclo
from huddle3d.io.npz import BROKEN_NPZ
from huddle3d.io.obj import read_obj, write_obj
from huddle3d.io.ply import read_ply, write_ply
from huddle3d.io.rgba import read_rgba
from huddle3d.io.tensors import write_tensors
from huddle3d.io.video import write_video

__all__ = [
    "BROKEN_NPZ",
    "BodyResults",
    "BvhMotion",
    "ClothesFile",
    "CocoFile",
    "CocoImage",
    "CocoPerson",
    "DecodedImage",
    "Layout",
    "MAX_JSON_BYTES",
    "MeshData",
    "atomic_file",
    "corner_normals",
    "corner_split",
    "display_name",
    "encode_image",
    "json_path",
    "leading_number",
    "linear_from_srgb",
    "parse_json",
    "prepare_output_dir",
    "read_body_results",
    "read_arrays",
    "read_bvh",
    "read_coco",
    "read_glb",
    "read_image",
    "read_mhclo",
    "read_obj",
    "read_ply",
    "read_regular_file",
    "read_rgba",
    "rgb_bytes",
    "safe_name",
    "srgb_from_linear",
    "validate_json",
    "write_bvh",
    "write_bytes",
    "write_coco",
    "write_glb",
    "write_image",
    "write_obj",
    "write_ply",
    "write_tensors",
    "write_video",
]
