"""The BUDDI denoiser against a twin written with matrices and loops, and against the published names."""

import math

import pytest
import torch
from buddi_checkpoint import published_shapes, spare

from huddle3d.errors import ShapeError
from huddle3d.networks import Buddi, BuddiConfig, PairState, buddi_shapes, spare_buddi_key

GROUPS = ("orient", "pose", "shape", "transl")
SMALL = BuddiConfig(width=16, depth=2, heads=4, feed_forward=20, pose=12, shape=3)


def state(generator, config, count=3):
    return PairState(*(torch.randn(count, 2, config.size(g), generator=generator, dtype=torch.float64) for g in GROUPS))


def twin(weights, config, noisy, time, guidance):
    """Tokens in another order than the network's, attention head by head, one pair at a time."""

    def linear(name, x):
        return weights[f"{name}.weight"] @ x + weights[f"{name}.bias"]

    def two(name, x):
        h = linear(f"{name}.embed.0", x)
        return linear(f"{name}.embed.2", h / (1 + torch.exp(-h)))

    def norm(name, x):
        centred = x - x.mean()
        return centred / (centred.square().mean() + 1e-5).sqrt() * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    out = []
    for b in range(len(time)):
        tokens, names = [], []
        half = config.width // 2
        angles = [float(time[b]) * math.exp(-math.log(10000) * i / (half - 1)) for i in range(half)]
        encoding = torch.tensor([math.sin(a) for a in angles] + [math.cos(a) for a in angles], dtype=torch.float64)
        tokens.append(two("embed_timestep", encoding))
        names.append("time")
        sources = [("embed_input_{g}_h{p}", noisy)] + ([("embed_guidance_{g}_bev_h{p}", guidance)] if guidance is not None else [])
        for pattern, source in sources:
            for p in (1, 0):
                for g in reversed(GROUPS):
                    token = two(pattern.format(g=g, p=p), getattr(source, g)[b, p])
                    tokens.append(token + weights[f"human_embedding_h{p}"] + weights[f"param_embedding_{g}"])
                    names.append((pattern[:11], g, p))
        for i in range(config.depth):
            layer = f"transformer_encoder.layers.{i}"
            w, bias = weights[f"{layer}.self_attn.in_proj_weight"], weights[f"{layer}.self_attn.in_proj_bias"]
            q, k, v = (
                [w[j * config.width : (j + 1) * config.width] @ x + bias[j * config.width : (j + 1) * config.width] for x in tokens] for j in range(3)
            )
            size = config.width // config.heads
            mixed = []
            for n in range(len(tokens)):
                heads = []
                for h in range(config.heads):
                    part = slice(h * size, (h + 1) * size)
                    score = torch.stack([q[n][part] @ k[m][part] / math.sqrt(size) for m in range(len(tokens))])
                    share = score.exp() / score.exp().sum()
                    heads.append(sum(share[m] * v[m][part] for m in range(len(tokens))))
                mixed.append(linear(f"{layer}.self_attn.out_proj", torch.cat(heads)))
            tokens = [norm(f"{layer}.norm1", x + y) for x, y in zip(tokens, mixed)]
            tokens = [norm(f"{layer}.norm2", x + linear(f"{layer}.linear2", linear(f"{layer}.linear1", x).clamp_min(0))) for x in tokens]
        read = {name[1:]: x for name, x in zip(names, tokens) if name[0] == "embed_input"}
        out.append([torch.stack([two(f"unembed_input_{g}_h{p}", read[g, p]) for p in (0, 1)]) for g in GROUPS])
    return PairState(*(torch.stack([row[i] for row in out]) for i in range(4)))


@pytest.mark.parametrize("with_guidance", [True, False])
def test_network_equals_the_plain_twin(rng, with_guidance):
    torch.manual_seed(0)
    network = Buddi(SMALL).double().eval()
    noisy, guidance = state(rng, SMALL), state(rng, SMALL) if with_guidance else None
    time = torch.tensor([0, 7, 901])
    got = network(noisy, time, guidance)
    expected = twin({k: v.double() for k, v in network.state_dict().items()}, SMALL, noisy, time, guidance)
    for g in GROUPS:
        assert torch.allclose(getattr(got, g), getattr(expected, g), atol=1e-7), g


def test_guidance_time_and_partner_have_an_effect(rng):
    torch.manual_seed(0)
    network = Buddi(SMALL).double().eval()
    noisy, guidance, time = state(rng, SMALL), state(rng, SMALL), torch.tensor([5, 5, 5])
    plain = network(noisy, time, guidance).flat()
    moved = PairState(noisy.orient, noisy.pose.index_add(1, torch.tensor([1]), torch.ones(3, 1, 12, dtype=torch.float64)), noisy.shape, noisy.transl)
    assert not torch.allclose(network(moved, time, guidance).pose[:, 0], network(noisy, time, guidance).pose[:, 0])  # the other person's pose
    assert not torch.allclose(network(noisy, time + 1, guidance).flat(), plain)
    assert not torch.allclose(network(noisy, time, guidance.zeros()).flat(), plain)
    free = Buddi(BuddiConfig(**(SMALL.__dict__ | {"guidance": ""}))).double().eval()
    assert torch.equal(free(noisy, time, guidance).flat(), free(noisy, time).flat())


def test_swapping_people_together_with_their_layers_changes_nothing(rng):
    torch.manual_seed(0)
    network = Buddi(SMALL).double().eval()
    weights = network.state_dict()
    turned = Buddi(SMALL).double().eval()

    def other(name):
        return name.replace("_h0", "_hx").replace("_h1", "_h0").replace("_hx", "_h1")

    turned.load_state_dict({k: weights[other(k)] for k in weights})
    noisy, guidance, time = state(rng, SMALL), state(rng, SMALL), torch.tensor([3, 40, 500])
    got = turned(noisy.swapped(), time, guidance.swapped()).swapped().flat()
    assert torch.allclose(got, network(noisy, time, guidance).flat(), atol=1e-12)


def test_flat_and_back(rng):
    noisy = state(rng, SMALL)
    assert torch.equal(noisy.like(noisy.flat()).pose, noisy.pose)
    assert noisy.flat().shape == (3, 2 * (6 + 12 + 3 + 3))


def test_published_names_and_shapes():
    shapes = buddi_shapes()
    published = published_shapes()
    assert {k for k in published if spare_buddi_key(k)} == {k for k in published if spare(k)}
    assert shapes == {k: s for k, s in published.items() if not spare(k)}


def test_wrong_sizes_are_refused(rng):
    with pytest.raises(ShapeError, match="pose"):
        Buddi(SMALL)(state(rng, BuddiConfig(pose=18, shape=3)), torch.zeros(3))
