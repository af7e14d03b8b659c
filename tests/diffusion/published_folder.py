"""A tiny random checkpoint in PSHuman's folder layout, and a ControlNet that fits it."""

import json

import torch

from huddle3d.networks import MultiViewConfig, MultiViewUNet

CONFIG = MultiViewConfig(
    widths=(16, 32), layers=1, heads=(2, 4), attention=(True, False), size=12, text_width=32, class_width=32, norm_groups=8
)  # fmt: skip
SCHEDULER = {
    "_class_name": "DDIMScheduler", "num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "linear", "clip_sample": False,
    "set_alpha_to_one": False, "steps_offset": 1, "prediction_type": "v_prediction", "timestep_spacing": "leading",
}  # fmt: skip


def write_checkpoint(folder):
    """All sub-folders; pictures of 24 pixels, latents of 12 cells."""
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import StableUnCLIPImageNormalizer
    from safetensors.torch import save_file
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(0)
    for part in ("unet", "scheduler", "tokenizer", "image_noising_scheduler"):
        (folder / part).mkdir(parents=True)
    unet = MultiViewUNet(CONFIG)
    for p in unet.multiview_parameters():
        torch.nn.init.normal_(p, std=0.1)
    save_file(unet.half().state_dict(), str(folder / "unet" / "diffusion_pytorch_model.safetensors"))
    (folder / "unet" / "config.json").write_text(json.dumps(CONFIG.published()))
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(SCHEDULER))
    noising = {"num_train_timesteps": 1000, "beta_schedule": "squaredcos_cap_v2", "prediction_type": "epsilon"}
    (folder / "image_noising_scheduler" / "scheduler_config.json").write_text(json.dumps(noising))
    (folder / "model_index.json").write_text('{"unet": ["mvdiffusion.models_unclip.unet_mv2d_condition", "UNetMV2DConditionModel"]}')
    words = write_tokenizer(folder / "tokenizer")
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2, "block_out_channels": (8, 8)}
    AutoencoderKL(**blocks, latent_channels=4, norm_num_groups=4, sample_size=24).save_pretrained(folder / "vae")
    text = CLIPTextConfig(
        vocab_size=words, hidden_size=32, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=77,
        bos_token_id=words - 2, eos_token_id=words - 1, pad_token_id=words - 1,
    )  # fmt: skip
    CLIPTextModel(text).save_pretrained(folder / "text_encoder")
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=16, patch_size=8, projection_dim=16
    )  # fmt: skip
    CLIPVisionModelWithProjection(vision).save_pretrained(folder / "image_encoder")
    StableUnCLIPImageNormalizer(16).save_pretrained(folder / "image_normalizer")


def write_tokenizer(folder):
    """CLIP's tokenizer with single letters only; returns the number of tokens."""
    letters = [chr(c) for c in range(33, 127)]
    tokens = [*letters, *[f"{c}</w>" for c in letters], "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    said = {"model_max_length": 77, "bos_token": tokens[-2], "eos_token": tokens[-1], "unk_token": tokens[-1], "pad_token": tokens[-1]}
    (folder / "tokenizer_config.json").write_text(json.dumps(said | {"tokenizer_class": "CLIPTokenizer"}))
    return len(tokens)


def write_control(folder):
    """A ControlNet whose last layers are not zero, so that it has an effect."""
    from diffusers.models.controlnets.controlnet import ControlNetModel

    torch.manual_seed(1)
    control = ControlNetModel(
        block_out_channels=(16, 32), layers_per_block=1, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), attention_head_dim=(2, 4),
        cross_attention_dim=32, norm_num_groups=8, use_linear_projection=True, conditioning_embedding_out_channels=(4, 8),
    )  # fmt: skip
    for p in control.parameters():
        if float(p.detach().abs().max()) == 0:
            torch.nn.init.normal_(p, std=0.1)
    control.save_pretrained(folder)
