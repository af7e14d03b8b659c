"""One TensorFlow Lite network, run by LiteRT on the CPU."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from huddle3d.errors import WeightsMissingError
from huddle3d.perception._config import PerceiveConfig

__all__ = ["LiteNetwork", "Network", "Networks", "load_networks", "weights_digest", "weights_in_use"]


class Network(Protocol):
    """Maps one square float image to the network's raw outputs."""

    size: int
    """Side of the input [px]."""

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, ...]:
        """``image`` (size, size, 3) float32 → outputs in the order of the file, without their batch axis."""
        ...


class LiteNetwork:
    """A network file with one image input."""

    def __init__(self, path: Path, num_threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        try:
            with _quiet_stderr():
                self._interpreter: Any = Interpreter(model_path=str(path), num_threads=num_threads)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as e:
            raise WeightsMissingError(
                f"{path}: LiteRT cannot read this network.", why=str(e), next_step="Run `huddle3d models fetch blazepose`."
            ) from e
        (entry,) = self._interpreter.get_input_details()
        self._input = entry["index"]
        self._outputs = [d["index"] for d in sorted(self._interpreter.get_output_details(), key=lambda d: d["name"])]
        self.size = int(entry["shape"][1])

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, ...]:
        """See :class:`Network`."""
        self._interpreter.set_tensor(self._input, np.ascontiguousarray(image[None], dtype=np.float32))
        self._interpreter.invoke()
        return tuple(self._interpreter.get_tensor(i)[0] for i in self._outputs)


@dataclass(frozen=True)
class Networks:
    """The networks of the embedded backend."""

    pose_detection: Network
    pose_landmark: Network
    palm_detection: Network
    hand_landmark: Network
    face_detection: Network
    face_landmark: Network
    pose_landmark_heavy: Network | None = None
    """A second landmark network, slower and usually better; each person is seen by both."""

    def landmark_variants(self) -> list[Networks]:
        """These networks once for each landmark network, which stands in for ``pose_landmark``; the best one first."""
        if self.pose_landmark_heavy is None:
            return [self]
        return [replace(self, pose_landmark=self.pose_landmark_heavy, pose_landmark_heavy=None), replace(self, pose_landmark_heavy=None)]


def load_networks(folder: Path, num_threads: int = 1, *, heavy: Path | None = None) -> Networks:
    """Open the files of the weights ``blazepose`` in ``folder`` and of ``blazepose-heavy`` in ``heavy``."""
    names = (
        "pose_detection", "pose_landmark_full", "palm_detection_full", "hand_landmark_full", "face_detection_full_range_sparse", "face_landmark",
    )  # fmt: skip
    second = None if heavy is None else LiteNetwork(heavy / "pose_landmark_heavy.tflite", num_threads)
    return Networks(*(LiteNetwork(folder / f"{name}.tflite", num_threads) for name in names), pose_landmark_heavy=second)


def weights_digest(config: PerceiveConfig) -> str:
    """Names and hashes of all weights on this machine that :func:`~huddle3d.perception.perceive` uses; equal text, equal networks."""
    from huddle3d.weights import folders_of, hub_digest, hub_folder, registry

    given = folders_of(config.weights)
    parts = [f"{name} {registry()[name].sha256}" for name in weights_in_use(config)]
    parts += [f"{task} {name} {hub_digest(hub_folder(name, given))}" for task, name in config.from_hub.items()]
    return ", ".join(parts)


def weights_in_use(config: PerceiveConfig) -> tuple[str, ...]:
    """Names of the embedded backend's sets of weights on this machine that :func:`~huddle3d.perception.perceive` uses."""
    from huddle3d.weights import verify

    return tuple(name for name in ("blazepose", "blazepose-heavy") if not verify(name) and (config.heavy or name == "blazepose"))


@contextlib.contextmanager
def _quiet_stderr() -> Iterator[None]:
    """LiteRT's C++ code writes an INFO line to file descriptor 2 when it starts; a library does not print."""
    sys.stderr.flush()
    keep = os.dup(2)
    try:
        with open(os.devnull, "wb") as null:
            os.dup2(null.fileno(), 2)
        yield
    finally:
        os.dup2(keep, 2)
        os.close(keep)
