"""The part of glTF 2.0 that is read, as a schema. Unknown members are ignored; numbers must be finite and indices not negative."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AllowInfNan, BaseModel, ConfigDict, Field

__all__ = ["Accessor", "BufferView", "Gltf", "Material", "Node", "Primitive"]

Index = Annotated[int, Field(ge=0)]
Number = Annotated[float, AllowInfNan(False)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class Asset(_Part):
    version: str


class Buffer(_Part):
    byteLength: Index
    uri: str | None = None


class BufferView(_Part):
    buffer: Index
    byteLength: Index
    byteOffset: Index = 0
    byteStride: Annotated[int, Field(ge=4, le=252)] | None = None


class Accessor(_Part):
    bufferView: Index | None = None
    byteOffset: Index = 0
    componentType: Literal[5120, 5121, 5122, 5123, 5125, 5126]
    normalized: bool = False
    count: Annotated[int, Field(ge=1)]
    type: Literal["SCALAR", "VEC2", "VEC3", "VEC4", "MAT2", "MAT3", "MAT4"]
    sparse: dict[str, object] | None = None


class Primitive(_Part):
    attributes: dict[str, Index]
    indices: Index | None = None
    material: Index | None = None
    mode: Annotated[int, Field(ge=0, le=6)] = 4


class Mesh(_Part):
    name: str = ""
    primitives: list[Primitive]


class Node(_Part):
    name: str = ""
    mesh: Index | None = None
    children: list[Index] = []
    matrix: Annotated[list[Number], Field(min_length=16, max_length=16)] | None = None
    translation: Annotated[list[Number], Field(min_length=3, max_length=3)] = [0.0, 0.0, 0.0]
    rotation: Annotated[list[Number], Field(min_length=4, max_length=4)] = [0.0, 0.0, 0.0, 1.0]
    scale: Annotated[list[Number], Field(min_length=3, max_length=3)] = [1.0, 1.0, 1.0]


class Scene(_Part):
    nodes: list[Index] = []


class TextureRef(_Part):
    index: Index
    texCoord: Index = 0


class Surface(_Part):
    baseColorTexture: TextureRef | None = None


class Material(_Part):
    name: str = ""
    pbrMetallicRoughness: Surface = Surface()


class Texture(_Part):
    source: Index | None = None


class EmbeddedImage(_Part):
    bufferView: Index | None = None
    uri: str | None = None


class Gltf(_Part):
    asset: Asset
    scene: Index = 0
    scenes: list[Scene] = []
    nodes: list[Node] = []
    meshes: list[Mesh] = []
    materials: list[Material] = []
    textures: list[Texture] = []
    images: list[EmbeddedImage] = []
    accessors: list[Accessor] = []
    bufferViews: list[BufferView] = []
    buffers: list[Buffer] = []
    extensionsRequired: list[str] = []
