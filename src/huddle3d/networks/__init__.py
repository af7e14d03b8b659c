"""Networks: ``nn.Module`` classes built from frozen configs, with the key names of their published checkpoints."""

from huddle3d.networks.buddi import Buddi, BuddiConfig, PairState, buddi_shapes, spare_buddi_key

__all__ = ["Buddi", "BuddiConfig", "PairState", "buddi_shapes", "spare_buddi_key"]
