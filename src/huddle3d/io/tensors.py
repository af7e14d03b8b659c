"""Tensors out, as safetensors."""

from __future__ import annotations

import os
from collections.abc import Mapping

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from huddle3d.errors import InputError
from huddle3d.io.files import atomic_file
from huddle3d.io.limits import display_name

__all__ = ["write_tensors"]


def write_tensors(
    path: str | os.PathLike[str], tensors: Mapping[str, Tensor], *, metadata: Mapping[str, str] | None = None, overwrite: bool = False
) -> None:
    """Write a safetensors file, complete or absent, readable by whom other files are.

    Args:
        path: the file.
        tensors: contiguous, on the CPU, none a view of another.
        metadata: texts of its header.
        overwrite: replace an existing file.

    Raises:
        InputError: no such folder, not writable, or no room.
    """
    with atomic_file(path, overwrite=overwrite) as tmp:
        tmp.touch()
        mode = tmp.stat().st_mode
        try:
            save_file(dict(tensors), tmp, metadata=None if metadata is None else dict(metadata))
        except SafetensorError as e:  # how safetensors reports a full disk
            raise InputError(f"{display_name(path)}: cannot be written.", why=f"{e}.", next_step="Choose a writable folder with room.") from e
        tmp.chmod(mode)  # safetensors makes files that only their owner may read
