"""The main job: one photograph → one textured mesh per person. Read :func:`reconstruct` top to bottom; each line is a stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeVar

import torch

from huddle3d.bodies import BodyModel, load_body
from huddle3d.compute import measure
from huddle3d.errors import HuddleError, InputError, ShapeError, StageError
from huddle3d.fitting import FitConfig, fit, fit_weights_digest
from huddle3d.io.limits import MAX_JSON_BYTES, read_regular_file
from huddle3d.people._clothing import clothing_digest, clothing_model
from huddle3d.people._diffusion_completer import completion_digest
from huddle3d.people._faces import restorer_digest
from huddle3d.people._ranges import check_numbers
from huddle3d.people._surface_network import surface_digest
from huddle3d.people.canonical import CanonicalConfig, canonicalise
from huddle3d.people.carve import CarveConfig, carve
from huddle3d.people.complete import CompleteConfig, Completer, complete
from huddle3d.people.identity import Agreed, IdentityChange, IdentityConfig, agree
from huddle3d.people.measure import Measurements, measure_people
from huddle3d.people.paint import PaintConfig, paint
from huddle3d.people.store import RunStore, StageRecord, provenance_of
from huddle3d.perception import PerceiveConfig, perceive, weights_digest
from huddle3d.progress import Progress, silent
from huddle3d.scene import Artefact, Bodies, BodyGuess, CarvedBodies, CompletedViews, People2D, PersonMesh, Photo, ViewSet

__all__ = ["STAGES", "Listener", "PaintedPeople", "PeopleConfig", "Reconstruction", "reconstruct"]

A = TypeVar("A", bound=Artefact)

STAGES = ("perceive", "fit", "canonical", "complete", "carve", "paint", "measure")
"""Names of the stages, in order; ``repair`` comes after ``fit`` where the configuration asks for more than one round of the two."""


@dataclass(frozen=True)
class PeopleConfig:
    """Configuration of the main job."""

    perceive: PerceiveConfig = field(default_factory=PerceiveConfig)
    """People, keypoints and masks in the photo."""
    fit: FitConfig = field(default_factory=FitConfig)
    """Bodies and camera."""
    identity: IdentityConfig = field(default_factory=IdentityConfig)
    """Whose limb and whose pixels: perception repaired from the fitted bodies."""
    canonical: CanonicalConfig = field(default_factory=CanonicalConfig)
    """Perspective photo to orthographic views (Pers2Ortho)."""
    complete: CompleteConfig = field(default_factory=CompleteConfig)
    """What the photo does not show."""
    carve: CarveConfig = field(default_factory=CarveConfig)
    """Geometry (HUG-GR)."""
    paint: PaintConfig = field(default_factory=PaintConfig)
    """Texture."""
    seed: int = 0
    """Seed of everything random; same seed, machine and device give the same bytes."""

    def __post_init__(self) -> None:
        check_numbers(self)


@dataclass(frozen=True)
class PaintedPeople(Artefact):
    """The textured people of one photo."""

    people: tuple[PersonMesh, ...]


@dataclass(frozen=True)
class Reconstruction:
    """Everything the main job made of one photo."""

    photo: Photo
    """The picture, at the size it was worked on."""
    people2d: People2D
    """Of ``perceive``, or as it was given; after ``repair``, if that ran."""
    bodies: Bodies
    """Of ``fit``, or as they were given; after ``repair``, if that ran."""
    views: ViewSet
    """Of ``canonical``."""
    completed: CompletedViews
    """Of ``complete``."""
    carved: CarvedBodies
    """Of ``carve``."""
    meshes: tuple[PersonMesh, ...]
    """Of ``paint``: the result, world [m]."""
    measurements: Measurements
    """Of ``measure``."""
    costs: tuple[StageRecord, ...]
    """Of each stage that ran or was taken from the store, in order."""
    perceived: People2D | None = None
    """What ``repair`` found before it; None if it did not run."""
    changes: tuple[IdentityChange, ...] = ()
    """Of ``repair``."""


class Listener(Protocol):
    """Hears which stage runs; the command line draws it."""

    def begin(self, stage: str, index: int, total: int) -> Progress:
        """A stage begins; returns where it reports its progress."""
        ...

    def end(self, record: StageRecord) -> None:
        """A stage ended."""
        ...


class _Quiet:
    def begin(self, stage: str, index: int, total: int) -> Progress:
        return silent

    def end(self, record: StageRecord) -> None:
        pass


@dataclass
class _Run:
    """Runs one stage after the other: taken from the store if nothing changed, else for real, measured and kept."""

    item: str
    store: RunStore | None
    listener: Listener
    stages: tuple[str, ...] = STAGES
    costs: list[StageRecord] = field(default_factory=list)

    def stage(
        self, name: str, cls: type[A], work: Callable[[Progress], A], inputs: tuple[Artefact | None, ...], config: object, weights: str = ""
    ) -> A:
        progress = self.listener.begin(name, self.stages.index(name), len(self.stages))
        provenance = provenance_of(name, inputs, config, weights)
        if self.store is not None and (kept := self.store.load(name, cls, provenance)) is not None:
            value, record = kept
        else:
            value, record = self._do(name, work, progress)
            if self.store is not None:
                self.store.save(name, value, provenance, record)
        self.costs.append(record)
        self.listener.end(record)
        return value

    def _do(self, name: str, work: Callable[[Progress], A], progress: Progress) -> tuple[A, StageRecord]:
        try:
            with measure() as cost:
                value = work(progress)
        except HuddleError:
            raise
        except (RuntimeError, ValueError, IndexError, ArithmeticError) as e:
            raise StageError(
                name,
                self.item,
                f"{type(e).__name__}: {e}",
                next_step="This is a defect: report it with the photo and the traceback that HUDDLE3D_DEBUG=1 shows.",
            ) from e
        return value, StageRecord(name, cost.seconds, cost.peak_mb)


def _check_given(photo: Photo, people: People2D | None, bodies: Bodies | None) -> None:
    """What is given must belong together: stages pair people and bodies by their row, masks and photo by their pixel."""
    if people is not None and people.masks.shape[1:] != photo.image.shape[:2]:
        raise ShapeError("masks", people.masks.shape, ("K", *photo.image.shape[:2]))
    if bodies is None:
        return
    if people is None:
        raise InputError("bodies were given without people.", next_step="Give the People2D that the bodies belong to as well.")
    if bodies.names != people.names:
        raise InputError(
            "The given bodies are not those of the given people.",
            why=f"Bodies: {', '.join(bodies.names)}; people: {', '.join(people.names)}.",
            next_step="Give both with the same names, in the same order.",
        )


def reconstruct(
    photo: Photo,
    config: PeopleConfig | None = None,
    *,
    body: BodyModel | None = None,
    coco: Path | None = None,
    people: People2D | None = None,
    bodies: Bodies | None = None,
    guess: BodyGuess | None = None,
    completer: Completer | None = None,
    device: torch.device | str = "cpu",
    store: RunStore | None = None,
    listener: Listener | None = None,
) -> Reconstruction:
    """Reconstruct the people of one photo (HUG3D's flow; see ``docs/design.md``).

    Args:
        photo: the picture.
        config: resolved configuration.
        body: parametric body model, on the CPU; default the embedded Anny.
        coco: the user's own keypoints and masks for this photo (COCO JSON), instead of the networks.
        people: perception's result, if it is already known (skips ``perceive``).
        bodies: fitted bodies, if they are already known (skips ``fit``; needs ``people``).
        guess: bodies that another system saw in this photo (SAM 3D Body): who is there, and where the fit starts.
        completer: a view-completion network; default the one that ``config.complete`` names.
        device: where the larger networks compute (perception's from the hub, the view completion's); bodies, meshes and textures are made on the CPU.
        store: keeps the stages on disk, so that a stopped run resumes with the same result.
        listener: hears about progress.

    Raises:
        InputError: a given input does not fit the photo, or given bodies are not those of the given people.
        ShapeError: masks of another size than the photo.
        WeightsMissingError: people must be looked for, and the networks have not been fetched.
        StageError: nobody was found, or a stage failed; names the stage and the photo.
    """
    config = config or PeopleConfig()
    body = body or load_body()
    _check_given(photo, people, bodies)
    clothing_model(config.canonical.clothing, body)  # a file that cannot be used is told before anything runs
    if guess is not None and photo.focal_px is None:
        photo = replace(photo, focal_px=guess.focal_px, focal_source="bodies")
    picture = photo
    c = config
    rounds = c.identity.rounds > 1 and bodies is None
    run = _Run(photo.name, store, listener or _Quiet(), (*STAGES[:2], "repair", *STAGES[2:]) if rounds else STAGES)

    if people is None:
        settings = (c.perceive, read_regular_file(coco, MAX_JSON_BYTES).hex() if coco else None, c.seed)
        used = weights_digest(c.perceive)
        people = run.stage(
            "perceive",
            People2D,
            lambda p: perceive(picture, c.perceive, coco=coco, guess=guess, device=device, progress=p),
            (picture, guess),
            settings,
            used,
        )
    if bodies is None:
        found = people
        bodies = run.stage(
            "fit",
            Bodies,
            lambda p: fit(picture, found, c.fit, body=body, guess=guess, seed=c.seed, progress=p),
            (picture, found, guess),
            (c.fit, c.seed),
            fit_weights_digest(c.fit),
        )
    first, changes = None, ()
    if rounds and len(people.names) > 1:
        before, begun = people, bodies
        agreed = run.stage(
            "repair",
            Agreed,
            lambda p: agree(picture, before, begun, c.identity, c.fit, body=body, seed=c.seed, progress=p),
            (picture, before, begun),
            (c.identity, c.fit, c.seed),
            fit_weights_digest(c.fit),
        )
        first, people, bodies, changes = before, agreed.people, agreed.bodies, agreed.changes
    seen, fitted = people, bodies
    views = run.stage(
        "canonical",
        ViewSet,
        lambda p: canonicalise(photo, seen, fitted, c.canonical, body=body, progress=p),
        (photo, seen, fitted),
        c.canonical,
        surface_digest(c.canonical.surface) + clothing_digest(c.canonical.clothing),
    )
    completed = run.stage(
        "complete",
        CompletedViews,
        lambda p: complete(views, c.complete, body=body, completer=completer, device=device, progress=p),
        (views,),
        (c.complete, completer.name if completer else None),
        completion_digest(c.complete.diffusion) if c.complete.method == "diffusion" and completer is None else "",
    )
    carved = run.stage(
        "carve",
        CarvedBodies,
        lambda p: carve(photo, seen, fitted, views, completed, c.carve, body=body, progress=p),
        (photo, seen, fitted, views, completed),
        c.carve,
    )
    painted = run.stage(
        "paint",
        PaintedPeople,
        lambda p: PaintedPeople(paint(photo, seen, fitted, views, completed, carved, c.paint, body=body, progress=p)),
        (photo, seen, fitted, views, completed, carved),
        c.paint,
        restorer_digest(c.paint.faces),
    )
    measurements = run.stage("measure", Measurements, lambda p: measure_people(painted.people, body=body, progress=p), (painted,), fitted.model)
    return Reconstruction(photo, seen, fitted, views, completed, carved, painted.people, measurements, tuple(run.costs), first, changes)
