"""Data of the multi-view completion: what it is given and what it should return, made from synthetic scenes."""

from huddle3d.training.views.bank import CHANNELS, SetRecord, ViewBank, decode, encode, read_view_bank
from huddle3d.training.views.disturb import DisturbConfig
from huddle3d.training.views.harvest import ViewsConfig, harvest_views, views_of_index
from huddle3d.training.views.sample import Patches, SampleConfig, ViewSample, view_sample
from huddle3d.training.views.scenes import SceneConfig, SceneSource, check_sources
from huddle3d.training.views.truth import TrueMaps, TrueViews, true_maps, true_views

__all__ = [
    "CHANNELS",
    "DisturbConfig",
    "Patches",
    "SampleConfig",
    "SceneConfig",
    "SceneSource",
    "SetRecord",
    "TrueMaps",
    "TrueViews",
    "ViewBank",
    "ViewSample",
    "ViewsConfig",
    "check_sources",
    "decode",
    "encode",
    "harvest_views",
    "read_view_bank",
    "true_maps",
    "true_views",
    "view_sample",
    "views_of_index",
]
