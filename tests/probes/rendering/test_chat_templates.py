"""Chat templates: keys of chat_template_kwargs that have no effect, and a second BOS, are refused."""

from typing import Any

import pytest
from tokenizers_of_all_kinds import (
    CHATML,
    HEADERS,
    KINDS,
    LLAMA,
    SENTENCES,
    TOOLS,
    byte_level,
    chatml,
    metaspace,
    wrapped,
)

from common.errors import BadInput
from probes.inputs.rows.turns import Turn
from probes.inputs.settings import ModelSettings
from probes.inputs.training_rows import TrainingRow
from probes.rendering.renderer import Renderer, Unrenderable

USER = Turn("user", "What is two plus two?")
FOUR, FIVE = (Turn("assistant", "It is four."),), (Turn("assistant", "It is five."),)
FORMS = {
    "text": TrainingRow("What is two plus two?", "It is four.", "It is five.", "s", 1),
    "several turns": TrainingRow((Turn("user", "Hello"), Turn("assistant", "Hello."), USER), FOUR, FIVE, "s", 1),
    "system": TrainingRow((Turn("system", "Be brief."), USER), FOUR, FIVE, "s", 1),
}


def renderer(kind: str, **given: Any) -> Renderer:
    return Renderer(KINDS[kind](), ModelSettings(path="none", **given))


@pytest.mark.parametrize(
    ("kind", "given", "why"),
    [
        ("thoughts", {"enable_thinkin": False}, "has 'enable_thinkin', .* never reads; did you mean 'enable_thinking'"),
        ("ChatML base", {"enable_thinking": False}, "has 'enable_thinking', which the chat template never reads; it r"),
        ("plain, eos only", {"enable_thinking": False}, "has 'enable_thinking', and no chat template is used"),
    ],
)
def test_chat_template_kwargs_without_effect_are_refused(kind: str, given: dict[str, Any], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        renderer(kind, chat_template_kwargs=given).require_known_kwargs()


@pytest.mark.parametrize(
    "reads",
    [
        "{% if depth is defined and depth %}a{% endif %}",
        "{% if not depth is defined %}{% set depth = 1 %}{% endif %}{{ depth }}",
        "{% set depth = depth | default(1) %}",
        "{% macro deep() %}{{ depth }}{% endmacro %}{{ deep() }}",
        "{% for m in messages %}{% if depth %}{% break %}{% endif %}{% endfor %}",
    ],
)
def test_chat_template_kwargs_that_are_read_in_any_way_are_taken(reads: str) -> None:
    settings = ModelSettings(path="none", chat_template_kwargs={"depth": 1})
    Renderer(chatml(reads + CHATML), settings).require_known_kwargs()
    two = chatml()
    two.chat_template = {"default": CHATML, "tool_use": reads + TOOLS}
    Renderer(two, settings).require_known_kwargs()
    with pytest.raises(BadInput, match="never reads; it reads none"):
        Renderer(chatml("{% set depth = 1 %}" + CHATML), settings).require_known_kwargs()


BOS_PER_TURN = HEADERS.replace("{{ bos_token }}", "").replace(
    "<|start_header_id|>", "{{ bos_token }}<|start_header_id|>"
)


def llama(template: str) -> Renderer:
    tokenizer = wrapped(byte_level(LLAMA, bos=True), template, bos_token=LLAMA[0], eos_token="<|eot_id|>")
    return Renderer(tokenizer, ModelSettings(path="none"))


@pytest.mark.parametrize(
    ("template", "form", "where"),
    [
        (
            "{{ bos_token }}" + HEADERS,
            "text",
            r"twice at the beginning of the prompt \('<\|begin_of_text\|><\|begin_of_",
        ),
        ("{{ bos_token }} \n" + HEADERS, "text", "twice at the beginning of the prompt"),
        ("\n" + HEADERS, "text", "twice at the beginning of the prompt"),
        ("<|begin_of_text|><|begin_of_text|>" + CHATML, "text", "twice at the beginning of the prompt"),
        ("Hello! " + HEADERS, "text", r"within the prompt \('.*Hello! <\|begin_of_text\|>"),
        (BOS_PER_TURN, "text", "within the prompt"),
        (BOS_PER_TURN, "system", "within the prompt"),
        (BOS_PER_TURN, "several turns", "within the prompt"),
    ],
)
def test_a_second_bos_is_refused_with_the_rendering(template: str, form: str, where: str) -> None:
    asking = llama(template)
    for _ in range(2):
        with pytest.raises(Unrenderable, match=r"the BOS '<\|begin_of_text\|>' is written " + where):
            asking.question(FORMS[form].prompt)
    with pytest.raises(Unrenderable, match=where):
        asking.row(FORMS[form])


def test_a_bos_behind_an_earlier_answer_and_a_token_that_opens_every_turn_are_taken() -> None:
    llama_2 = (
        "{% for m in messages %}{% if m.role == 'user' %}{{ bos_token }}[INST] {{ m.content }} [/INST]"
        "{% else %} {{ m.content }} {{ eos_token }}{% endif %}{% endfor %}"
    )
    tokenizer = wrapped(metaspace(SENTENCES), llama_2, bos_token="<s>", eos_token="</s>")
    smollm = chatml(bos_token="<|im_start|>", eos_token="<|im_end|>")
    for asking in (Renderer(tokenizer, ModelSettings(path="none")), Renderer(smollm, ModelSettings(path="none"))):
        pair = FORMS["several turns"]
        assert asking.row(pair).prompt.count(asking.tokenizer.bos_token_id) > 1
        assert asking.question("Hello").ids[0] == asking.tokenizer.bos_token_id
