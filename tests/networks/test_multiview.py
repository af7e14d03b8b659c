"""The multi-view denoiser: its attentions against loops in plain torch, the rest against the stock UNet, its names against the published ones."""

import dataclasses
import math
import subprocess
import sys

import pytest
import torch
from multiview_checkpoint import published_unet

from huddle3d.errors import InputError, ShapeError
from huddle3d.networks import (
    EMBEDDED_64,
    EMBEDDED_128,
    PSHUMAN,
    ControlResiduals,
    MultiViewConfig,
    MultiViewUNet,
    identity_code,
    multiview_shapes,
)
from huddle3d.networks._multiview_block import Grid, MultiViewBlock

TINY = MultiViewConfig(
    widths=(8, 16), layers=1, heads=(2, 4), attention=(True, False), size=12, text_width=12, class_width=5, norm_groups=4, channels=3, condition_channels=2
)  # fmt: skip


def seeded(network, seed=0):
    """Random numbers everywhere, the layers that start at zero included."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in network.parameters():
            p.copy_(0.3 * torch.randn(p.shape, generator=generator) + (1.0 if p.ndim == 1 else 0.0))
    return network.double().eval()


def inputs(config, B=2, V=6, side=12, seed=1):
    g = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    told = {"text": normal(B, 2, V, 3, config.text_width)}
    if config.class_width:
        told["image_embedding"] = normal(B, 2, V, config.class_width)
    t = torch.randint(0, 1000, (B,), generator=g)
    return (normal(B, 2, V, config.channels, side, side), normal(B, 2, V, config.condition_channels, side, side), t), told


def stock_block(width=8, heads=2):
    from diffusers.models.attention import BasicTransformerBlock

    return BasicTransformerBlock(width, heads, width // heads, cross_attention_dim=12)


# the twin: one token at a time, from the formulas of the paper's code


def attend(weights, name, queries, keys, heads):
    """Softmax attention of a list of tokens to a list of tokens, head by head."""
    q, k, v = (source @ weights[f"{name}.to_{x}.weight"].T for x, source in (("q", queries), ("k", keys), ("v", keys)))
    size, out = q.shape[-1] // heads, []
    for h in range(heads):
        part = slice(h * size, (h + 1) * size)
        share = torch.softmax(q[:, part] @ k[:, part].T / math.sqrt(size), -1)
        out.append(share @ v[:, part])
    return torch.cat(out, -1) @ weights[f"{name}.to_out.0.weight"].T + weights[f"{name}.to_out.0.bias"]


def layer_norm(weights, name, x):
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def shrink(picture, h, w):
    """Bilinear sampling at the cell centres of a smaller grid (no antialiasing); picture h0 x w0 x c."""
    h0, w0, c = picture.shape
    out = torch.zeros(h, w, c, dtype=picture.dtype)
    for i in range(h):
        for j in range(w):
            y, x = max(0.0, (i + 0.5) * h0 / h - 0.5), max(0.0, (j + 0.5) * w0 / w - 0.5)
            y0, x0 = int(y), int(x)
            y1, x1, fy, fx = min(y0 + 1, h0 - 1), min(x0 + 1, w0 - 1), y - y0, x - x0
            top = picture[y0, x0] * (1 - fx) + picture[y0, x1] * fx
            out[i, j] = top * (1 - fy) + (picture[y1, x0] * (1 - fx) + picture[y1, x1] * fx) * fy
    return out


def block_twin(weights, x, text, *, heads, face, joint=True, rowwise=True):
    """x: B D V h w c, text: B D V l t; the result of one block, in the order of the paper's code."""
    B, D, V, h, w, c = x.shape
    normed, seen = layer_norm(weights, "norm1", x), torch.zeros_like(x)
    for b in range(B):
        for v in range(V):
            tokens = {d: normed[b, d, v].reshape(h * w, c) for d in range(D)}
            for d in range(D):
                keys = torch.cat([tokens[0], tokens[1]]) if joint else tokens[d]
                seen[b, d, v] = attend(weights, "attn1", tokens[d], keys, heads).reshape(h, w, c)
    if face:
        for b in range(B):
            for d in range(D):
                small = shrink(seen[b, d, -1], h // 3, w - 2 * (w // 3))
                for i in range(h // 3):
                    for j in range(w // 3, w - w // 3):
                        seen[b, d, 0, i, j] = 0.5 * seen[b, d, 0, i, j] + 0.5 * small[i, j - w // 3]
    x = x + seen
    if rowwise:
        body, change = V - face, torch.zeros_like(x)
        normed = layer_norm(weights, "norm_mv", x)
        for b in range(B):
            for d in range(D):
                for row in range(h):
                    keys = torch.cat([normed[b, d, v, row] for v in range(body)])
                    for v in range(body):
                        change[b, d, v, row] = attend(weights, "attn_mv", normed[b, d, v, row], keys, heads)
        x = x + change
    normed, out = layer_norm(weights, "norm2", x), torch.zeros_like(x)
    for b in range(B):
        for d in range(D):
            for v in range(V):
                told = attend(weights, "attn2", normed[b, d, v].reshape(h * w, c), text[b, d, v], heads)
                out[b, d, v] = told.reshape(h, w, c)
    x = x + out
    hidden = layer_norm(weights, "norm3", x) @ weights["ff.net.0.proj.weight"].T + weights["ff.net.0.proj.bias"]
    value, gate = hidden.chunk(2, -1)
    gelu = 0.5 * gate * (1 + torch.erf(gate / math.sqrt(2)))
    return x + (value * gelu) @ weights["ff.net.2.weight"].T + weights["ff.net.2.bias"]


@pytest.mark.parametrize(("face", "joint", "rowwise"), [(False, True, True), (True, True, True), (True, False, True), (False, True, False)])
def test_block_equals_its_twin(face, joint, rowwise):
    B, V, h, w, c = 2, 4, 6, 6, 8
    block = seeded(MultiViewBlock(stock_block(c), joint=joint, rowwise=rowwise))
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(B, 2, V, h, w, c, generator=generator, dtype=torch.float64)
    text = torch.randn(B, 2, V, 3, 12, generator=generator, dtype=torch.float64)
    grid = Grid(2, B, V, face, 4 * h, 4 * w)
    flat = x.transpose(0, 1).reshape(-1, h * w, c)
    words = text.transpose(0, 1).reshape(-1, 3, 12)
    out = block(flat, encoder_hidden_states=words, cross_attention_kwargs={"grid": grid}).reshape(2, B, V, h, w, c).transpose(0, 1)
    weights = {k: v for k, v in block.state_dict().items()}
    torch.testing.assert_close(out, block_twin(weights, x, text, heads=2, face=face, joint=joint, rowwise=rowwise), rtol=1e-9, atol=1e-9)


def test_the_face_gets_no_gradient_from_the_front_view():
    block = seeded(MultiViewBlock(stock_block(), joint=True, rowwise=True))
    x = torch.randn(2 * 3, 36, 8, dtype=torch.float64, requires_grad=True)
    text = torch.randn(6, 3, 12, dtype=torch.float64)
    out = block(x, encoder_hidden_states=text, cross_attention_kwargs={"grid": Grid(2, 1, 3, True, 6, 6)})
    out.reshape(2, 3, 36, 8)[:, 0].sum().backward()
    assert x.grad is not None
    grad = x.grad.reshape(2, 3, 36, 8)
    assert float(grad[:, 2].abs().max()) == 0 and float(grad[:, 1].abs().max()) > 0


def test_without_its_attentions_it_is_the_stock_unet():
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

    config = dataclasses.replace(TINY, joint=False, rowwise=False, face_slot=False)
    network = seeded(MultiViewUNet(config))
    stock = UNet2DConditionModel(**config.stock()).double().eval()
    stock.load_state_dict(network.state_dict())
    (sample, condition, t), told = inputs(config)
    B, V = sample.shape[0], sample.shape[2]
    g = torch.Generator().manual_seed(5)
    down = [(8, 12), (8, 12), (8, 6), (16, 6)]
    control = ControlResiduals(
        tuple(torch.randn(2 * B * V, c, s, s, generator=g, dtype=torch.float64) for c, s in down),
        torch.randn(2 * B * V, 16, 6, 6, generator=g, dtype=torch.float64),
    )
    out = network(sample, condition, t, control=control, **told)
    for b in range(B):
        for d in range(2):
            for v in range(V):
                flat = d * B * V + b * V + v
                expected = stock(
                    torch.cat([sample[b, d, v], condition[b, d, v]])[None],
                    t[b],
                    told["text"][b, d, v][None],
                    class_labels=told["image_embedding"][b, d, v][None],
                    down_block_additional_residuals=tuple(x[flat : flat + 1] for x in control.down),
                    mid_block_additional_residual=control.mid[flat : flat + 1],
                ).sample
                torch.testing.assert_close(out[b, d, v], expected[0], rtol=1e-8, atol=1e-8)


def test_a_fresh_network_ignores_the_other_views():
    """``attn_mv`` starts as nothing, so weights of a single-view network keep what they do."""
    torch.manual_seed(0)
    network = MultiViewUNet(dataclasses.replace(TINY, face_slot=False)).double().eval()
    (sample, condition, t), told = inputs(TINY)
    out = network(sample, condition, t, **told)
    alone = network(sample[:, :, 2:3], condition[:, :, 2:3], t, text=told["text"][:, :, 2:3], image_embedding=told["image_embedding"][:, :, 2:3])
    torch.testing.assert_close(out[:, :, 2:3], alone)


def test_views_and_domains_speak_to_each_other_and_samples_do_not():
    network = seeded(MultiViewUNet(TINY))
    (sample, condition, t), told = inputs(TINY, V=7)
    out = network(sample, condition, t, **told)
    for place, reaches in (((0, 0, 3), [(0, 0, 0), (0, 1, 3)]), ((0, 1, 6), [(0, 1, 0), (0, 0, 6)])):
        changed = sample.clone()
        changed[place] += 1
        difference = (network(changed, condition, t, **told) - out).abs().amax((-1, -2, -3))
        assert all(float(difference[p].detach()) > 1e-9 for p in reaches), place
        assert float(difference[1].detach().max()) == 0


def test_six_views_bypass_the_face_slot():
    network = seeded(MultiViewUNet(TINY))
    plain = seeded(MultiViewUNet(dataclasses.replace(TINY, face_slot=False)))
    (sample, condition, t), told = inputs(TINY)
    torch.testing.assert_close(network(sample, condition, t, **told), plain(sample, condition, t, **told))


def test_pixels_in_patches():
    """A patched network is the plain one on channels that hold the pixels of a patch."""
    patched = seeded(MultiViewUNet(dataclasses.replace(TINY, patch=2, face_slot=False)))
    plain = seeded(MultiViewUNet(dataclasses.replace(TINY, channels=12, condition_channels=8, face_slot=False)))
    (sample, condition, t), told = inputs(TINY, side=24)

    def fold(x):
        B, D, V, C, H, W = x.shape
        return x.reshape(B, D, V, C, H // 2, 2, W // 2, 2).permute(0, 1, 2, 3, 5, 7, 4, 6).reshape(B, D, V, 4 * C, H // 2, W // 2)

    torch.testing.assert_close(fold(patched(sample, condition, t, **told)), plain(fold(sample), fold(condition), t, **told))


def test_foundation_names_and_shapes_are_the_published_ones():
    ours = multiview_shapes(PSHUMAN)
    assert ours == published_unet()
    extra = [k for k in ours if "_mv." in k]
    assert len(extra) == 112 and len({k.split(".transformer_blocks")[0] for k in extra}) == 16
    count = sum(math.prod(s) for s in ours.values())
    assert round(count / 1e5) == 9198
    assert round(sum(math.prod(ours[k]) for k in extra) / 1e5) == 496


def test_published_configuration_round_trip():
    for config in (PSHUMAN, TINY, dataclasses.replace(TINY, face_slot=False, rowwise=False, class_width=0)):
        content = config.published()
        if not config.class_width:
            content |= {"class_embed_type": None, "projection_class_embeddings_input_dim": 0}
        read = MultiViewConfig.from_published(content)
        assert read == config if config.class_width else read.class_width in (0, 2048)
    with pytest.raises(InputError, match="use_dino"):
        MultiViewConfig.from_published({**PSHUMAN.published(), "use_dino": True})
    with pytest.raises(InputError, match="9 views"):
        MultiViewConfig.from_published({**PSHUMAN.published(), "num_views": 9})
    with pytest.raises(InputError, match="not a list"):
        MultiViewConfig.from_published({**PSHUMAN.published(), "attention_head_dim": 8})


def test_embedded_sizes():
    for config, most in ((EMBEDDED_64, 16e6), (EMBEDDED_128, 36e6)):
        half = 2 * sum(math.prod(s) for s in multiview_shapes(config).values())
        assert 0.6 * most < half < most
        assert config.channels == 4 and config.condition_channels == 11


def test_embedded_network_learns_one_sample():
    """Every layer is on the path: a gradient reaches all parameters, and a few steps lower the loss."""
    torch.manual_seed(0)
    config = dataclasses.replace(EMBEDDED_64, widths=(16, 16, 16, 16), heads=(1, 1, 1, 1), size=16)
    network = MultiViewUNet(config)
    target, condition = torch.randn(1, 2, 6, 4, 16, 16), torch.randn(1, 2, 6, 11, 16, 16)
    text, code, t = torch.randn(1, 2, 6, 3, 96), identity_code(torch.tensor([True])), torch.tensor([500])
    optimiser, losses = torch.optim.Adam(network.parameters(), 2e-3), []
    for _ in range(12):
        optimiser.zero_grad()
        loss = (network(torch.zeros_like(target), condition, t, text=text, image_embedding=code) - target).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    assert not [n for n, p in network.named_parameters() if p.grad is None or not bool(p.grad.abs().max() > 0)]
    assert all("_mv." in n for n, p in network.named_parameters() if any(p is q for q in network.multiview_parameters()))


def test_identity_code():
    code = identity_code(torch.tensor([False, True]))
    assert code.shape == (2, 2, 6, EMBEDDED_64.class_width)
    assert len({tuple(c.tolist()) for c in code.reshape(-1, code.shape[-1])}) == 24 and bool((code.sum(-1) == 3).all())


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"sample": (1, 3, 6, 3, 12, 12)}, "sample"),
        ({"sample": (1, 2, 8, 3, 12, 12)}, "sample"),
        ({"sample": (1, 2, 6, 3, 13, 12)}, "sample"),
        ({"sample": (2, 6, 3, 12, 12)}, "sample"),
        ({"condition": (1, 2, 6, 3, 12, 12)}, "condition"),
        ({"t": (2,)}, "t"),
        ({"text": (1, 2, 6, 3, 11)}, "text"),
        ({"image_embedding": (1, 2, 6, 4)}, "image_embedding"),
    ],
)
def test_wrong_shapes_are_named(change, named):
    shapes = {"sample": (1, 2, 6, 3, 12, 12), "condition": (1, 2, 6, 2, 12, 12), "t": (1,), "text": (1, 2, 6, 3, 12), "image_embedding": (1, 2, 6, 5)}
    x = {k: torch.zeros(s, dtype=torch.long if k == "t" else torch.float32) for k, s in (shapes | change).items()}
    with pytest.raises(ShapeError) as e:
        MultiViewUNet(TINY)(x["sample"], x["condition"], x["t"], text=x["text"], image_embedding=x["image_embedding"])
    assert e.value.name == named


def test_diffusers_is_imported_late():
    code = "import sys, huddle3d, huddle3d.networks, huddle3d.people, huddle3d.cli.app; print([m for m in ('diffusers', 'transformers') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
