"""All verbs under one parser."""

from __future__ import annotations

from collections.abc import Sequence

from tyro.extras import SubcommandApp

from huddle3d.cli import demo, doctor, evaluate, export, models, people, synth, train, view

__all__ = ["build_app", "with_default_verb"]


def build_app() -> SubcommandApp:
    """The ``huddle3d`` command."""
    app = SubcommandApp()
    app.command(demo.demo)
    app.command(people.people)
    app.command(synth.build_app(), name="synth", help="Synthetic people with their truth: seeded scenes, and the evaluation's suites.")
    app.command(evaluate.build_app(), name="eval", help="Metrics tables on seeded synthetic scenes, suites and data sets.")
    app.command(train.build_app(), name="train", help="Pose banks, and networks learned from synthetic people.")
    app.command(view.view)
    app.command(export.export)
    app.command(export.convert_body)
    app.command(models.build_app(), name="models", help="Weights: licences, hashes, fetching, model cards.")
    app.command(doctor.doctor)
    return app


def with_default_verb(args: Sequence[str]) -> list[str]:
    """``synth --count 3`` means ``synth scenes --count 3``; what names a verb of the group, or asks for help, stays as it is."""
    args = list(args)
    if args[:1] == ["synth"] and (len(args) == 1 or (args[1].startswith("-") and args[1] not in ("-h", "--help"))):
        args.insert(1, "scenes")
    return args
