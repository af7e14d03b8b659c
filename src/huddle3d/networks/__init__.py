"""Networks: ``nn.Module`` classes built from frozen configs, with the key names of their published checkpoints."""

from huddle3d.networks.buddi import Buddi, BuddiConfig, PairState, buddi_shapes, spare_buddi_key
from huddle3d.networks.clothing_text import COLOUR_WORDS, VOCABULARY, ClothingText, encode_captions, unknown_words
from huddle3d.networks.codeformer import CodeFormer, CodeFormerConfig, codeformer_config, codeformer_shapes
from huddle3d.networks.multiview import DOMAINS, EMBEDDED_64, EMBEDDED_128, PSHUMAN, VIEWS, ControlResiduals, MultiViewConfig, identity_code
from huddle3d.networks.multiview_unet import MultiViewUNet, multiview_shapes
from huddle3d.networks.pair_regressor import PairRegressor, PairRegressorConfig
from huddle3d.networks.surface import SURFACE_INPUTS, SURFACE_OUTPUTS, SurfaceNet, SurfaceNetConfig
from huddle3d.networks.view_upsampler import UPSAMPLED_CHANNELS, UpsamplerConfig, ViewUpsampler

__all__ = [
    "Buddi",
    "BuddiConfig",
    "COLOUR_WORDS",
    "ClothingText",
    "CodeFormer",
    "CodeFormerConfig",
    "codeformer_config",
    "codeformer_shapes",
    "ControlResiduals",
    "DOMAINS",
    "EMBEDDED_128",
    "EMBEDDED_64",
    "MultiViewConfig",
    "MultiViewUNet",
    "PSHUMAN",
    "SURFACE_INPUTS",
    "SURFACE_OUTPUTS",
    "SurfaceNet",
    "SurfaceNetConfig",
    "PairRegressor",
    "PairRegressorConfig",
    "PairState",
    "UPSAMPLED_CHANNELS",
    "UpsamplerConfig",
    "VIEWS",
    "ViewUpsampler",
    "VOCABULARY",
    "buddi_shapes",
    "encode_captions",
    "identity_code",
    "multiview_shapes",
    "spare_buddi_key",
    "unknown_words",
]
