"""What all trainings share: the keeper's state, and the course of steps and validations."""

import json
import math
from dataclasses import dataclass

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from huddle3d.errors import InputError
from huddle3d.progress import silent
from huddle3d.training.course import Course, Measured
from huddle3d.training.keeper import STATE, Keeper, cosine_rate


def keeper(identity="mine"):
    torch.manual_seed(0)
    network = torch.nn.Linear(2, 1)
    return Keeper(network, torch.optim.AdamW(network.parameters(), lr=0.1), 0.9, identity)


def loss(k):
    x = torch.randn(4, 2, generator=torch.Generator().manual_seed(k.step))
    return (k.network(x)[:, 0] - x.sum(-1)).square().mean()


@dataclass
class Report:
    """One number."""

    error: float


def run(k, folder, steps, *, minutes=5.0, every=1e9, advance=None, log=None, **settings):
    shares, written = [], []

    def step(share):
        shares.append(share)
        return k.advance(loss(k), 0.1 * cosine_rate(share, k.step, 3))

    def measure():
        return Measured(Report(float(k.step)), {"error": float(k.step), "never": math.nan}, torch.zeros(2, 2, 3) if settings.get("draw") else None)

    course = Course(folder, minutes, steps, every, log, silent, **{n: v for n, v in settings.items() if n != "draw"})
    report = course.run(k, advance=advance or step, measure=measure, write=lambda r: written.append(r.error))
    return report, shares, written


def test_rate_by_hand():
    assert cosine_rate(0.0, 9, 10) == 1.0 and cosine_rate(0.0, 4, 10) == 0.5
    assert cosine_rate(1.0, 99, 10) == pytest.approx(0.05) and cosine_rate(2.0, 99, 10, 0.01) == pytest.approx(0.01)
    assert cosine_rate(0.5, 99, 10) == pytest.approx(0.525)


def test_running_mean_by_hand():
    k = keeper()
    first = k.network.weight.detach().clone()
    k.advance(loss(k), 0.1)
    decay = 2 / 11  # (1 + 1) / (10 + 1), less than 0.9
    assert torch.allclose(k.mean["weight"], decay * first + (1 - decay) * k.network.weight)
    assert torch.equal(k.average(lambda: torch.nn.Linear(2, 1)).weight, k.mean["weight"])


def test_steps_shares_and_files(tmp_path):
    told = []
    report, shares, written = run(keeper(), tmp_path, 4, log=lambda *a: told.append(a), draw=True)
    assert report.error == 4 and shares == [0, 0.25, 0.5, 0.75] and written == [4]
    lines = [json.loads(t) for t in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert len(lines) == 1 and lines[0]["step"] == 4 and lines[0]["error"] == 4 and lines[0]["train_loss"] > 0 and "never" not in lines[0]
    assert told[0][0] == 4 and told[0][1].keys() == {"train_loss", "error"} and told[0][2].shape == (2, 2, 3)
    assert (tmp_path / "pictures" / "step-0000004.png").is_file() and (tmp_path / STATE).is_file()


def test_validated_now_and_then_and_by_the_first_process_only(tmp_path):
    k = keeper()
    _, _, written = run(k, tmp_path, 2, every=-1.0, writes=False)
    assert written == [] and not list(tmp_path.iterdir())
    _, _, written = run(keeper(), tmp_path, 2, every=-1.0)
    assert written == [0, 1, 2]


def test_time_ends_a_training(tmp_path, monkeypatch):
    clock = iter(range(0, 10_000, 15))
    monkeypatch.setattr("huddle3d.training.course.time.monotonic", lambda: float(next(clock)))
    _, shares, _ = run(keeper(), tmp_path, None, minutes=1.0)
    assert shares == [0.25, 0.75]  # a clock that goes on by 15 s whenever it is looked at, which is twice a step
    clock = iter(range(0, 10_000, 15))
    _, shares, _ = run(keeper(), tmp_path, None, minutes=1.0, by_the_clock=False)
    assert shares == [0, 0]
    monkeypatch.undo()
    assert run(keeper(), tmp_path, 5, minutes=0.0)[1] == []


def test_a_stopped_run_goes_on_to_the_same_numbers(tmp_path):
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    whole, cut = keeper(), keeper()
    run(whole, tmp_path / "whole", 6)

    def stop(share):
        if cut.step == 3:
            raise KeyboardInterrupt
        return cut.advance(loss(cut), 0.1 * cosine_rate(share, cut.step, 3))

    with pytest.raises(KeyboardInterrupt):
        run(cut, tmp_path / "cut", 6, every=-1.0, advance=stop)
    again = keeper()
    again.resume(tmp_path / "cut")
    assert again.step == 3
    run(again, tmp_path / "cut", 6)
    a, b = (load_file(tmp_path / n / STATE) for n in ("whole", "cut"))
    assert a.keys() == b.keys() and all(torch.equal(a[n], b[n]) for n in a)
    fresh = keeper("other")
    fresh.resume(tmp_path / "cut", overwrite=True)
    fresh.resume(tmp_path / "nothing")
    assert fresh.step == 0
    with pytest.raises(InputError, match="other settings"):
        fresh.resume(tmp_path / "cut")


@pytest.mark.parametrize("spoil", [lambda b: b[:100], lambda b: b"\x80\x04pickle", lambda b: b""])
def test_unreadable_states_are_named(spoil, tmp_path):
    k = keeper()
    k.advance(loss(k), 0.1)
    k.save(tmp_path / STATE)
    (tmp_path / STATE).write_bytes(spoil((tmp_path / STATE).read_bytes()))
    with pytest.raises(InputError, match="state.safetensors: not a readable state") as e:
        keeper().resume(tmp_path)
    assert "--overwrite" in e.value.next_step


def test_states_of_older_view_trainings_are_read(tmp_path):
    k = keeper()
    k.advance(loss(k), 0.1)
    k.save(tmp_path / STATE)
    with safe_open(str(tmp_path / STATE), framework="pt") as file:
        assert json.loads(file.metadata()["huddle3d"]) == {"step": 1, "identity": "mine"}
    header = {"huddle3d": json.dumps({"kind": "views-state", "step": 1, "config": "mine"})}
    save_file(load_file(tmp_path / STATE), tmp_path / STATE, metadata=header)
    again = keeper()
    again.resume(tmp_path)
    assert again.step == 1 and torch.equal(again.network.weight, k.network.weight)


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path):
    with pytest.raises(InputError, match="not finite at step 0"):
        run(keeper(), tmp_path, 3, advance=lambda share: math.nan)
    assert not (tmp_path / STATE).exists()
