"""``huddle3d people``: photographs → textured people."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import tyro

from huddle3d.bodies import load_body
from huddle3d.cli.console import LogFormat, StageProgress, print_error, print_line, unforeseen
from huddle3d.compute import choose_device
from huddle3d.errors import HuddleError, InputError
from huddle3d.io import display_name, safe_name
from huddle3d.people import Given, PeopleConfig, run_photo
from huddle3d.scene import load_photo, read_body_guess

__all__ = ["people"]


def people(
    photos: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="PHOTO [PHOTO ...]")],
    output: Path = Path("out"),
    coco: Path | None = None,
    bodies: Path | None = None,
    weights: tuple[str, ...] = (),
    focal_px: float | None = None,
    max_side: int = 1280,
    device: str = "auto",
    seed: int | None = None,
    max_memory: float | None = None,
    overwrite: bool = False,
    log_format: LogFormat = "text",
    config: PeopleConfig = PeopleConfig(),  # noqa: B008 - frozen; tyro shows its fields as options
) -> int:
    """Reconstruct the people of each photo: one textured mesh per person, in OUTPUT/PHOTO/.

    A run that was stopped resumes when the same command is given again.

    Args:
        photos: JPEG, PNG, WebP, TIFF or HEIC files.
        output: Folder that gets one folder per photo.
        coco: Your own keypoints and masks (COCO JSON) instead of the networks.
        bodies: A SAM 3D Body result for the photo (.npz or .json, docs/how-to/larger-networks.md): who is there, and where the fit starts.
        weights: NAME=FOLDER …: folders of your own that hold larger networks, for --config.perceive.masks sam2.1-large and the like (docs/how-to/larger-networks.md).
        focal_px: Focal length [px of the original photo]; default EXIF, else a usual field of view.
        max_side: Work on at most this many pixels along the longer side (everything; --config.perceive.max-side is for the networks alone).
        device: Where the larger networks compute: auto, cpu, cuda or cuda:N.
        seed: Seed of everything random; the same as --config.seed.
        max_memory: GB for the networks of the view completion; the same as --config.complete.diffusion.max-memory-gb.
        overwrite: Replace another run's outputs in the same folder.
        log_format: Messages and progress as text or as JSON lines (stderr).
        config: Every setting of every stage.
    """
    if not photos:
        raise InputError("No photo was named.", next_step="huddle3d people PHOTO [PHOTO …]")
    if bodies is not None and (coco is not None or len(photos) > 1):
        why = "A file of bodies is of one photo, and says who is in it, as a COCO file does."
        raise InputError("--bodies needs one photo, and no --coco.", why=why, next_step="Leave one of them out.")
    if focal_px is not None and not 0 < focal_px < 1e6:
        raise InputError(f"--focal-px {focal_px} is not a focal length in pixels.", next_step="Give a positive number, or leave it out.")
    if max_side < 128:
        raise InputError(f"--max-side {max_side} is too small to see people.", next_step="Use 256 or more.")
    if max_memory is not None and not 0 < max_memory < 1e6:
        raise InputError(f"--max-memory {max_memory} is not a number of gigabytes.", next_step="Give a positive number, or leave it out.")
    if max_memory is not None:
        config = replace(config, complete=replace(config.complete, diffusion=replace(config.complete.diffusion, max_memory_gb=max_memory)))
    if weights:
        config = replace(config, perceive=replace(config.perceive, weights=(*config.perceive.weights, *weights)))
    choice = choose_device(device)
    print_line(f"device: {choice.device} ({choice.reason})", log_format)
    body = load_body()
    first_failure = 0
    for photo_path, directory in zip(photos, _directories(photos, output), strict=True):
        try:
            photo = load_photo(photo_path, focal_px=focal_px, max_side=max_side)
            with StageProgress(photo.name, log_format) as listener:
                result = run_photo(
                    photo,
                    directory,
                    config if seed is None else replace(config, seed=seed),
                    given=Given(coco=coco, guess=read_body_guess(bodies, photo) if bodies else None),
                    body=body,
                    device=choice.device,
                    device_reason=choice.reason,
                    overwrite=overwrite,
                    listener=listener,
                )
            for warning in (*result.people2d.warnings, *result.bodies.warnings):
                print_line(f"{photo.name}: warning: {warning}", log_format)
            print_line(f"{photo.name}: {len(result.meshes)} people → {directory}/scene.glb, report.html", log_format)
        except HuddleError as error:
            if len(photos) == 1:
                raise
            print_error(error, log_format)
            first_failure = first_failure or error.exit_code
        except Exception as error:
            if len(photos) == 1:
                raise
            told = unforeseen(error, display_name(photo_path))
            print_error(told, log_format)
            first_failure = first_failure or told.exit_code
    return first_failure


def _directories(photos: tuple[Path, ...], output: Path) -> list[Path]:
    """One folder per photo; names that would collide (also on file systems that ignore case) get a piece of the path's hash."""
    names = [safe_name(p.stem) for p in photos]
    folded = [n.casefold() for n in names]
    return [
        output / (n if folded.count(f) == 1 else f"{n}-{hashlib.sha256(str(p.absolute()).encode()).hexdigest()[:8]}")
        for n, f, p in zip(names, folded, photos, strict=True)
    ]
