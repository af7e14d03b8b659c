"""Photo → all its people: boxes, key points, metric landmarks and masks."""

from huddle3d.perception._config import PerceiveConfig
from huddle3d.perception._perceive import perceive, perceive_with
from huddle3d.perception._runner import Network, Networks, load_networks, weights_digest, weights_in_use

__all__ = ["Network", "Networks", "PerceiveConfig", "load_networks", "perceive", "perceive_with", "weights_digest", "weights_in_use"]
