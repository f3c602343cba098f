"""The part of `nightlane check` on rows and prompts as the tokenizer renders them."""

from agent.study.material_check import CheckedStudy
from probes.inputs.sources import SourceRows
from probes.rendering.renderer import Unrenderable
from probes.rendering.row_check import SourceCounts, token_lines
from view.markdown import plain, table

HEADINGS = ("source", "rows", "cut", "no room", "refused", "without an end", "longest", "mean")


def unchecked_text(study: CheckedStudy) -> str:
    """The note that nothing was rendered, and why; "" if the rows were."""
    if study.renderer is not None:
        return ""
    file = study.study.file
    if not file.runner.loads_models:
        return f"Rows and prompts were not rendered, since the runner is {file.runner.kind}.\n"
    return (
        f"Rows and prompts were not rendered: [model] path={file.model.path!r} is neither a folder nor in this "
        "machine's cache of hub models, or cannot be built without its weights; download it (hf download), then check "
        "again to see every row as tokens. nightlane run would download it, too.\n"
    )


def rendered_text(study: CheckedStudy) -> str:
    """The counts by source, and what they mean; "" if nothing was rendered."""
    if study.renderer is None:
        return ""
    sources = study.study.material.read_sources
    rows = [_cells(name, counts, sources[name]) for name, counts in study.counts.items()]
    stop = study.renderer.stop
    ends = [repr(study.renderer.tokenizer.decode([token])) for token in stop.ids] + [repr(text) for text in stop.texts]
    notes = [f"Answers end at {' or '.join(ends)}."]
    if any(counts.cut for counts in study.counts.values()):
        notes.append("A row that is cut loses its end.")
    if any(counts.no_room for counts in study.counts.values()):
        notes.append("Rows without room are among those refused.")
    return "\n".join(
        [
            "",
            f"Rows as the tokenizer renders them, in tokens, with max_length={study.shortest} (the smallest here):",
            "",
            *table(HEADINGS, rows, right=tuple(range(1, len(HEADINGS)))),
            "",
            " ".join(notes),
        ]
    )


def rows_text(study: CheckedStudy, number: int) -> str:
    """Rows of each source, token by token, what is in the loss in double brackets."""
    if study.renderer is None:
        return ""
    lines = ["", "Rows token by token (| between tokens); what is in the loss is in ⟦⟧:"]
    for name, pairs in study.study.material.sources.items():
        for pair in pairs[:number]:
            lines += ["", f"{name}, {pair.line}"]
            try:
                lines += token_lines(study.renderer, pair, study.shortest)
            except Unrenderable as error:
                lines.append(f"refused: {error}")
    return "\n".join(lines)


def _cells(name: str, counts: SourceCounts, source: SourceRows) -> tuple[str, ...]:
    """The row of a source; rows that cannot be read count as refused, too."""
    kept = counts.rows - len(counts.refused)
    rows = len(source.pairs) + len(source.bad)
    numbers = (rows, counts.cut, counts.no_room, rows - kept, counts.endless, counts.longest)
    return plain(name, 40), *map(str, numbers), f"{counts.tokens / (2 * kept):.0f}" if kept else ""
