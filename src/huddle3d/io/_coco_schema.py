"""The part of the COCO format that is read, as a schema. Numbers must be finite; unknown members are ignored."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AllowInfNan, BaseModel, ConfigDict, Field, model_validator

from huddle3d.io.limits import MAX_COCO_ITEMS

__all__ = ["AnnotationEntry", "CocoDocument", "ImageEntry", "RunLengths"]

Number = Annotated[float, AllowInfNan(False), Field(ge=-1e6, le=1e6)]
Side = Annotated[int, Field(ge=1, le=100_000)]
Polygon = Annotated[list[Number], Field(min_length=6, max_length=200_000)]
Key = int | str
_BODY, _FOOT, _FACE, _HAND = 17 * 3, 6 * 3, 68 * 3, 21 * 3


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class ImageEntry(_Part):
    id: Key
    file_name: str = ""
    width: Side | None = None
    height: Side | None = None


class RunLengths(_Part):
    size: Annotated[list[Side], Field(min_length=2, max_length=2)]
    counts: list[Annotated[int, Field(ge=0)]] | str


class AnnotationEntry(_Part):
    image_id: Key
    category_id: int = 1
    iscrowd: int = 0
    bbox: Annotated[list[Number], Field(min_length=4, max_length=4)] | None = None
    score: Number | None = None
    keypoints: list[Number] | None = None
    foot_kpts: Annotated[list[Number], Field(min_length=_FOOT, max_length=_FOOT)] | None = None
    face_kpts: Annotated[list[Number], Field(min_length=_FACE, max_length=_FACE)] | None = None
    lefthand_kpts: Annotated[list[Number], Field(min_length=_HAND, max_length=_HAND)] | None = None
    righthand_kpts: Annotated[list[Number], Field(min_length=_HAND, max_length=_HAND)] | None = None
    segmentation: RunLengths | list[Polygon] | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_form_of_mask(cls, data: Any) -> Any:
        # COCO writes an empty list where there is no mask.
        if isinstance(data, dict) and data.get("segmentation") == []:
            return {**data, "segmentation": None}
        return data

    @model_validator(mode="after")
    def _known_length(self) -> AnnotationEntry:
        if self.keypoints is not None and len(self.keypoints) not in (0, _BODY, 133 * 3):
            raise ValueError(f"keypoints has {len(self.keypoints)} numbers, expected {_BODY} (17 points) or {133 * 3} (133 points)")
        return self


class CategoryEntry(_Part):
    id: int
    name: str = ""


class CocoDocument(_Part):
    images: Annotated[list[ImageEntry], Field(max_length=MAX_COCO_ITEMS)] = []
    annotations: Annotated[list[AnnotationEntry], Field(max_length=MAX_COCO_ITEMS)]
    categories: Annotated[list[CategoryEntry], Field(max_length=MAX_COCO_ITEMS)] = []
