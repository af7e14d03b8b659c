"""Photographs of a scene: light, place, lens, and what is true of each pixel."""
