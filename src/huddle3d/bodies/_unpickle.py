"""Reads the pickles in which SMPL and MANO are distributed without running anything that is in them.

A pickle is a program. This reader lets it name a dozen constructors, all of them ours, standing in for those of numpy, scipy and chumpy, and
refuses every other name. None of numpy's own unpickling runs either, so a hostile file can at most describe arrays, no larger than itself.
"""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np

from huddle3d.errors import InputError

__all__ = ["read_pickled_arrays"]

_NUMBER = re.compile("[fiu][1248]")
_MAX_CELLS = 50_000_000


class _Holder:
    """Stands for an object of chumpy or scipy: keeps its attributes and nothing else."""

    state: dict[str, Any]

    def __new__(cls, *args: object) -> Self:
        self = super().__new__(cls)
        self.state = {}
        return self

    def __setstate__(self, state: object) -> None:
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, dict):
                self.state |= part


class _Columns(_Holder):
    """A matrix compressed by columns."""


class _Rows(_Holder):
    """A matrix compressed by rows."""


class _Dtype:
    """Stands for a number type; ``code`` is None for everything else."""

    __slots__ = ("code",)

    def __init__(self, code: object, *options: object) -> None:
        self.code = code if isinstance(code, str) and _NUMBER.fullmatch(code) else None

    def __setstate__(self, state: object) -> None:
        if self.code is not None and isinstance(state, tuple) and len(state) > 1 and state[1] == ">":
            self.code = ">" + self.code


class _Array:
    """Stands for an array; ``value`` is None unless it holds numbers."""

    __slots__ = ("value",)

    def __init__(self, *constructor: object) -> None:
        self.value: np.ndarray | None = None

    def __setstate__(self, state: object) -> None:
        _version, shape, dtype, fortran, content = state  # pyright: ignore[reportGeneralTypeIssues]
        self.value = _filled(content, dtype, shape, "F" if fortran else "C")

    @classmethod
    def from_buffer(cls, content: object, dtype: object, shape: object, order: object) -> _Array:
        """Numpy's other form (protocol 5)."""
        out = cls()
        out.value = _filled(content, dtype, shape, "F" if order == "F" else "C")
        return out


def _filled(content: object, dtype: object, shape: object, order: Any) -> np.ndarray | None:
    content = content.encode("latin1") if isinstance(content, str) else content
    if not isinstance(dtype, _Dtype) or dtype.code is None or not isinstance(content, bytes | bytearray | memoryview):
        return None
    size = tuple(int(n) for n in shape)  # pyright: ignore[reportGeneralTypeIssues]
    flat = np.frombuffer(content, dtype=dtype.code)
    if min(size, default=0) < 0 or math.prod(size) != len(flat):
        raise pickle.UnpicklingError("an array whose content does not fill its shape")
    return flat.reshape(size, order=order).astype(flat.dtype.newbyteorder("="))


class _Constructor:
    """A function that a pickle may call but not change."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[..., object]) -> None:
        self.function = function

    def __call__(self, *args: object) -> object:
        return self.function(*args)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("it tries to change a constructor")


def _encoded(text: object, codec: object = "latin1") -> bytes:
    return str(text).encode("latin1")


def _rebuilt(kind: object, base: object, state: object) -> _Holder:
    if not (isinstance(kind, type) and issubclass(kind, _Holder)):
        raise pickle.UnpicklingError("an object of a class that does not belong in a body model")
    return kind()


_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")
_NUMERIC = ("numpy.core.numeric", "numpy._core.numeric")
_ALLOWED: dict[tuple[str, str], Any] = {
    **{(module, "_reconstruct"): _Constructor(_Array) for module in _MULTIARRAY},
    **{(module, "scalar"): _Constructor(_Array) for module in _MULTIARRAY},
    **{(module, "_frombuffer"): _Constructor(_Array.from_buffer) for module in _NUMERIC},
    ("numpy", "ndarray"): _Constructor(_Array),
    ("numpy", "dtype"): _Constructor(_Dtype),
    ("_codecs", "encode"): _Constructor(_encoded),
    ("copy_reg", "_reconstructor"): _Constructor(_rebuilt),
    ("copyreg", "_reconstructor"): _Constructor(_rebuilt),
    ("__builtin__", "object"): _Constructor(_Holder),
    ("builtins", "object"): _Constructor(_Holder),
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        if module.startswith("scipy.sparse") and name in ("csc_matrix", "csc_array"):
            return _Columns
        if module.startswith("scipy.sparse") and name in ("csr_matrix", "csr_array"):
            return _Rows
        if module == "chumpy" or module.startswith("chumpy."):
            return _Holder
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which has no place in a body model")


def read_pickled_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a pickled dictionary, dense; entries that are not numeric arrays are left out.

    Raises:
        InputError: truncated, not a pickle of a dictionary, or a pickle that asks for anything but arrays (nothing of it is run).
    """
    try:
        with path.open("rb") as file:
            content = _ArrayUnpickler(file, encoding="latin1").load()
    except Exception as e:
        raise InputError(f"{path}: not a readable body model.", why=f"{e}.", next_step="Download the file again from its publisher.") from e
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds {type(content).__name__}, expected a dictionary of arrays.")
    dense = {str(key): _dense(value, path, str(key)) for key, value in content.items()}
    return {key: value for key, value in dense.items() if value is not None}


def _dense(value: object, path: Path, key: str) -> np.ndarray | None:
    """A numeric array from an array, a chumpy object or a sparse matrix; None for anything else."""
    if isinstance(value, _Columns | _Rows):
        return _dense_matrix(value, path, key)
    if isinstance(value, _Holder):
        return _dense(value.state.get("x"), path, key)
    return value.value if isinstance(value, _Array) else None


def _dense_matrix(value: _Columns | _Rows, path: Path, key: str) -> np.ndarray:
    try:
        rows, columns = (int(n) for n in value.state.get("_shape", value.state.get("shape", ())))
        if rows < 0 or columns < 0 or rows * columns > _MAX_CELLS:
            raise ValueError(f"{rows}×{columns} is too large")
        data, indices, indptr = (value.state[k].value for k in ("data", "indices", "indptr"))
        major = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
        out = np.zeros((rows, columns))
        out[(major, indices) if isinstance(value, _Rows) else (indices, major)] = data
    except (AttributeError, KeyError, ValueError, IndexError, TypeError) as e:
        raise InputError(f"{path}: the sparse matrix {key!r} is damaged.", why=f"{e}.", next_step="Download the file again.") from e
    return out
