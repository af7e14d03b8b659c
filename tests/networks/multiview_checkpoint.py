"""Names and shapes of PSHuman's published UNet, written down by rule without diffusers, and random files in its folder layout."""

WIDTHS, HEADS_SIZE, TEXT, TIME, CLASS = (320, 640, 1280, 1280), 64, 1024, 1280, 2048


def linear(name, out, size, bias=True):
    return {f"{name}.weight": (out, size)} | ({f"{name}.bias": (out,)} if bias else {})


def conv(name, out, size, side=3):
    return {f"{name}.weight": (out, size, side, side), f"{name}.bias": (out,)}


def norm(name, width):
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def resnet(name, size, out):
    shapes = norm(f"{name}.norm1", size) | conv(f"{name}.conv1", out, size) | linear(f"{name}.time_emb_proj", out, TIME)
    shapes |= norm(f"{name}.norm2", out) | conv(f"{name}.conv2", out, out)
    return shapes | (conv(f"{name}.conv_shortcut", out, size, 1) if size != out else {})


def attention(name, width, context):
    shapes = linear(f"{name}.to_q", width, width, False)
    shapes |= linear(f"{name}.to_k", width, context, False) | linear(f"{name}.to_v", width, context, False)
    return shapes | linear(f"{name}.to_out.0", width, width)


def extra(block, width):
    """The seven tensors that stock Stable Diffusion does not have."""
    return norm(f"{block}.norm_mv", width) | attention(f"{block}.attn_mv", width, width)


def transformer(name, width):
    block = f"{name}.transformer_blocks.0"
    shapes = norm(f"{name}.norm", width) | linear(f"{name}.proj_in", width, width) | linear(f"{name}.proj_out", width, width)
    shapes |= norm(f"{block}.norm1", width) | attention(f"{block}.attn1", width, width)
    shapes |= norm(f"{block}.norm2", width) | attention(f"{block}.attn2", width, TEXT)
    shapes |= norm(f"{block}.norm3", width) | linear(f"{block}.ff.net.0.proj", 8 * width, width) | linear(f"{block}.ff.net.2", width, 4 * width)
    return shapes | extra(block, width)


def published_unet():
    """All names and shapes."""
    shapes = conv("conv_in", WIDTHS[0], 8) | linear("time_embedding.linear_1", TIME, WIDTHS[0]) | linear("time_embedding.linear_2", TIME, TIME)
    shapes |= linear("class_embedding.linear_1", TIME, CLASS) | linear("class_embedding.linear_2", TIME, TIME)
    size, skips = WIDTHS[0], [WIDTHS[0]]
    for level, width in enumerate(WIDTHS):
        for k in range(2):
            shapes |= resnet(f"down_blocks.{level}.resnets.{k}", size, width)
            if level < 3:
                shapes |= transformer(f"down_blocks.{level}.attentions.{k}", width)
            size = width
            skips.append(width)
        if level < 3:
            shapes |= conv(f"down_blocks.{level}.downsamplers.0.conv", width, width)
            skips.append(width)
    shapes |= resnet("mid_block.resnets.0", size, size) | transformer("mid_block.attentions.0", size) | resnet("mid_block.resnets.1", size, size)
    for level, width in enumerate(reversed(WIDTHS)):
        for k in range(3):
            shapes |= resnet(f"up_blocks.{level}.resnets.{k}", size + skips.pop(), width)
            if level > 0:
                shapes |= transformer(f"up_blocks.{level}.attentions.{k}", width)
            size = width
        if level < 3:
            shapes |= conv(f"up_blocks.{level}.upsamplers.0.conv", width, width)
    return shapes | norm("conv_norm_out", WIDTHS[0]) | conv("conv_out", 4, WIDTHS[0])
