"""``nightlane pairs``: the commands. What they do is in agent/workspace/pair_stores.py and
preferences/certify/certify_store.py."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.options import Json, Root, at, show, width
from common.printable import give, printable, tell

pairs = typer.Typer(help="Look at, vote on, import and export the preference pairs.", no_args_is_help=True)

Store = Annotated[str | None, typer.Option("--kind", help="preference, reward, dpo or orpo; default all.")]
RowId = Annotated[str, typer.Argument(metavar="ID", help="Of a row, or its beginning.")]
By = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who says so; default the login name.")]
StudyOption = Annotated[
    Path | None,
    typer.Option("--study", metavar="FILE", help="Its probe and holdout prompts are kept out, now and from now on."),
]


@pairs.command("list")
def pairs_list(
    kind: Store = None,
    state: Annotated[str, typer.Option("--state", help="live, withdrawn or all.")] = "all",
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="The latest of each store; default 50, as JSON all.")
    ] = None,
    workspace: Root = Path(),
    as_json: Json = False,
) -> None:
    """List the rows of the stores, as votes and withdrawals leave them."""
    from agent.workspace.pair_stores import kinds_of, listed, open_stores
    from view.pairs.listing import list_data, list_text

    found = listed(open_stores(at(workspace)), kinds_of(kind), state)
    show(list_data(found, limit) if as_json else list_text(found, limit or 50))


@pairs.command("show")
def pairs_show(row: RowId, workspace: Root = Path(), as_json: Json = False) -> None:
    """Show one row: its prompt, its answers side by side, where they come from, what was said of it."""
    from agent.workspace.pair_stores import open_stores
    from view.pairs.listing import pair_data, pair_text

    found = open_stores(at(workspace)).find(row)
    show(pair_data(found) if as_json else pair_text(found, width()))


@pairs.command("vote")
def pairs_vote(
    row: RowId,
    choice: Annotated[str, typer.Argument(metavar="up|down|flip|drop|clear", help="clear takes your votes back.")],
    by: By = None,
    workspace: Root = Path(),
    as_json: Json = False,
) -> None:
    """Vote on a row: up or down is counted, flip swaps its sides, drop keeps it out of exports."""
    from agent.workspace.pair_stores import open_stores, vote
    from view.pairs.listing import pair_data, vote_text

    found = vote(open_stores(at(workspace)), row, choice, by)
    show(pair_data(found) if as_json else vote_text(found))


@pairs.command("import")
def pairs_import(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file or folder of rows, or a hub id.")],
    kind: Annotated[str, typer.Option("--kind", help="preference, reward, dpo, orpo or votes.")],
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave bad rows out instead of taking none.")] = False,
    origin: Annotated[
        str, typer.Option("--origin", help="sampled, human, reference or mechanical, of sides whose row does not say.")
    ] = "human",
    rejected_origin: Annotated[
        str | None, typer.Option("--rejected-origin", help="Of rejected sides, where it is another one.")
    ] = None,
    category: Annotated[str, typer.Option("--category", help="Of rows that do not say.")] = "imported",
    source: Annotated[str | None, typer.Option("--source", help="Of rows that do not say; default FILE.")] = None,
    by: By = None,
    study: StudyOption = None,
    workspace: Root = Path(),
    as_json: Json = False,
) -> None:
    """Take pairs, rewards or votes from a file. Every bad row is named; taking a file twice changes nothing."""
    from agent.workspace.pair_stores import import_file, open_stores
    from preferences.build.imports import Defaults
    from preferences.store.provenance import origin_of
    from view.pairs.listing import import_data, import_text

    origins = origin_of(origin), origin_of(rejected_origin or origin)
    defaults = Defaults(category, source or file.name, *origins)
    stores = open_stores(at(workspace), study)
    done = import_file(stores, file, kind, defaults, by, skip_bad, tell)
    show(import_data(done) if as_json else import_text(done))


@pairs.command("export")
def pairs_export(
    folder: Annotated[Path, typer.Argument(metavar="OUT_DIR", help="A new or empty folder.")],
    kind: Annotated[
        str, typer.Option("--kind", help="preference, reward, dpo, orpo, or proposer (proposals, from the ledger).")
    ],
    form: Annotated[str, typer.Option("--format", help="jsonl or parquet.")] = "jsonl",
    downvoted: Annotated[bool, typer.Option("--downvoted", help="Also rows with more votes down than up.")] = False,
    licence: Annotated[str, typer.Option("--license", help="For the dataset card.")] = "unknown",
    study: StudyOption = None,
    workspace: Root = Path(),
    as_json: Json = False,
) -> None:
    """Write a store, or the proposals of the ledger, as a dataset that TRL trains on. Prints where the data is."""
    from agent.workspace.pair_stores import open_stores
    from preferences.export.dataset import PROPOSER, export, format_of
    from preferences.store.rows import kind_of
    from view.pairs.dataset_card import card_markdown, export_data

    if kind == PROPOSER:
        _export_proposals(folder, form, licence, workspace, as_json, downvoted or study is not None)
        return
    done = export(
        open_stores(at(workspace), study), kind_of(kind), format_of(form), folder, downvoted,
        lambda exported: printable(card_markdown(exported, licence)),
    )  # fmt: skip
    show(export_data(done) if as_json else str(done.file))


def _export_proposals(folder: Path, form: str, licence: str, workspace: Path, as_json: bool, of_stores: bool) -> None:
    from agent.proposers.preference_data import export_pairs
    from common.errors import BadInput
    from preferences.export.dataset import format_of
    from view.pairs.proposer_card import proposer_card, proposer_data

    if of_stores:
        raise BadInput("proposer pairs come from the ledger, and --downvoted and --study are of stores; leave them out")
    done = export_pairs(
        at(workspace).ledger, format_of(form), folder, lambda exported: printable(proposer_card(exported, licence))
    )
    show(proposer_data(done) if as_json else str(done.file))


@pairs.command("audit")
def pairs_audit(kind: Store = None, study: StudyOption = None, workspace: Root = Path(), as_json: Json = False) -> None:
    """Say what the stores hold and whether it is fit to train on. Exit 2 where a row asks a probe or holdout prompt."""
    from agent.workspace.pair_stores import audits, kinds_of, open_stores
    from preferences.export.dataset import require_clean
    from view.pairs.audit import audit_data, audit_markdown

    stores = open_stores(at(workspace), study)
    found = audits(stores, kinds_of(kind))
    show(audit_data(found) if as_json else audit_markdown(found, str(stores.folder)))
    for one in found:
        require_clean(one)


@pairs.command("certify")
def pairs_certify(
    contracts: Annotated[
        Path | None,
        typer.Option("--contracts", metavar="FILE", help="Programs: the code gate, by JSONL of prompt and contract."),
    ] = None,
    text: Annotated[bool, typer.Option("--text", help="Answers in words: the text gate.")] = False,
    embedder: Annotated[
        str | None,
        typer.Option("--embedder", metavar="MODEL", help="With --text: a folder or hub id whose vectors tell topics."),
    ] = None,
    kind: Annotated[str, typer.Option("--kind", help="dpo or preference.")] = "dpo",
    study: StudyOption = None,
    workspace: Root = Path(),
    as_json: Json = False,
) -> None:
    """Hold the chosen sides of a store to the eight layers of a gate; what passes becomes an ORPO row."""
    from agent.workspace.pair_stores import open_stores
    from preferences.certify.certify_store import certify_pairs
    from view.pairs.certify import certify_data, certify_text

    def say(done: int, total: int) -> None:
        tell(f"certified or refused: {done} of {total}")

    done = certify_pairs(open_stores(at(workspace), study), kind, contracts, text, say, embedder)
    show(certify_data(done) if as_json else certify_text(done))


@pairs.command("review")
def pairs_review(
    kind: Annotated[str | None, typer.Option("--kind", help="Default: the first that nobody has looked at.")] = None,
    rows: Annotated[int, typer.Option("--rows", min=1, help="How many to show.")] = 5,
    by: By = None,
    workspace: Root = Path(),
    as_json: Json = False,
) -> None:
    """Look at the rows of the lowest coverage or score, one by one, and say of each: good, bad, skip or quit."""
    from agent.workspace.pair_stores import open_stores, review
    from view.pairs.listing import pair_text, review_data, review_text

    def ask() -> str | None:
        tell("good, bad, skip or quit? ", end="")
        return sys.stdin.readline() or None

    look = tell if as_json else give
    done = review(
        open_stores(at(workspace)), kind, rows, by,
        lambda one, place, of: look(pair_text(one, width(), f"{place} of {of}")), ask,
    )  # fmt: skip
    show(review_data(done) if as_json else review_text(done))
