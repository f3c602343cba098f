"""``nightlane pairs``: the stores of preference pairs. agent/workspace/pair_stores.py and preferences/ do the work."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands.study import load
from cli.options import AsJson, WorkspaceFolder, example, print_result, terminal_width, workspace_at
from common.errors import BadInput
from common.printable import print_data, print_message, printable

if TYPE_CHECKING:
    from preferences.store.annotations import AnnotatedRow
    from preferences.text_gate.settings import TextGateSettings

commands = typer.Typer(help="List, vote on, certify, review, import and export preference pairs.", no_args_is_help=True)

Store = Annotated[str | None, typer.Option("--kind", help="preference, reward, dpo or orpo; default all.")]
RowId = Annotated[str, typer.Argument(metavar="ID", help="The id of a row, or its first characters.")]
By = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who votes or reviews; default the login name.")]
StudyOption = Annotated[
    Path | None,
    typer.Option(
        "--study", metavar="FILE", help="Keep this study's probe and holdout prompts out of the stores, from now on."
    ),
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Import the good rows instead of refusing the whole file.")]
PromptInAnswersOption = Annotated[
    str | None,
    typer.Option(
        "--prompt-in-answers", help="Whether plain answers keep a prompt that they begin with: remove or keep."
    ),
]
OriginOption = Annotated[
    str,
    typer.Option(
        "--origin",
        help="The origin of answers whose row names none: sampled, human, reference, mechanical, or cut (at its limit "
        "of tokens).",
    ),
]
RejectedOrigin = Annotated[
    str | None, typer.Option("--rejected-origin", help="The origin of rejected answers; default that of --origin.")
]
SourceOption = Annotated[str | None, typer.Option("--source", help="The source of rows that name none; default FILE.")]


@commands.command("list", epilog=example("pairs list --kind preference --limit 20"))
def list_pairs(
    kind: Store = None,
    state: Annotated[str, typer.Option("--state", help="live, withdrawn or all.")] = "all",
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, help="Only the latest rows of each store; default 50, with --json all."),
    ] = None,
    workspace: WorkspaceFolder = Path(),
    as_json: AsJson = False,
) -> None:
    """List the rows of the stores, with votes and withdrawals applied."""
    from agent.workspace.pair_stores import kinds_of, listed, open_stores
    from view.pairs.listing import list_data, list_text

    rows = listed(open_stores(workspace_at(workspace)), kinds_of(kind), state)
    print_result(list_data(rows, limit) if as_json else list_text(rows, limit or 50))


@commands.command(epilog=example("pairs show 3f2a"))
def show(row: RowId, workspace: WorkspaceFolder = Path(), as_json: AsJson = False) -> None:
    """Show one row: prompt, answers side by side, provenance, votes, reviews."""
    from agent.workspace.pair_stores import open_stores
    from view.pairs.listing import pair_data, pair_text

    found = open_stores(workspace_at(workspace)).find(row)
    print_result(pair_data(found) if as_json else pair_text(found, terminal_width()))


@commands.command(epilog=example("pairs vote 3f2a flip"))
def vote(
    row: RowId,
    choice: Annotated[
        str, typer.Argument(metavar="up|down|flip|drop|clear", help="The vote; clear takes your votes back.")
    ],
    by: By = None,
    workspace: WorkspaceFolder = Path(),
    as_json: AsJson = False,
) -> None:
    """Vote on a row.

    up and down are counted, flip swaps chosen and rejected, drop keeps the row out of exports."""
    from agent.workspace.pair_stores import open_stores, vote
    from view.pairs.listing import pair_data, vote_text

    found = vote(open_stores(workspace_at(workspace)), row, choice, by)
    print_result(pair_data(found) if as_json else vote_text(found))


@commands.command("import", epilog=example("pairs import pairs.jsonl --kind preference --study my-study/study.toml"))
def import_pairs(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file or folder of rows, or a hub id.")],
    kind: Annotated[str, typer.Option("--kind", help="preference, reward, dpo, orpo or votes.")],
    skip_bad: SkipBad = False,
    prompt_in_answers: PromptInAnswersOption = None,
    origin: OriginOption = "human",
    rejected_origin: RejectedOrigin = None,
    category: Annotated[str, typer.Option("--category", help="The category of rows that have none.")] = "imported",
    source: SourceOption = None,
    by: By = None,
    study: StudyOption = None,
    workspace: WorkspaceFolder = Path(),
    as_json: AsJson = False,
) -> None:
    """Import pairs, rewards or votes from a file.

    Names every bad row. Importing a file twice changes nothing."""
    from agent.workspace.pair_stores import import_file, open_stores
    from preferences.collection.import_rows import Defaults
    from preferences.store.provenance import origin_of
    from view.pairs.listing import import_data, import_text

    defaults = Defaults(
        category=category,
        source=source or file.name,
        origin=origin_of(origin),
        rejected=origin_of(rejected_origin or origin),
    )
    stores = open_stores(workspace_at(workspace), study)
    done = import_file(
        stores,
        file,
        kind,
        defaults,
        by=by,
        skip_bad=skip_bad,
        prompt_in_answers=prompt_in_answers,
        note=print_message,
    )
    print_result(import_data(done) if as_json else import_text(done))


@commands.command("export", epilog=example("pairs export my-pairs --kind orpo --format parquet"))
def export_pairs(
    folder: Annotated[Path, typer.Argument(metavar="OUT_DIR", help="A new or empty folder.")],
    kind: Annotated[
        str, typer.Option("--kind", help="preference, reward, dpo, orpo, or proposer (proposals from the ledger).")
    ],
    form: Annotated[str, typer.Option("--format", help="jsonl or parquet.")] = "jsonl",
    downvoted: Annotated[bool, typer.Option("--downvoted", help="Include rows with more votes down than up.")] = False,
    licence: Annotated[str, typer.Option("--license", help="The license that the dataset card names.")] = "unknown",
    study: StudyOption = None,
    workspace: WorkspaceFolder = Path(),
    as_json: AsJson = False,
) -> None:
    """Export a store, or the ledger's proposals, as a dataset for TRL.

    Writes a dataset card beside it. Prints the path of the data."""
    from agent.workspace.pair_stores import open_stores
    from preferences.export.dataset import PROPOSER, ExportedDataset, export, format_of
    from preferences.store.rows import kind_of
    from view.pairs.dataset_card import card_markdown, export_data, export_warnings

    if kind == PROPOSER:
        if downvoted or study is not None:
            raise BadInput(
                "proposer pairs come from the ledger, and --downvoted and --study are for stores; leave them out"
            )
        _export_proposals(folder, form, licence, workspace, as_json)
        return

    def card(exported: ExportedDataset) -> str:
        return printable(card_markdown(exported, licence))

    stores = open_stores(workspace_at(workspace), study)
    done = export(stores, kind_of(kind), format_of(form), folder, downvoted, card)
    for warning in export_warnings(done):
        print_message(warning)
    print_result(export_data(done) if as_json else str(done.file))


def _export_proposals(folder: Path, form: str, licence: str, workspace: Path, as_json: bool) -> None:
    from agent.proposers.preference_data import export_pairs
    from preferences.export.dataset import format_of
    from view.pairs.dataset_card import proposer_card, proposer_data

    ledger = workspace_at(workspace).ledger
    done = export_pairs(ledger, format_of(form), folder, lambda exported: printable(proposer_card(exported, licence)))
    print_result(proposer_data(done) if as_json else str(done.file))


@commands.command(epilog=example("pairs audit --study my-study/study.toml"))
def audit(
    kind: Store = None, study: StudyOption = None, workspace: WorkspaceFolder = Path(), as_json: AsJson = False
) -> None:
    """Report whether the stores are fit to train on.

    Prints counts, margins, length bias, duplicates and provenance. Exit code 2 if a row has a probe or holdout
    prompt."""
    from agent.workspace.pair_stores import audits, kinds_of, open_stores
    from preferences.export.dataset import require_clean
    from view.pairs.audit import audit_data, audit_markdown

    stores = open_stores(workspace_at(workspace), study)
    results = audits(stores, kinds_of(kind))
    print_result(audit_data(results) if as_json else audit_markdown(results, str(stores.folder)))
    for result in results:
        require_clean(result)


@commands.command(epilog=example("pairs score --study my-study/study.toml --dry-run"))
def score(
    study: Annotated[
        Path,
        typer.Option("--study", metavar="FILE", help="The study whose [scorer] scores. Its prompts are kept out, too."),
    ],
    kind: Annotated[str, typer.Option("--kind", help="preference, dpo or orpo.")] = "preference",
    prompts: Annotated[
        Path | None,
        typer.Option(
            "--prompts",
            metavar="FILE",
            help="JSON lines with prompt, category and checks, of pairs that do not ask the study's harvest prompts.",
        ),
    ] = None,
    category: Annotated[
        str, typer.Option("--category", help="A category of the study, for rows whose own category it does not have.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be scored, and what a judge would cost.")
    ] = False,
    workspace: WorkspaceFolder = Path(),
    as_json: AsJson = False,
) -> None:
    """Score pairs that came without scores, with a study's scorer.

    Scores are recorded beside the rows, with the digest of their scorer; pairs certify needs them."""
    from agent.workspace.pair_stores import open_stores, store_of_pairs
    from preferences.scoring.plan import judging_cost, known_prompts, plan_scoring
    from preferences.scoring.score_store import score_rows
    from view.pairs.scoring import plan_data, plan_text, scoring_data, scoring_text

    def progress(done: int, total: int) -> None:
        print_message(f"scored: {done} of {total}")

    loaded = load(study)
    stores = open_stores(workspace_at(workspace), None if dry_run else study)
    known = known_prompts(loaded.material, prompts, category)
    plan = plan_scoring(store_of_pairs(kind), stores.read(store_of_pairs(kind)), loaded.material, known)
    if dry_run:
        cost = judging_cost(plan, loaded.material)
        print_result(plan_data(plan, cost) if as_json else plan_text(plan, cost))
        return
    done = score_rows(stores, plan, loaded.material, loaded.name, print_message, progress)
    print_result(scoring_data(done) if as_json else scoring_text(done))


@commands.command(epilog=example("pairs certify --kind preference --text"))
def certify(
    contracts: Annotated[
        Path | None,
        typer.Option(
            "--contracts", metavar="FILE", help="Use the code gate, for programs, with these contracts by prompt."
        ),
    ] = None,
    text: Annotated[bool, typer.Option("--text", help="Use the text gate, for answers in words.")] = False,
    embedder: Annotated[
        str | None,
        typer.Option("--embedder", metavar="MODEL", help="With --text: the embedding model of the topic layer."),
    ] = None,
    kind: Annotated[str, typer.Option("--kind", help="dpo or preference.")] = "dpo",
    study: StudyOption = None,
    workspace: WorkspaceFolder = Path(),
    as_json: AsJson = False,
) -> None:
    """Test the chosen answers of a store in the eight layers of a gate.

    A pair that passes becomes an ORPO row. The limits of the text gate are those of [text_gate] of --study."""
    from agent.workspace.pair_stores import open_stores
    from preferences.certify.certify_store import certify_pairs
    from view.pairs.certify import certify_data, certify_text

    def progress(done: int, total: int) -> None:
        print_message(f"certified or refused: {done} of {total}")

    stores, limits = open_stores(workspace_at(workspace), study), _text_gate(study)
    done = certify_pairs(
        stores, kind, contracts=contracts, text=text, progress=progress, embedder=embedder, limits=limits
    )
    print_result(certify_data(done) if as_json else certify_text(done))


def _text_gate(study: Path | None) -> "TextGateSettings":
    """[text_gate] of a study; the default limits without a study, or for a file of prompts."""
    from preferences.text_gate.settings import TextGateSettings

    return TextGateSettings() if study is None or study.suffix != ".toml" else load(study).file.text_gate


@commands.command(epilog=example("pairs review --kind orpo --rows 10"))
def review(
    kind: Annotated[
        str | None, typer.Option("--kind", help="Default: the first store that nobody has reviewed.")
    ] = None,
    rows: Annotated[int, typer.Option("--rows", min=1, help="How many rows to show.")] = 5,
    by: By = None,
    workspace: WorkspaceFolder = Path(),
    as_json: AsJson = False,
) -> None:
    """Review rows one by one: good, bad, skip or quit.

    Shows rows with the lowest coverage or margin first."""
    from agent.workspace.pair_stores import open_stores, review
    from view.pairs.listing import pair_text, review_data, review_text

    def show_row(row: "AnnotatedRow", number: int, total: int) -> None:
        text = pair_text(row, terminal_width(), f"{number} of {total}")
        print_message(text) if as_json else print_data(text)

    def ask() -> str | None:
        print_message("good, bad, skip or quit? ", end="")
        return sys.stdin.readline() or None

    done = review(open_stores(workspace_at(workspace)), kind, rows, by, show_row, ask)
    print_result(review_data(done) if as_json else review_text(done))
