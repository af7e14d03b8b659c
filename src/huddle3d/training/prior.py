"""``train prior``: the proxemics prior of Anny from pose banks; CPU or CUDA, no kernels needed, resumable."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from huddle3d.diffusion import CosineSchedule, PairPrior, PairSpace, Placement, guided, save_prior
from huddle3d.errors import InputError
from huddle3d.io import prepare_output_dir
from huddle3d.networks import Buddi, PairState
from huddle3d.progress import Progress, silent
from huddle3d.training.augment import RoughConfig, mirrored, rough
from huddle3d.training.bank import PoseBank
from huddle3d.training.course import Course, Measured
from huddle3d.training.harvest import is_held
from huddle3d.training.keeper import STATE, Keeper, cosine_rate

if TYPE_CHECKING:
    from huddle3d.bodies import BodyModel

__all__ = ["PriorTraining", "Validation", "split_bank", "train_prior", "validate_prior"]


@dataclass(frozen=True)
class PriorTraining:
    """Settings of the training."""

    width: int = 96
    """Width of a token."""
    depth: int = 3
    """Encoder layers."""
    heads: int = 8
    """Attention heads."""
    feed_forward: int = 256
    """Hidden width of an encoder layer."""
    dropout: float = 0.0
    """In the encoder."""
    batch: int = 128
    """Pairs per step."""
    learning_rate: float = 1.2e-3
    """Of AdamW, reached after ``warm_up`` steps; falls to a twentieth by a cosine over the whole time."""
    warm_up: int = 100
    """Steps."""
    weight_decay: float = 0.01
    """Of AdamW."""
    ema: float = 0.995
    """Decay of the running mean of the weights, which is what is kept (faster in the first steps)."""
    drop_all: float = 0.2
    """Share of pairs that are learned without guidance (published: 0.2)."""
    keep_all: float = 0.7
    """Share that keep all of it (0.7); of the rest each group of each person is dropped with probability one half."""
    weight_joints: float = 30.0
    """Of squared distances of joints [1/m²], next to the mean squared error of the standardised numbers."""
    validation_share: float = 0.1
    """Share of the groups of a bank that are kept for validation."""
    seed: int = 0
    """Of everything random."""
    rough: RoughConfig = RoughConfig()
    """Errors of the estimates that guide."""


@dataclass(frozen=True)
class Validation:
    """How good the prior is on pairs that it never saw, in mm of the joints of both people together, person 0's root and heading fixed."""

    rough_mm: float
    """The estimates themselves."""
    restored_mm: float
    """After one call of the network on the estimate, noised to step 200 of 1000, guided by it."""
    unguided_mm: float
    """The same without guidance."""
    loss: float
    """The training loss."""


def split_bank(bank: PoseBank, share: float, seed: int) -> tuple[PoseBank, PoseBank]:
    """Training and validation pairs; neighbours stay together, held-out families and takes are in neither."""
    bank = bank.take(~is_held(bank))
    groups = bank.group.unique()
    order = torch.randperm(len(groups), generator=torch.Generator().manual_seed(seed))
    chosen = groups[order[: max(1, round(share * len(groups)))]]
    inside = torch.isin(bank.group, chosen)
    if bool(inside.all()) or not bool(inside.any()):
        raise InputError("The banks hold too few different pairs to keep some for validation.", next_step="Make a larger bank.")
    return bank.take(~inside), bank.take(inside)


class _Batches:
    """Draws augmented pairs: source uniformly, then a group of it, then a neighbour."""

    def __init__(self, bank: PoseBank, body: BodyModel, config: PriorTraining, device: torch.device) -> None:
        self.bank, self.body, self.config, self.device = bank, body, config, device
        self.groups = [[(bank.group == g).nonzero()[:, 0] for g in bank.group[bank.source == s].unique()] for s in bank.source.unique()]

    def rows(self, count: int, generator: torch.Generator) -> Int[Tensor, "n"]:
        u = torch.rand(count, 3, generator=generator)
        picked = []
        for a, b, c in u.tolist():
            source = self.groups[int(a * len(self.groups))]
            group = source[int(b * len(source))]
            picked.append(int(group[int(c * len(group))]))
        return torch.tensor(picked)

    def bodies(self, rows: Int[Tensor, "n"], generator: torch.Generator | None) -> Placement:
        """The pairs, half of them mirrored and half of them in the other order; as they are without a generator."""
        p = Placement.of(self.bank.params(rows))
        if generator is not None:
            flip = (torch.rand(len(rows), generator=generator) < 0.5).repeat_interleave(2)
            m = mirrored(p, self.body)
            p = Placement(*(torch.where(flip.reshape(-1, *[1] * (x.ndim - 1)), y, x) for x, y in zip(_fields(p), _fields(m))))
            swap = (torch.rand(len(rows), generator=generator) < 0.5).repeat_interleave(2).long()
            order = torch.arange(2 * len(rows)) ^ swap
            p = Placement(*(x[order] for x in _fields(p)))
        return p


def _fields(p: Placement) -> tuple[Tensor, ...]:
    return p.R_world_root, p.root, p.pose, p.shape


def _pairs(count: int) -> Int[Tensor, "n 2"]:
    return torch.arange(2 * count).reshape(count, 2)


def _drop(guidance: PairState, config: PriorTraining, generator: torch.Generator) -> PairState:
    """Guidance dropout as published: all, none, or every token by itself."""
    count = len(guidance.pose)
    u, each = torch.rand(count, generator=generator), torch.rand(count, 4, 2, generator=generator) < 0.5
    keep = torch.where((u < config.drop_all)[:, None, None], False, torch.where((u < config.drop_all + config.keep_all)[:, None, None], True, each))
    keep = keep.to(guidance.pose)
    return PairState(*(getattr(guidance, g) * keep[:, i, :, None] for i, g in enumerate(("orient", "pose", "shape", "transl"))))


def _joints(state: PairState, space: PairSpace, body: BodyModel) -> Float[Tensor, "B 2 n 3"]:
    """Joints that the prior moves, of both people, in the pair frame [m]; on the average skeleton, so that poses and places are compared.

    One skeleton for all saves the nearest rotations of every bone at every shape, which would take longer than the network.
    """
    p = space.decode(state, torch.zeros(body.num_joints, 3))
    coefficients = body.shape_space.coefficients(body.neutral_shape[None], p.shape[:1, :0])
    joints = body.skeleton.pose(coefficients, p.params().pose, p.root).t
    return joints[:, [0, *space.joints]].reshape(len(state.pose), 2, -1, 3)


class _Trainer:
    def __init__(self, bank: PoseBank, body: BodyModel, config: PriorTraining, device: torch.device) -> None:
        torch.manual_seed(config.seed)
        self.config, self.body, self.device = config, body, device
        self.train, self.held = split_bank(bank, config.validation_share, config.seed)
        self.batches = _Batches(self.train, body, config, device)
        plain = PairSpace.plain(body)
        some = self.batches.rows(min(4096, 40 * len(self.train)), torch.Generator().manual_seed(config.seed))
        measured = self.batches.bodies(some, torch.Generator().manual_seed(config.seed))
        self.space = plain.measured(plain.encode(measured, _pairs(len(some))))
        sizes = {"width": config.width, "depth": config.depth, "heads": config.heads, "feed_forward": config.feed_forward}
        self.network = Buddi(self.space.config(body, **sizes, dropout=config.dropout)).to(device)
        optimiser = torch.optim.AdamW(self.network.parameters(), lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=config.weight_decay)
        self.keeper = Keeper(self.network, optimiser, config.ema, f"{config!r}, {len(self.train)} pairs")
        self.schedule = CosineSchedule()

    def loss(self, bodies: Placement, generator: torch.Generator) -> Tensor:
        """Mean squared error of the standardised numbers, and of joints."""
        count = len(bodies.root) // 2
        clean = self.space.encode(bodies, _pairs(count))
        guidance = _drop(self.space.encode(rough(bodies, self.body, generator, self.config.rough), _pairs(count)), self.config, generator)
        time = torch.randint(0, self.schedule.steps, (count,), generator=generator)
        noise = torch.randn(clean.flat().shape, generator=generator)
        noisy = clean.like(self.schedule.noised(clean.flat(), time, noise))
        to = self.device
        told = self.network(_to(noisy, to), time.to(to), _to(guidance, to))
        told = _to(told, torch.device("cpu"))
        total = (told.flat() - clean.flat()).square().mean()
        if self.config.weight_joints:
            with torch.no_grad():
                truth = _joints(clean, self.space, self.body)
            offset = _joints(told, self.space, self.body) - truth
            total = total + self.config.weight_joints * offset.square().sum(-1).mean()
        return total

    def advance(self, rate: float) -> float:
        """One step; its random numbers depend on the step alone, so a resumed run draws the same."""
        c = self.config
        generator = torch.Generator().manual_seed((c.seed << 32) + self.keeper.step)
        torch.manual_seed((c.seed << 32) + self.keeper.step)  # what dropout draws from
        self.network.train()
        loss = self.loss(self.batches.bodies(self.batches.rows(c.batch, generator), generator), generator)
        return self.keeper.advance(loss, rate)

    def prior(self) -> PairPrior:
        """The running mean, on the CPU, in evaluation mode."""
        config = self.network.config
        return PairPrior(self.keeper.average(lambda: Buddi(config)), self.space, self.schedule, self.body.name)


def _to(state: PairState, device: torch.device) -> PairState:
    return PairState(*(getattr(state, g).to(device) for g in ("orient", "pose", "shape", "transl")))


@torch.no_grad()
def validate_prior(prior: PairPrior, bank: PoseBank, body: BodyModel, *, config: PriorTraining | None = None, most: int = 256) -> Validation:
    """Measure a prior on pairs of a bank, with seeded rough estimates."""
    config = config or PriorTraining()
    generator = torch.Generator().manual_seed(77)
    rows = torch.randperm(len(bank), generator=generator)[:most]
    bodies = Placement.of(bank.params(rows))
    pairs = _pairs(len(rows))
    clean = prior.space.encode(bodies, pairs)
    estimate = prior.space.encode(rough(bodies, body, generator, config.rough), pairs)
    time = torch.full((len(rows),), 200)
    noisy = estimate.like(prior.schedule.noised(estimate.flat(), time, torch.randn(estimate.flat().shape, generator=generator)))
    truth = _joints(clean, prior.space, body)

    def error(state: PairState) -> float:
        return 1000 * float((_joints(state, prior.space, body) - truth).norm(dim=-1).mean())

    told, free = (guided(prior.network, g)(noisy, time) for g in (estimate, None))
    loss = float((told.flat() - clean.flat()).square().mean())
    return Validation(error(estimate), error(told), error(free), loss)


def train_prior(
    bank: PoseBank,
    output: str | os.PathLike[str],
    config: PriorTraining = PriorTraining(),
    *,
    body: BodyModel,
    minutes: float = 30.0,
    steps: int | None = None,
    device: str = "cpu",
    overwrite: bool = False,
    log: Callable[[int, dict[str, float]], None] | None = None,
    progress: Progress = silent,
) -> tuple[PairPrior, Validation]:
    """Train, or go on training, for so many minutes or steps.

    The folder gets ``prior.safetensors`` (half precision, what is embedded), ``state.safetensors`` (to go on) and ``log.jsonl``. With
    ``steps`` the learning rate follows the steps and the result is the same however often the run was stopped; with minutes alone it
    follows the clock. Kernels are not used: ``HUDDLE3D_KERNELS=torch`` trains the same.

    Args:
        bank: pairs; held-out families and takes in it are left out.
        output: folder.
        config: settings.
        body: the model of the bank, on the CPU.
        minutes: time limit of this run.
        steps: total number of steps; None for as many as fit into the minutes.
        device: of the network.
        overwrite: start anew in a folder that holds a training.
        log: called at each validation with the step and its numbers (for TensorBoard).
        progress: told the share done and the loss.
    """
    if bank.model != body.name:
        raise InputError(f"The bank holds bodies of {bank.model!r}, not of {body.name!r}.")
    folder = prepare_output_dir(output, overwrite, marker=STATE)
    trainer = _Trainer(bank, body, config, torch.device(device))
    trainer.keeper.resume(folder, overwrite=overwrite)

    def advance(share: float) -> float:
        return trainer.advance(config.learning_rate * cosine_rate(share, trainer.keeper.step, config.warm_up))

    def measure() -> Measured[Validation]:
        report = validate_prior(trainer.prior(), trainer.held, body, config=config)
        return Measured(report, asdict(report))

    def write(report: Validation) -> None:
        note: dict[str, object] = {
            "steps": trainer.keeper.step,
            "pairs": len(trainer.train),
            "solved": len(trainer.train.group.unique()),
            "seed": config.seed,
        }
        save_prior(folder / "prior.safetensors", trainer.prior(), overwrite=True, note=note)

    course = Course(folder, minutes, steps, 120.0, log, progress)
    report = course.run(trainer.keeper, advance=advance, measure=measure, write=write)
    return trainer.prior(), report
