"""The evaluation's suites: fixed lists of scene files of held-out people, ordered so that the first ones of each are a balanced sample."""

from __future__ import annotations

import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from huddle3d.errors import InputError
from huddle3d.synthesis.assets.folder import Assets
from huddle3d.synthesis.avatars.folder import avatar_names, avatar_person
from huddle3d.synthesis.spec import CameraSpec, Family, MotionSpec, SceneSpec
from huddle3d.synthesis.suites.splits import draw_split_person, families_in, heldout_spec

__all__ = ["SUITES", "SUITE_VERSION", "Suite", "SuiteName", "SuiteScene", "in_building_order", "open_suite_list"]

SuiteName = Literal["heldout", "salsa", "crowd", "hard"]
SUITES: tuple[SuiteName, ...] = typing.get_args(SuiteName)
SUITE_VERSION = 4
"""Changes whenever a suite's scene files do: results of different versions are not comparable."""

_FIRST: dict[SuiteName, int] = {"heldout": 0, "crowd": 1000, "hard": 2000, "salsa": 3000}
"""First seed of each suite; ``heldout_spec`` of other seeds is free for tests and demonstrations."""


@dataclass(frozen=True)
class SuiteScene:
    """One photo of a suite."""

    name: str
    """Unique in the suite; names its folder."""
    tag: str
    """The class by which results are grouped."""
    spec: SceneSpec
    """Makes everything."""


@dataclass(frozen=True)
class Suite:
    """A fixed list of scenes."""

    name: SuiteName
    assets: tuple[str, ...]
    """What it takes from the assets folder: ``makehuman``, ``avatars``, ``mocap``; nothing on a bare machine."""
    scenes: tuple[SuiteScene, ...]
    """Any first N are a balanced sample."""
    version: int = SUITE_VERSION


def open_suite_list(name: SuiteName, *, assets: Assets | None = None) -> Suite:
    """The scenes of one suite: the same list on every machine with the same assets.

    Args:
        name: ``heldout``: couples, everything about them held out from training. ``crowd``: three to six people. ``hard``: tight holds, very
            different heights, people cut off by the border, strong perspective. ``salsa``: rigged people on a recorded couple's motion.
        assets: dress the people from this folder (its held-out part); None for clothes made here. ``salsa`` needs it.

    Raises:
        InputError: an unknown suite, or ``salsa`` without its folder.
    """
    if name not in SUITES:
        raise InputError(f"There is no suite {name!r}.", next_step=f"Suites: {', '.join(SUITES)}.")
    scenes = _LISTS[name](assets)
    taken = ("avatars", "mocap") if name == "salsa" else () if assets is None else ("makehuman",)
    return Suite(name, taken, scenes)


def in_building_order(scenes: Sequence[SuiteScene]) -> list[SuiteScene]:
    """The scenes with those of the same people in the same place one after the other; else their order stays."""

    def who(scene: SuiteScene) -> tuple[object, ...]:
        return scene.spec.people, scene.spec.family, scene.spec.motion

    groups = {key: [s for s in scenes if who(s) == key] for key in dict.fromkeys(map(who, scenes))}
    return [scene for group in groups.values() for scene in group]


def _named(k: int, word: str) -> str:
    return f"{k:03d}_{word}"


def _heldout(assets: Assets | None) -> tuple[SuiteScene, ...]:
    """20 couples, the held-out interactions in turn."""
    families = families_in("heldout", 2)
    out = []
    for k in range(20):
        spec = heldout_spec(_FIRST["heldout"] + k, family=families[k % len(families)], assets=assets)
        out.append(SuiteScene(_named(k, spec.family), spec.family, spec))
    return tuple(out)


_CROWDS: tuple[Family, ...] = (
    "linked_arms", "huddle", "arm_over_shoulder", "sitting_side_by_side", "circle", "linked_arms", "side_by_side", "conga_line", "huddle",
    "arm_over_shoulder", "linked_arms", "circle",
)  # fmt: skip


def _crowd(assets: Assets | None) -> tuple[SuiteScene, ...]:
    """12 groups of 3, 4, 5, 6, 3 … people; the people are held out, of the interactions only linked arms and huddles."""
    out = []
    for k, family in enumerate(_CROWDS):
        people = 3 + k % 4
        spec = heldout_spec(_FIRST["crowd"] + k, people=people, family=family, assets=assets)
        spec = replace(spec, camera=replace(spec.camera, least_visible=0.45))
        out.append(SuiteScene(_named(k, f"{family}_{people}"), f"{people} people", spec))
    return tuple(out)


_Hardship = Literal["tight", "heights", "truncated", "perspective"]
_HARD: tuple[tuple[_Hardship, tuple[Family, ...]], ...] = (
    ("tight", ("hug", "hug_from_behind", "side_hug", "piggyback")),
    ("heights", ("hug", "hands_on_shoulders", "side_by_side", "hand_on_back")),
    ("truncated", ("arm_over_shoulder", "whispering", "handshake", "back_to_back")),
    ("perspective", ("high_five", "linked_arms", "hands_on_shoulders", "holding_hands")),
)


def _hard(assets: Assets | None) -> tuple[SuiteScene, ...]:
    """16 couples, the four hardships in turn."""
    out = []
    for k in range(16):
        tag, families = _HARD[k % 4]
        spec = heldout_spec(_FIRST["hard"] + k, family=families[k // 4], assets=assets)
        if tag == "heights":
            # The taller one is to the left and to the right in turn.
            tall, short = (0.58, 0.66), (0.18, 0.24)  # about 1.95 m and 1.5 m
            ranges = (tall, short) if k // 4 % 2 else (short, tall)
            people = tuple(draw_split_person("heldout", spec.seed, i, height=r, assets=assets) for i, r in enumerate(ranges))
            spec = replace(spec, people=people)
        out.append(SuiteScene(_named(k, f"{tag}_{spec.family}"), tag, replace(spec, camera=_hard_camera(tag, k // 4, spec.camera))))
    return tuple(out)


def _hard_camera(tag: _Hardship, k: int, camera: CameraSpec) -> CameraSpec:
    """Cut off at the knees, at the waist, at one side, at both; or near people with a wide lens, from above, below, ahead."""
    if tag == "truncated":
        fill, aim = ((1.35, (0.5, 0.78)), (1.75, (0.5, 0.95)), (1.45, (0.8, 0.62)), (1.5, (0.3, 0.8)))[k]
        return replace(camera, fill=fill, aim=aim, elevation_deg=min(max(camera.elevation_deg, -8.0), 15.0), least_visible=0.5)
    if tag == "perspective":
        return replace(camera, fov_deg=(88.0, 96.0, 84.0, 92.0)[k], elevation_deg=(-14.0, 30.0, 8.0, 22.0)[k], fill=0.8, least_visible=0.5)
    return replace(camera, least_visible=0.4) if tag == "tight" else camera


_LEADERS = ("AIAN_M_2_Casual", "Asian_M_2_Casual", "Black_M_2_Util", "Hispanic_M_2_Medi", "MENA_M_2_Util", "White_M_2_Busi")
_FOLLOWERS = (
    "AIAN_F_2_Casual", "Asian_F_2_Util", "Black_F_2_Casual", "Hispanic_F_2_Busi", "MENA_F_2_Casual", "White_F_2_Busi", "White_F_2_Casual",
)  # fmt: skip
_MOMENTS: tuple[tuple[str, int, bool], ...] = (
    ("03", 43, True), ("03", 74, False), ("06", 24, True), ("06", 93, False), ("09", 50, True), ("09", 62, False), ("03", 71, True), ("03", 91, False),
    ("09", 56, True), ("06", 126, False), ("06", 116, True), ("06", 58, False), ("09", 100, True), ("03", 129, False), ("03", 101, True),
    ("06", 50, False), ("09", 82, True), ("09", 120, False), ("09", 189, True), ("06", 118, False),
)  # fmt: skip
"""Take, frame, and whether the rigged people touch there (measured once; the tests measure some again)."""
_VIEWS = 4


def _salsa(assets: Assets | None) -> tuple[SuiteScene, ...]:
    """20 moments, with and without contact in turn, each from four sides a quarter turn apart; the first 20 photos show one side of each."""
    folder = assets if assets is not None else Assets.at()
    folder.beside("mocap")
    absent = sorted({*_LEADERS, *_FOLLOWERS} - set(avatar_names(folder)))
    if absent:
        raise InputError(f"The suite 'salsa' needs the avatar {absent[0]}.", next_step="Put its two files into the folder avatars.", missing=absent)
    out = []
    for view in range(_VIEWS):
        for moment, (clip, frame, contact) in enumerate(_MOMENTS):
            k = view * len(_MOMENTS) + moment
            spec = heldout_spec(_FIRST["salsa"] + k, family="motion", motion=MotionSpec(clip, frame))
            # Start azimuths are spread evenly over the moments; sides are shuffled, so that the first photos do not all show the first side.
            azimuth = round((moment * 0.381966) % 1 * 90 + 90 * ((view + moment) % _VIEWS), 4)
            elevation = round(-15 + 50 * ((k + 0.5) * 0.618034 % 1), 4)
            camera = replace(spec.camera, azimuth_deg=azimuth, elevation_deg=elevation, roll_deg=0.0, width=896, height=896, least_visible=0.5)
            couple = (_LEADERS[(moment + moment // len(_LEADERS)) % len(_LEADERS)], _FOLLOWERS[3 * moment % len(_FOLLOWERS)])
            people = tuple(avatar_person(name, i) for i, name in enumerate(couple))
            tag = "contact" if contact else "apart"
            out.append(SuiteScene(_named(k, f"{tag}_{clip}_{frame}_{view}"), tag, replace(spec, people=people, camera=camera)))
    return tuple(out)


_LISTS: dict[SuiteName, Callable[[Assets | None], tuple[SuiteScene, ...]]] = {
    "heldout": _heldout, "crowd": _crowd, "hard": _hard, "salsa": _salsa,
}  # fmt: skip
