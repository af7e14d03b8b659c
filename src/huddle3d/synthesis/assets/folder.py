"""The folder of MakeHuman assets that a user names: what is in it, and reading it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.errors import InputError
from huddle3d.io import ClothesFile, MeshData, display_name, read_mhclo, read_obj, read_rgba
from huddle3d.synthesis.assets.base_mesh import BASE_VERTICES, BaseMesh, base_mesh
from huddle3d.synthesis.assets.emblems import without_emblem

__all__ = ["ASSETS_VARIABLE", "Asset", "AssetKind", "Assets"]

ASSETS_VARIABLE = "HUDDLE3D_ASSETS"
"""Environment variable that names the folder."""

AssetKind = Literal["clothes", "hair", "eyebrows", "eyelashes", "eyes"]


@dataclass(frozen=True)
class Asset:
    """A mesh with its texture and the way it hangs on the base mesh."""

    fit: ClothesFile
    mesh: MeshData
    texture: Float[Tensor, "height width 4"]
    """sRGB and opacity."""


@dataclass(frozen=True)
class Assets:
    """A folder with ``base/base.obj``, ``clothes``, ``hair``, ``eyebrows``, ``eyelashes``, ``eyes`` and ``skins``.

    Each garment, hair, brow and lash is a folder ``NAME`` with ``NAME.mhclo``, its mesh and one picture; the eyes are ``high-poly.mhclo`` and
    pictures ``*_eye.png``; skins are pictures for the base mesh's texture coordinates.
    """

    folder: Path
    hidden: frozenset[str] = frozenset()
    """Names that draws must not choose; scene files may name them all the same."""

    @staticmethod
    def at(folder: str | os.PathLike[str] | None = None) -> Assets:
        """The given folder, or the one that ``HUDDLE3D_ASSETS`` names, whatever is in it: what is missing is told when it is needed.

        Raises:
            InputError: no folder is named.
        """
        named = folder if folder is not None else os.environ.get(ASSETS_VARIABLE)
        if not named:
            step = f"Give --assets, or set {ASSETS_VARIABLE}, to a folder that holds makehuman, mocap and avatars (those that you need)."
            raise InputError("No folder of assets is named.", next_step=step)
        path = Path(named).expanduser()
        return Assets(path / "makehuman" if (path / "makehuman").is_dir() else path)

    def beside(self, part: str) -> Path:
        """The folder ``part`` (``mocap``, ``avatars``) in this folder or beside it.

        Raises:
            InputError: there is none.
        """
        for place in (self.folder / part, self.folder.absolute().parent / part):
            if place.is_dir():
                return place
        raise InputError(
            f"{display_name(self.folder)}: there is no folder '{part}' in it or beside it.",
            next_step=f"Put the files into {display_name(self.folder / part)}, or name another folder with --assets or {ASSETS_VARIABLE}.",
            path=str(self.folder),
        )

    @staticmethod
    def open(folder: str | os.PathLike[str] | None = None) -> Assets:
        """The given folder, or the one that ``HUDDLE3D_ASSETS`` names; a folder ``makehuman`` in it is preferred.

        Raises:
            InputError: no folder is named, or it holds no base mesh.
        """
        named = folder if folder is not None else os.environ.get(ASSETS_VARIABLE)
        step = f"Set {ASSETS_VARIABLE} to a folder with MakeHuman's base, clothes, hair, eyebrows, eyelashes, eyes and skins."
        if not named:
            raise InputError("No folder of clothes is named.", next_step=step)
        path = Path(named).expanduser()
        path = path / "makehuman" if (path / "makehuman").is_dir() else path
        if not (path / "base" / "base.obj").is_file():
            raise InputError(f"{display_name(path)}: not a folder of MakeHuman assets.", why="base/base.obj is not in it.", next_step=step)
        return Assets(path)

    def names(self, kind: AssetKind) -> tuple[str, ...]:
        """Names of one kind that draws may choose, sorted."""
        return tuple(n for n in self._all(kind) if n not in self.hidden)

    def _all(self, kind: AssetKind) -> tuple[str, ...]:
        pattern = "*.mhclo" if kind == "eyes" else "*/*.mhclo"
        return tuple(sorted(p.stem for p in (self.folder / kind).glob(pattern) if kind == "eyes" or p.parent.name == p.stem))

    def skins(self) -> tuple[str, ...]:
        """Names of the skins that draws may choose, sorted."""
        return tuple(n for n in self._all_skins() if n not in self.hidden)

    def _all_skins(self) -> tuple[str, ...]:
        return tuple(sorted(p.stem for p in (self.folder / "skins").glob("*.jpg")))

    def irises(self) -> tuple[str, ...]:
        """Names of the pictures of eyes, sorted."""
        return tuple(sorted(p.stem for p in (self.folder / "eyes").glob("*_eye.png")))

    def base(self, body_name: str) -> BaseMesh:
        """The base mesh on a body."""
        path = self.folder / "base" / "base.obj"
        return base_mesh(path, self._time(path, "base mesh", ("base.obj",)), body_name)

    def load(self, kind: AssetKind, name: str, *, iris: str = "") -> Asset:
        """Read one asset; ``iris`` chooses the picture of eyes.

        Raises:
            InputError: it is missing (the message lists what there is) or damaged.
        """
        folder = self.folder / kind if kind == "eyes" else self.folder / kind / name
        path = self._file(folder, f"{name}.mhclo", kind, self._all(kind))
        if kind == "eyes":
            picture = self._file(folder, f"{iris}.png", "picture of eyes", self.irises())
        else:
            found = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".png", ".jpg", ".jpeg"))
            if not found:
                raise InputError(f"{display_name(folder)}: the asset has no picture.", next_step="Put its PNG or JPEG texture there.")
            picture = found[0]
        return _read(path, path.stat().st_mtime_ns, picture, picture.stat().st_mtime_ns)

    def skin(self, name: str) -> Float[Tensor, "height width 3"]:
        """A skin's texture, sRGB."""
        path = self._file(self.folder / "skins", f"{name}.jpg", "skin", self._all_skins())
        return _picture(path, path.stat().st_mtime_ns)[..., :3]

    def _file(self, folder: Path, name: str, kind: str, valid: tuple[str, ...]) -> Path:
        stem = name.rsplit(".", 1)[0]
        if stem not in valid:  # names come from scene files: what is not listed, paths included, is never opened
            raise InputError(
                f"{kind} '{display_name(stem)}' is not in the assets folder {display_name(self.folder)}.",
                next_step=f"It has: {', '.join(valid) or 'none'}. Name another folder with {ASSETS_VARIABLE}, or another asset.",
                folder=str(self.folder),
                asset=stem,
            )
        return folder / name

    def _time(self, path: Path, kind: str, valid: tuple[str, ...]) -> int:
        if not path.is_file():
            raise InputError(f"The {kind} {display_name(path)} is missing.", next_step=f"Put {valid[0]} there.")
        return path.stat().st_mtime_ns


@lru_cache(maxsize=64)
def _picture(path: Path, modified_ns: int) -> Tensor:
    return torch.from_numpy(without_emblem(path.parent.name, np.ascontiguousarray(read_rgba(path))))


@lru_cache(maxsize=64)
def _read(path: Path, modified_ns: int, picture: Path, picture_ns: int) -> Asset:
    fit = read_mhclo(path, base_vertices=BASE_VERTICES)
    mesh = read_obj(path.with_name(fit.obj_file))
    if len(mesh.vertices) != len(fit.rows) or mesh.uv is None:
        why = f"The mesh has {len(mesh.vertices)} vertices, the clothes file {len(fit.rows)} lines." if mesh.uv is not None else "It has no uv."
        raise InputError(f"{display_name(path)}: does not fit its mesh {fit.obj_file}.", why=why, next_step="Copy both files again.")
    return Asset(fit, mesh, _picture(picture, picture_ns))
