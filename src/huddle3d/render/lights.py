"""What a shaded picture is made of: meshes with their colours, lights, and the settings of the shader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.errors import InputError, ShapeError
from huddle3d.io import MeshData
from huddle3d.scene import PersonMesh

__all__ = ["STUDIO_LIGHTS", "Light", "RenderMesh", "ShadeConfig"]

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Light:
    """A distant light. A white surface that faces a light of intensity 1 reflects exactly 1 (display white before tone mapping)."""

    direction: Colour
    """Towards the light, any length: world axes, or for ``frame="camera"`` x to the image right, y to the image top, z towards the viewer."""
    colour: Colour = (1.0, 1.0, 1.0)
    """Linear RGB."""
    intensity: float = 1.0
    """Factor on the colour."""
    frame: Literal["world", "camera"] = "world"
    """Whether the light stands still or turns with the camera."""
    shadow: bool = False
    """Whether bodies cast shadows in it, on each other and on the ground."""
    softness: float = 0.01
    """Radius of the shadow's edge as a fraction of the scene's radius."""
    size_deg: float = 0.0
    """Angle under which the light is seen [deg]; more than 0: the shadow's edge grows with the distance from what casts it, instead of ``softness``."""


STUDIO_LIGHTS = (
    Light((-0.5, 0.75, 0.8), (1.0, 0.96, 0.9), 0.8, "camera", shadow=True, softness=0.02),
    Light((0.9, 0.15, 0.6), (0.85, 0.92, 1.0), 0.22, "camera"),
    Light((0.5, 0.5, -0.9), (1.0, 1.0, 1.0), 0.5, "camera"),
)
"""Key, fill and rim, fixed to the camera."""


@dataclass(frozen=True)
class ShadeConfig:
    """Settings of :func:`huddle3d.render.shade`."""

    lights: tuple[Light, ...] = STUDIO_LIGHTS
    """Direct lights."""
    ambient: float = 0.42
    """Factor on the sky and bounce colours."""
    sky: Colour = (1.0, 1.02, 1.06)
    """Light from above, linear RGB; what the bodies cover of it is dark (ambient occlusion)."""
    bounce: Colour = (0.55, 0.5, 0.46)
    """Light from below, linear RGB."""
    glow: Light | None = None
    """A broad light in world axes (a window, a softbox near by), part of the ambient light: it falls off with the cube of the cosine."""
    ambient_directions: int = 40
    """Directions in which occlusion of the ambient light is tested; 0 turns occlusion off."""
    wrap: float = 0.12
    """How far diffuse light reaches behind the terminator, a stand-in for scattering in skin and cloth."""
    supersample: int = 2
    """Samples per pixel and axis."""
    shadow_size: int = 1024
    """Side of a shadow map [px]."""
    exposure: float = 1.0
    """Factor on the light that leaves surfaces, before highlights are compressed."""
    ground: float | None = None
    """Height (world y) of a ground plane, or none."""
    ground_albedo: Colour | None = None
    """sRGB of the ground, which then fades into the background with distance; none = the ground only darkens the background by shadows."""
    background: tuple[Colour, Colour] = ((0.95, 0.955, 0.96), (0.80, 0.81, 0.82))
    """sRGB at the top and the bottom of the image where no background image is given."""

    def __post_init__(self) -> None:
        if not 1 <= self.supersample <= 8:
            raise InputError(f"supersample must be 1 to 8, got {self.supersample}.")
        if self.ambient_directions < 0 or self.shadow_size < 1:
            raise InputError("ambient_directions must not be negative and shadow_size must be positive.")


@dataclass(frozen=True)
class RenderMesh:
    """A mesh with colours: a texture, else colours by vertex, else one albedo. All colours are sRGB in [0, 1]."""

    vertices: Float[Tensor, "V 3"]
    """World."""
    faces: Int[Tensor, "F 3"]
    """Counter-clockwise seen from outside; drawn from both sides."""
    colours: Float[Tensor, "V 3"] | None = None
    """By vertex."""
    uv: Float[Tensor, "T 2"] | None = None
    """Texture coordinates, v up."""
    faces_uv: Int[Tensor, "F 3"] | None = None
    """Rows of ``uv`` at the face corners."""
    texture: Float[Tensor, "height width 3"] | None = None
    """First row at v = 1."""
    albedo: Colour = (0.80, 0.76, 0.72)
    """Without texture and vertex colours."""
    normals: Float[Tensor, "V 3"] | None = None
    """Unit normals by vertex instead of the area-weighted ones."""
    specular: float | Float[Tensor, "V"] = 0.6
    """Strength of the highlight, one or by vertex: 0 chalk, 0.6 skin, 1 plastic."""
    shininess: float = 18.0
    """Blinn-Phong exponent of the highlight."""

    def __post_init__(self) -> None:
        if self.vertices.ndim != 2 or self.vertices.shape[-1] != 3:
            raise ShapeError("vertices", self.vertices.shape, ("V", 3))
        if self.faces.ndim != 2 or self.faces.shape[-1] != 3:
            raise ShapeError("faces", self.faces.shape, ("F", 3))
        if isinstance(self.specular, Tensor) and self.specular.shape != self.vertices.shape[:1]:
            raise ShapeError("specular", self.specular.shape, (len(self.vertices),))
        if self.texture is not None and (self.uv is None or self.faces_uv is None):
            raise InputError("A texture needs texture coordinates.", next_step="Give uv and faces_uv with it.")

    @staticmethod
    def of(mesh: PersonMesh | MeshData) -> RenderMesh:
        """From a reconstructed person or a mesh read from a file."""
        if isinstance(mesh, PersonMesh):
            return RenderMesh(mesh.vertices, mesh.faces, uv=mesh.uv, faces_uv=mesh.faces_uv, texture=mesh.texture)

        def tensor(array: object) -> Tensor | None:
            return None if array is None else torch.as_tensor(array)

        texture, colours, uv, faces_uv = tensor(mesh.texture), tensor(mesh.colours), tensor(mesh.uv), tensor(mesh.faces_uv)
        return RenderMesh(
            torch.as_tensor(mesh.vertices),
            torch.as_tensor(mesh.faces).long(),
            colours=None if colours is None else colours[:, :3].float() / 255,
            uv=uv,
            faces_uv=None if faces_uv is None else faces_uv.long(),
            texture=None if texture is None or uv is None else texture[..., :3].float() / 255,
        )
