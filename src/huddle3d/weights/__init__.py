"""Registry of the networks' weights: what they are, who may use them, and how they come onto this machine."""

from huddle3d.weights._fetch import fetch
from huddle3d.weights._registry import WeightFile, WeightSet, cache_dir, card, registry, verify, weights_path

__all__ = ["WeightFile", "WeightSet", "cache_dir", "card", "fetch", "registry", "verify", "weights_path"]
