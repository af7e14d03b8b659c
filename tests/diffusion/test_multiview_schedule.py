"""Noise schedules against diffusers' own DDIM scheduler, and the trial of what a network predicts."""

import json

import pytest
import torch

from huddle3d.diffusion.multiview import NoiseSchedule, check_prediction
from huddle3d.errors import InputError

PSHUMAN = {
    "num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "linear", "clip_sample": False, "set_alpha_to_one": False,
    "steps_offset": 1, "prediction_type": "v_prediction", "timestep_spacing": "leading",
}  # fmt: skip
CONFIGS = [
    PSHUMAN,
    PSHUMAN | {"prediction_type": "epsilon", "beta_schedule": "scaled_linear", "timestep_spacing": "trailing"},
    PSHUMAN | {"prediction_type": "sample", "beta_schedule": "squaredcos_cap_v2", "timestep_spacing": "linspace", "set_alpha_to_one": True},
    PSHUMAN | {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "num_train_timesteps": 200},
    {"clip_sample": True, "clip_sample_range": 2.0, "prediction_type": "sample"},
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.get('prediction_type')}-{c.get('timestep_spacing')}")
def test_schedule_equals_diffusers(config, rng):
    from diffusers.schedulers.scheduling_ddim import DDIMScheduler

    theirs, ours = DDIMScheduler(**config), NoiseSchedule.from_config(json.loads(json.dumps(config)))
    torch.testing.assert_close(ours.alphas_bar().float(), theirs.alphas_cumprod, rtol=2e-4, atol=1e-6)
    x0, noise, out, fresh = torch.randn(4, 3, 2, 5, 5, generator=rng).double()
    for count in (1, 7, 40):
        theirs.set_timesteps(count)
        assert ours.visited(count) == theirs.timesteps.tolist()
        for t in (ours.visited(count)[0], ours.visited(count)[-1]):
            if config.get("rescale_betas_zero_snr") and t == 199:
                continue  # pure noise: both divide by nearly nothing on the way back to ε
            time = torch.full((3,), t)
            x = ours.noised(x0, time, noise)
            torch.testing.assert_close(x, theirs.add_noise(x0, noise, time).double(), rtol=1e-3, atol=1e-4)
            for eta in (0.0, 1.0):
                expected = theirs.step(out, t, x, eta=eta, variance_noise=fresh, use_clipped_model_output=True)
                clean = ours.clean(x, time, out)
                torch.testing.assert_close(clean, expected.pred_original_sample, rtol=2e-3, atol=2e-3)
                step = ours.step(x, clean, time, torch.full((3,), ours.before(t, count)), fresh, eta)
                torch.testing.assert_close(step, expected.prev_sample, rtol=3e-3, atol=3e-3)
    velocity = theirs.get_velocity(x0, noise, torch.tensor([5, 50, 150])).double()
    if ours.prediction == "v_prediction":
        torch.testing.assert_close(ours.target(x0, torch.tensor([5, 50, 150]), noise), velocity, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
def test_a_perfect_network_brings_the_picture_back(prediction, rng):
    schedule = NoiseSchedule(prediction=prediction)
    x0, noise = torch.randn(2, 4, 3, 3, generator=rng).double()
    time = torch.tensor([10, 100, 500, 990])
    x = schedule.noised(x0, time, noise)
    torch.testing.assert_close(schedule.clean(x, time, schedule.target(x0, time, noise)), x0)
    torch.testing.assert_close(schedule.noise_of(x, time, x0), noise)


def test_round_trip_of_the_configuration():
    for config in CONFIGS:
        schedule = NoiseSchedule.from_config(config)
        assert NoiseSchedule.from_config(schedule.to_config()) == schedule


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"beta_schedule": "sigmoid"}, "beta_schedule"),
        ({"prediction_type": "flow"}, "prediction_type"),
        ({"beta_start": "much"}, "much"),
        ({"beta_end": 2}, "2.0"),
    ],
)
def test_bad_configurations_are_named(change, named):
    with pytest.raises(InputError, match=named):
        NoiseSchedule.from_config(PSHUMAN | change)
    with pytest.raises(InputError, match="sampling steps"):
        NoiseSchedule().visited(0)


@pytest.mark.parametrize("true", ["epsilon", "sample", "v_prediction"])
@pytest.mark.parametrize("said", ["epsilon", "sample", "v_prediction"])
def test_trial_finds_what_a_network_predicts(true, said, rng):
    """A network that is right up to some error, under each label."""
    known = torch.rand(2, 4, 16, 16, generator=rng) * 2 - 1
    schedule, actual = NoiseSchedule(prediction=said), NoiseSchedule(prediction=true)

    def network(x, t):
        time = torch.full((len(x),), t)
        noise = actual.noise_of(x, time, known)
        return actual.target(0.9 * known, time, noise)

    if true == said:
        errors = check_prediction(network, known, schedule, rng)
        assert errors[true] == min(errors.values()) and errors[true] < 0.05
    else:
        with pytest.raises(InputError, match=f'"prediction_type": "{true}"'):
            check_prediction(network, known, schedule, rng)
