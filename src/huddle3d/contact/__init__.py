"""Distance, inside tests, interpenetration and contact between triangle meshes; losses on them.

Lengths are metres, reported depths millimetres. Signed distances are negative inside; inside is decided by the generalised winding
number, because body meshes have open borders and parts that pass through each other.
"""

from huddle3d.contact.broad_phase import overlapping_pairs
from huddle3d.contact.crossings import crossing_faces, self_crossing_faces
from huddle3d.contact.distance import closest_point, signed_distance, winding_number
from huddle3d.contact.losses import CARVING, FITTING, PenetrationConfig, attraction_loss, penetration_loss
from huddle3d.contact.maps import ContactMap, contact_map, contact_regions
from huddle3d.contact.penetration import PenetrationDepth, intersection_volume, penetration, penetrations
from huddle3d.contact.query import Closest, MeshQuery
from huddle3d.contact.self_penetration import self_penetration
from huddle3d.contact.terms import PenetrationPairs, PenetrationTerm

__all__ = [
    "CARVING",
    "FITTING",
    "Closest",
    "ContactMap",
    "MeshQuery",
    "PenetrationConfig",
    "PenetrationDepth",
    "PenetrationPairs",
    "PenetrationTerm",
    "attraction_loss",
    "closest_point",
    "contact_map",
    "contact_regions",
    "crossing_faces",
    "intersection_volume",
    "overlapping_pairs",
    "penetration",
    "penetration_loss",
    "penetrations",
    "self_crossing_faces",
    "self_penetration",
    "signed_distance",
    "winding_number",
]
