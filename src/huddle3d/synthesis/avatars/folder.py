"""Rigged, textured people from the assets folder: one array file and one picture each (the layout of VALID, converted)."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from huddle3d.errors import InputError
from huddle3d.io import BROKEN_NPZ, display_name, read_rgba
from huddle3d.io.limits import MAX_FACES, MAX_VERTICES, read_regular_file, require_budget
from huddle3d.synthesis.assets.folder import Assets
from huddle3d.synthesis.spec import AvatarSpec, HairSpec, PersonSpec

__all__ = ["Avatar", "avatar_names", "avatar_person", "read_avatar"]

_MAX_BYTES = 64 * 2**20
"""Of an array file, packed and unpacked."""
_TEXTURE_PX = 1100
"""Textures are halved until they are not higher than this."""
_ARRAYS: dict[str, tuple[tuple[int | str, ...], str]] = {
    "v": (("V", 3), "f"), "f": (("F", 3), "i"), "uv": (("V", 2), "f"), "joints": (("V", 4), "i"), "weights": (("V", 4), "f"),
    "joint_names": (("J",), "U"), "joint_parents": (("J",), "i"), "joint_rest": (("J", 4, 4), "f"), "part": (("V",), "i"), "part_names": (("P",), "U"),
}  # fmt: skip


@dataclass(frozen=True)
class Avatar:
    """A person at rest: arms out, facing +z, feet at 0 [m]; teeth are left out, nobody sees them and no surface metric shall count them."""

    name: str
    vertices: Float[Tensor, "V 3"]
    faces: Int[Tensor, "F 3"]
    uv: Float[Tensor, "V 2"]
    """v up."""
    joints: Int[Tensor, "V 4"]
    """Joints that each vertex follows."""
    weights: Float[Tensor, "V 4"]
    """Their weights; rows sum to 1."""
    joint_names: tuple[str, ...]
    parents: tuple[int, ...]
    """Parents first; -1 for the root."""
    heads: Float[Tensor, "J 3"]
    """Joints at rest [m]."""
    body: Bool[Tensor, "V"]
    """Skin and the clothes modelled into it; neither eyes nor hair that is a part of its own."""
    texture: Float[Tensor, "height width 3"]
    """sRGB."""


def avatar_names(assets: Assets) -> tuple[str, ...]:
    """Names of the rigged people in the assets folder, sorted.

    Raises:
        InputError: no folder ``avatars``, or nobody in it.
    """
    folder = assets.beside("avatars")
    names = tuple(sorted(p.stem for p in folder.glob("*.npz")))
    if not names:
        raise InputError(f"{display_name(folder)}: no avatar is in this folder.", next_step="Put NAME.npz and NAME.jpg of each there.")
    return names


def avatar_person(name: str, index: int) -> PersonSpec:
    """A scene file's entry for a rigged person, named ``person_<index>``; nothing else of a person is needed."""
    bald = HairSpec("none", (0.0, 0.0, 0.0), 0.01, 0)
    return PersonSpec(f"person_{index}", (), (0.6, 0.5, 0.4), (0.3, 0.2, 0.1), (), bald, avatar=AvatarSpec(name))


def read_avatar(assets: Assets, name: str) -> Avatar:
    """One rigged person.

    Raises:
        InputError: it is missing (the message lists who there is), its picture is, or the array file is damaged.
    """
    valid = avatar_names(assets)
    folder = assets.beside("avatars")
    if name not in valid:  # names come from scene files: what is not listed, paths included, is never opened
        raise InputError(
            f"The avatar '{display_name(name)}' is not in {display_name(folder)}.",
            next_step=f"It has: {', '.join(valid)}. Name another folder with --assets, or another avatar.",
            asset=name,
        )
    path, picture = folder / f"{name}.npz", folder / f"{name}.jpg"
    if not picture.is_file():
        raise InputError(f"{display_name(picture)}: the avatar's picture is missing.", next_step="Copy NAME.npz and NAME.jpg again, both.")
    return _read(path, path.stat().st_mtime_ns, picture, picture.stat().st_mtime_ns)


def _arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """The file's arrays, each of the kind and shape that the layout says."""
    data = read_regular_file(path, _MAX_BYTES)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            require_budget(path, "bytes unpacked", sum(i.file_size for i in packed.infolist()), _MAX_BYTES)
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            missing = [k for k in _ARRAYS if k not in file.files]
            if missing:
                raise ValueError(f"it has no array '{missing[0]}'")
            arrays = {k: file[k] for k in _ARRAYS}
    except BROKEN_NPZ as e:
        raise _damaged(path, str(e)) from e
    sizes: dict[str, int] = {}
    for key, (shape, kind) in _ARRAYS.items():
        found = arrays[key]
        wanted = tuple(sizes.setdefault(s, n) if isinstance(s, str) else s for s, n in zip(shape, found.shape, strict=False))
        if found.shape != wanted or len(wanted) != len(shape) or (found.dtype.kind != kind and not (kind == "i" and found.dtype.kind == "u")):
            raise _damaged(path, f"the array '{key}' is {found.dtype} {found.shape}")
    require_budget(path, "vertices", sizes["V"], MAX_VERTICES)
    require_budget(path, "faces", sizes["F"], MAX_FACES)
    return arrays


def _damaged(path: Path, why: str) -> InputError:
    return InputError(f"{display_name(path)}: not an avatar, or a damaged one.", why=f"{why}.", next_step="Copy the file again.", path=str(path))


def _check(path: Path, a: dict[str, NDArray[np.generic]]) -> None:
    """Indices inside their arrays, finite numbers, parents before their children."""
    count, joints = len(a["v"]), len(a["joint_names"])
    inside = [("f", count), ("joints", joints), ("part", len(a["part_names"]))]
    for key, limit in inside:
        values = a[key].astype(np.int64)
        if values.size == 0 or values.min() < 0 or values.max() >= limit:
            raise _damaged(path, f"the array '{key}' points outside")
    for key in ("v", "uv", "weights", "joint_rest"):
        if not np.isfinite(a[key].astype(np.float64)).all():
            raise _damaged(path, f"the array '{key}' is not finite")
    if np.abs(a["weights"].astype(np.float64).sum(1) - 1).max() > 1e-3:
        raise _damaged(path, "the weights do not sum to 1")
    parents = a["joint_parents"].astype(np.int64)
    if parents[0] != -1 or (parents[1:] < 0).any() or (parents[1:] >= np.arange(1, joints)).any():
        raise _damaged(path, "the joints are not a tree with parents first")


@lru_cache(maxsize=8)
def _read(path: Path, modified_ns: int, picture: Path, picture_ns: int) -> Avatar:
    a = _arrays(path)
    _check(path, a)
    parts = [str(n).lower() for n in a["part_names"]]
    part = torch.from_numpy(a["part"].astype(np.int64))
    teeth = torch.isin(part, torch.tensor([i for i, n in enumerate(parts) if "teeth" in n], dtype=torch.long))
    extra = torch.tensor([i for i, n in enumerate(parts) if any(w in n for w in ("eye", "gland", "wig"))], dtype=torch.long)
    faces = torch.from_numpy(a["f"].astype(np.int64))
    faces = faces[~teeth[faces].any(1)]
    used, compact = torch.unique(faces, return_inverse=True)

    def rows(key: str, kind: type) -> Tensor:
        return torch.from_numpy(a[key].astype(kind))[used].contiguous()

    return Avatar(
        name=path.stem,
        vertices=rows("v", np.float32),
        faces=compact.reshape(-1, 3),
        uv=rows("uv", np.float32),
        joints=rows("joints", np.int64),
        weights=rows("weights", np.float32),
        joint_names=tuple(str(n) for n in a["joint_names"]),
        parents=tuple(int(p) for p in a["joint_parents"]),
        heads=torch.from_numpy(a["joint_rest"].astype(np.float32))[:, :3, 3].contiguous(),
        body=~torch.isin(part, extra)[used],
        texture=_texture(picture),
    )


def _texture(path: Path) -> Float[Tensor, "height width 3"]:
    image = torch.from_numpy(np.ascontiguousarray(read_rgba(path)[..., :3])).permute(2, 0, 1)[None]
    while image.shape[2] > _TEXTURE_PX:
        image = torch.nn.functional.avg_pool2d(image, 2)
    return image[0].permute(1, 2, 0).contiguous()
