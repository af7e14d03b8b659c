"""``huddle3d export`` and ``convert-body``: fitted bodies for other programs, and as bodies of other models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import torch
import tyro

from huddle3d.bodies import MODEL_LICENCES, BodyModel, load_body, read_bodies_npz, write_bodies_npz
from huddle3d.cli.console import LogFormat, print_line
from huddle3d.errors import InputError
from huddle3d.fitting import Converted, convert_bodies
from huddle3d.geometry import Camera
from huddle3d.io import display_name
from huddle3d.people import BodyFormat, export_bodies, read_run
from huddle3d.scene import Bodies

__all__ = ["convert_body", "export"]

ModelName = Literal["anny", "smpl", "smplx"]


def export(
    run: Annotated[Path, tyro.conf.Positional],
    output: Path | None = None,
    bodies: tuple[BodyFormat, ...] = ("npz", "bvh", "coco"),
    model: ModelName | None = None,
    model_file: Path | None = None,
    unit: Literal["cm", "m"] = "cm",
    keypoints: Literal["observed", "fitted"] = "observed",
    overwrite: bool = False,
    log_format: LogFormat = "text",
) -> int:
    """Write the fitted bodies of a finished run for other programs: npz with the keys of the SMPL family, BVH, COCO JSON.

    OUTPUT gets bodies.npz, one NAME.bvh per person, people.coco.json (which the verb people accepts back) and export.json, which states units, axes, rotation
    order and licence.

    Args:
        run: Folder that people wrote for one photo.
        output: Folder for the files; default RUN/export.
        bodies: Formats to write.
        model: Convert the bodies to this model first (smpl and smplx need your own file).
        model_file: File of that model, or a folder to search; default the folder that HUDDLE3D_BODY_MODELS names.
        unit: Unit of the BVH files.
        keypoints: Of the COCO file: as observed in the photo, or the joints of the fitted bodies.
        overwrite: Write into a folder that holds files.
        log_format: Messages as text or as JSON lines (stderr).
    """
    found, _, _, _ = read_run(run)
    body = _source_model(found.model, None)
    other = None
    if model is not None and model != found.model:
        target = load_body(model, path=model_file)
        converted = convert_bodies(found, body, target)
        _tell(converted, target, log_format)
        other, body = converted.bodies, target
    place = output or run / "export"
    for name in export_bodies(run, place, bodies, body=body, bodies=other, unit=unit, keypoints=keypoints, overwrite=overwrite):
        print_line(f"{place / name}", log_format)
    return 0


def convert_body(
    path: Annotated[Path, tyro.conf.Positional],
    to: ModelName,
    output: Path,
    source: ModelName | None = None,
    source_file: Path | None = None,
    model_file: Path | None = None,
    overwrite: bool = False,
    log_format: LogFormat = "text",
) -> int:
    """Convert bodies of one model to another by surface correspondence: Anny to SMPL-X and back.

    Prints what is left between the two surfaces. Bodies of SMPL and SMPL-X need your own files and carry their licence.

    Args:
        path: An .npz file of bodies: from export, or with the SMPL family's keys (betas, global_orient, body_pose, transl).
        to: Model to convert to.
        output: The .npz file to write.
        source: Model of the given bodies, if the file does not say.
        source_file: File of that model, or a folder to search; default the folder that HUDDLE3D_BODY_MODELS names.
        model_file: File of the model to convert to, or a folder to search.
        overwrite: Replace the output.
        log_format: Messages as text or as JSON lines (stderr).
    """
    if output.suffix != ".npz":
        raise InputError(f"{display_name(output)}: bodies are written as .npz.", next_step="For example --output bodies-smplx.npz.")
    if output.exists() and not overwrite:
        raise InputError(f"{display_name(output)}: already exists.", next_step="Choose another output name, or pass --overwrite.")
    file = read_bodies_npz(path, source)
    model, target = _source_model(file.model, source_file), load_body(to, path=model_file)
    if model.name == target.name:
        raise InputError(f"The bodies are of {to} already.", next_step="Name the other model with --to.")
    with torch.no_grad():
        params = file.params(model)
        out = model(params)
    count = len(file.names)
    given = Bodies(model.name, file.names, params, out.vertices, out.landmarks, _no_camera(), torch.zeros(count), torch.ones(count))
    converted = convert_bodies(given, model, target)
    _tell(converted, target, log_format)
    write_bodies_npz(output, converted.bodies, target, overwrite=overwrite)
    print_line(str(output), log_format)
    return 0


def _source_model(name: str, path: Path | None) -> BodyModel:
    return load_body(name, path=path)


def _no_camera() -> Camera:
    """Bodies of a plain file belong to no picture: a camera of one pixel at the origin."""
    return Camera.perspective(1.0, 1, 1, torch.eye(4))


def _tell(converted: Converted, target: BodyModel, log_format: LogFormat) -> None:
    for name, mean, high, joints in zip(converted.bodies.names, converted.mean_mm, converted.p95_mm, converted.landmark_mm, strict=True):
        text = f"{name}: surfaces agree to {float(mean):.1f} mm on average, 95 % to {float(high):.1f} mm; common landmarks to {float(joints):.1f} mm"
        print_line(text, log_format)
    licence = MODEL_LICENCES.get(target.name, ("", ""))[1]
    if target.name != "anny":
        print_line(f"These bodies carry the licence of {target.name}: {licence}.", log_format)
