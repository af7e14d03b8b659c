"""Tiny networks of the hub's families, saved as their publishers save them. With random weights, or with weights whose answer is known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def save(model: Any, folder: Path, settings: dict[str, Any] | None = None) -> Path:
    model.save_pretrained(folder)
    if settings is not None:
        (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder


def rt_detr_v2(folder: Path, seed: int = 0) -> Path:
    from transformers import RTDetrResNetConfig, RTDetrV2Config, RTDetrV2ForObjectDetection

    torch.manual_seed(seed)
    backbone = RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], layer_type="basic", out_features=["stage2", "stage3", "stage4"]
    )
    config = RTDetrV2Config(
        backbone_config=backbone, encoder_hidden_dim=16, encoder_in_channels=[8, 16, 16], feat_strides=[8, 16, 32], encoder_ffn_dim=16,
        encoder_attention_heads=2, d_model=16, num_queries=20, decoder_in_channels=[16, 16, 16], decoder_ffn_dim=16, decoder_layers=2,
        decoder_attention_heads=2, decoder_n_points=2, num_denoising=0, num_labels=3, anchor_image_size=None,
        id2label={0: "person", 1: "bicycle", 2: "car"}, label2id={"person": 0, "bicycle": 1, "car": 2},
    )  # fmt: skip
    settings = {"do_resize": True, "size": {"height": 96, "width": 96}, "resample": 2, "do_rescale": True, "rescale_factor": 1 / 255,
                "do_normalize": False, "do_pad": False}  # fmt: skip
    return save(RTDetrV2ForObjectDetection(config), folder, settings)


def d_fine(folder: Path, seed: int = 0) -> Path:
    from transformers import DFineConfig, DFineForObjectDetection, HGNetV2Config

    torch.manual_seed(seed)
    backbone = HGNetV2Config(
        stage_in_channels=[8, 8, 16, 16], stage_mid_channels=[8, 8, 8, 8], stage_out_channels=[8, 16, 16, 16], stage_num_blocks=[1, 1, 1, 1],
        stage_downsample=[False, True, True, True], stage_light_block=[False, False, False, False], stage_kernel_size=[3, 3, 3, 3],
        stage_numb_of_layers=[1, 1, 1, 1], stem_channels=[3, 8, 8], embedding_size=8, hidden_sizes=[8, 16, 16, 16], depths=[1, 1, 1, 1],
        out_features=["stage2", "stage3", "stage4"], return_idx=[1, 2, 3],
    )  # fmt: skip
    config = DFineConfig(
        backbone_config=backbone, encoder_hidden_dim=16, encoder_in_channels=[16, 16, 16], feat_strides=[8, 16, 32], encoder_ffn_dim=16,
        encoder_attention_heads=2, d_model=16, num_queries=20, decoder_in_channels=[16, 16, 16], decoder_ffn_dim=16, decoder_layers=2,
        decoder_attention_heads=2, decoder_n_points=[2, 2, 2], num_denoising=0, num_labels=3, hidden_expansion=1.0,
        id2label={0: "person", 1: "bicycle", 2: "car"}, label2id={"person": 0, "bicycle": 1, "car": 2},
    )  # fmt: skip
    return save(DFineForObjectDetection(config), folder, {"size": {"height": 96, "width": 96}, "do_normalize": False})


def vitpose(folder: Path, *, labels: int = 17, experts: int = 1, seed: int = 0, size: tuple[int, int] = (256, 192), bright: bool = False) -> Path:
    """``bright``: every heat map is highest where the crop is brightest."""
    from transformers import VitPoseBackboneConfig, VitPoseConfig, VitPoseForPoseEstimation

    torch.manual_seed(seed)
    backbone = VitPoseBackboneConfig(
        image_size=list(size), patch_size=[16, 16], hidden_size=16, num_hidden_layers=1, num_attention_heads=2, mlp_ratio=2, num_experts=experts,
        part_features=8 if experts > 1 else 0, out_indices=[1],
    )  # fmt: skip
    model = VitPoseForPoseEstimation(VitPoseConfig(backbone_config=backbone, num_labels=labels, use_simple_decoder=True))
    if bright:
        _passes_brightness(model, backbone.hidden_size)
    return save(model, folder, {"size": {"height": size[0], "width": size[1]}, "do_normalize": True, "image_mean": MEAN, "image_std": STD})


@torch.no_grad()
def _passes_brightness(model: Any, channels: int) -> None:
    """Attention and MLP add nothing; channel 0 carries the patch's brightness beside two constants that keep the norm's scale; the head reads it."""
    for name, p in model.named_parameters():
        if "norm" not in name:
            p.zero_()
    projection = model.backbone.embeddings.patch_embeddings.projection
    projection.weight[0] = 1 / projection.weight[0].numel()
    projection.weight[1] = -1 / projection.weight[0].numel()
    positions = torch.zeros(channels)
    positions[2], positions[3] = 4.0, -4.0
    model.backbone.embeddings.position_embeddings[:] = positions
    conv = model.head.conv
    conv.weight[:, 0, 1, 1] = 1.0


def sam(folder: Path, seed: int = 0, *, bright: bool = False) -> Path:
    from transformers import SamConfig, SamMaskDecoderConfig, SamModel, SamPromptEncoderConfig, SamVisionConfig

    torch.manual_seed(seed)
    vision = SamVisionConfig(
        hidden_size=16, output_channels=16, num_hidden_layers=1, num_attention_heads=2, image_size=128, patch_size=8, window_size=0,
        global_attn_indexes=[0], mlp_dim=32, num_pos_feats=8,
    )  # fmt: skip
    prompt = SamPromptEncoderConfig(hidden_size=16, image_size=128, patch_size=8, mask_input_channels=4)
    decoder = SamMaskDecoderConfig(hidden_size=16, mlp_dim=32, num_hidden_layers=1, num_attention_heads=2, iou_head_hidden_dim=8)
    model = SamModel(SamConfig(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder))
    if bright:
        _masks_what_is_bright(model)
    settings = {
        "size": {"longest_edge": 128},
        "pad_size": {"height": 128, "width": 128},
        "do_pad": True,
        "resample": 2,
        "image_mean": MEAN,
        "image_std": STD,
    }
    return save(model, folder, settings)


@torch.no_grad()
def _masks_what_is_bright(model: Any) -> None:
    """Every mask is positive where the picture is brighter than its mean colour, whatever the prompt."""
    for name, p in model.named_parameters():
        if "norm" not in name or name.endswith("bias"):
            p.zero_()
    projection = model.vision_encoder.patch_embed.projection
    projection.weight[0], projection.weight[1] = 1 / projection.weight[0].numel(), -1 / projection.weight[0].numel()
    neck = model.vision_encoder.neck
    for k in range(16):
        neck.conv1.weight[k, k, 0, 0] = 1.0
        neck.conv2.weight[k, k, 1, 1] = 1.0
    decoder = model.mask_decoder
    for conv, out in ((decoder.upscale_conv1, 4), (decoder.upscale_conv2, 2)):
        for k in range(out):
            conv.weight[k, k] = 1.0
    for mlp in decoder.output_hypernetworks_mlps:
        mlp.proj_out.bias[0], mlp.proj_out.bias[1] = 1.0, -1.0


def sam2(folder: Path, seed: int = 0) -> Path:
    from transformers import Sam2Config, Sam2HieraDetConfig, Sam2MaskDecoderConfig, Sam2Model, Sam2PromptEncoderConfig, Sam2VisionConfig

    torch.manual_seed(seed)
    backbone = Sam2HieraDetConfig(
        hidden_size=8, num_attention_heads=1, blocks_per_stage=[1, 2, 2, 1], embed_dim_per_stage=[8, 16, 32, 64], num_attention_heads_per_stage=[1, 1, 2, 2],
        window_size_per_stage=[8, 4, 4, 2], global_attention_blocks=[4], window_positional_embedding_background_size=[7, 7], image_size=[128, 128],
    )  # fmt: skip
    vision = Sam2VisionConfig(
        backbone_config=backbone, backbone_channel_list=[64, 32, 16, 8], backbone_feature_sizes=[[32, 32], [16, 16], [8, 8]], fpn_hidden_size=16,
    )  # fmt: skip
    prompt = Sam2PromptEncoderConfig(hidden_size=16, image_size=128, patch_size=16, mask_input_channels=4)
    decoder = Sam2MaskDecoderConfig(hidden_size=16, mlp_dim=32, num_hidden_layers=1, num_attention_heads=2, iou_head_hidden_dim=8)
    model = Sam2Model(Sam2Config(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder))
    return save(model, folder, {"size": {"height": 128, "width": 128}, "resample": 2, "image_mean": MEAN, "image_std": STD})


def depth_anything(folder: Path, seed: int = 0, *, metric: bool = False) -> Path:
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    torch.manual_seed(seed)
    backbone = Dinov2Config(
        image_size=56, patch_size=14, hidden_size=16, num_hidden_layers=4, num_attention_heads=2, mlp_ratio=2, out_indices=[1, 2, 3, 4],
        reshape_hidden_states=False, apply_layernorm=True,
    )  # fmt: skip
    config = DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=16, patch_size=14, neck_hidden_sizes=[8, 8, 8, 8], fusion_hidden_size=8, head_hidden_size=8,
        depth_estimation_type="metric" if metric else "relative", max_depth=20 if metric else 1,
    )  # fmt: skip
    settings = {
        "size": {"height": 112, "width": 112},
        "keep_aspect_ratio": True,
        "ensure_multiple_of": 14,
        "resample": 3,
        "image_mean": MEAN,
        "image_std": STD,
    }
    return save(DepthAnythingForDepthEstimation(config), folder, settings)


def sapiens2(folder: Path, task: str, seed: int = 0) -> Path:
    """``task``: pose, normals or pointmap; input 128 × 96 px."""
    import transformers

    torch.manual_seed(seed)
    channels = {"pose": 308, "normals": 3, "pointmap": 3}[task]
    head: dict[str, Any] = {"upsample_out_channels": [8, 8], "conv_out_channels": [8]}
    if task != "pose":  # up to the size of the input
        head = {"upsample_out_channels": [8, 8, 8, 8], "conv_out_channels": [8], "use_pixel_shuffle": True}
    config = transformers.Sapiens2Config(
        image_size=[128, 96], patch_size=16, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, num_register_tokens=2,
        num_key_value_attention_heads=1, num_first_full_attention_layers=1, num_last_full_attention_layers=1, num_labels=channels, head_config=head,
    )  # fmt: skip
    cls = {"pose": "Sapiens2ForPoseEstimation", "normals": "Sapiens2ForNormalEstimation", "pointmap": "Sapiens2ForPointmapEstimation"}[task]
    settings = {"size": {"height": 128, "width": 96}, "do_pad": task != "pose", "resample": 2, "image_mean": MEAN, "image_std": STD}
    return save(getattr(transformers, cls)(config), folder, settings)


def picture(height: int = 120, width: int = 160, seed: int = 0) -> np.ndarray:
    """Noise with structure at several scales."""
    import cv2

    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(coarse.astype(int) + rng.integers(-20, 20, (height, width, 3)), 0, 255).astype(np.uint8)
