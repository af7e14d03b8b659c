"""Names and shapes of CodeFormer's published inpainting network, written down by rule, and random states."""

import torch


def conv(name, out, size, side=3):
    return {f"{name}.weight": (out, size, side, side), f"{name}.bias": (out,)}


def norm(name, width):
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def residual(name, size, out):
    shapes = norm(f"{name}.norm1", size) | conv(f"{name}.conv1", out, size) | norm(f"{name}.norm2", out) | conv(f"{name}.conv2", out, out)
    return shapes | (conv(f"{name}.conv_out", out, size, 1) if size != out else {})


def attention(name, width):
    shapes = norm(f"{name}.norm", width)
    for part in ("q", "k", "v", "proj_out"):
        shapes |= conv(f"{name}.{part}", width, width, 1)
    return shapes


def numbered(prefix, entries):
    shapes = {}
    for i, (kind, *sizes) in enumerate(entries):
        name = f"{prefix}.blocks.{i}"
        if kind == "half" or kind == "double":
            shapes |= conv(f"{name}.conv", sizes[0], sizes[0])
        else:
            shapes |= {"conv": conv, "norm": norm, "res": lambda n, a, b: residual(n, a, b), "attn": attention}[kind](name, *sizes)
    return shapes


def published_shapes():
    encoder = [("conv", 64, 3)]
    encoder += [("res", 64, 64), ("res", 64, 64), ("half", 64), ("res", 64, 128), ("res", 128, 128), ("half", 128)]
    encoder += [("res", 128, 128), ("res", 128, 128), ("half", 128), ("res", 128, 256), ("res", 256, 256), ("half", 256)]
    encoder += [("res", 256, 256), ("res", 256, 256), ("half", 256), ("res", 256, 512), ("attn", 512), ("res", 512, 512), ("attn", 512)]
    encoder += [("res", 512, 512), ("attn", 512), ("res", 512, 512), ("norm", 512), ("conv", 256, 512)]
    decoder = [("conv", 512, 256), ("res", 512, 512), ("attn", 512), ("res", 512, 512)]
    decoder += [
        ("res", 512, 512),
        ("attn", 512),
        ("res", 512, 512),
        ("attn", 512),
        ("double", 512),
        ("res", 512, 256),
        ("res", 256, 256),
        ("double", 256),
    ]
    decoder += [("res", 256, 256), ("res", 256, 256), ("double", 256), ("res", 256, 128), ("res", 128, 128), ("double", 128)]
    decoder += [("res", 128, 128), ("res", 128, 128), ("double", 128), ("res", 128, 64), ("res", 64, 64), ("norm", 64), ("conv", 3, 64)]
    shapes = numbered("encoder", encoder) | numbered("generator", decoder)
    shapes |= {"quantize.embedding.weight": (512, 256), "position_emb": (256, 512), "feat_emb.weight": (512, 256), "feat_emb.bias": (512,)}
    for i in range(9):
        layer = f"ft_layers.{i}"
        shapes |= {
            f"{layer}.self_attn.in_proj_weight": (1536, 512), f"{layer}.self_attn.in_proj_bias": (1536,),
            f"{layer}.self_attn.out_proj.weight": (512, 512), f"{layer}.self_attn.out_proj.bias": (512,),
            f"{layer}.linear1.weight": (1024, 512), f"{layer}.linear1.bias": (1024,),
            f"{layer}.linear2.weight": (512, 1024), f"{layer}.linear2.bias": (512,),
        }  # fmt: skip
        shapes |= norm(f"{layer}.norm1", 512) | norm(f"{layer}.norm2", 512)
    shapes |= norm("idx_pred_layer.0", 512) | {"idx_pred_layer.1.weight": (512, 512)}
    for size, width in ((32, 256), (64, 256), (128, 128)):
        name = f"fuse_convs_dict.{size}"
        shapes |= residual(f"{name}.encode_enc", 2 * width, width)
        for part in ("scale", "shift"):
            shapes |= conv(f"{name}.{part}.0", width, width) | conv(f"{name}.{part}.2", width, width)
    return shapes


def random_state(shapes):
    generator = torch.Generator().manual_seed(0)
    return {k: 0.05 * torch.randn(s, generator=generator) for k, s in shapes.items()}
