"""Device choice, kernel launching and measuring: what the rooms above share."""

from huddle3d.compute.device import DeviceChoice, choose_device, kernel_backend
from huddle3d.compute.launch import launch_rows, threads, warp
from huddle3d.compute.meter import Measured, measure, peak_memory_mb

__all__ = ["DeviceChoice", "Measured", "choose_device", "kernel_backend", "launch_rows", "measure", "peak_memory_mb", "threads", "warp"]
