"""``scene.json``: the scene as other programs read it. The schema is versioned; ``docs/scene-json.md`` explains it.

All pixels are those of the full-size upright photo, whatever size the work was done at, with pixel centres at +0.5.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Annotated, Literal

import torch
from pydantic import AllowInfNan, BaseModel, ConfigDict, Field
from torch import Tensor

from huddle3d import __version__
from huddle3d.errors import InputError
from huddle3d.geometry import Camera
from huddle3d.io import MAX_JSON_BYTES, display_name, parse_json, read_regular_file, validate_json, write_bytes
from huddle3d.scene.landmarks import BODY, LANDMARKS
from huddle3d.scene.scene import PersonSummary, Scene
from huddle3d.scene.types import Contact, Penetration

__all__ = ["SCENE_SCHEMA", "SceneDocument", "read_scene_json", "scene_document", "write_scene_json"]

SCENE_SCHEMA = 1
"""Version of the schema: raised when a member is removed or changes its meaning; added members keep it."""

Number = Annotated[float, AllowInfNan(False)]
Unit = Annotated[Number, Field(ge=0, le=1)]
Row3 = Annotated[list[Number], Field(min_length=3, max_length=3)]
Row4 = Annotated[list[Number], Field(min_length=4, max_length=4)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class PhotoEntry(_Part):
    """The photo."""

    name: str
    """File name without its suffix, made safe."""
    sha256: str
    """Of the file's bytes."""
    width: Annotated[int, Field(ge=1)]
    """Of the upright full-size photo [px]."""
    height: Annotated[int, Field(ge=1)]
    """Of the upright full-size photo [px]."""


class CameraEntry(_Part):
    """The input camera: u = K · (T_cam_world · X), divided by the third coordinate."""

    convention: Literal["opencv"] = "opencv"
    """Camera frame: x right, y down, z forward."""
    kind: Literal["perspective", "orthographic"]
    """An orthographic camera is not divided by depth."""
    K: Annotated[list[Row3], Field(min_length=3, max_length=3)]
    """Calibration by rows [px of the full-size photo]."""
    T_cam_world: Annotated[list[Row4], Field(min_length=4, max_length=4)]
    """World to camera by rows [m]."""
    focal_source: Literal["exif", "user", "bodies", "default"]
    """Where the focal length comes from; "bodies" = the file of first bodies, "default" = assumed or fitted."""


class ParametersEntry(_Part):
    """Parameters of the fitted body (world frame)."""

    model: str
    """Parametric body model; its documentation defines the numbers."""
    shape: list[Number]
    """Anny: phenotypes in [0, 1]; SMPL family: betas."""
    pose: list[Row3]
    """Rotation vectors by joint [rad]; the first is the global orientation."""
    translation: Row3
    """Position of the root joint [m]."""
    expression: list[Number]
    """Face coefficients; may be empty."""


class ContactEntry(_Part):
    """A body region of this person that touches a region of a partner."""

    region: str
    """This person's body region."""
    partner: str
    """Name of the other person."""
    partner_region: str
    """The partner's body region."""
    vertices: Annotated[int, Field(ge=0)]
    """Vertices within the contact radius."""
    distance_mm: Number
    """Smallest signed distance [mm]; negative = penetrating."""


class PenetrationEntry(_Part):
    """How deep this person's surface lies inside a partner."""

    partner: str
    """Name of the other person; the person's own name for self-penetration."""
    max_mm: Annotated[Number, Field(ge=0)]
    """Deepest vertex [mm]."""
    mean_mm: Annotated[Number, Field(ge=0)]
    """Mean over penetrating vertices [mm]."""
    volume_cm3: Annotated[Number, Field(ge=0)]
    """Shared volume [cm³]."""


class PersonEntry(_Part):
    """One person."""

    name: str
    """Also the name of the node in scene.glb."""
    box: Row4
    """Where the person was found: x0, y0, x1, y1 [px of the full-size photo]."""
    joints: Annotated[list[Row3], Field(min_length=17, max_length=17)]
    """The fitted body's joints in the photo, in the order of joint_names: u, v [px of the full-size photo], confidence in [0, 1]
    (0: not seen in the photo, the position comes from the priors)."""
    parameters: ParametersEntry
    """Of the fitted body, before its surface was refined."""
    contacts: list[ContactEntry]
    """With all partners."""
    penetration: list[PenetrationEntry]
    """With all partners, and with itself if that was measured."""
    confidence: Unit
    """Of the whole person."""
    reprojection_px: Annotated[Number, Field(ge=0)]
    """Mean distance of the fitted joints to the observed ones [px of the full-size photo]."""
    warnings: list[str]
    """What is doubtful about this person."""


class SceneDocument(_Part):
    """The document."""

    format: Literal["huddle3d scene"] = "huddle3d scene"
    schema_version: Literal[1] = SCENE_SCHEMA
    """Version of this schema."""
    generator: str
    """Program and version that wrote the file."""
    world: Literal["right-handed, y up, metres"] = "right-handed, y up, metres"
    """Frame of scene.glb and of all 3D numbers."""
    photo: PhotoEntry
    camera: CameraEntry
    joint_names: Annotated[list[str], Field(min_length=17, max_length=17)]
    """COCO-17, left and right are the subject's own."""
    people: list[PersonEntry]
    """In the order of the nodes of scene.glb."""
    warnings: list[str]
    """What is doubtful about the scene as a whole."""


def scene_document(scene: Scene) -> SceneDocument:
    """The scene as a document, in pixels of the full-size photo; :class:`InputError` if a number is NaN or infinite."""
    width, height = scene.full_size
    scale = torch.tensor([width / scene.camera.width, height / scene.camera.height])
    document = {
        "generator": f"huddle3d {__version__}",
        "photo": {"name": scene.photo_name, "sha256": scene.photo_sha256, "width": width, "height": height},
        "camera": _camera(scene.camera.resized(width, height), scene.focal_source),
        "joint_names": list(LANDMARKS[BODY]),
        "people": [_person(scene, summary, scale) for summary in scene.summaries],
        "warnings": list(scene.warnings),
    }
    return validate_json(document, SceneDocument, f"scene of {scene.photo_name}")


def write_scene_json(path: str | os.PathLike[str], scene: Scene, *, overwrite: bool = False) -> None:
    """Write ``scene.json``; complete or absent, and the same scene gives the same bytes."""
    text = json.dumps(scene_document(scene).model_dump(), indent=1, ensure_ascii=False, allow_nan=False)
    write_bytes(path, text.encode() + b"\n", overwrite=overwrite)


def read_scene_json(path: str | os.PathLike[str]) -> SceneDocument:
    """Read and check a ``scene.json``; :class:`InputError` names the place of a mistake."""
    tree = parse_json(read_regular_file(path, MAX_JSON_BYTES), path)
    if isinstance(tree, dict) and tree.get("format") == "huddle3d scene" and tree.get("schema_version") != SCENE_SCHEMA:
        version = str(tree.get("schema_version"))[:20]
        raise InputError(f"{display_name(path)}: schema version {version}, this program reads {SCENE_SCHEMA}.", next_step="Run the photo again.")
    return validate_json(tree, SceneDocument, path)


def _camera(camera: Camera, focal_source: str) -> dict[str, object]:
    return {"kind": camera.kind, "K": _list(camera.K, 4), "T_cam_world": _list(camera.T_cam_world, 7), "focal_source": focal_source}


def _person(scene: Scene, summary: PersonSummary, scale: Tensor) -> dict[str, object]:
    joints = summary.joints.detach().cpu().float() * torch.cat([scale, torch.ones(1)])
    params = summary.params
    return {
        "name": summary.name,
        "box": _list(summary.box.detach().cpu().float() * scale.repeat(2), 2),
        "joints": [[*_list(j[:2], 2), *_list(j[2:], 4)] for j in joints],
        "parameters": {
            "model": scene.body_model,
            "shape": _list(params.shape[0], 6),
            "pose": _list(params.pose[0], 6),
            "translation": _list(params.translation[0], 6),
            "expression": _list(params.expression[0], 6),
        },
        "contacts": list(_contacts(scene.contacts, summary.name)),
        "penetration": list(_penetrations(scene.penetrations, summary.name)),
        "confidence": round(summary.confidence, 4),
        "reprojection_px": round(summary.reprojection_px * float(scale.mean()), 3),
        "warnings": list(summary.warnings),
    }


def _contacts(contacts: tuple[Contact, ...], name: str) -> Iterator[dict[str, object]]:
    """This person's contacts; one that was measured from the partner's side only is turned round."""
    own = {(c.a, c.region_a, c.b, c.region_b) for c in contacts}
    for c in contacts:
        if c.a == name:
            region, partner, partner_region = c.region_a, c.b, c.region_b
        elif c.b == name and (c.b, c.region_b, c.a, c.region_a) not in own:
            region, partner, partner_region = c.region_b, c.a, c.region_a
        else:
            continue
        distance = round(c.distance_mm, 3)
        yield {"region": region, "partner": partner, "partner_region": partner_region, "vertices": c.vertices, "distance_mm": distance}


def _penetrations(penetrations: tuple[Penetration, ...], name: str) -> Iterator[dict[str, object]]:
    own = {(p.a, p.b) for p in penetrations}
    for p in penetrations:
        if p.a == name or (p.b == name and (p.b, p.a) not in own):
            partner = p.b if p.a == name else p.a
            volume = round(p.volume_cm3, 3)
            yield {"partner": partner, "max_mm": round(p.max_mm, 3), "mean_mm": round(p.mean_mm, 3), "volume_cm3": volume}


def _list(tensor: Tensor, digits: int) -> list:
    """Nested lists of rounded numbers: the last bits would differ between machines and tell nothing."""
    values = tensor.detach().cpu().double().tolist()
    return _rounded(values, digits)


def _rounded(values: list | float, digits: int) -> list:
    return [_rounded(v, digits) if isinstance(v, list) else round(v, digits) for v in values]  # type: ignore[union-attr]
