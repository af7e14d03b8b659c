"""Larger networks from the hub, through ``transformers``: boxes, key points, masks, normals and depth of people, each replaceable.

All functions take and give pixels of the picture they are shown: x right, y down, the centre of the first pixel at (0.5, 0.5).
"""

from huddle3d.perception.hub._assign import anchors_held, assign_masks
from huddle3d.perception.hub._boxes import find_boxes
from huddle3d.perception.hub._keypoints import find_keypoints
from huddle3d.perception.hub._load import Loaded, has_transformers, load_network
from huddle3d.perception.hub._masks import PersonPrompt, segment_people
from huddle3d.perception.hub._surface import SurfaceMaps, find_depth, find_normals

__all__ = [
    "Loaded",
    "PersonPrompt",
    "SurfaceMaps",
    "anchors_held",
    "assign_masks",
    "find_boxes",
    "find_depth",
    "find_keypoints",
    "find_normals",
    "has_transformers",
    "load_network",
    "segment_people",
]
