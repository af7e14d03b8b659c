"""Frozen data that flows between stages and saves itself: tensors as safetensors, everything else as JSON beside it.

A subclass is a frozen dataclass whose fields are tensors, plain values, cameras, other artefacts, or tuples and optional forms of
these. ``save`` writes ``NAME.safetensors`` and ``NAME.json``; the JSON file is removed first and written last, both atomically, so a reader
that finds it finds a complete pair, also after a kill between the two. No pickles, no code. Large tensors that are mostly one value (the background of a
view) are stored as the other values and one bit an element that says where they are; reading gives the same bytes back.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from huddle3d.errors import HuddleError, InputError
from huddle3d.geometry import Camera
from huddle3d.io import write_bytes, write_tensors

__all__ = ["Artefact", "Provenance"]

_REGISTRY: dict[str, type[Artefact]] = {}


@dataclass(frozen=True)
class Provenance:
    """Hashes that say what an artefact was made from; a stage is resumed only if all of them match."""

    stage: str = ""
    """Name of the stage that made it."""
    inputs: str = ""
    """sha256 of the input artefacts."""
    config: str = ""
    """sha256 of the stage's resolved configuration."""
    weights: str = ""
    """Names and sha256 of the sets of weights that were used, or empty."""
    version: str = ""
    """Version of the package."""


@dataclass(frozen=True)
class Artefact:
    """Base class of all frozen data types."""

    SCHEMA: ClassVar[int] = 1

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        _REGISTRY[cls.__name__] = cls

    def to(self, target: torch.device | str) -> Self:
        """A copy with all tensors on another device."""
        return replace(self, **{f.name: _to(getattr(self, f.name), target) for f in fields(self)})

    def digest(self) -> str:
        """sha256 over the type, its schema and all values (tensor bytes, shapes and types included)."""
        tensors: dict[str, Tensor] = {}
        tree = _encode(self, "", tensors)
        h = hashlib.sha256(json.dumps(tree, sort_keys=True).encode())
        for name in sorted(tensors):
            t = tensors[name].detach().cpu().contiguous()
            h.update(f"{name}{tuple(t.shape)}{t.dtype}".encode())
            h.update(t.reshape(-1).view(torch.uint8).numpy().tobytes() if t.numel() else b"")
        return h.hexdigest()

    def save(self, stem: str | Path, provenance: Provenance | None = None) -> None:
        """Write ``stem.safetensors`` and ``stem.json``; complete or absent."""
        stem = Path(stem)
        tensors: dict[str, Tensor] = {}
        tree = _encode(self, "", tensors)
        document = {
            "format": "huddle3d artefact",
            "provenance": vars(provenance) if provenance else None,
            "value": tree,
        }
        data = {}
        for node in _tensor_nodes(tree):
            data |= _packed(node, tensors[node["tensor"]].detach().cpu().contiguous())
        text = json.dumps(document, indent=1) + "\n"
        stem.with_name(stem.name + ".json").unlink(missing_ok=True)
        write_tensors(stem.with_name(stem.name + ".safetensors"), data, overwrite=True)
        write_bytes(stem.with_name(stem.name + ".json"), text.encode(), overwrite=True)

    @classmethod
    def load(cls, stem: str | Path) -> Self:
        """Read what :meth:`save` wrote; :class:`InputError` if it is absent, damaged or of another type or schema."""
        value, _ = cls.load_with_provenance(stem)
        return value

    @classmethod
    def load_with_provenance(cls, stem: str | Path) -> tuple[Self, Provenance | None]:
        """Like :meth:`load`, with the hashes that were saved beside it."""
        stem = Path(stem)
        path = stem.with_name(stem.name + ".json")
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            tensors = load_file(str(stem.with_name(stem.name + ".safetensors")))
            value = _decode(document["value"], tensors)
            provenance = Provenance(**document["provenance"]) if document["provenance"] else None
        except FileNotFoundError as e:
            raise InputError(f"{e.filename or path}: no such artefact.", next_step="Run the stage that writes it.") from e
        except OSError as e:
            raise InputError(f"{path}: the artefact cannot be read.", why=e.strerror or str(e)) from e
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError, SafetensorError, HuddleError) as e:
            raise InputError(f"{path}: damaged artefact.", why=str(e), next_step="Delete it and run the stage again.") from e
        if not isinstance(value, cls):
            raise InputError(f"{path}: holds {type(value).__name__}, expected {cls.__name__}.")
        return value, provenance


def _to(value: Any, target: torch.device | str) -> Any:
    if isinstance(value, Tensor | Camera | Artefact):
        return value.to(target)
    if isinstance(value, tuple):
        return tuple(_to(v, target) for v in value)
    return value


def _encode(value: Any, key: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        tensors[key] = value
        return {"tensor": key}
    if isinstance(value, Artefact | Camera) and is_dataclass(value):
        members = {f.name: _encode(getattr(value, f.name), f"{key}.{f.name}" if key else f.name, tensors) for f in fields(value)}
        return {"type": type(value).__name__, "schema": getattr(value, "SCHEMA", 1), "fields": members}
    if isinstance(value, tuple):
        return {"tuple": [_encode(v, f"{key}.{i}", tensors) for i, v in enumerate(value)]}
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise TypeError(f"{key}: {type(value).__name__} cannot be part of an artefact")


_SPARSE_BYTES = 1 << 16
"""Smaller tensors are stored as they are."""
_BITS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def _tensor_nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """All places of a tree that name a tensor."""
    if not isinstance(tree, dict):
        return
    if "tensor" in tree:
        yield tree
        return
    for branch in tree["tuple"] if "tuple" in tree else tree["fields"].values():
        yield from _tensor_nodes(branch)


def _packed(node: dict[str, Any], tensor: Tensor) -> dict[str, Tensor]:
    """What is stored of a tensor; a sparse one is marked in its node: whatever differs (in its bits) from the first element, and where."""
    key, size = node["tensor"], tensor.element_size()
    if tensor.numel() * size < _SPARSE_BYTES or size not in _BITS or tensor.is_complex():
        return {key: tensor.clone()}
    flat = tensor.reshape(-1)
    bits = flat.view(_BITS[size])
    other = bits != bits[0]
    if int(other.sum()) * size + tensor.numel() // 8 > 0.7 * tensor.numel() * size:
        return {key: tensor.clone()}
    node["sparse"] = list(tensor.shape)
    at = torch.from_numpy(np.packbits(other.numpy()))
    return {f"{key}:at": at, f"{key}:fill": flat[:1].clone(), f"{key}:values": flat[other].clone()}


def _unpacked(node: dict[str, Any], tensors: dict[str, Tensor]) -> Tensor:
    key = node["tensor"]
    if "sparse" not in node:
        return tensors[key]
    shape, at, fill, values = [int(n) for n in node["sparse"]], *(tensors[f"{key}:{part}"] for part in ("at", "fill", "values"))
    count = math.prod(shape)
    if min(shape) < 0 or len(at) != -(-count // 8):
        raise ValueError(f"{key}: {len(at)} bytes of places for the shape {shape}")
    other = torch.from_numpy(np.unpackbits(at.numpy(), count=count).view(np.bool_))
    if fill.shape != (1,) or values.shape != (int(other.sum()),) or values.dtype != fill.dtype:
        raise ValueError(f"{key}: {len(values)} values for {int(other.sum())} places")
    flat = fill.repeat(count)
    flat[other] = values
    return flat.reshape(shape)


def _decode(tree: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(tree, dict):
        return tree
    if "tensor" in tree:
        return _unpacked(tree, tensors)
    if "tuple" in tree:
        return tuple(_decode(v, tensors) for v in tree["tuple"])
    cls = Camera if tree["type"] == "Camera" else _REGISTRY[tree["type"]]
    schema = getattr(cls, "SCHEMA", 1)
    if tree["schema"] != schema:
        raise ValueError(f"schema {tree['schema']} of {tree['type']} (this version reads {schema})")
    return cls(**{k: _decode(v, tensors) for k, v in tree["fields"].items()})
