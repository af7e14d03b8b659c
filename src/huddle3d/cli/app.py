"""All verbs under one parser."""

from __future__ import annotations

from tyro.extras import SubcommandApp

from huddle3d.cli import demo, doctor, evaluate, models, people, synth, view

__all__ = ["build_app"]


def build_app() -> SubcommandApp:
    """The ``huddle3d`` command."""
    app = SubcommandApp()
    app.command(demo.demo)
    app.command(people.people)
    app.command(synth.synth)
    app.command(evaluate.build_app(), name="eval", help="Metrics tables on seeded synthetic scenes.")
    app.command(view.view)
    app.command(models.build_app(), name="models", help="Weights: licences, hashes, fetching, model cards.")
    app.command(doctor.doctor)
    return app
