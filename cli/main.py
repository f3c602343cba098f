"""The nightlane command, put together from one file per group of commands.

The commands import other packages only when they run, so that --help answers at once. Results go to stdout, messages
to stderr. Exit codes are in cli/exit_codes.py.
"""

import sys
from typing import Annotated

import typer

from cli.commands import bench, pairs, study, workspace
from cli.commands.model import evaluate, export, finetune, promote, ship
from cli.commands.session import rescore, run, service, steer, watch
from cli.exit_codes import EPILOG, exit_code
from common.printable import print_data

app = typer.Typer(epilog=EPILOG, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
for group in (study, run, steer, watch, rescore, service, evaluate, finetune, promote, export, ship, workspace):
    app.add_typer(group.commands)
app.add_typer(pairs.commands, name="pairs")
app.add_typer(bench.commands, name="bench")


def print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print_data(f"nightlane {version('nightlane')}")
        raise typer.Exit


@app.callback()
def nightlane(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Search overnight for a better preference-tuning recipe (DPO, ORPO; LoRA, QLoRA), and keep only changes that
    fresh seeds confirm."""


def main() -> None:
    """Entry point: every error ends with one sentence and its exit code; only a defect of nightlane has a traceback."""
    try:
        code = app(standalone_mode=False) or 0
    except Exception as error:
        code = exit_code(error)
    sys.exit(code)


if __name__ == "__main__":
    main()
