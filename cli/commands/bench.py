"""``nightlane bench``: measurements of nightlane itself. The measurements are in bench/."""

from pathlib import Path
from typing import Annotated

import typer

from cli.options import AsJson, example
from common.parallel import one_thread

commands = typer.Typer(help="Measure nightlane itself on this machine.", no_args_is_help=True)


@commands.command(epilog=example("bench sandbox --json"))
def sandbox(as_json: AsJson = False) -> None:
    """Attack the sandbox with hostile programs and time ordinary ones.

    Exit code 1 if an attack succeeds."""
    from bench.sandbox import main

    raise typer.Exit(main(as_json))


@commands.command(epilog=example("bench decisions --quick"))
def decisions(
    quick: Annotated[
        bool, typer.Option("--quick", help="One night of each family, of 24 and 48 probes, in one to two minutes.")
    ] = False,
    probes: Annotated[
        str | None,
        typer.Option("--probes", metavar="LIST", help="Probes per night, separated by commas; default 24,48,96,200."),
    ] = None,
    as_json: AsJson = False,
    landscapes: Annotated[
        str | None, typer.Option("--landscapes", metavar="MODULE:NAME", help="Use your own landscapes instead.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="DIR", help="Also write decisions.md and decisions.json there.")
    ] = None,
) -> None:
    """Simulate sessions with known effects, for nightlane and for rival procedures.

    Prints the shares of false and harmful KEEPs, and the share of the possible gain that each procedure reaches."""
    one_thread()
    from bench.decisions.command import main

    raise typer.Exit(main(quick, as_json, landscapes, output, probes))


@commands.command(epilog=example("bench faults --kind kill --minutes 5"))
def faults(
    quick: Annotated[bool, typer.Option("--quick", help="A few faults of each kind, in two minutes.")] = False,
    minutes: Annotated[
        float | None, typer.Option("--minutes", min=0.1, help="Time limit; default 30, with --quick 2.")
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option("--kind", help="Only this kind: kill, state, cut, full, error, damaged or real; default all."),
    ] = None,
    case: Annotated[
        int | None, typer.Option("--case", min=0, metavar="N", help="Only fault number N of that kind.")
    ] = None,
    as_json: AsJson = False,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="DIR", help="Also write faults.md and faults.json there.")
    ] = None,
) -> None:
    """Inject faults into sessions and count what is lost, doubled or different.

    The faults are kills at system calls, power cuts, full disks, input/output errors and damaged files."""
    from bench.faults.command import main

    raise typer.Exit(main(quick, minutes, kind, case, as_json, output))


@commands.command(epilog=example("bench soak --quick"))
def soak(
    quick: Annotated[bool, typer.Option("--quick", help="A short session, in under two minutes.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make thousands of decisions and compare the cost of early and late ones.

    Exit code 1 if a limit is missed."""
    one_thread()
    from bench.speed.soak import main

    raise typer.Exit(main(quick, as_json))
