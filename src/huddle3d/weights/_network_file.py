"""Our own network files: safetensors in half precision, with a header in JSON that says what the tensors are and how their network is built."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from huddle3d.errors import InputError
from huddle3d.io import display_name, write_tensors
from huddle3d.weights._registry import weights_path

__all__ = ["NetworkKind", "half_precision", "loaded"]

T = TypeVar("T")
M = TypeVar("M", bound=nn.Module)

_HEADER = "huddle3d"
"""Key of the header in a file's metadata."""
_SPOILT = (OSError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, MemoryError)
"""What reading a file that is not of its kind, or building what it describes, can raise."""


def half_precision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state as it is stored: plain memory layout (channels-last weights too), on the CPU, 16 bits a number."""
    return {k: v.detach().to("cpu", torch.float16).contiguous(memory_format=torch.contiguous_format).clone() for k, v in state.items()}


def loaded(make: Callable[[], M], state: Mapping[str, Tensor], *, fixed: Collection[str] = ()) -> M:
    """A network with a state: on the CPU, in evaluation mode, without gradients.

    Args:
        make: builds the network.
        state: its tensors.
        fixed: names of tensors that are not stored; they stay as ``make`` made them.

    Raises:
        RuntimeError: other keys or shapes. They are compared before memory is taken, so that a file's header cannot ask for more than the file holds.
    """
    with torch.device("meta"):
        expected = {k: v.shape for k, v in make().state_dict().items() if k not in fixed}
    for key in expected:
        if key in state and state[key].shape != expected[key]:
            raise RuntimeError(f"{key} has shape {tuple(state[key].shape)}, expected {tuple(expected[key])}")
    if odd := sorted(expected.keys() ^ state.keys()):
        raise RuntimeError(f"{odd[0]} is {'missing' if odd[0] in expected else 'not known'}")
    network = make()
    network.load_state_dict(dict(state), strict=False)  # the fixed ones are absent; all others were compared
    return network.eval().requires_grad_(False)


@dataclass(frozen=True)
class NetworkKind:
    """One kind of our network files.

    Example:
        >>> NetworkKind("huddle3d-surface", "a surface network", "huddle3d train surface").key
        'huddle3d-surface'
    """

    key: str
    """What the header calls it."""
    what: str
    """In words, with its article; for errors."""
    command: str
    """Trains one; for errors."""

    def chosen(self, source: str, *, embedded: str, setting: str) -> Path:
        """The file that a setting names.

        Args:
            source: ``embedded``, or a path.
            embedded: name of the embedded set of weights; its file is called so, too.
            setting: name of the setting; for errors.

        Raises:
            WeightsMissingError: the embedded one is absent.
            InputError: no such file.
        """
        if source == "embedded":
            return weights_path(embedded) / f"{embedded}.safetensors"
        if not Path(source).is_file():
            raise InputError(f"{display_name(source)}: no such file.", next_step=f"{setting} is none, embedded, or a file of `{self.command}`.")
        return Path(source)

    def digest(self, source: str, *, embedded: str, setting: str) -> str:
        """sha256 of that file; empty for ``none``."""
        return "" if source == "none" else hashlib.sha256(self.chosen(source, embedded=embedded, setting=setting).read_bytes()).hexdigest()

    def write(self, path: str | os.PathLike[str], tensors: Mapping[str, Tensor], header: Mapping[str, object], *, overwrite: bool = False) -> None:
        """One file, complete or absent.

        Args:
            path: of the file.
            tensors: contiguous, on the CPU (:func:`half_precision`).
            header: what building the network again needs; values of JSON.
            overwrite: replace a file.
        """
        write_tensors(path, tensors, metadata={_HEADER: json.dumps({"kind": self.key, **header})}, overwrite=overwrite)

    def read(self, paths: Path | str | os.PathLike[str] | Sequence[Path], build: Callable[[dict[str, Any], dict[str, Tensor]], T]) -> T:
        """What a file, or several that hold one network, describe.

        Args:
            paths: one file, or all of one network; the last one's header counts.
            build: makes the result of the header and of all tensors (single precision, on the CPU). Whatever it raises about them is a fault of the file.

        Raises:
            InputError: not such a file, damaged, or its keys and shapes are not those of its own header.
        """
        files = list(paths) if isinstance(paths, Sequence) and not isinstance(paths, str) else [Path(paths)]
        current, header, tensors = files[0], {}, {}
        try:
            for current in files:
                with safe_open(str(current), framework="pt") as file:
                    header = json.loads((file.metadata() or {}).get(_HEADER, "{}"))
                    if not isinstance(header, dict) or header.get("kind") != self.key:
                        raise ValueError("its header does not say that it is one")
                    tensors |= {key: file.get_tensor(key).float() for key in file.keys()}
            current = files[0]
            return build(header, tensors)
        except _SPOILT as e:
            why = " ".join(str(e).split())[:300].rstrip(".")
            raise InputError(
                f"{display_name(current)}: not {self.what}.", why=f"{why}.", next_step=f"Copy it again, or train one with `{self.command}`."
            ) from e
