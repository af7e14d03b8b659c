"""Brings a network from the hub, or from a folder of the user's, into the cache: complete or not at all, only when asked to."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from huddle3d.errors import LicenceRequiredError, WeightsMissingError
from huddle3d.progress import Progress, silent
from huddle3d.weights._fetch import commit
from huddle3d.weights._hub import RECORD, HubModel, hub_problems, lookup_hub, wanted
from huddle3d.weights._registry import cache_dir

__all__ = ["fetch_hub"]


def fetch_hub(name: str, *, folder: str | Path | None = None, revision: str | None = None, progress: Progress = silent) -> Path:
    """Fetch a network into the cache and return its folder. Does nothing if the cache holds a sound one already.

    Only settings (JSON) and safetensors are taken; sizes and, where the hub states them, sha256 are checked.

    Args:
        name: key in ``hub.toml``.
        folder: a copy of the repository on this machine; nothing is downloaded then.
        revision: commit, tag or branch instead of the registered one; fetches anew.
        progress: receives the steps.

    Raises:
        WeightsMissingError: offline, the package huggingface_hub is missing, the hub has no such thing, or what came is not the network.
        LicenceRequiredError: the hub wants an account and an accepted licence.
    """
    model = lookup_hub(name)
    target = cache_dir() / name
    if folder is None and revision is None and not hub_problems(model, target):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{name}.tmp-", dir=target.parent) as scratch:
            staged = Path(scratch) / "files"
            staged.mkdir()
            if folder is not None:
                source = {"folder": str(Path(folder).absolute())}
                _copy(model, Path(folder), staged)
            else:
                source = {"repo": model.repo, "commit": _download(model, revision or model.revision, staged, progress)}
            if problems := hub_problems(model, staged):
                raise _missing(model, f"What came is not the network: {'; '.join(problems)}.")
            progress(0.95, "hashing")
            rows = [_row(p) for p in sorted(staged.iterdir())]
            (staged / RECORD).write_text(json.dumps({**source, "files": rows}, indent=1) + "\n", encoding="utf-8")
            commit(staged, target, lambda: not hub_problems(model, target))
    except OSError as e:
        raise WeightsMissingError(
            f"The network '{name}' cannot be written to {target}.", why=str(e), next_step="Set HUDDLE3D_CACHE to a folder with room."
        ) from e
    progress(1.0, "verified")
    return target


def _row(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        return {"name": path.name, "size": path.stat().st_size, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}


def _copy(model: HubModel, folder: Path, staged: Path) -> None:
    if problems := hub_problems(model, folder):
        raise WeightsMissingError(
            f"{folder}: not the network '{model.name}'.",
            why="; ".join(problems) + ".",
            next_step=f"Give a copy of the repository {model.page}, or a folder that `save_pretrained` wrote.",
        )
    for path in sorted(p for p in folder.iterdir() if wanted(p.name) and p.is_file()):
        shutil.copyfile(path, staged / path.name)


def _download(model: HubModel, revision: str, staged: Path, progress: Progress) -> str:
    """Bring the files of one commit; returns the commit."""
    if os.environ.get("HUDDLE3D_OFFLINE", "") not in ("", "0"):
        raise _missing(model, "HUDDLE3D_OFFLINE is set.")
    try:
        import huggingface_hub
        from huggingface_hub import errors
    except ImportError as e:
        raise WeightsMissingError(
            f"The network '{model.name}' cannot be fetched without the package huggingface_hub.",
            next_step="Run `pip install 'huddle3d[transformers]'`, then fetch again.",
            name=model.name,
        ) from e
    progress(0.0, f"asking for {model.repo} at {revision}")
    try:
        info = huggingface_hub.HfApi().model_info(model.repo, revision=revision, files_metadata=True)
        entries = [s for s in info.siblings or [] if wanted(s.rfilename)]
        total = sum(s.size or 0 for s in entries) or 1
        done = 0
        for entry in entries:
            progress(0.9 * done / total, f"downloading {entry.rfilename} ({(entry.size or 0) / 1e6:.0f} MB)")
            path = huggingface_hub.hf_hub_download(model.repo, entry.rfilename, revision=info.sha, local_dir=staged)
            done += _checked(model, Path(path), entry)
    except errors.GatedRepoError as e:
        raise _gated(model, str(e)) from e
    except (errors.HfHubHTTPError, errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError, errors.EntryNotFoundError, ValueError) as e:
        raise _missing(model, _first_line(e)) from e
    except Exception as e:
        # The client lets the errors of its transport through, which differ between its versions (requests, httpx).
        if isinstance(e, WeightsMissingError) or (isinstance(e, OSError) and e.errno is not None and e.filename is not None):
            raise
        raise _missing(model, _first_line(e)) from e
    shutil.rmtree(staged / ".cache", ignore_errors=True)
    return str(info.sha)


def _checked(model: HubModel, path: Path, entry: Any) -> int:
    """Size of a file that came, after its size and, for large files, its hash were compared with what the hub states."""
    size = path.stat().st_size
    if entry.size is not None and size != entry.size:
        raise _missing(model, f"{path.name} has {size} bytes instead of {entry.size}.")
    stated = getattr(entry.lfs, "sha256", None)
    if stated is not None and _row(path)["sha256"] != stated:
        raise _missing(model, f"{path.name} has another sha256 than the hub states.")
    return size


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _missing(model: HubModel, why: str) -> WeightsMissingError:
    return WeightsMissingError(
        f"The network '{model.name}' could not be fetched from {model.page}.",
        why=why,
        next_step=f"Run `huddle3d models fetch {model.name}` with a network connection, or bring config.json, preprocessor_config.json and "
        f"model.safetensors from that page to this machine and run `huddle3d models fetch {model.name} --folder FOLDER`.",
        name=model.name,
    )


def _gated(model: HubModel, why: str) -> LicenceRequiredError:
    return LicenceRequiredError(
        f"{model.page} gives the network '{model.name}' only to those who accepted its licence ({model.licence}).",
        why=why.strip().splitlines()[0] if why.strip() else "",
        next_step=f"Accept it on that page, log in with `hf auth login`, and run `huddle3d models fetch {model.name}` again; or download the files in the "
        f"browser and run `huddle3d models fetch {model.name} --folder FOLDER`.",
        name=model.name,
        page=model.page,
    )
