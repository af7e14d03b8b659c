"""Trainers: pose banks and the networks that learn from synthetic people."""

from huddle3d.training.augment import RoughConfig, mirrored, rough
from huddle3d.training.bank import PoseBank, read_bank, read_banks, write_bank
from huddle3d.training.harvest import BankConfig, harvest, is_held
from huddle3d.training.pair_sights import NoiseMix, observed
from huddle3d.training.pair_views import PairViews, ViewConfig, pair_views
from huddle3d.training.prior import PriorTraining, Validation, split_bank, train_prior, validate_prior
from huddle3d.training.recorded import RecordedConfig, record_bank, recorded_pair
from huddle3d.training.recordings import RECORDED_SETS, RecordedSet, Recording, open_recordings
from huddle3d.training.regressor import RegressorReport, RegressorTraining, train_regressor, validate_regressor
from huddle3d.training.vary import VaryConfig, measure_pairs, neighbours

__all__ = [
    "BankConfig",
    "NoiseMix",
    "PairViews",
    "PoseBank",
    "PriorTraining",
    "RECORDED_SETS",
    "RecordedConfig",
    "RecordedSet",
    "Recording",
    "RegressorReport",
    "RegressorTraining",
    "RoughConfig",
    "Validation",
    "ViewConfig",
    "VaryConfig",
    "harvest",
    "is_held",
    "measure_pairs",
    "mirrored",
    "neighbours",
    "observed",
    "pair_views",
    "open_recordings",
    "read_bank",
    "read_banks",
    "record_bank",
    "recorded_pair",
    "rough",
    "split_bank",
    "train_prior",
    "train_regressor",
    "validate_prior",
    "validate_regressor",
    "write_bank",
]
