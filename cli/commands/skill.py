"""``nightlane skill``: where the instructions for an agent are."""

import typer

from cli.options import AsJson, example, print_result

commands = typer.Typer()


@commands.command(epilog=example("skill"))
def skill(as_json: AsJson = False) -> None:
    """Print the path of SKILL.md, which tells an agent how to write a study, run it, read it and act on it."""
    from cli.skill import SKILL

    print_result({"file": str(SKILL)} if as_json else str(SKILL))
