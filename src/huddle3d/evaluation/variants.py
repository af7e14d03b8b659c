"""Named configurations for ablations: a JSON file of settings that differ from the base configuration."""

from __future__ import annotations

import dataclasses
import os
import types
import typing
from pathlib import Path
from typing import Any

from huddle3d.errors import InputError
from huddle3d.io import MAX_JSON_BYTES, display_name, parse_json, read_regular_file, safe_name
from huddle3d.people import PeopleConfig

__all__ = ["override", "read_variants"]

_EXAMPLE = '{"full": {}, "no-carving": {"carve.iterations": 0}}'


def override(config: Any, path: str, value: Any) -> Any:
    """A copy of a tree of frozen dataclasses with the field at the dotted ``path`` set to ``value``.

    Raises:
        InputError: no such field, a group instead of a field, or a value of another type or outside of its choices (an int may stand for a float, a
            list for a tuple, a text for a path).
    """
    name, _, rest = path.partition(".")
    names = [f.name for f in dataclasses.fields(config)] if dataclasses.is_dataclass(config) else []
    if name not in names or not dataclasses.is_dataclass(config) or isinstance(config, type):
        raise InputError(f"There is no setting {name!r} in {type(config).__name__}.", why=f"It has {', '.join(names) or 'no settings'}.")
    old = getattr(config, name)
    if rest:
        return dataclasses.replace(config, **{name: override(old, rest, value)})
    if dataclasses.is_dataclass(old):
        raise InputError(f"{name!r} is a group of settings.", next_step=f"Name one of them: {', '.join(f.name for f in dataclasses.fields(old))}.")
    kind = typing.get_type_hints(type(config))[name]
    try:
        value = _fitting(kind, value)
    except TypeError as e:
        told = kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")
        raise InputError(f"The setting {path!r} is {told}, got {value!r}.", next_step=f"Its default is {old!r}.") from e
    return dataclasses.replace(config, **{name: value})


def _fitting(kind: Any, value: Any) -> Any:
    """A value from a file as a field of this annotated type holds it; ``TypeError`` if it cannot."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else _fitting(next(a for a in args if a is not types.NoneType), value)
    if origin is tuple and isinstance(value, list | tuple):
        kinds = args[:1] * len(value) if args[1:] == (...,) else args
        if len(kinds) == len(value):
            return tuple(_fitting(k, v) for k, v in zip(kinds, value))
    elif origin is typing.Literal:
        if any(type(value) is type(a) and value == a for a in args):
            return value
    elif kind is Path and isinstance(value, str | Path):
        return Path(value)
    elif kind is float and type(value) is int:
        return float(value)
    elif isinstance(kind, type) and type(value) is kind:
        return value
    raise TypeError


def read_variants(path: str | os.PathLike[str], base: PeopleConfig) -> dict[str, PeopleConfig]:
    """Configurations by name; the first one is what the others are compared with.

    The file is a JSON object: name → object of dotted setting → value, for example
    ``{"full": {}, "no-carving": {"carve.iterations": 0}}``.

    Raises:
        InputError: not such a file, fewer than one variant, a name that cannot name a folder, an unknown setting or a wrong type.
    """
    name = display_name(Path(path))
    tree = parse_json(read_regular_file(path, MAX_JSON_BYTES), path)
    if not isinstance(tree, dict) or not tree or not all(isinstance(v, dict) for v in tree.values()):
        raise InputError(f"{name}: not a file of variants.", why="It is not an object of objects.", next_step=f"For example {_EXAMPLE}.")
    out: dict[str, PeopleConfig] = {}
    for variant, settings in tree.items():
        if not variant or safe_name(variant) != variant:
            raise InputError(f"{name}: {variant!r} cannot name a folder.", next_step=f"For example {safe_name(variant)!r}.")
        config = base
        for setting, value in settings.items():
            try:
                config = override(config, setting, value)
            except InputError as e:
                raise InputError(f"{name}: variant {variant!r}, {setting!r}: {e.what}", why=e.why, next_step=e.next_step) from e
        out[variant] = config
    return out
