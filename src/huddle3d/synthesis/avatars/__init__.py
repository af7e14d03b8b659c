"""Rigged, textured people from the assets folder, moved by solved bodies."""
