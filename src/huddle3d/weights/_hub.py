"""Larger networks on the Hugging Face hub: what ``hub.toml`` says of them, and the folders that hold them on this machine."""

from __future__ import annotations

import functools
import hashlib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from huddle3d.errors import InputError, WeightsMissingError
from huddle3d.weights._registry import WeightFile, cache_dir, digest_of, file_problem

__all__ = ["TASKS", "HubModel", "folders_of", "hub_digest", "hub_folder", "hub_models", "hub_problems", "record_of"]

TASKS = ("boxes", "keypoints", "masks", "normals", "depth")
"""What a network on the hub can do for perception."""
RECORD = "fetched.json"
"""Beside fetched files: which repository and commit they come from, and their sizes and hashes."""
_MAX_JSON = 1 << 22
_SHARD = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors")
_WANTED = re.compile(r"(config|preprocessor_config|processor_config|model\.safetensors\.index)\.json|" + _SHARD.pattern + r"|LICENSE(\.\w+)?")


@dataclass(frozen=True)
class HubModel:
    """One network on the hub."""

    name: str
    """Key in ``hub.toml``."""
    title: str
    """What it is, in one line."""
    task: str
    """One of :data:`TASKS`."""
    families: tuple[str, ...]
    """Values of ``model_type`` in its ``config.json`` that are accepted."""
    repo: str
    """``owner/name`` on the hub."""
    revision: str
    """Commit that is fetched, or a branch if no commit is known to us."""
    megabytes: int
    """About what is downloaded."""
    licence: str
    """SPDX identifier."""
    licence_url: str
    """The licence's text, or the page that names it."""
    who_may_use: str
    """In words."""
    card: str
    """File name of the model card."""
    gated: bool = False
    """Whether the hub may ask for an account and an accepted licence."""

    @property
    def page(self) -> str:
        """Its page on the hub."""
        return f"https://huggingface.co/{self.repo}"


@functools.cache
def hub_models() -> dict[str, HubModel]:
    """All networks on the hub that this version knows, by name."""
    table = tomllib.loads((files("huddle3d.weights") / "hub.toml").read_text(encoding="utf-8"))
    return {name: HubModel(name=name, families=tuple(entry.pop("families")), **entry) for name, entry in table.items()}


def lookup_hub(name: str) -> HubModel:
    """The network called ``name``; :class:`InputError` that lists the valid names otherwise."""
    if name not in hub_models():
        raise InputError(f"Unknown network {name!r}.", next_step=f"Known: {', '.join(hub_models())}.")
    return hub_models()[name]


def wanted(file_name: str) -> bool:
    """Whether a file of a repository is one that we take: settings and safetensors, nothing that could run code."""
    return _WANTED.fullmatch(file_name) is not None


def folders_of(given: Sequence[str]) -> dict[str, Path]:
    """``("NAME=FOLDER", …)`` as the user gives them → folder of each name.

    Raises:
        InputError: no ``=``, an unknown name, or a name given twice.
    """
    folders: dict[str, Path] = {}
    for text in given:
        name, equals, folder = text.partition("=")
        if not equals or not folder:
            raise InputError(f"{text!r} does not say which network lies in which folder.", next_step="Write NAME=FOLDER.")
        if lookup_hub(name).name in folders:
            raise InputError(f"The folder of {name!r} is given twice.", next_step="Give one.")
        folders[name] = Path(folder).expanduser()
    return folders


def hub_folder(name: str, given: Mapping[str, Path] | None = None) -> Path:
    """The folder that holds a network: the user's, or the cache's. Nothing is ever fetched here.

    Args:
        name: key in ``hub.toml``.
        given: folders that the user names.

    Raises:
        WeightsMissingError: nothing there, or not what it should be; the message names the command that mends it.
    """
    model = lookup_hub(name)
    own = (given or {}).get(name)
    folder = own if own is not None else cache_dir() / name
    if problems := hub_problems(model, folder):
        how = "Give a folder that `save_pretrained` wrote, or a copy of the repository." if own is not None else _how_to_get(model)
        raise WeightsMissingError(
            f"The network '{name}' is not in {folder}.", why="; ".join(problems) + ".", next_step=how, name=name, folder=str(folder)
        )
    return folder


def _how_to_get(model: HubModel) -> str:
    by_hand = f"`huddle3d models fetch {model.name} --folder FOLDER` with a copy of {model.page} from another machine"
    return f"Run `huddle3d models fetch {model.name}` once with a network connection ({model.licence}, about {model.megabytes} MB), or {by_hand}."


def hub_problems(model: HubModel, folder: Path) -> tuple[str, ...]:
    """What is wrong with the files of a network, in words; empty if they can be loaded. Hashes are checked where the folder has a record."""
    if not folder.is_dir():
        return ("there is no such folder",)
    config = read_settings(folder / "config.json")
    if config is None:
        return ("config.json is absent or damaged",)
    if config.get("model_type") not in model.families:
        return (f"config.json is of a {config.get('model_type')!r} network, not of {' or '.join(model.families)}",)
    shards = shards_of(folder)
    if not shards:
        pickled = any(folder.glob("*.bin")) or any(folder.glob("*.pt"))
        return ("it has no model.safetensors" + (" (only pickled weights, which could run code and are not read)" if pickled else ""),)
    missing = tuple(f"{s.name} is absent" for s in shards if not s.is_file())
    return missing or tuple(problem for f in record_of(folder) if (problem := file_problem(folder / f.name, f)))


def read_settings(path: Path) -> dict[str, Any] | None:
    """A small JSON object; None if it is absent, too large, or not one."""
    try:
        if path.stat().st_size > _MAX_JSON:
            return None
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def shards_of(folder: Path) -> list[Path]:
    """The files of weights: one, or those that the index names; empty if there are none."""
    index = read_settings(folder / "model.safetensors.index.json")
    if index is not None and isinstance(index.get("weight_map"), dict):
        names = {str(v) for v in index["weight_map"].values()}
        return [folder / n for n in sorted(names)] if all(_SHARD.fullmatch(n) for n in names) else []
    return [folder / "model.safetensors"] if (folder / "model.safetensors").is_file() else []


def record_of(folder: Path) -> tuple[WeightFile, ...]:
    """Sizes and hashes as fetched; empty for a folder without a (sound) record."""
    record = read_settings(folder / RECORD)
    try:
        rows = record["files"] if record else []
        return tuple(WeightFile(str(r["name"]), str(r["name"]), int(r["size"]), str(r["sha256"])) for r in rows if wanted(str(r["name"])))
    except (KeyError, TypeError, ValueError):
        return ()


def hub_digest(folder: Path) -> str:
    """One hash of all settings and weights in a folder: says what a result was made with."""
    h = hashlib.sha256()
    for path in sorted(p for p in folder.iterdir() if wanted(p.name)):
        h.update(f"{path.name}={digest_of(path)}\n".encode())
    return h.hexdigest()
