"""What flows: ``Photo → People2D → Bodies → ViewSet → CompletedViews → CarvedBodies → PersonMesh[] → Scene``.

K people, L = 75 landmarks (:mod:`huddle3d.scene.landmarks`), N = 6 canonical views, V vertices, F faces, J joints. World: right-handed, y up,
metres, floor at y = 0. Images: float in [0, 1], channels last, sRGB. Normals: unit vectors in the canonical frame (= the front view's axes
x right, y up, z towards the front camera).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from huddle3d.geometry import Camera
from huddle3d.io import MeshData, rgb_bytes
from huddle3d.scene.artefact import Artefact

__all__ = ["Bodies", "BodyParams", "CarvedBodies", "CompletedViews", "Contact", "Penetration", "People2D", "PersonMesh", "Photo", "ViewSet"]


@dataclass(frozen=True)
class Photo(Artefact):
    """A decoded picture, upright (EXIF rotation applied)."""

    image: Float[Tensor, "height width 3"]
    """sRGB in [0, 1]."""
    name: str
    """File name without its suffix; names the outputs."""
    sha256: str
    """Hash of the file's bytes (or of the pixels for a picture that never was a file)."""
    focal_px: float | None = None
    """Focal length [px] from EXIF or the user; None if unknown."""
    focal_source: str = "default"
    """``"exif"``, ``"user"``, ``"bodies"`` (a file of first bodies) or ``"default"``."""
    full_size: tuple[int, int] | None = None
    """(width, height) [px] of the upright file if ``image`` was scaled down from it; files that name pixels (``scene.json``) use these."""
    notes: tuple[str, ...] = ()
    """What reading the file assumed, converted or ignored, in words."""

    @property
    def height(self) -> int:
        """Rows [px]."""
        return self.image.shape[0]

    @property
    def width(self) -> int:
        """Columns [px]."""
        return self.image.shape[1]


@dataclass(frozen=True)
class People2D(Artefact):
    """What perception found in one photo. K may be 0 only inside tests: the stage raises instead."""

    names: tuple[str, ...]
    """``person_0`` … from image left to right by box centre."""
    boxes: Float[Tensor, "K 4"]
    """xyxy [px], inside the image."""
    scores: Float[Tensor, "K"]
    """Confidence of each person in [0, 1]."""
    keypoints: Float[Tensor, "K L 3"]
    """``u, v`` [px] and confidence in [0, 1]; confidence 0 = not observed."""
    landmarks3d: Float[Tensor, "K L 4"]
    """Metric, hip-centred [m], and confidence; 0 where the backend has none. OpenCV axes (x right, y down, z away) of a camera that looks at the
    middle of the person's box: networks see a crop, and know nothing of the photo's own axis."""
    masks: Bool[Tensor, "K height width"]
    """Visible pixels of each person; disjoint."""
    source: str
    """``"blazepose"``, ``"coco-json"`` …"""
    warnings: tuple[str, ...] = ()
    """What the backend was unsure of, in words."""
    normals: Float[Tensor, "height width 3"] | None = None
    """Unit vectors, camera axes x right, y up, z towards the camera; 0 where unknown. None if the backend gives none."""
    depth: Float[Tensor, "height width"] | None = None
    """Grows away from the camera; within a person an increasing function of camera z up to scale and shift; NaN where unknown. None if there is none."""


@dataclass(frozen=True)
class BodyParams(Artefact):
    """Parameters of K bodies of one parametric model."""

    shape: Float[Tensor, "K S"]
    """Anny: phenotypes in [0, 1] (gender 0 male … 1 female, age, muscle, weight, height, proportions); SMPL family: betas."""
    pose: Float[Tensor, "K J 3"]
    """Rotation vectors [rad]; joint 0 is the global orientation, the others as the model's conventions say."""
    translation: Float[Tensor, "K 3"]
    """Position of the root joint [m]."""
    expression: Float[Tensor, "K E"]
    """Face coefficients; E may be 0."""


@dataclass(frozen=True)
class Bodies(Artefact):
    """Fitted bodies and the camera, in one upright world."""

    model: str
    """Name of the body model (``"anny"``, ``"smplx"`` …)."""
    names: tuple[str, ...]
    """As in :class:`People2D`."""
    params: BodyParams
    """Parameters, in the world frame."""
    vertices: Float[Tensor, "K V 3"]
    """World [m]."""
    landmarks: Float[Tensor, "K L 3"]
    """World [m]."""
    camera: Camera
    """The input camera (perspective, unbatched)."""
    reprojection_px: Float[Tensor, "K"]
    """Mean confidence-weighted distance of body landmarks to their observations [px]."""
    confidence: Float[Tensor, "K"]
    """In [0, 1]."""
    warnings: tuple[str, ...] = ()
    """In words."""


@dataclass(frozen=True)
class ViewSet(Artefact):
    """The canonical frame with what is known in it: six orthographic views of the bodies and of the reprojected picture."""

    cameras: Camera
    """N orthographic cameras in the canonical frame (batch N)."""
    T_canon_world: Float[Tensor, "4 4"]
    """One similarity for the whole group; content in [-1, 1]³."""
    faces: Int[Tensor, "F 3"]
    """Faces of one body."""
    body_vertices: Float[Tensor, "K V 3"]
    """Fitted bodies, canonical."""
    partial_vertices: Float[Tensor, "K V 3"]
    """Partial mesh after L_geo (Pers2Ortho), canonical."""
    ids: Int[Tensor, "N height width"]
    """z-buffered instance ids of the bodies; -1 = background."""
    normals_group: Float[Tensor, "N height width 3"]
    """Body normals of the group; zero on the background."""
    normals_inst: Float[Tensor, "K N height width 3"]
    """Body normals of each person alone."""
    rgb_group: Float[Tensor, "N height width 3"]
    """Reprojected colours (visible pixels only, else 0)."""
    seen_group: Bool[Tensor, "N height width"]
    """Where ``rgb_group`` holds an observed colour."""
    rgb_inst: Float[Tensor, "K N height width 3"]
    """Reprojected colours of each person."""
    seen_inst: Bool[Tensor, "K N height width"]
    """Where ``rgb_inst`` holds an observed colour."""
    skirt_hems: tuple[float, ...] = ()
    """Where each person's skirt, dress or coat ends, as a share of the way from hip to ankle; 0: legs. Empty: nobody looked."""


@dataclass(frozen=True)
class CompletedViews(Artefact):
    """Full normals and colours in the canonical views, for the group and for each person alone."""

    method: str
    """``"body-prior"`` (named baseline) or the network's name."""
    normals_group: Float[Tensor, "N height width 3"]
    normals_inst: Float[Tensor, "K N height width 3"]
    rgb_group: Float[Tensor, "N height width 3"]
    rgb_inst: Float[Tensor, "K N height width 3"]
    alpha_group: Float[Tensor, "N height width"]
    """Foreground opacity in [0, 1]."""
    alpha_inst: Float[Tensor, "K N height width"]


@dataclass(frozen=True)
class CarvedBodies(Artefact):
    """Meshes after HUG-GR: one per person, same topology as the body, world frame."""

    names: tuple[str, ...]
    vertices: Float[Tensor, "K V 3"]
    """World [m]."""
    faces: Int[Tensor, "F 3"]
    history: Float[Tensor, "steps terms"]
    """Loss terms over the iterations."""
    history_names: tuple[str, ...]
    """Names of the columns of ``history``."""


@dataclass(frozen=True)
class PersonMesh(Artefact):
    """One textured person."""

    name: str
    vertices: Float[Tensor, "V 3"]
    """World [m]."""
    faces: Int[Tensor, "F 3"]
    uv: Float[Tensor, "T 2"]
    """Texture coordinates in [0, 1], v up (OBJ, glTF flips on export)."""
    faces_uv: Int[Tensor, "F 3"]
    """Rows of ``uv`` at each face corner."""
    texture: Float[Tensor, "height width 3"]
    """sRGB, first row = top of the image (v = 1)."""
    confidence: Float[Tensor, "V"]
    """How well each vertex's colour was observed: 1 seen in the photo … 0 invented."""

    def to_mesh_data(self) -> MeshData:
        """This person as files hold it: numpy, 8-bit texture."""
        return MeshData(
            self.name,
            self.vertices.detach().cpu().float().numpy(),
            self.faces.cpu().numpy(),
            self.uv.detach().cpu().float().numpy(),
            self.faces_uv.cpu().numpy(),
            rgb_bytes(self.texture),
        )

    @staticmethod
    def from_mesh_data(mesh: MeshData) -> PersonMesh:
        """A person from a mesh that was read from a file, with full confidence; one grey pixel is the texture of a mesh without one."""
        faces = torch.from_numpy(mesh.faces.astype(np.int64))
        texture = np.full((1, 1, 3), 153, np.uint8) if mesh.texture is None else mesh.texture
        return PersonMesh(
            mesh.name,
            torch.from_numpy(mesh.vertices.astype(np.float32)),
            faces,
            torch.zeros(len(mesh.vertices), 2) if mesh.uv is None else torch.from_numpy(mesh.uv.astype(np.float32)),
            faces if mesh.faces_uv is None else torch.from_numpy(mesh.faces_uv.astype(np.int64)),
            torch.from_numpy(texture.astype(np.float32) / 255),
            torch.ones(len(mesh.vertices)),
        )


@dataclass(frozen=True)
class Penetration(Artefact):
    """Interpenetration of one ordered pair of people (or of one person with itself if both names are equal)."""

    a: str
    b: str
    max_mm: float
    mean_mm: float
    """Mean over penetrating vertices [mm]."""
    volume_cm3: float


@dataclass(frozen=True)
class Contact(Artefact):
    """Two body regions of two people that touch."""

    a: str
    region_a: str
    b: str
    region_b: str
    vertices: int
    """Vertices of ``a``'s region within the contact radius of ``b``'s region."""
    distance_mm: float
    """Smallest signed distance between the regions [mm]; negative = penetrating."""
