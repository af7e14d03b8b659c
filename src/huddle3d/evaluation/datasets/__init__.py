"""Suites and published data sets on the user's disk, all as one sample type. Nothing is fetched: each data set has its own agreement."""

from huddle3d.evaluation.datasets.layout import LazySample
from huddle3d.evaluation.datasets.open import DATASETS, DatasetName, open_dataset

__all__ = ["DATASETS", "DatasetName", "LazySample", "open_dataset"]
