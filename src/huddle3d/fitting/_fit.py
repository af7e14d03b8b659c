"""``fit``: all bodies and the camera of one photo, jointly (RoBUDDI of HUG3D, for any number of people)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from huddle3d.diffusion import load_prior, read_prior
from huddle3d.errors import InputError, StageError
from huddle3d.fitting._again import earlier_or_fresh, variables_of
from huddle3d.fitting._alternatives import exchanged, other_limbs, wrong_pairs
from huddle3d.fitting._config import FitConfig
from huddle3d.fitting._contact_term import deepest_mm
from huddle3d.fitting._cut import CutLegs
from huddle3d.fitting._energy import JointEnergy
from huddle3d.fitting._guess import at_guess
from huddle3d.fitting._image_terms import shrink_masks
from huddle3d.fitting._initialise import initialise
from huddle3d.fitting._landmark_terms import FOOT_POINTS, LandmarkTerms, moved_landmarks
from huddle3d.fitting._learned import Learned, choose_regressor
from huddle3d.fitting._observations import Observations, observe
from huddle3d.fitting._prior_term import PriorTerm
from huddle3d.fitting._quality import SEEN, confidence_of, depth_spread, describe, reprojection
from huddle3d.fitting._solver import Outcome, minimise
from huddle3d.fitting._state import Frame, Variables, project_view
from huddle3d.fitting._world import initial_world, to_world, world_camera
from huddle3d.progress import Progress, silent
from huddle3d.render import EdgeTopology
from huddle3d.scene import Bodies, BodyGuess, People2D, Photo

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel
    from huddle3d.diffusion import PairPrior
    from huddle3d.fitting.regressor import Regressor

__all__ = ["fit"]


def fit(
    photo: Photo,
    people: People2D,
    config: FitConfig | None = None,
    *,
    body: BodyModel,
    prior: PairPrior | None = None,
    regressor: Regressor | None = None,
    guess: BodyGuess | None = None,
    start: Bodies | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Bodies:
    """Fit one body to each person of a photo, all in one upright world with the camera.

    Stages: (0) each person alone from keypoints and 3D landmarks, in several facings and from what the regressor tells; (1) everybody and
    the camera on landmarks, with penetration and depth order from the first iteration (``limb_steps``: first with hidden limbs turned in depth where that helps;
    ``exchange_energy``: once more for two people whose masks say that they stand the other way round); (2) with silhouettes; (3) landmarks and
    penetration again, at low rates, with contact attraction.

    World: y up, floor at y = 0, metres; the people stand around the origin and the camera looks along -z from their +z side. Gravity comes
    from the people (who stands, stands upright, on one floor) with a prior on a level camera; if nobody's stance says anything, the camera
    is level. Depths rest on adult body sizes and the focal length: EXIF or the user's, else ``default_focal_ratio``.

    Args:
        photo: the picture; its pixels are not used, its size and focal length are.
        people: keypoints, 3D landmarks, masks. K >= 1.
        config: weights and iterations.
        body: the body model, on the CPU.
        prior: the proxemics prior for ``weight_prior`` > 0; None reads ``prior_file``, or takes the embedded one.
        regressor: tells first bodies for ``weight_regressor`` > 0; None reads ``regressor_file``, or takes the embedded one (Anny's bodies only).
        guess: bodies that another system saw in this photo; the first bodies stand where it puts them, unless that explains the photo less well.
        start: an earlier result for this photo, whose observations have changed since: its bodies and camera are the first ones, except for people
            whom a fresh first body explains much better.
        seed: kept in the signature of every stage; this stage draws no random numbers.
        progress: told the stages.

    Returns:
        Bodies with reprojection errors [px], confidences and warnings.

    Raises:
        StageError: no person, or a person without a single observed body keypoint.
        InputError: ``weight_prior`` is given, but the prior is for another body model, or its file cannot be read; or ``start`` holds bodies
            of another model, of other people, or of a picture of another size.
    """
    config = config or FitConfig()
    _check(photo, people)
    prior = _prior(body, config, prior)
    frame = Frame.build(body, photo, config)
    earlier = None if start is None else variables_of(start, frame, body, people.names)
    observed = observe(photo, people, frame.focal_px, config, body.landmark_valid)
    chosen = choose_regressor(body, config, regressor)
    learned = None if chosen is None else Learned.of(chosen, photo, people, observed, frame)
    cut, moved = CutLegs.of(photo, people) if config.weight_cut_legs > 0 else None, moved_landmarks(body, frame)
    if cut is not None and learned is not None:
        learned = cut.untold(learned, cut.joints(moved), frame.fit_joints.tolist())
    if learned is not None:
        observed = replace(learned.fused(observed, config), rest=config.regressor_pose * learned.pose(frame))
    if cut is not None:
        observed = cut.standing(observed, moved, config.weight_cut_legs)
    first, _ = initialise(body, frame, observed, config, learned=learned, progress=_part(progress, 0.0, 0.25))
    with torch.no_grad():
        terms = LandmarkTerms.build(body, frame, observed, first, config, with_world=True)
        if guess is not None:
            first = at_guess(body, frame, terms, people, guess, first)
        first = initial_world(terms, first) if earlier is None else earlier_or_fresh(terms, earlier, first)
    task = _Task(photo, people, config, body, frame, observed, prior, learned)
    outcome = _joint_stages(task, first, progress)
    progress(1.0, "measuring")
    return _result(task, outcome)


@dataclass(frozen=True)
class _Task:
    photo: Photo
    people: People2D
    config: FitConfig
    body: BodyModel
    frame: Frame
    observed: Observations
    prior: PairPrior | None
    learned: Learned | None


def _prior(body: BodyModel, config: FitConfig, prior: PairPrior | None) -> PairPrior | None:
    if config.weight_prior <= 0:
        return None
    prior = prior or (read_prior(config.prior_file) if config.prior_file else load_prior())
    if prior.model != body.name or max(prior.space.joints) >= body.num_joints:
        raise InputError(f"The proxemics prior is for bodies of {prior.model!r}, not of {body.name!r}.", next_step="Set weight_prior to 0.")
    return prior


def _check(photo: Photo, people: People2D) -> None:
    if not people.names:
        raise StageError("fit", photo.name, "no person to fit.", next_step="Give keypoints with --coco, or another photo.")
    seen = (people.keypoints[:, :17, 2] > 0).sum(-1)
    for name, count in zip(people.names, seen.tolist(), strict=True):
        if count == 0:
            raise StageError(
                "fit", photo.name, f"{name} has no observed body keypoint.", next_step="Remove the person or give keypoints with --coco."
            )


def _part(progress: Progress, start: float, end: float) -> Progress:
    def report(fraction: float, note: str = "") -> None:
        progress(start + (end - start) * fraction, note)

    return report


def _free_variables(task: _Task) -> tuple[str, ...]:
    c = task.config
    names = ["turn", "pose", "shift", "log_depth", "camera_height"]
    if c.optimise_shape:
        names.append("shape")
    if c.optimise_tilt:
        names.append("tilt")
    feet = task.observed.confidence[:, FOOT_POINTS].amax(-1)
    if c.optimise_focal and task.photo.focal_px is None and int((feet > SEEN).sum()) >= 2:
        names.append("log_focal")
    return tuple(names)


def _joint_stages(task: _Task, start: Variables, progress: Progress) -> Outcome:
    c = task.config
    free = _free_variables(task)
    order = shrink_masks(task.people.masks.cpu(), c.order_size)
    detail = shrink_masks(task.people.masks.cpu(), c.silhouette_size)
    size = (task.photo.width, task.photo.height)
    topology = EdgeTopology.from_faces(task.body.faces)

    def energy(variables: Variables, tolerance: float, *, with_masks: bool = False, attract: bool = False) -> JointEnergy:
        terms = LandmarkTerms.build(task.body, task.frame, task.observed, variables, c, with_world=True)
        prior = None if task.prior is None else PriorTerm(task.prior, variables, task.frame, c)
        return JointEnergy(
            terms, size, order, detail if with_masks else None, topology, tolerance, attract=attract, prior=prior, learned=task.learned
        )

    def together(begin: Variables, note: str = "all people") -> Outcome:
        begin = begin.rebased()
        stage = energy(begin, c.penetration_tolerance)
        if c.limb_steps > 0 and len(begin.turn) > 1:
            begin = other_limbs(stage, begin, steps=c.limb_steps, margin=c.limb_margin)
            stage = energy(begin, c.penetration_tolerance)
        return minimise(begin, stage, free, c.steps_joint, c, progress=_part(progress, 0.25, 0.6), note=note)

    joint = together(start)
    if c.exchange_energy > 0 and len(start.turn) > 1:
        weigh = energy(joint.variables, c.penetration_tolerance)
        for a, b in wrong_pairs(weigh, joint.variables, least=c.exchange_energy):
            other = together(exchanged(start, a, b), note=f"{task.people.names[a]} and {task.people.names[b]} in the other order")
            with torch.no_grad():
                if float(weigh(other.variables, 0)) < float(weigh(joint.variables, 0)):
                    joint = other
    variables = joint.variables.rebased()
    if c.weight_silhouette > 0 and bool(detail.has_mask.any()):
        stage = energy(variables, c.penetration_tolerance, with_masks=True)
        progress_mask = _part(progress, 0.6, 0.9)
        variables = minimise(variables, stage, free, c.steps_silhouette, c, rate=0.4, progress=progress_mask, note="silhouettes").variables.rebased()
    progress_last = _part(progress, 0.9, 1.0)
    no_shape = tuple(name for name in free if name != "shape")
    stage = energy(variables, c.polish_tolerance, attract=True)
    last = minimise(variables, stage, no_shape, c.steps_polish, c, rate=0.2, progress=progress_last, note="polish")
    return Outcome(last.variables, (*joint.losses, *last.losses), joint.converged or last.converged)


def _result(task: _Task, outcome: Outcome) -> Bodies:
    body, frame, photo, people = task.body, task.frame, task.photo, task.people
    with torch.no_grad():
        variables = outcome.variables
        focal = frame.focal_px * float(variables.log_focal.exp())
        view = variables.landmarks(body, frame)
        error = reprojection(project_view(view, focal, frame.centre), task.observed)
        params, T_world_view = to_world(variables, frame, _guessed_floor(task, variables))
        output = body(params)
        proxies = body.proxy_vertices(output.vertices)
        warnings = describe(
            people,
            task.observed,
            error,
            depth_spread=depth_spread(view, task.observed),
            foot_height=output.landmarks[:, FOOT_POINTS, 1].amin(-1),
            penetration_mm=deepest_mm(proxies, body.proxy_faces),
            converged=outcome.converged,
            focal_source=photo.focal_source if photo.focal_px else "default",
        )
    return Bodies(
        model=body.name,
        names=people.names,
        params=params,
        vertices=output.vertices,
        landmarks=output.landmarks,
        camera=world_camera(T_world_view, focal, photo.width, photo.height),
        reprojection_px=error,
        confidence=confidence_of(people, task.observed, error),
        warnings=warnings,
    )


def _guessed_floor(task: _Task, variables: Variables) -> Tensor | None:
    """Where the floor lies along the vertical if nobody's feet were seen well: under the lowest trusted body; else None (the fitted floor)."""
    observed = task.observed
    if float((observed.trust * observed.confidence[:, FOOT_POINTS].amax(-1)).max()) > SEEN:
        return None
    heights = variables.vertices(task.body, task.frame) @ variables.R_world_view()[1]
    trusted = observed.trust >= min(0.25, float(observed.trust.max()))
    return heights[trusted].amin()
