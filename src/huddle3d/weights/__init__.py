"""Registry of the networks' weights: what they are, who may use them, and how they come onto this machine."""

from huddle3d.weights._checkpoint import read_checkpoint
from huddle3d.weights._convert import CONVERSIONS, Conversion, Converted, convert
from huddle3d.weights._fetch import fetch
from huddle3d.weights._hub import TASKS, HubModel, folders_of, hub_digest, hub_folder, hub_models, hub_problems
from huddle3d.weights._hub_fetch import fetch_hub
from huddle3d.weights._network_file import NetworkKind, half_precision, loaded
from huddle3d.weights._registry import WeightFile, WeightSet, cache_dir, card, registry, verify, weights_path

__all__ = [
    "CONVERSIONS",
    "Conversion",
    "Converted",
    "TASKS",
    "HubModel",
    "NetworkKind",
    "WeightFile",
    "WeightSet",
    "cache_dir",
    "card",
    "convert",
    "fetch",
    "fetch_hub",
    "folders_of",
    "half_precision",
    "hub_digest",
    "hub_folder",
    "hub_models",
    "hub_problems",
    "loaded",
    "read_checkpoint",
    "registry",
    "verify",
    "weights_path",
]
