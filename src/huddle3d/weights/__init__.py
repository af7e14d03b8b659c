"""Registry of the networks' weights: what they are, who may use them, and how they come onto this machine."""

from huddle3d.weights._checkpoint import read_checkpoint
from huddle3d.weights._convert import CONVERSIONS, Conversion, Converted, convert
from huddle3d.weights._fetch import fetch
from huddle3d.weights._registry import WeightFile, WeightSet, cache_dir, card, registry, verify, weights_path

__all__ = [
    "CONVERSIONS",
    "Conversion",
    "Converted",
    "WeightFile",
    "WeightSet",
    "cache_dir",
    "card",
    "convert",
    "fetch",
    "read_checkpoint",
    "registry",
    "verify",
    "weights_path",
]
