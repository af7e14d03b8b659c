"""Tensors of a PyTorch checkpoint (``.pt``, ``.pth``, ``.ckpt``) without running anything that is in it.

Such a file is a zip archive: a pickle that names tensors, and their numbers as plain bytes beside it. The pickle is read with an unpickler
that knows the few constructors of tensors and ordered dictionaries; whatever else the file asks for becomes an inert stand-in, which does
nothing when it is called, filled or changed.
"""

from __future__ import annotations

import math
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from huddle3d.errors import InputError, ResourceLimitError
from huddle3d.io import display_name

__all__ = ["read_checkpoint"]

_LIMIT_BYTES = 8 << 30
_PICKLE_LIMIT = 64 << 20
_STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


class _Inert:
    """Stands for everything that is not a tensor or a plain container."""

    def __new__(cls, *_: object, **__: object) -> _Inert:
        return super().__new__(cls)

    def __init__(self, *_: object, **__: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...

    def __setitem__(self, *_: object) -> None: ...

    def append(self, _: object) -> None:
        """Items of an unknown list are dropped."""

    def extend(self, _: object) -> None:
        """Items of an unknown list are dropped."""


class _Ordered(dict):  # type: ignore[type-arg]
    """Stands for an ordered dictionary; keeps no attributes (state dictionaries carry a ``_metadata``)."""

    def __setstate__(self, _: object) -> None: ...


class _Kind:
    """Stands for a storage class: the type of its numbers."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype

    def __setstate__(self, _: object) -> None:
        raise pickle.UnpicklingError("it tries to change a number type")


class _Function:
    """A constructor that a pickle may call but not change."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def __call__(self, *args: object) -> object:
        return self.function(*args)

    def __setstate__(self, _: object) -> None:
        raise pickle.UnpicklingError("it tries to change a constructor")


def _tensor(storage: object, offset: object, size: object, stride: object, *_: object) -> object:
    if not isinstance(storage, Tensor):
        return _Inert()
    shape, step, start = tuple(int(n) for n in size), tuple(int(n) for n in stride), int(offset)  # type: ignore[call-overload, attr-defined]
    if len(shape) != len(step) or min((start, *shape, *step), default=0) < 0:
        raise pickle.UnpicklingError("a tensor with negative or mismatched sizes")
    last = start + sum((n - 1) * s for n, s in zip(shape, step)) if all(shape) else start - 1
    if last >= len(storage) or math.prod(shape) > max(1, len(storage)):
        raise pickle.UnpicklingError("a tensor that reaches beyond its storage")
    return storage.as_strided(shape, step, start).clone()


def _parameter(data: object, *_: object) -> object:
    return data


_FUNCTIONS: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor_v2"): _Function(_tensor),
    ("torch._utils", "_rebuild_tensor"): _Function(_tensor),
    ("torch._utils", "_rebuild_parameter"): _Function(_parameter),
}


class _CheckpointUnpickler(pickle.Unpickler):
    def __init__(self, file: Any, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(file, encoding="utf-8")
        self._archive, self._root = archive, root
        self._storages: dict[str, Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _FUNCTIONS:
            return _FUNCTIONS[module, name]
        if module == "torch" and name in _STORAGES:
            return _Kind(_STORAGES[name])
        return _Ordered if (module, name) == ("collections", "OrderedDict") else _Inert

    def persistent_load(self, pid: Any) -> Any:
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage" or not isinstance(pid[1], _Kind):
            return _Inert()
        kind, key, count = pid[1], str(pid[2]), int(pid[4])
        if key not in self._storages:
            content = bytearray(self._archive.read(f"{self._root}/data/{key}"))
            if len(content) != count * kind.dtype.itemsize:
                raise pickle.UnpicklingError(f"storage {key!r} has another length than it says")
            self._storages[key] = torch.frombuffer(content, dtype=kind.dtype) if count else torch.zeros(0, dtype=kind.dtype)
        return self._storages[key]


def read_checkpoint(path: Path, *, inside: tuple[str, ...] = ("model", "state_dict", "params_ema")) -> dict[str, Tensor]:
    """All named tensors of a ``.safetensors`` file or of a PyTorch checkpoint.

    Args:
        path: the file.
        inside: if the checkpoint is a dictionary with one of these entries, the tensors are looked for there. A prefix ``module.`` that all
            names share is dropped.

    Raises:
        InputError: unreadable, not such a file, in PyTorch's format from before 2020, or without a tensor.
        ResourceLimitError: more than 8 GiB.
    """
    name = display_name(path)
    if not path.is_file():
        raise InputError(f"{name}: no such file.", next_step="Give the checkpoint's path.")
    if path.stat().st_size > _LIMIT_BYTES:
        raise ResourceLimitError(f"{name}: larger than {_LIMIT_BYTES >> 30} GiB.", next_step="Give the file of the network alone.")
    try:
        content = load_file(str(path)) if path.suffix == ".safetensors" else _read_zip(path)
    except (ResourceLimitError, InputError):
        raise
    except Exception as e:
        reason = " ".join(str(e).split()) or type(e).__name__
        kind = "a safetensors file" if isinstance(e, SafetensorError) else "a checkpoint of tensors"
        raise InputError(f"{name}: not {kind}.", why=f"{reason}.", next_step="Download the file again from its publisher.") from e
    for entry in inside:
        if isinstance(content, dict) and isinstance(content.get(entry), dict):
            content = content[entry]
            break
    tensors = {str(k): v for k, v in content.items() if isinstance(v, Tensor)} if isinstance(content, dict) else {}
    if not tensors:
        raise InputError(f"{name}: holds no named tensors.", next_step="Give the checkpoint of the network.")
    if all(k.startswith("module.") for k in tensors):
        tensors = {k.removeprefix("module."): v for k, v in tensors.items()}
    return tensors


def _read_zip(path: Path) -> Mapping[str, Any]:
    if not zipfile.is_zipfile(path):
        raise InputError(
            f"{display_name(path)}: not a checkpoint in PyTorch's zip format.",
            why="It may be damaged, or older than PyTorch 1.6, whose format cannot be read safely.",
            next_step="Save it again with a newer PyTorch, or as safetensors.",
        )
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if sum(m.file_size for m in members) > _LIMIT_BYTES:
            raise ResourceLimitError(f"{display_name(path)}: unpacks to more than {_LIMIT_BYTES >> 30} GiB.")
        pickles = [m for m in members if m.filename.endswith("/data.pkl") and m.filename.count("/") == 1]
        if len(pickles) != 1 or pickles[0].file_size > _PICKLE_LIMIT:
            raise pickle.UnpicklingError("it has no single table of contents (data.pkl) of a sensible size")
        if f"{pickles[0].filename.partition('/')[0]}/byteorder" in archive.namelist():
            order = archive.read(f"{pickles[0].filename.partition('/')[0]}/byteorder")
            if order.strip() != b"little":
                raise pickle.UnpicklingError("its numbers are in big-endian order")
        with archive.open(pickles[0]) as file:
            return _CheckpointUnpickler(file, archive, pickles[0].filename.partition("/")[0]).load()
