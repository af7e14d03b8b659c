"""Settings of the stage ``perceive``."""

from __future__ import annotations

from dataclasses import dataclass

from huddle3d.errors import InputError

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

    def __post_init__(self) -> None:
        least = {"max_side": 64, "max_people": 1, "repeats": 0, "grabcut_side": 64, "grabcut_rounds": 0, "threads": 0}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise InputError(f"perceive.{name} = {getattr(self, name)} is out of range.", next_step=f"Use {low} or more.")
        if not self.tile_levels or min(self.tile_levels) < 1:
            raise InputError(f"perceive.tile_levels = {self.tile_levels} is out of range.", next_step="Name one or more levels, each 1 or more.")
