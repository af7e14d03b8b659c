"""CodeFormer in the published layout: names and shapes by rule, a twin of its parts, reading and refusing files."""

import pytest
import torch
from codeformer_checkpoint import published_shapes, random_state

from huddle3d.errors import InputError
from huddle3d.networks import CodeFormer, CodeFormerConfig, codeformer_config, codeformer_shapes
from huddle3d.weights import convert

TINY = CodeFormerConfig(
    size=32, width=8, multiples=(1, 2, 2, 4, 4, 8), attention_at=1, latent=12, codebook=16, dim=32, heads=1, layers=2, connect=(4, 8), groups=8
)


def test_names_and_shapes_are_the_published_ones():
    assert codeformer_shapes() == published_shapes()
    assert codeformer_config(published_shapes()) == CodeFormerConfig()
    assert codeformer_config(codeformer_shapes(TINY)) == TINY


@pytest.mark.parametrize("change", ["missing", "shape"])
def test_other_states_are_refused(change):
    shapes = published_shapes()
    if change == "missing":
        del shapes["position_emb"]
    else:
        shapes["generator.blocks.9.conv1.weight"] = (1, 2, 3, 3)
    with pytest.raises(ValueError):
        codeformer_config(shapes)


@pytest.fixture
def network():
    torch.manual_seed(0)
    made = CodeFormer(TINY).eval().requires_grad_(False)
    torch.nn.init.normal_(made.position_emb)
    return made


def test_the_face_comes_from_the_codes_alone_without_weight(network):
    """With w = 0 two pictures of the same codes are the same face; with w = 1 they are not."""
    torch.manual_seed(1)
    face = torch.rand(1, 3, 32, 32) * 2 - 1
    other = face + 1e-3 * torch.randn_like(face)
    codes = [network._decoded(_encoded(network, x)) for x in (face, other)]
    assert torch.equal(*codes)
    assert torch.equal(network(face, weight=0.0), network(other, weight=0.0))
    assert not torch.equal(network(face), network(other)) and network(face).shape == (1, 3, 32, 32)
    book = network.quantize.embedding.weight
    assert all((book - c).abs().sum(1).min() == 0 for c in codes[0][0].flatten(1).T)


def _encoded(network, x):
    for block in network.encoder.blocks:
        x = block(x)
    return x


def test_a_layer_equals_its_plain_twin(network):
    """Norms first, places added to queries and keys only, one residual each."""
    layer, dim = network.ft_layers[0], TINY.dim
    torch.manual_seed(2)
    x, place = torch.randn(5, 2, dim), torch.randn(5, 1, dim).expand(-1, 2, -1)
    y = torch.nn.functional.layer_norm(x, (dim,), layer.norm1.weight, layer.norm1.bias)
    w, b = layer.self_attn.in_proj_weight, layer.self_attn.in_proj_bias
    q, k, v = (t @ w[i * dim : (i + 1) * dim].T + b[i * dim : (i + 1) * dim] for i, t in enumerate((y + place, y + place, y)))
    score = torch.einsum("ibd,jbd->bij", q, k) / dim**0.5
    found = torch.einsum("bij,jbd->ibd", score.softmax(-1), v) @ layer.self_attn.out_proj.weight.T + layer.self_attn.out_proj.bias
    x1 = x + found
    z = torch.nn.functional.layer_norm(x1, (dim,), layer.norm2.weight, layer.norm2.bias)
    expected = x1 + torch.nn.functional.gelu(z @ layer.linear1.weight.T + layer.linear1.bias) @ layer.linear2.weight.T + layer.linear2.bias
    assert torch.allclose(layer(x, place), expected, atol=1e-5)


def test_features_are_fused_where_the_published_network_does(network):
    """Tables of the published code: features after blocks 14, 11, 8 of the encoder enter after blocks 9, 12, 15 of the decoder."""
    full = CodeFormerConfig()
    with torch.device("meta"):
        made = CodeFormer(full)
    assert [made._taken[s] for s in (32, 64, 128)] == [14, 11, 8] and [made._entered[s] for s in (32, 64, 128)] == [9, 12, 15]
    fuse = network.fuse_convs_dict["8"]
    torch.manual_seed(3)
    seen, dec = torch.randn(1, 16, 8, 8), torch.randn(1, 16, 8, 8)
    both = fuse.encode_enc(torch.cat([seen, dec], 1))
    assert torch.allclose(fuse(seen, dec, 0.5), dec + 0.5 * (dec * fuse.scale(both) + fuse.shift(both)), atol=1e-6)


def test_a_published_file_is_converted_without_running_it(tmp_path):
    shapes = published_shapes()
    path = tmp_path / "codeformer_inpainting.pth"
    torch.save({"params_ema": {k: torch.zeros(()).expand(s).half() if len(s) > 1 else torch.zeros(s) for k, s in shapes.items()}}, path)
    done = convert("codeformer", path, tmp_path / "c.safetensors")
    assert done.tensors == len(shapes)
    torch.save({"params_ema": random_state({"encoder.blocks.0.weight": (3, 3)})}, path)
    with pytest.raises(InputError, match="not a checkpoint of 'codeformer'"):
        convert("codeformer", path, tmp_path / "d.safetensors")
