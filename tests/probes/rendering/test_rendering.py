"""The ids that are trained are the ids that are asked: over tokenizers, templates and rows, and against TRL alone."""

import datetime
import gzip
import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from typing import Any

import pandas
import pytest
import row_cases
from hypothesis import given, settings
from hypothesis import strategies as st
from long_cases import all_but
from tokenizers_of_all_kinds import (
    CHAT,
    CHATML,
    DIRECT,
    DIRECT_TOKENS,
    HEADERS,
    KINDS,
    LLAMA,
    OPENS_A_THOUGHT,
    TOOLS,
    byte_level,
    chatml,
    legacy,
    wrapped,
)

from common.errors import BadInput
from probes.inputs.rows.turns import Turn, plain
from probes.inputs.settings import ModelSettings
from probes.inputs.training_rows import TrainingRow, load_source
from probes.rendering.renderer import Renderer, TokenRow, Unrenderable

CALL = '{"tool_calls": [{"type": "function", "function": {"name": "add", "arguments": {"x": 2}}}]}'


def said(*contents: str) -> tuple[Turn, ...]:
    return tuple(Turn("assistant", content) for content in contents)


USER = Turn("user", "What is two plus two?")
PAIR = TrainingRow("What is two plus two?", "It is four.", "It is five.", "s", 1)
FORMS = {
    "text": PAIR,
    "code": replace(PAIR, prompt="# negate with 3\n", chosen="def double(x):\n    return x * 2\n"),
    "indented": replace(PAIR, prompt="def double(x):\n", chosen="    return x * 2\n", rejected="    return x\n"),
    "first blank": replace(PAIR, chosen=" It is four.", rejected=" It is five."),
    "merging": replace(PAIR, prompt="What is tw", chosen="o plus two?", rejected="o"),
    "other scripts": replace(PAIR, prompt="é 漢字?", chosen="ü 😀"),
    "turns": replace(PAIR, prompt=(USER,), chosen=said("It is four."), rejected=said("It is five.")),
    "several turns": replace(
        PAIR, prompt=(Turn("user", "Hello"), *said("Hello."), USER), chosen=said("Four."), rejected=said("Five.")
    ),
    "system": replace(PAIR, prompt=(Turn("system", "Be brief."), USER), chosen=said("Four."), rejected=said("Five.")),
    "a call": replace(
        PAIR,
        prompt=(USER,),
        chosen=(Turn("assistant", "", CALL),),
        rejected=said("Five."),
        tools='[{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]',
    ),
}
CHANGED = {  # what a tokenizer changes, beside a special token
    "a blank of its own if there is none": ("first blank",),
    "white space taken off (Phi-3)": ("first blank", "indented"),
    "white space taken off, byte-level": ("first blank", "indented"),
    "white space taken off before the end": ("code", "indented"),
}
NO_SYSTEM = ("bos by template", "strictly alternating", "without system turns")
TRIMS = ("bos by both", "bos by template", "today's date", "without system turns")


def renderer(kind: str, **given: Any) -> Renderer:
    return Renderer(KINDS[kind](), ModelSettings(path="none", **given))


SHORT = [
    "plain, eos only",
    "plain, bos by post-processor",
    "ChatML base",
    "bos by both",
    "strictly alternating",
    "without system turns",
    "a blank of its own (Llama 2)",
    "white space taken off (Phi-3)",
    "characters composed (Qwen)",
    "thoughts",
    "tools",
]
"""The kinds that are not long."""


@pytest.fixture(scope="module", params=all_but(SHORT, KINDS))
def kind(request: pytest.FixtureRequest) -> tuple[str, Renderer]:
    return request.param, renderer(request.param)


def taken(kind: str, form: str) -> bool:
    if kind.startswith("plain"):
        return isinstance(FORMS[form].prompt, str)
    if form in CHANGED.get(kind, ()):
        return False
    return kind == "tools" if form == "a call" else form != "system" or kind not in NO_SYSTEM


def check_ids(asking: Renderer, pair: TrainingRow, row: TokenRow) -> None:
    """What is asked is what is trained as prompt, with one BOS where there is one, and both sides end."""
    question, tokenizer = asking.question(pair.prompt, pair.tools), asking.tokenizer
    assert row.prompt == list(question.ids)
    shown, text = ("".join(text.split()) for text in (tokenizer.decode(row.prompt), question.text))
    assert shown.endswith(text[-5:])
    written = question.text.startswith(str(tokenizer.bos_token)) and asking.chat
    bos = asking.tokens.bos or ([tokenizer.bos_token_id] if written else [])
    assert row.prompt[: len(bos)] == bos
    assert row.prompt[len(bos) : 2 * len(bos)] != bos or not bos
    for ids in (row.chosen, row.rejected):
        assert ids[-1] in asking.stop.ids


def check_law(asking: Renderer, pair: TrainingRow, row: TokenRow, trims: bool = False) -> None:
    """And the answer that a model gives by the row's ids is the row's own text."""
    check_ids(asking, pair, row)
    question = asking.question(pair.prompt, pair.tools)
    for side, ids in ((pair.chosen, row.chosen), (pair.rejected, row.rejected)):
        if isinstance(side, str) or not side[0].more:
            assert asking.answer(question, ids) == (plain(side).strip() if trims else plain(side))


@pytest.mark.parametrize("form", FORMS)
def test_what_is_trained_is_asked_and_an_answer_ends(kind: tuple[str, Renderer], form: str) -> None:
    name, asking = kind
    if not taken(name, form):
        with pytest.raises(Unrenderable):
            asking.row(FORMS[form])
    else:
        check_law(asking, FORMS[form], asking.row(FORMS[form]), name in TRIMS)


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=30)


@settings(max_examples=25)
@given(TEXTS, TEXTS, TEXTS)
def test_any_texts(kind: tuple[str, Renderer], prompt: str, chosen: str, rejected: str) -> None:
    name, asking = kind
    pair = TrainingRow(prompt, chosen, rejected, "s", 1)
    try:
        row = asking.row(pair)
    except Unrenderable:
        return
    assert row.prompt == list(asking.question(prompt).ids)
    question = asking.question(prompt)
    if asking.tokenizer.decode(row.prompt):
        read = unicodedata.normalize("NFC", asking.answer(question, row.chosen))
        meant = unicodedata.normalize("NFC", chosen)
        assert read == meant or (name in TRIMS and read == meant.strip()), (read, meant)


@pytest.fixture(scope="module")
def whole(kind: tuple[str, Renderer]) -> Renderer:
    """A renderer that tokenises an answer behind the whole question, and not behind its end alone."""
    made = Renderer(kind[1].tokenizer, ModelSettings(path="none"))
    made.tokens.tail = lambda text, ids: (text, ids)  # type: ignore[method-assign]
    return made


def require_equal_rows(asking: Renderer, whole: Renderer, pairs: Sequence[TrainingRow]) -> None:
    rows = [[str(row) if isinstance(row, Unrenderable) else row for row in own.rows(pairs)] for own in (asking, whole)]
    assert rows[0] == rows[1]


@settings(max_examples=15)
@given(TEXTS, TEXTS, TEXTS)
def test_an_answer_has_the_ids_that_it_has_behind_the_whole_question(
    kind: tuple[str, Renderer], whole: Renderer, prompt: str, chosen: str, rejected: str
) -> None:
    require_equal_rows(kind[1], whole, [TrainingRow(prompt, chosen, rejected, "s", 1)])


def test_an_answer_of_each_form_has_the_ids_that_it_has_behind_the_whole_question(
    kind: tuple[str, Renderer], whole: Renderer
) -> None:
    require_equal_rows(kind[1], whole, [*FORMS.values()])


KEPT = ("def double(x):\n    return x * 2\n", "It is four.")


@pytest.mark.parametrize("answer", KEPT)
@pytest.mark.parametrize("kind", [name for name in KINDS if "of its own" in name or "(Phi-3)" in name])
def test_a_blank_of_the_tokenizers_own_is_no_part_of_an_answer(kind: str, answer: str) -> None:
    asking = renderer(kind)
    question = asking.question(PAIR.prompt)
    row = asking.row(replace(PAIR, chosen=answer))
    assert asking.answer(question, row.chosen) == answer
    served = asking.tokens.continuation(row.prompt, row.chosen)  # as a server decodes them
    assert served.startswith(" ") == asking.chat
    assert asking.answer_text(question, served) == answer


def test_a_blank_of_the_answers_own_stays() -> None:
    for kind, indented in (
        ("a blank of its own (Llama 2)", " It is."),
        ("a blank of its own if there is none", "  It."),
    ):
        asking = renderer(kind)
        row = asking.row(replace(PAIR, chosen=indented))
        assert asking.answer(asking.question(PAIR.prompt), row.chosen) == indented


def test_a_blank_behind_the_mark_of_a_thought_may_be_the_tokenizers_own() -> None:
    special = (*DIRECT_TOKENS, "[THINK]", "[/THINK]")
    asking = Renderer(wrapped(legacy(special), DIRECT, bos_token="<s>", eos_token="</s>"), ModelSettings(path="none"))
    pair = replace(PAIR, chosen="[THINK]Two and two.[/THINK]It is four.")
    check_law(asking, pair, asking.row(pair))


def test_tokens_that_no_text_has_lose_the_blank_of_the_tokenizers_own() -> None:
    asking = renderer("white space taken off (Phi-3)")
    vocabulary = asking.tokenizer.get_vocab()
    ids = [vocabulary[piece] for piece in ("▁", "▁", "It")]
    assert asking.answer(asking.question(PAIR.prompt), ids) == " It"


@pytest.mark.parametrize(
    ("kind", "answer", "trained"),
    [
        ("white space taken off (Phi-3)", "    return x * 2\n", "'return x"),
        ("white space taken off, byte-level", "    return x * 2\n", "'return x"),
        ("white space taken off, byte-level", "\nIt is four.", "'It is four."),
        ("white space taken off before the end", "It is four.\n", r"'It is four\.'"),
        ("a blank of its own if there is none", " It is four.", "'It is four."),
    ],
)
def test_an_answer_that_the_tokenizer_changes_is_refused_with_both_texts(kind: str, answer: str, trained: str) -> None:
    for chosen in (answer, said(answer), (*said("Yes."), USER, *said(answer))):
        with pytest.raises(Unrenderable, match=r"the tokenizer changes its answer: \.\.\..*") as refused:
            renderer(kind).row(replace(PAIR, chosen=chosen))
        given, read = str(refused.value).split(" would be trained as ")
        assert repr(answer)[1:-1] in given
        assert re.search(trained[1:], read)


@pytest.mark.parametrize("name", ["NFKC", "Lowercase", "Strip"])
def test_a_normalizer_that_changes_answers_is_told(name: str) -> None:
    from tokenizers import normalizers

    made = byte_level(CHAT)
    made.normalizer = getattr(normalizers, name)()
    asking = Renderer(wrapped(made, CHATML, CHAT, eos_token=CHAT[1]), ModelSettings(path="none"))
    with pytest.raises(Unrenderable, match="the tokenizer changes its answer"):
        asking.row(replace(PAIR, prompt="x", chosen="Ｘ Y\n", rejected="x"))


def test_white_space_of_the_template_may_be_taken_off() -> None:
    asking = renderer("white space taken off (Phi-3)")
    several = replace(PAIR, chosen=(*said("Are you sure?"), USER, *said("It is four.")))
    assert asking.tokenizer.decode(asking.row(several).chosen).count("<|end|>") == 3


def test_an_answer_that_a_tokenizer_composes_is_taken() -> None:
    asking = renderer("characters composed (Qwen)")
    row = asking.row(replace(PAIR, chosen="cafe\u0301"))
    assert asking.answer(asking.question(PAIR.prompt), row.chosen) == "caf\u00e9"


# against TRL alone

BOS_LEFT_OUT = "the tokenizer writes a BOS, which its template leaves out and DPOTrainer does not add"
BOS_OF_ITS_OWN = "ORPOTrainer writes a BOS that neither tokenizer nor template writes"
BEHIND_THE_END = (
    "TRL trains what the template, or ORPOTrainer, writes behind the end of turn, which nobody is asked for"
)
NO_END = "DPOTrainer adds no eos where a template writes no end that is a token"
MERGED = "a token that covers the end of the prompt and the beginning of the answer: TRL's prompt is cut before it"


def reasons(mine: TokenRow, theirs: TokenRow, asking: Renderer) -> set[str]:
    """Why TRL alone has other ids; fails for a difference without a reason."""
    bos, found = asking.tokenizer.bos_token_id, set[str]()
    for own, their in ((mine.chosen, theirs.chosen), (mine.rejected, theirs.rejected)):
        assert asking._ended(their) == own
        if their != own:
            found.add(BEHIND_THE_END if their[: len(own)] == own else NO_END)
    if theirs.prompt != mine.prompt:
        left_out = mine.prompt == [bos, *theirs.prompt]
        assert left_out or theirs.prompt == [bos, *mine.prompt]
        found.add(BOS_LEFT_OUT if left_out else BOS_OF_ITS_OWN)
    return found


NEW_LINE_BEHIND = (
    "ChatML base",
    "ChatML, eos ends a turn",
    "bos by template",
    "without system turns",
    "thoughts",
    "tools",
    "bos by post-processor alone",
    "eos behind the end",
    "white space taken off (Phi-3)",
    "white space taken off, byte-level",
    "white space taken off before the end",
    "characters composed (Qwen)",
)
REASONS = {
    **{(name, objective): {BEHIND_THE_END} for name in NEW_LINE_BEHIND for objective in ("dpo", "orpo")},
    ("plain, eos is bos (GPT-2)", "orpo"): {BOS_OF_ITS_OWN},
    ("bos by post-processor alone", "dpo"): {BEHIND_THE_END, BOS_LEFT_OUT},
    ("eos behind the end", "dpo"): {BEHIND_THE_END, BOS_LEFT_OUT},
    ("white space taken off (Phi-3)", "dpo"): {BEHIND_THE_END, BOS_LEFT_OUT},
    ("a blank of its own (Llama 2)", "orpo"): {BEHIND_THE_END},
    ("a blank of its own if there is none", "orpo"): {BEHIND_THE_END},
    ("an end that is no token", "dpo"): {NO_END},
}


def by_dpo(tokenizer: Any, rows: Sequence[Mapping[str, Any]]) -> list[TokenRow | None]:
    from datasets import Dataset
    from trl import DPOTrainer

    own = SimpleNamespace(_tokenizer=tokenizer)
    args = SimpleNamespace(dataset_num_proc=None, max_length=None, truncation_mode="keep_start")
    found = DPOTrainer._prepare_dataset(own, Dataset.from_list(rows), tokenizer, args, "train")
    return [TokenRow(row["prompt_ids"], row["chosen_ids"], row["rejected_ids"]) for row in found]


def by_orpo(tokenizer: Any, rows: Sequence[Mapping[str, Any]]) -> list[TokenRow | None]:
    """None where more than one token merges, which it refuses."""
    return [_by_orpo(tokenizer, row) for row in rows]


def _by_orpo(tokenizer: Any, row: Mapping[str, Any]) -> TokenRow | None:
    from trl import maybe_apply_chat_template, maybe_extract_prompt
    from trl.experimental.orpo import ORPOTrainer

    own = SimpleNamespace(processing_class=tokenizer, is_encoder_decoder=False, max_length=10_000, padding_value=0)
    own.build_tokenized_answer = lambda *given: ORPOTrainer.build_tokenized_answer(own, *given)
    try:
        found = ORPOTrainer.tokenize_row(own, maybe_apply_chat_template(maybe_extract_prompt(dict(row)), tokenizer))
    except ValueError:
        return None
    prompt = found["prompt_input_ids"]
    return TokenRow(prompt, *(found[f"{side}_input_ids"][len(prompt) :] for side in ("chosen", "rejected")))


@cache
def of_trl(kind: str) -> Any:
    """A tokenizer that nothing of ours touches."""
    return KINDS[kind]()


@pytest.fixture(scope="module", autouse=True)
def no_fingerprints() -> Iterator[None]:
    """They name a data set's files in a cache, and rows in memory have none. To hash them takes half of TRL's time."""
    from datasets import arrow_dataset, fingerprint

    with pytest.MonkeyPatch.context() as patch:
        for name in ("generate_fingerprint", "update_fingerprint"):
            patch.setattr(arrow_dataset, name, lambda *_: fingerprint.generate_random_fingerprint())
        yield


BY: Mapping[str, Callable[[Any, Sequence[Mapping[str, Any]]], list[TokenRow | None]]] = {
    "dpo": by_dpo,
    "orpo": by_orpo,
}


def columns(tokenizer: Any, pair: TrainingRow) -> dict[str, Any]:
    def shown(text: Any, role: str) -> Any:
        if isinstance(text, str):
            return [{"role": role, "content": text}] if tokenizer.chat_template else text
        return [turn.message for turn in text]

    tools = {"tools": json.loads(pair.tools)} if pair.tools else {}
    return {
        "prompt": shown(pair.prompt, "user"),
        "chosen": shown(pair.chosen, "assistant"),
        "rejected": shown(pair.rejected, "assistant"),
        **tools,
    }


def merges(asking: Renderer, pair: TrainingRow) -> bool:
    """Whether a token covers the end of the question and the beginning of an answer."""
    question = asking.question(pair.prompt, pair.tools)
    wholes = (asking.question_text(pair.prompt, pair.tools) + plain(side) for side in (pair.chosen, pair.rejected))
    return any(asking.tokens.ids([text])[0][: len(question.ids)] != list(question.ids) for text in wholes)


def check_against_trl(name: str, asking: Renderer, pair: TrainingRow, theirs: TokenRow | None, objective: str) -> None:
    if objective == "orpo":
        pair = replace(pair, tools="")  # ORPOTrainer passes that column over
    mine, bos = asking.row(pair), asking.tokenizer.bos_token_id
    if theirs is None or sum(token != bos for token in theirs.prompt) < sum(token != bos for token in mine.prompt):
        assert merges(asking, pair), MERGED
    elif mine != theirs:
        assert reasons(mine, theirs, asking) == REASONS.get((name, objective), set())


@pytest.mark.parametrize("objective", ["dpo", "orpo"])
@pytest.mark.parametrize("form", FORMS)
def test_trl_alone_has_the_same_ids_or_there_is_a_reason(kind: tuple[str, Renderer], form: str, objective: str) -> None:
    name, asking = kind
    if taken(name, form) and name != "today's date":  # which TRL alone tells the day of the test
        pair = FORMS[form] if objective == "dpo" else replace(FORMS[form], tools="")
        (theirs,) = BY[objective](of_trl(name), [columns(asking.tokenizer, pair)])
        check_against_trl(name, asking, pair, theirs, objective)


REFUSALS = (
    "it is a conversation and the tokenizer has no chat template",
    "the chat template refuses it",
    "it holds '<|",
    "the chat template leaves its ",
    "its prompt is a dialogue in one text",
    "the tokenizer changes its answer",
)


WHOLE = "TRL trains the question as part of the answer where whole conversations stand beside their prompt, or fails"
NOT_TAKEN = {
    **dict.fromkeys((("prompt_list_and_full.jsonl", "dpo"), ("prompt_list_and_full.jsonl", "orpo")), WHOLE),
    ("ultrafeedback.jsonl", "dpo"): WHOLE,
    **{
        (file, objective): reason
        for objective in BY
        for file, reason in {
            "chosen_dict.jsonl": "TRL takes an answer of turns as a list of them",
            "orca_prompt.jsonl": "TRL passes the column system over",
            "sharegpt.jsonl": "TRL takes turns with role and content",
        }.items()
    },
}
"""Files whose rows TRL does not take as they are meant, and why."""


@cache
def raw_rows(file: str) -> Sequence[Mapping[str, Any]]:
    """The columns that TRL reads, of every row, as ``datasets`` reads them from the file, without our loader."""
    path = row_cases.CASES / file
    if file.endswith((".csv", ".parquet")):
        table = pandas.read_csv(path) if file.endswith(".csv") else pandas.read_parquet(path)
        rows = table.to_dict("records")
    else:
        text = (gzip.decompress(path.read_bytes()) if file.endswith(".gz") else path.read_bytes()).decode("utf-8-sig")
        whole = text.lstrip().startswith("[")
        rows = json.loads(text) if whole else [json.loads(line) for line in text.split("\n") if line.strip()]
    return [{name: row[name] for name in ("prompt", "chosen", "rejected", "tools") if name in row} for row in rows]


def takes(tokenizer: Any, file: str, objective: str, row: Mapping[str, Any]) -> bool:
    """Whether TRL takes the row as it is in its file. It leaves texts bare where there is a chat template, and we ask
    and train them as turns, so that both are in the form that the model knows."""
    from trl import is_conversational

    return (file, objective) not in NOT_TAKEN and (tokenizer.chat_template is None or is_conversational(row))


@pytest.mark.parametrize("file", row_cases.GOOD)
def test_the_forms_that_people_have_are_asked_as_they_are_trained(kind: tuple[str, Renderer], file: str) -> None:
    name, asking = kind
    pairs, raw = load_source("s", row_cases.CASES / file, "leave_out"), raw_rows(file)
    given: list[tuple[TrainingRow, Mapping[str, Any]]] = []
    for pair, row, record in zip(pairs, asking.rows(pairs), raw, strict=True):
        if isinstance(row, Unrenderable):
            assert str(row).startswith(REFUSALS)
        else:
            check_ids(asking, pair, row)
            given.append((pair, record))
    if name == "today's date" or not given:
        return
    for objective, prepare in BY.items():
        hidden = () if objective == "dpo" else ("tools",)
        rows = []
        for pair, record in given:
            taken = takes(asking.tokenizer, file, objective, record)
            given_row = record if taken else columns(asking.tokenizer, pair)
            rows.append({column: value for column, value in given_row.items() if column not in hidden})
        alone = len({type(row.get("prompt")) for row in rows}) > 1  # a data set has one form
        tokenizer = of_trl(name)
        found = [prepare(tokenizer, [row])[0] for row in rows] if alone else prepare(tokenizer, rows)
        for (pair, _), theirs in zip(given, found, strict=True):
            check_against_trl(name, asking, pair, theirs, objective)


@pytest.mark.parametrize(("file", "objective"), NOT_TAKEN)
def test_what_trl_alone_does_not_take_is_given_to_it_in_its_own_form(file: str, objective: str) -> None:
    asking = renderer("ChatML base")
    for pair, record in zip(load_source("s", row_cases.CASES / file), raw_rows(file), strict=True):
        try:
            (theirs,) = BY[objective](of_trl("ChatML base"), [record])
        except (AttributeError, KeyError, TypeError):
            continue
        mine = asking.row(pair)
        assert theirs is None or theirs.prompt != mine.prompt or theirs.chosen[:3] != mine.chosen[:3]


def test_trl_alone_leaves_texts_bare_under_a_chat_template() -> None:
    asking = renderer("ChatML base")
    (theirs,) = by_dpo(of_trl("ChatML base"), raw_rows("plain.parquet")[:1])
    assert theirs is not None
    assert asking.tokenizer.decode(theirs.prompt) == row_cases.TWO
    assert asking.tokenizer.decode(asking.row(PAIR).prompt).startswith(f"<|im_start|>user\n{row_cases.TWO}")


# templates


def test_a_thought_that_the_question_opens_is_refused_with_both_renderings() -> None:
    tokenizer = chatml(OPENS_A_THOUGHT, bos_token="<|im_start|>")
    with pytest.raises(
        Unrenderable, match=r"asks with \.\.\..*<think>.* and renders the row as .*chat_template_kwargs"
    ):
        Renderer(tokenizer, ModelSettings(path="none")).row(PAIR)


def test_chat_template_kwargs_go_to_both_sides() -> None:
    plainly, thinking = renderer("thoughts", chat_template_kwargs={"enable_thinking": False}), renderer("thoughts")
    assert plainly.question("Hello").text.endswith("<think>\n\n</think>\n\n")
    assert thinking.question("Hello").text.endswith("assistant\n")
    for asking in (plainly, thinking):
        check_law(asking, PAIR, asking.row(PAIR))
    assert thinking.row(PAIR).chosen != plainly.row(PAIR).chosen


def test_a_template_is_told_a_fixed_date() -> None:
    assert "Today: 01 Jan 2026" in renderer("today's date").question("Hello").text
    later = renderer("today's date", date=datetime.date(2027, 3, 5))
    assert "Today: 05 Mar 2027" in later.question("Hello").text


def test_a_template_of_the_study_replaces_the_tokenizers_own() -> None:
    asking = Renderer(KINDS["plain, eos only"](), ModelSettings(path="none"), CHATML)
    assert asking.question("Hello").text == "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
    assert not Renderer(KINDS["ChatML base"](), ModelSettings(path="none", chat="never")).chat


@pytest.mark.parametrize(
    ("pair", "why"),
    [
        (
            replace(PAIR, chosen="It is four.<|im_end|>"),
            r"it holds '<\|im_end\|>', which the chat templ",
        ),
        (replace(PAIR, prompt="\n\nHuman: Two?\n\nAssistant:"), "its prompt is a dialogue in one text"),
    ],
)
def test_texts_that_are_rendered_already(pair: TrainingRow, why: str) -> None:
    with pytest.raises(Unrenderable, match=why):
        renderer("ChatML base").row(pair)
    asking = renderer("ChatML base", chat="never")
    check_law(asking, pair, asking.row(pair)) if "<" not in plain(pair.chosen) else asking.row(pair)


def test_an_answer_has_no_special_token_but_the_marks_of_thoughts_whether_it_has_a_name_or_not() -> None:
    special = (*LLAMA, "[THINK]", "[/THINK]")
    for named in ((), special):
        tokenizer = wrapped(byte_level(special), HEADERS, named, bos_token=LLAMA[0], eos_token="<|eot_id|>")
        asking = Renderer(tokenizer, ModelSettings(path="none"))
        drawn = tokenizer("[THINK]two[/THINK]four<|start_header_id|>s<|end_of_text|>.<|eot_id|>x")["input_ids"]
        assert asking.answer(asking.question("Hello"), drawn) == "[THINK]two[/THINK]fours."


def test_sides_that_a_template_makes_equal_are_refused() -> None:
    with pytest.raises(Unrenderable, match="chosen and rejected are the same tokens once they are rendered"):
        renderer("bos by both").row(replace(PAIR, chosen="Four.", rejected="Four. "))


QUIET = (
    "{% for m in messages %}{% if m.role != 'system' %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
FORGETFUL = QUIET.replace("{{ m.content }}", "{{ m.content.split('</think>')[-1] }}")
ADDING = replace(FORMS["a call"], chosen=(Turn("assistant", "Let me add them.", CALL),))


@pytest.mark.parametrize(
    ("template", "pair", "what"),
    [
        (CHATML, FORMS["a call"], "tools"),
        (CHATML, replace(FORMS["a call"], tools=""), "tool_calls"),
        (QUIET, FORMS["system"], "system turn"),
        (
            QUIET,
            replace(FORMS["turns"], chosen=(Turn("assistant", "4", '{"reasoning_content": "Two and two."}'),)),
            "reasoning_content",
        ),
        (FORGETFUL, replace(FORMS["turns"], chosen=said("<think>Two and two.</think>4")), "assistant turn"),
        (TOOLS.replace("{{ m.content }}", "{{ m.content if not m.tool_calls }}"), ADDING, "assistant turn"),
    ],
)
def test_what_a_template_would_leave_out_is_refused(template: str, pair: TrainingRow, what: str) -> None:
    with pytest.raises(Unrenderable, match=f"the chat template leaves its {what} out"):
        Renderer(chatml(template), ModelSettings(path="none")).row(pair)


BRIEF = (Turn("system", "Four."), USER)
TWO_CALLS = CALL.replace("}}}]}", '}}}, {"type": "function", "function": {"name": "add", "arguments": {"x": 3}}}]}')
NAMED = (Turn("user", "Is Ann a name?", '{"name": "Ann"}'),)
DESCRIBED = json.dumps(
    [
        {
            "type": "function",
            "function": {
                "name": "add",
                "description": "It adds.",
                "parameters": {"properties": {"x": {"type": "integer"}}},
            },
        }
    ]
)


ASKS_TO_ADD = replace(FORMS["a call"], prompt=(Turn("user", "add x 2"),))
SAYS_IT = replace(ASKS_TO_ADD, tools="", chosen=(Turn("assistant", "add x 2", CALL),))
CALLS_TWICE = replace(ASKS_TO_ADD, chosen=(Turn("assistant", "", TWO_CALLS),))
WITH_A_TOOL = replace(ASKS_TO_ADD, tools=DESCRIBED)


@pytest.mark.parametrize(
    ("template", "pair", "what"),
    [
        (QUIET, replace(FORMS["system"], prompt=(Turn("system", "user"), USER)), "system turn out .'user'"),
        (CHATML, SAYS_IT, "tool_calls out .'add'"),
        (TOOLS.replace("c.function | tojson", "c.function.name"), ASKS_TO_ADD, "tool_calls out .'x'"),
        (TOOLS.replace("m.tool_calls or []", "(m.tool_calls or [])[:1]"), CALLS_TWICE, "tool_calls out .'add'"),
        (CHATML, replace(FORMS["turns"], prompt=NAMED), "name out .'Ann'"),
        (CHATML, replace(FORMS["turns"], prompt=ASKS_TO_ADD.prompt, tools=DESCRIBED), "tools out .'add'"),
        (TOOLS.replace("t | tojson", "t.function.name"), WITH_A_TOOL, "tools out .'It adds.'"),
        (TOOLS.replace("t | tojson", "t.function.name ~ t.function.description"), WITH_A_TOOL, "tools out .'x'"),
    ],
)
def test_what_a_template_leaves_out_is_seen_though_its_text_stands_elsewhere(
    template: str, pair: TrainingRow, what: str
) -> None:
    with pytest.raises(Unrenderable, match=f"the chat template leaves its {what}"):
        Renderer(chatml(template), ModelSettings(path="none")).row(pair)


def test_a_tool_that_answers_a_call_needs_no_name_of_its_own() -> None:
    prompt = (USER, Turn("assistant", "", CALL), Turn("tool", "4", '{"name": "add"}'))
    assert renderer("tools").question(prompt)
    with pytest.raises(Unrenderable, match="leaves its name out"):
        renderer("tools").question((*prompt[:2], Turn("tool", "4", '{"name": "other"}')))


def test_earlier_thoughts_in_a_question_may_be_left_out() -> None:
    asking = Renderer(chatml(FORGETFUL), ModelSettings(path="none"))
    pair = replace(FORMS["several turns"], prompt=(Turn("user", "Hello"), *said("<think>Hm.</think>Hello."), USER))
    assert "Hm." not in asking.question(pair.prompt).text
    check_law(asking, pair, asking.row(pair))


def test_a_tokenizer_may_have_a_template_for_tools() -> None:
    tokenizer = chatml()
    tokenizer.chat_template = {"default": CHATML, "tool_use": TOOLS}
    asking = Renderer(tokenizer, ModelSettings(path="none"))
    assert "<tool_call>" in tokenizer.decode(asking.row(FORMS["a call"]).chosen)
    assert asking.question("Hello").text == "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize(
    "asks",
    [
        "{{ strftime_now('%Y') }}",
        '{{ strftime_now( format = "%Y" ) }}',
        "{% set f = '%Y' %}{{ strftime_now(f) }}",
        "{% set now = strftime_now %}{{ now('%' ~ 'Y') }}",
        "{% macro year(now) %}{{ now('%Y') }}{% endmacro %}{{ year(strftime_now) }}",
        "{% macro year() %}{{ strftime_now('%Y') }}{% endmacro %}{{ year() }}",
        "{{ (strftime_now | default(none))('%Y') }}",
        "{% if strftime_now is defined %}{{ '%Y' and strftime_now('%Y') }}{% endif %}",
    ],
)
def test_every_way_to_ask_for_the_date_gets_the_fixed_one(asks: str) -> None:
    for year in (2020, 2021, 2020):
        date = datetime.date(year, 5, 5)
        asking = Renderer(chatml(asks + CHATML), ModelSettings(path="none", date=date))
        assert asking.question("Hello").text.startswith(f"{year}<|im_start|>")


@pytest.mark.parametrize(
    "fails",
    [
        "{{ 1 // (messages[0].content | length - 5) }}",
        "{{ (10 ** 400) / (messages[0].content | length) }}",
        "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
        "{{ messages[0].content + 1 }}",
        "{{ messages[0]['content'][7] ~ messages[9].content }}",
        "{{ strftime_now(3) }}",
    ],
)
def test_whatever_a_template_fails_with_is_told_in_a_sentence(fails: str) -> None:
    asking = Renderer(chatml(fails + CHATML), ModelSettings(path="none"))
    with pytest.raises((Unrenderable, BadInput), match=r"chat template refuses it \(.+\); write the turns") as refused:
        asking.question((Turn("user", "Hello"),))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("prompt", "chosen", "why"),
    [
        (
            "<|im_start|>user\nTwo?<|im_end|>\n<|im_start|>assistant\n",
            "4",
            r"holds '<\|im_start\|>'.* rendered already",
        ),
        ("Two?", "4<|im_end|>", r"holds '<\|im_end\|>'.* for ChatML"),
        ("### Instruction:\nTwo?\n\n### Response:\n", "4", "holds '### Instruction: ... ### Response:'"),
        ("Two?", "4\n\n### Instruction:\nThree?\n### Response:\n5", "holds '### Instruction: ... ### Response:'"),
        ("[INST] Two? [/INST]", "4", r"holds '\[INST\]'.* for Llama 2 and Mistral"),
        ("Two?", " 4</s>", "holds '</s>'"),
        ("<start_of_turn>user\nTwo?<end_of_turn>\n", "4", "holds '<start_of_turn>'.* for Gemma"),
        ("<|user|>\nTwo?<|end|>\n<|assistant|>", "4", r"holds '<\|user\|>'.* for Phi and Zephyr"),
        ("A chat. USER: Two? ASSISTANT:", "4", "is a dialogue in one text"),
        ("USER: Two?\nASSISTANT:", " 4", "is a dialogue in one text"),
        ("Human: Two?\nBot:", "4", "is a dialogue in one text"),
        ("\n\nHuman: Two?\n\nAssistant: Three?\n\nHuman: No.", "4", "is a dialogue in one text"),
    ],
)
@pytest.mark.parametrize("wrap", [False, True])
def test_texts_that_were_rendered_for_another_template_are_refused(
    prompt: str, chosen: str, why: str, wrap: bool
) -> None:
    asking = renderer("bos by both")
    pair = replace(PAIR, prompt=prompt, chosen=chosen)
    if wrap:
        pair = replace(pair, prompt=(Turn("user", prompt),), chosen=said(chosen), rejected=said("5"))
    with pytest.raises(Unrenderable, match=why):
        asking.row(pair)


@pytest.mark.parametrize(
    "text",
    [
        "Is <s>old</s>",
        "Write a dialogue of a User: and an Assistant: please.",
        "Summarise:\nHuman: Hi\nBot: Hello\n",
        "### Question:\nIs it?",
        "The list[INST] of a Model: it has four.",
        "USER: is not a valid name",
        "Explain </s> in one line.",
    ],
)
def test_texts_that_only_look_like_rendered_ones_are_taken(text: str) -> None:
    text = text.replace("[INST]", "[int]")
    assert renderer("bos by both").question(text)


@pytest.mark.parametrize(
    "pair",
    [
        replace(FORMS["a call"], chosen=(Turn("assistant", "", CALL.replace('"x": 2', '"x": "<|im_end|>"')),)),
        replace(FORMS["a call"], tools=FORMS["a call"].tools.replace("object", "<|im_end|>")),
    ],
)
def test_special_tokens_are_looked_for_in_calls_and_tools(pair: TrainingRow) -> None:
    with pytest.raises(Unrenderable, match=r"it holds '<\|im_end\|>', which the chat template writes itself"):
        renderer("tools").row(pair)


def test_tokens_of_the_template_that_are_not_marked_as_special_are_looked_for() -> None:
    from tokenizers import AddedToken

    made = byte_level(("<|endoftext|>",))
    made.add_tokens([AddedToken("<|im_start|>", special=False), AddedToken("<|im_end|>", special=False)])
    asking = Renderer(wrapped(made, CHATML, eos_token="<|endoftext|>"), ModelSettings(path="none"))
    with pytest.raises(Unrenderable, match=r"it holds '<\|im_end\|>'"):
        asking.row(replace(PAIR, chosen="Four.<|im_end|>"))
    check_law(asking, PAIR, asking.row(PAIR))


def test_where_answers_stop_no_text_goes_on() -> None:
    with pytest.raises(Unrenderable, match=r"it holds .*### End"):
        renderer("an end that is no token").row(replace(PAIR, chosen="Four.\n### End\n### user:\nMore"))
    with pytest.raises(Unrenderable, match="an end of text stands in the middle of its answer"):
        renderer("plain, eos only").row(replace(PAIR, chosen="Four.<|endoftext|>More"))


def test_marks_of_thoughts_stay_in_an_answer_though_they_are_special() -> None:
    special = ("<|im_start|>", "<|im_end|>", "<|endoftext|>", "[THINK]", "[/THINK]")
    asking = Renderer(wrapped(byte_level(special), CHATML, eos_token="<|endoftext|>"), ModelSettings(path="none"))
    ids = asking.tokens.bare(["[THINK]Hm.[/THINK]4<|im_end|>"])[0]
    assert asking.answer(asking.question("Two?"), ids) == "[THINK]Hm.[/THINK]4"
    assert asking.content("[THINK]Hm.[/THINK]4<|im_start|>") == "[THINK]Hm.[/THINK]4"


def test_a_template_that_wants_a_system_turn_and_one_that_changes_answers() -> None:
    wants = "{% if messages[0].role != 'system' %}{{ raise_exception('a system turn!') }}{% endif %}" + CHATML
    asking = Renderer(chatml(wants), ModelSettings(path="none"))
    check_law(asking, FORMS["system"], asking.row(FORMS["system"]))
    loud = Renderer(chatml(CHATML.replace("m.content", "m.content | upper")), ModelSettings(path="none"))
    with pytest.raises(BadInput, match=r"it changes an answer 'Kumquats zigzag\.' into something else"):
        _ = loud.stop


def test_characters_that_a_tokenizer_does_not_know_take_nothing_of_an_answer_with_them() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers

    made = Tokenizer(models.WordLevel({"<unk>": 0, "<eos>": 1, "is": 2, "two": 3, "four": 4}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    asking = Renderer(wrapped(made, eos_token="<eos>", unk_token="<unk>"), ModelSettings(path="none"))
    with pytest.raises(Unrenderable, match="characters that the tokenizer does not know where it meets the prompt"):
        asking.row(replace(PAIR, prompt="is tw", chosen="o is four", rejected="o is"))


def test_one_bad_row_does_not_hide_the_others() -> None:
    bad = replace(PAIR, prompt=(Turn("system", "Be brief."), USER))
    found = list(renderer("strictly alternating").rows([PAIR, bad, PAIR]))
    assert [isinstance(one, Unrenderable) for one in found] == [False, True, False]
