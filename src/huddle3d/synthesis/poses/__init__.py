"""Interactions: what each family asks for, and the solver that moves people into contact."""
