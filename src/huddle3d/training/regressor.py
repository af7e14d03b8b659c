"""``train regressor``: the first guess of the fit from pose banks; CPU or CUDA, no kernels needed for the training itself, resumable."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from huddle3d.diffusion.pairs import pair_joints
from huddle3d.errors import InputError
from huddle3d.fitting.regressor import Numbers, Regressor, Sights, answer_size, save_regressor, virtual_camera
from huddle3d.geometry import matrix_from_six_d, rotation_angle, six_d_from_matrix, so3_exp
from huddle3d.io import prepare_output_dir
from huddle3d.networks import PairRegressor, PairRegressorConfig
from huddle3d.progress import Progress, silent
from huddle3d.training.bank import PoseBank
from huddle3d.training.course import Course, Measured
from huddle3d.training.keeper import STATE, Keeper, cosine_rate
from huddle3d.training.pair_sights import NoiseMix, bone_ends, observed, true_bones
from huddle3d.training.pair_views import PairViews, ViewConfig, pair_views
from huddle3d.training.prior import split_bank
from huddle3d.training.singles import single_poses

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["RegressorReport", "RegressorTraining", "train_regressor", "validate_regressor"]


@dataclass(frozen=True)
class RegressorTraining:
    """Settings of the training."""

    width: int = 320
    """Width of the network."""
    blocks: int = 4
    """Residual blocks."""
    mask_width: int = 48
    """Width of the masks' code."""
    dropout: float = 0.05
    """In the blocks."""
    singles: int = 100
    """Pairs of people apart in free poses that are added to the banks."""
    views: int = 12000
    """Pictures of the bank's pairs that are made before the first step."""
    batch: int = 256
    """Pairs per step; each is asked about one of its people."""
    learning_rate: float = 1e-3
    """Of AdamW, reached after ``warm_up`` steps; falls to a hundredth by a cosine over the whole time."""
    warm_up: int = 200
    """Steps."""
    weight_decay: float = 0.02
    """Of AdamW."""
    ema: float = 0.995
    """Decay of the running mean of the weights, which is what is kept."""
    weight_pose: float = 1.0
    """Of squared errors of the joints' rotations (6D)."""
    weight_joints: float = 20.0
    """Of squared distances of the joints about the root, on the average skeleton [1/m²]."""
    weight_told: float = 0.03
    """Of the negative log-likelihoods of bone directions, size and depth."""
    validation_share: float = 0.08
    """Share of the groups of a bank that are kept for validation."""
    seed: int = 0
    """Of everything random."""
    mix: NoiseMix = NoiseMix()
    """What is observed of the people."""
    seen: ViewConfig = ViewConfig()
    """How they are seen."""


@dataclass(frozen=True)
class RegressorReport:
    """How good the regressor is on views of pairs that it never saw; medians."""

    joint_mm: float
    """Distance of the joints about the root, axes of the camera, on the average skeleton [mm]."""
    hidden_bone_deg: float
    """Error of the directions of arm and leg bones with a hidden end [deg]."""
    seen_bone_deg: float
    """The same of those whose ends are shown."""
    turn_deg: float
    """Error of the global orientation [deg]."""
    depth_mm: float
    """Error of how far one person's root is behind the other's [mm]."""


@dataclass(frozen=True)
class _Goal:
    """What the network is to say of the first person of each pair."""

    orient: Float[Tensor, "B 3 3"]
    pose: Float[Tensor, "B n 3 3"]
    shape: Float[Tensor, "B S"]
    size: Float[Tensor, "B"]
    place: Float[Tensor, "B 2"]
    behind: Float[Tensor, "B"]
    bones: Float[Tensor, "B bones 3"]


def _goal(views: PairViews, sights: Sights, neutral: Float[Tensor, "S"]) -> _Goal:
    """The truth of each view's person 0, in the axes and units of the window."""
    R = virtual_camera(sights.window)
    flip = torch.tensor([1.0, -1.0, -1.0])
    R_view = flip[:, None] * R * flip
    root = (views.root @ R)[:, :2]
    half = sights.window[:, 2]
    return _Goal(
        R_view.transpose(-1, -2) @ views.R_cam_root[:, 0],
        so3_exp(views.pose[:, 0]),
        views.shape[:, 0] - neutral,
        (root[:, 0, 2] * half).clamp_min(1e-3).log(),
        root[:, 0, :2] / root[:, 0, 2:] / half[:, None],
        root[:, 1, 2] - root[:, 0, 2],
        true_bones(views)[:, 0] @ R_view,
    )


class _Chain:
    """Joints on the average skeleton: rotations → places about the root, without the surface."""

    def __init__(self, body: BodyModel) -> None:
        rest = body.joints(body.neutral())[0]
        told = list(pair_joints(body))
        ends = [j for j, n in enumerate(body.joint_names) if n in ("finger3-1.L", "finger3-1.R", "toe1-1.L", "toe1-1.R", "eye.L", "eye.R")]
        self.steps: list[tuple[int, int, Tensor]] = []
        place: dict[int, int] = {0: 0}
        for j in sorted({*told, *ends}):
            up = body.joint_parents[j]
            while up not in place:
                up = body.joint_parents[up]
            self.steps.append((place[up], told.index(j) if j in told else -1, rest[j] - rest[up]))
            place[j] = len(place)

    def __call__(self, R_root: Float[Tensor, "B 3 3"], rotations: Float[Tensor, "B n 3 3"]) -> Float[Tensor, "B m 3"]:
        R, t = [R_root], [torch.zeros_like(R_root[:, 0])]
        for up, row, offset in self.steps:
            t.append(t[up] + R[up] @ offset)
            R.append(R[up] @ rotations[:, row] if row >= 0 else R[up])
        return torch.stack(t[1:], 1)


def _nll(error: Tensor, log_spread: Tensor, dims: int) -> Tensor:
    return 0.5 * error.square() * (-2 * log_spread).exp() + dims * log_spread


class _Trainer:
    def __init__(self, bank: PoseBank, body: BodyModel, config: RegressorTraining, device: torch.device, progress: Progress) -> None:
        torch.manual_seed(config.seed)
        self.config, self.body, self.device = config, body, device
        if config.singles:
            bank = PoseBank.join([bank, single_poses(config.singles, body, seed=config.seed)])
        train, held = split_bank(bank, config.validation_share, config.seed)
        self.pairs = len(train)
        self.train = _many_views(train, config.views, body, config, config.seed, progress)
        self.held = _many_views(held, max(64, config.views // 40), body, config, config.seed + 1, silent)
        self.joints = pair_joints(body)
        self.network = PairRegressor(_sizes(body, config)).to(device)
        optimiser = torch.optim.AdamW(self.network.parameters(), lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=config.weight_decay)
        self.keeper = Keeper(self.network, optimiser, config.ema, f"{config!r}, {self.pairs} pairs")
        self.chain = _Chain(body)

    def loss(self, views: PairViews, generator: torch.Generator) -> Tensor:
        """Of each view's person 0."""
        c = self.config
        sights = observed(views, c.mix, generator)
        truth = _goal(views, sights, self.body.neutral_shape)
        points, cells = sights.rows()
        row = self.network(points.to(self.device), cells.to(self.device)).cpu()
        told = Numbers.of(row, len(self.joints), self.body.num_shape)
        orient, pose = matrix_from_six_d(told.orient, "rows"), matrix_from_six_d(told.pose, "rows")
        joints = self.chain(orient, pose) - self.chain(truth.orient, truth.pose)
        six = (told.orient - six_d_from_matrix(truth.orient, "rows")).square().sum(-1)
        six = six + (told.pose - six_d_from_matrix(truth.pose, "rows")).square().sum((-1, -2))
        bones = _nll((told.bones - truth.bones).norm(dim=-1), told.bone_spread, 3).sum(-1)
        size = _nll(told.size - truth.size, told.size_spread, 1)
        near = (sights.paired & ~views.apart & ((views.root[:, 0] - views.root[:, 1]).norm(dim=-1) < 2)).float()
        behind = near * _nll(told.behind - truth.behind, told.behind_spread, 1)
        place = (told.place - truth.place).square().sum(-1)
        shape = ((told.shape - truth.shape) / 0.2).square().sum(-1)
        total = c.weight_pose * six + c.weight_joints * joints.square().sum(-1).mean(-1) + c.weight_told * (bones + 2 * size + 2 * behind)
        return (total + 2 * place + 0.02 * shape).mean()

    def advance(self, rate: float) -> float:
        """One step; its random numbers depend on the step alone, so a resumed run draws the same."""
        c = self.config
        generator = torch.Generator().manual_seed((c.seed << 32) + self.keeper.step)
        torch.manual_seed((c.seed << 32) + self.keeper.step)  # what dropout draws from
        self.network.train()
        views = _either(self.train.take(torch.randint(0, len(self.train), (c.batch,), generator=generator)), generator)
        loss = self.loss(views, generator)
        return self.keeper.advance(loss, rate)

    def regressor(self) -> Regressor:
        """The running mean, on the CPU, in evaluation mode."""
        config = self.network.config
        return Regressor(self.keeper.average(lambda: PairRegressor(config)), self.joints, self.body.num_shape, self.body.name)


def _sizes(body: BodyModel, config: RegressorTraining) -> PairRegressorConfig:
    out = answer_size(len(pair_joints(body)), body.num_shape)
    return PairRegressorConfig(out=out, width=config.width, mask_width=config.mask_width, blocks=config.blocks, dropout=config.dropout)


def _either(views: PairViews, generator: torch.Generator) -> PairViews:
    """The views with either person first."""
    return views.reordered(torch.rand(len(views), generator=generator) < 0.5)


def _many_views(bank: PoseBank, count: int, body: BodyModel, config: RegressorTraining, seed: int, progress: Progress) -> PairViews:
    """Views of all pairs: source uniformly (single poses and recordings must not outweigh the rest), then a group of it, then a neighbour."""
    generator = torch.Generator().manual_seed(seed)
    sources = [[(bank.group == g).nonzero()[:, 0] for g in bank.group[bank.source == s].unique()] for s in bank.source.unique()]
    parts: list[PairViews] = []
    made = 0
    while made < count:
        rows = []
        for a, b, c in torch.rand(48, 3, generator=generator).tolist():
            group = sources[int(a * len(sources))]
            members = group[int(b * len(group))]
            rows.append(int(members[int(c * len(members))]))
        parts.append(pair_views(bank, torch.tensor(rows), body, generator, config.seen))
        made += len(parts[-1])
        progress(min(1.0, made / count), f"{made} views")
    return PairViews.join(parts)


@torch.no_grad()
def validate_regressor(regressor: Regressor, views: PairViews, body: BodyModel, mix: NoiseMix | None = None) -> RegressorReport:
    """Measure a regressor on views, with seeded observations."""
    generator = torch.Generator().manual_seed(99)
    sights = observed(views, mix or NoiseMix(alone=0.0), generator)
    truth = _goal(views, sights, body.neutral_shape)
    told = regressor.numbers(sights)
    chain = _Chain(body)
    orient, pose = matrix_from_six_d(told.orient, "rows"), matrix_from_six_d(told.pose, "rows")
    error = (chain(orient, pose) - chain(truth.orient, truth.pose)).norm(dim=-1)
    bones = torch.nn.functional.normalize(told.bones, dim=-1)
    angle = torch.rad2deg((bones * truth.bones).sum(-1).clamp(-1, 1).acos())
    hidden, limb = _bone_states(views)
    near = sights.paired & ~views.apart
    return RegressorReport(
        1000 * float(error.mean(-1).median()),
        float(angle[hidden & limb].median()),
        float(angle[~hidden & limb].median()),
        math.degrees(float(rotation_angle(orient.transpose(-1, -2) @ truth.orient).median())),
        1000 * float((told.behind - truth.behind)[near].abs().median()),
    )


def _bone_states(views: PairViews) -> tuple[Tensor, Tensor]:
    """Of person 0's bones: whether an end is hidden or out of the picture, and whether it is one of the arms or legs."""
    ends, limb = bone_ends()
    hidden = (views.state[:, 0] < 2).float() @ ends.T > 0
    return hidden, limb.expand_as(hidden)


def train_regressor(
    bank: PoseBank,
    output: str | os.PathLike[str],
    config: RegressorTraining = RegressorTraining(),
    *,
    body: BodyModel,
    minutes: float = 30.0,
    steps: int | None = None,
    device: str = "cpu",
    overwrite: bool = False,
    log: Callable[[int, dict[str, float]], None] | None = None,
    progress: Progress = silent,
) -> tuple[Regressor, RegressorReport]:
    """Train, or go on training, for so many minutes or steps.

    The folder gets ``regressor.safetensors`` (half precision, what is embedded), ``state.safetensors`` (to go on) and ``log.jsonl``. With
    ``steps`` the learning rate follows the steps and the result is the same however often the run was stopped; with minutes alone it
    follows the clock. The views are made anew by each run, from the seed.

    Args:
        bank: pairs; held-out families and takes in it are left out.
        output: folder.
        config: settings.
        body: the model of the bank, on the CPU.
        minutes: time limit of this run, without the making of the views.
        steps: total number of steps; None for as many as fit into the minutes.
        device: of the network.
        overwrite: start anew in a folder that holds a training.
        log: called at each validation with the step and its numbers (for TensorBoard).
        progress: told the share done and the loss.
    """
    if bank.model != body.name:
        raise InputError(f"The bank holds bodies of {bank.model!r}, not of {body.name!r}.")
    folder = prepare_output_dir(output, overwrite, marker=STATE)
    trainer = _Trainer(bank, body, config, torch.device(device), progress)
    trainer.keeper.resume(folder, overwrite=overwrite)

    def advance(share: float) -> float:
        return trainer.advance(config.learning_rate * cosine_rate(share, trainer.keeper.step, config.warm_up, 0.01))

    def measure() -> Measured[RegressorReport]:
        report = validate_regressor(trainer.regressor(), trainer.held, body)
        return Measured(report, asdict(report))

    def write(report: RegressorReport) -> None:
        note: dict[str, object] = {"steps": trainer.keeper.step, "pairs": trainer.pairs, "views": len(trainer.train), "seed": config.seed}
        save_regressor(folder / "regressor.safetensors", trainer.regressor(), overwrite=True, note=note)

    course = Course(folder, minutes, steps, 180.0, log, progress)
    report = course.run(trainer.keeper, advance=advance, measure=measure, write=write)
    return trainer.regressor(), report
