"""Triangles and points to images: visibility, attributes, antialiased silhouettes with gradients, shading."""

from huddle3d.render._colour import srgb_from_linear
from huddle3d.render.antialias import EdgeTopology, antialias, silhouette
from huddle3d.render.interpolate import interpolate, merge_meshes, normal_map
from huddle3d.render.lights import STUDIO_LIGHTS, Light, RenderMesh, ShadeConfig
from huddle3d.render.points import splat_points
from huddle3d.render.raster import Raster, depth_buffer, depth_map, instance_ids, mask, rasterize
from huddle3d.render.shading import LitScene, shade
from huddle3d.render.texture import texture_lookup
from huddle3d.render.turntable import clay, contact_sheet, orbit_cameras, to_uint8, turntable

__all__ = [
    "STUDIO_LIGHTS",
    "EdgeTopology",
    "Light",
    "LitScene",
    "Raster",
    "RenderMesh",
    "ShadeConfig",
    "antialias",
    "clay",
    "contact_sheet",
    "depth_buffer",
    "depth_map",
    "instance_ids",
    "interpolate",
    "mask",
    "merge_meshes",
    "normal_map",
    "orbit_cameras",
    "rasterize",
    "shade",
    "silhouette",
    "splat_points",
    "srgb_from_linear",
    "texture_lookup",
    "to_uint8",
    "turntable",
]
