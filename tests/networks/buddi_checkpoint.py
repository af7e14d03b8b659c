"""A random checkpoint with the names of the published BUDDI file, written down one by one."""

import torch

SIZES = {"orient": 6, "pose": 126, "shape": 11, "transl": 3}
WIDTH, HIDDEN, DEPTH = 152, 500, 6


def two_layers(name, size, out):
    return {
        f"{name}.embed.0.weight": (out, size),
        f"{name}.embed.0.bias": (out,),
        f"{name}.embed.2.weight": (out, out),
        f"{name}.embed.2.bias": (out,),
    }


def published_shapes():
    """Names and shapes of the conditional checkpoint, spare layers included."""
    shapes = {"embed_timestep.encode.emb": (WIDTH // 2,), **two_layers("embed_timestep", WIDTH, WIDTH)}
    for person in ("h0", "h1"):
        shapes[f"human_embedding_{person}"] = (WIDTH,)
        for group, size in (*SIZES.items(), ("human", 146)):
            shapes |= two_layers(f"embed_input_{group}_{person}", size, WIDTH)
            shapes |= two_layers(f"unembed_input_{group}_{person}", WIDTH, size)
            shapes |= two_layers(f"embed_guidance_{group}_{person}", size, WIDTH)
            if group != "human":
                shapes |= two_layers(f"embed_guidance_{group}_bev_{person}", size, WIDTH)
    shapes |= two_layers("embed_guidance_action", 1, WIDTH) | two_layers("embed_guidance_contact", 5625, WIDTH)
    shapes |= {f"param_embedding_{group}": (WIDTH,) for group in SIZES}
    for i in range(DEPTH):
        layer = f"transformer_encoder.layers.{i}"
        shapes |= {
            f"{layer}.self_attn.in_proj_weight": (3 * WIDTH, WIDTH),
            f"{layer}.self_attn.in_proj_bias": (3 * WIDTH,),
            f"{layer}.self_attn.out_proj.weight": (WIDTH, WIDTH),
            f"{layer}.self_attn.out_proj.bias": (WIDTH,),
            f"{layer}.linear1.weight": (HIDDEN, WIDTH),
            f"{layer}.linear1.bias": (HIDDEN,),
            f"{layer}.linear2.weight": (WIDTH, HIDDEN),
            f"{layer}.linear2.bias": (WIDTH,),
        }
        shapes |= {f"{layer}.norm{n}.{p}": (WIDTH,) for n in (1, 2) for p in ("weight", "bias")}
    return shapes


def published_state(seed=0):
    """Random numbers under those names."""
    generator = torch.Generator().manual_seed(seed)
    return {k: 0.1 * torch.randn(shape, generator=generator) for k, shape in published_shapes().items()}


def spare(name):
    """Layers that the published forward pass never uses."""
    parts = name.split(".")[0]
    return "human_h" in parts or "action" in parts or "contact" in parts or (parts.startswith("embed_guidance") and "_bev_" not in parts)
