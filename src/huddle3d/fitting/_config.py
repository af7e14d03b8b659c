"""Every weight and iteration count of the fit."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FitConfig"]


@dataclass(frozen=True)
class FitConfig:
    """Settings of :func:`huddle3d.fitting.fit`.

    Lengths are metres at the person's depth, so one value suits near and far people. Terms are sums of squares of residual / sigma, so a
    weight of 1 means "as sure as its sigma says".
    """

    # Camera and world
    default_focal_ratio: float = 1.2
    """Focal length / longer image side when neither EXIF nor the user gives one (1.2 = 45° across the longer side)."""
    optimise_focal: bool = False
    """Refine an unknown focal length within its prior; only done if the feet of two or more people are seen (else it is not observable)."""
    focal_sigma: float = 0.15
    """Standard deviation of the logarithm of the focal length."""
    optimise_tilt: bool = True
    """Estimate the camera's pitch and roll from standing bodies and the common floor; False = level camera."""
    pitch_sigma_deg: float = 15.0
    """Prior of the camera's pitch [deg] around level."""
    roll_sigma_deg: float = 4.0
    """Prior of the camera's roll [deg] around level."""
    camera_height: float = 1.4
    """Usual height of a camera above the floor [m]."""
    camera_height_sigma: float = 0.7
    """Standard deviation of the logarithm of that height (0.7 = a factor of two)."""
    torso_sigma_deg: float = 13.0
    """How far a torso leans from the vertical [deg]; twice as much is let go."""
    balance_sigma: float = 0.15
    """Horizontal distance between the middle of the trunk and the middle of the ankles [m]."""
    balance_cutoff: float = 0.45
    """Geman-McClure scale [m] of the balance: people who sit or run are let go."""

    # What may move
    optimise_shape: bool = True
    """Fit body shapes; False = average adults."""
    optimise_age: bool = False
    """Fit the age phenotype. Off: everybody is an adult, because age, size and depth cannot be told apart in one picture."""
    optimise_hands: bool = True
    """Fit finger joints to the hand points."""

    # Keypoints (HUG3D A.1: L_kp = 0.5 L_std + 0.5 L_vis)
    standard_share: float = 0.5
    """Share of L_std (all joints alike) in L_kp; the rest is L_vis."""
    occluded_weight: float = 0.1
    """w_j of an occluded joint in L_vis: one that lies outside its own mask or inside another person's."""
    mask_margin: float = 0.025
    """How far a joint may lie outside its own mask before it counts as occluded, in units of the longer box side."""
    keypoint_sigma: float = 0.010
    """Noise of a keypoint without its anatomical spread [m]."""
    keypoint_spread: float = 0.30
    """Metres of extra noise per unit of the COCO sigma of a joint (hips are vaguer than eyes)."""
    keypoint_cutoff: float = 0.25
    """Geman-McClure scale [m]: residuals far beyond it lose their pull."""
    weight_feet: float = 0.7
    """Weight of heel and toe points relative to body joints."""
    weight_hands: float = 0.08
    """Weight of each of the 21 points of a hand."""
    weight_face: float = 0.1
    """Weight of each of the ten face points."""
    direction_sigma_deg: float = 20.0
    """Noise of bone directions of the 3D landmarks [deg]."""

    # Priors
    weight_limits: float = 1.0
    """Joint limits: squared violation / 0.1 rad."""
    weight_pose: float = 0.6
    """Pose prior: squared rotation / half of the joint's range (narrow joints such as the spine are stiff, and a joint's narrow axes too)."""
    hidden_stiffness: float = 6.0
    """How much stiffer (factor - 1) a joint is when nothing that it moves was seen: hidden limbs rest."""
    weight_shape: float = 1.0
    """Shape prior: squared deviation from the average adult / spread."""
    floor_sigma: float = 0.04
    """Distance of a standing foot from the common floor [m]."""
    floor_cutoff: float = 0.15
    """Geman-McClure scale [m] of the floor term: people who jump or sit are let go."""
    weight_cut_legs: float = 1.0
    """Legs that the lower border of the picture cuts off hang down from upright trunks, and trunks without hips do not lean in depth: weight of their
    bones' directions, in units of those of 3D landmarks that are surely seen. Of these, and of legs that another border cuts off, the regressor is
    not asked. 0: they are treated as any other hidden limb."""
    hidden_feet_weight: float = 0.05
    """Weight of the floor term for feet that are not seen."""

    # Contact (HUG3D eq. 7, S10)
    weight_penetration: float = 15.0
    """Weight of L_pen (paper: 15), before ``penetration_scale``."""
    penetration_scale: float = 1500.0
    """Converts L_pen [m] to the units of the other terms."""
    penetration_tolerance: float = 0.02
    """``tol`` [m]; the temperature T is a quarter of it."""
    polish_tolerance: float = 0.005
    """``tol`` of the last stage [m]: smaller, so that what touches may touch."""

    weight_touch: float = 0.3
    """Contact attraction where two people's pictures meet; 0 switches it off. Works in the last stage."""
    touch_sigma: float = 0.02
    """Gap [m] that costs 1."""
    touch_cutoff: float = 0.06
    """Geman-McClure scale [m]: gaps far beyond it are taken for real."""
    touch_reach: float = 0.15
    """Gaps above this [m] are never closed."""
    touch_margin: int = 2
    """How far apart the two pictures may be there, in pixels of a picture of ``order_size``."""
    touch_points: int = 5
    """Vertices that are pulled, of each part of the body that may touch."""

    # Proxemics prior (BUDDI; only bodies of a model that a prior was trained for)
    weight_prior: float = 0.0
    """Weight of the squared distance of each near pair from its denoised self, in units of the spread of the training pairs; 0 switches it off.
    0.5 made poses better and contacts worse on six held-out pairs."""
    prior_file: str = ""
    """File of a prior made by `huddle3d train prior`; empty for the embedded one."""
    prior_time: int = 300
    """Step of the noise schedule (of 1000) at which the pair is denoised. Larger looks further away and changes more."""
    prior_reach: float = 1.1
    """People whose roots are further apart than this [m] say nothing about each other."""
    prior_pose: float = 1.0
    """Share of the joint rotations in it."""
    prior_orient: float = 0.5
    """Share of the global orientations."""
    prior_transl: float = 3.0
    """Share of the places relative to each other."""
    prior_shape: float = 0.0
    """Share of the shapes."""

    # Learned first guess (only bodies of a model that a regressor was trained for)
    weight_regressor: float = 0.5
    """Weight of the bone directions that the regressor tells, beside those of the 3D landmarks; 0 switches the regressor off."""
    regressor_file: str = ""
    """File of a regressor made by `huddle3d train regressor`; empty for the embedded one."""
    regressor_sigma_deg: float = 6.0
    """Least noise of a told direction [deg], whatever the regressor says of itself."""
    regressor_pose: float = 1.0
    """Where the pose prior rests: 0 at the rest pose, 1 at the told pose."""
    regressor_stiffness: float = 3.0
    """How much stiffer (factor - 1) the pose prior is where it rests at a told pose, which is nearer to the truth than the rest pose."""
    weight_regressor_depth: float = 1.0
    """Weight of how far one person stands behind the other, as told."""
    regressor_depth_sigma: float = 0.1
    """Least noise of that distance [m]."""

    # Depth order and silhouettes
    order_size: int = 96
    """Longer side [px] of the pictures in which the depth order is compared."""
    weight_order: float = 150.0
    """Depth order: mean softplus of the depth excess [m] over wrongly ordered pixels."""
    order_every: int = 5
    """Iterations between two renderings of the depth order."""
    silhouette_size: int = 160
    """Longer side [px] of the silhouette pictures."""
    weight_silhouette: float = 60.0
    """Silhouettes: disagreeing pixels / pixels of the mask."""

    # Other readings of the picture
    limb_steps: int = 0
    """Iterations in which hidden limbs that are turned in depth settle before they are compared (25 are enough); 0 tries none."""
    limb_margin: float = 1.0
    """Energy that a turned limb must gain."""
    exchange_energy: float = 0.0
    """Depth-order energy of two people after stage 1 from which the other order is tried, too (1.5 is a clear sign); it needs a stage of its own. 0: never."""

    # Iterations
    steps_initial: int = 120
    """Stage 0: each person alone, several facings."""
    steps_joint: int = 160
    """Stage 1: everybody, landmarks and penetration."""
    steps_silhouette: int = 50
    """Stage 2: silhouettes."""
    steps_polish: int = 60
    """Stage 3: landmarks, penetration and contact attraction with low learning rates."""
    learning_rate: float = 0.04
    """Adam's rate for rotations [rad]; other variables scale with it."""
    early_stop: float = 2e-4
    """Stop a stage when the loss falls by less than this fraction per step, averaged over 20 steps."""
