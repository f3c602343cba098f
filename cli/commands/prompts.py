"""``nightlane prompts``: the prompts of a benchmark's task, as a study's file of prompts."""

import json
from typing import Annotated

import typer

from cli.options import AsJson, StudyFile, example, print_result
from common.errors import BadInput
from common.printable import print_message

commands = typer.Typer()


@commands.command(epilog=example("prompts my-study/study.toml"))
def prompts(
    study: StudyFile,
    harvest: Annotated[
        float, typer.Option("--harvest", min=0.0, max=0.9, help="Share of the samples that make pairs.")
    ] = 0.2,
    holdout: Annotated[
        float, typer.Option("--holdout", min=0.0, max=0.9, help="Share of the samples that confirm at the end.")
    ] = 0.2,
    force: Annotated[bool, typer.Option("--force", help="Write over an existing file.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the file of prompts of a study whose scorer is a task of Inspect or lm-evaluation-harness.

    Each sample of the task becomes a prompt with its category, in one of three disjoint splits. Prints the path."""
    from collections import Counter

    from agent.study.load import load_study
    from common.files import write_durably
    from probes.scoring.benchmarks.prompts import prompt_rows
    from probes.scoring.benchmarks.scorer import prompts_task

    if harvest + holdout >= 1:
        raise BadInput(f"--harvest {harvest:g} and --holdout {holdout:g} leave no sample that decides; make them less")
    loaded = load_study(study)
    path = loaded.material.prompt_file
    if path.exists() and not force:
        raise BadInput(f"{path} exists; give --force to write over it, or name another file under [prompts]")
    rows = list(prompt_rows(prompts_task(loaded.scorer, loaded.material.folder), harvest, holdout))
    write_durably(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    counts = Counter(row["split"] for row in rows)
    print_message(f"{len(rows)} prompts: {', '.join(f'{number} {split}' for split, number in counts.items())}")
    print_result({"file": str(path), "prompts": len(rows), "splits": dict(counts)} if as_json else str(path))
