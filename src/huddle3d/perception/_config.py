"""Settings of the stage ``perceive``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from huddle3d.errors import InputError
from huddle3d.weights import TASKS, folders_of, hub_models

__all__ = ["PerceiveConfig"]


@dataclass(frozen=True)
class PerceiveConfig:
    """How people are looked for in a photo."""

    max_side: int = 1280
    """Longer side at which the networks see the photo [px]; larger photos are shrunk for them, results are in the photo's own pixels."""
    max_people: int = 12
    """At most this many people are kept, the most prominent ones."""
    tile_levels: tuple[int, ...] = (1, 2, 3)
    """Tilings the person detector runs on: n means windows of 1/n of the picture (1.4/n with their overlap)."""
    detector_threshold: float = 0.35
    """Score a person needs in the first search; lower ones are statues, shirts and shadows more often than people."""
    repeat_threshold: float = 0.25
    """Score a person needs after the ones found already have been painted over."""
    repeats: int = 3
    """How often the people found are painted over and the search is run again."""
    sure_quality: float = 0.7
    """Quality (presence × agreement of several looks × mask coverage × score) a person needs in the first search."""
    min_quality: float = 0.6
    """Quality a person needs in the repeated searches."""
    presence_threshold: float = 0.5
    """Probability of a person that the landmark network must give."""
    same_person_oks: float = 0.45
    """Two poses above this similarity are one person."""
    hands: bool = True
    """Whether to look for the 21 points of each hand."""
    faces: bool = True
    """Whether to look for face points; faces also tell of people who were missed."""
    heavy: bool = True
    """Whether each person is also seen by the larger landmark network (weights ``blazepose-heavy``), if it has been fetched."""
    grabcut: bool = True
    """Whether masks are sharpened by GrabCut."""
    grabcut_side: int = 640
    """Longer side of the region that GrabCut works on [px]."""
    grabcut_rounds: int = 3
    """GrabCut iterations for each person."""
    min_height: float = 0.05
    """People whose box is lower than this fraction of the photo's height are ignored."""
    threads: int = 0
    """Threads of the networks; 0 = all processors this process may use."""
    boxes: str = "embedded"
    """Who finds the people: embedded, or a network of the hub: rtdetr-v2-r50, rtdetr-v2-r18, dfine-xlarge."""
    keypoints: str = "embedded"
    """Who finds key points: embedded, or vitpose-plus-huge, vitpose-plus-base, vitpose-base-simple, sapiens2-pose."""
    masks: str = "embedded"
    """Who makes the masks: embedded, or sam2.1-large, sam2.1-tiny, sam-vit-base."""
    normals: str = "none"
    """Who gives the photo's normals: none, or sapiens2-normal. Normals and depth together make the partial mesh follow what the photo shows."""
    depth: str = "none"
    """Who gives the photo's depth: none, or sapiens2-pointmap, depth-anything-v2-metric-indoor-small, depth-anything-v2-small."""
    weights: tuple[str, ...] = ()
    """NAME=FOLDER: folders of your own that hold a network of the hub, instead of the cache."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number type of the hub's networks; auto = bfloat16 on CUDA, else float32."""
    batch: int = 8
    """People (crops or prompts) that a network of the hub sees at once."""
    box_threshold: float = 0.5
    """Score a person needs from a box network of the hub."""
    expert: int = 0
    """ViTPose++: index of the data set whose expert is asked (0 = COCO, the one its key points are those of)."""
    mask_passes: int = 2
    """How often masks are refined by points after the boxes, the last time at hands and feet that are outside their mask; 0 = boxes alone."""

    @property
    def from_hub(self) -> dict[str, str]:
        """Task → name of the hub's network, for the tasks that are not the embedded backend's."""
        return {task: name for task in TASKS if (name := str(getattr(self, task))) not in ("embedded", "none")}

    def __post_init__(self) -> None:
        least = {"max_side": 64, "max_people": 1, "repeats": 0, "grabcut_side": 64, "grabcut_rounds": 0, "threads": 0, "batch": 1, "expert": 0}
        least |= {"mask_passes": 0}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise InputError(f"perceive.{name} = {getattr(self, name)} is out of range.", next_step=f"Use {low} or more.")
        if not self.tile_levels or min(self.tile_levels) < 1:
            raise InputError(f"perceive.tile_levels = {self.tile_levels} is out of range.", next_step="Name one or more levels, each 1 or more.")
        for task, name in self.from_hub.items():
            known = [m.name for m in hub_models().values() if m.task == task]
            if name not in known:
                first = "embedded" if task in ("boxes", "keypoints", "masks") else "none"
                raise InputError(f"perceive.{task} = {name!r} is no network for {task}.", next_step=f"Use {', '.join([first, *known])}.")
        for task in ("normals", "depth"):
            if getattr(self, task) == "embedded":
                raise InputError(f"perceive.{task}: the embedded backend has none.", next_step="Use none, or a network of the hub.")
        folders_of(self.weights)
