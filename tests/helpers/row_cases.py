"""For each file in cases/rows: the texts that are trained on, or the message of the refusal."""

import json
from pathlib import Path

from probes.inputs.rows.turns import Turn, Turns

CASES = Path(__file__).parents[1] / "cases" / "rows"
FOUR, FIVE, TWO = "It is four.", "It is five.", "What is two plus two?"
SYSTEM = Turn("system", "You are a careful helper.")
USER = Turn("user", TWO)
HELLO = (Turn("user", "Hello"), Turn("assistant", "Hello, how can I help?"))
TOOL = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Adds.",
        "parameters": {"type": "object", "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}}},
    },
}
CALL = {"tool_calls": [{"type": "function", "function": {"name": "add", "arguments": {"x": 2, "y": 2}}}]}
CALLS = Turn("assistant", "", json.dumps(CALL, separators=(",", ":")))


def said(text: str) -> tuple[Turn, ...]:
    return (Turn("assistant", text),)


PLAIN = (TWO, FOUR, FIVE)
TALK = ((USER,), said(FOUR), said(FIVE))
GOOD: dict[str, tuple[Turns, Turns, Turns]] = {
    "array.json": PLAIN,
    "array_oneline.json": PLAIN,
    "bom_crlf.jsonl": PLAIN,
    "chosen_dict.jsonl": TALK,
    "difficulty_float.jsonl": PLAIN,
    "difficulty_null.jsonl": PLAIN,
    "eos_in_text.jsonl": (TWO, f"{FOUR}<|im_end|>", f"{FIVE}<|endoftext|>"),
    "hh_split.jsonl": (f"\n\nHuman: {TWO}\n\nAssistant:", f" {FOUR}", f" {FIVE}"),
    "implicit_conv.jsonl": TALK,
    "mixed_forms.jsonl": PLAIN,
    "multi_turn.jsonl": ((*HELLO, USER), said(FOUR), said(FIVE)),
    "newline_cells.csv": ("Write code", "def f():\r\n    return 1\r\n", "def f():\n    return 2"),
    "orca_prompt.jsonl": ((Turn("system", "You answer in French only."), USER), said(FOUR), said(FIVE)),
    "plain.csv": PLAIN,
    "plain.jsonl.gz": PLAIN,
    "plain.parquet": PLAIN,
    "prompt_list_and_full.jsonl": TALK,
    "separators.jsonl": (f"{TWO}\u2028next\x85line\x0b", f"{FOUR}\u2029", f"{FIVE}\0x"),
    "sharegpt.jsonl": TALK,
    "system.jsonl": ((SYSTEM, USER), said(FOUR), said(FIVE)),
    "templated.jsonl": (
        f"<|im_start|>user\n{TWO}<|im_end|>\n<|im_start|>assistant\n",
        f"{FOUR}<|im_end|>\n",
        f"{FIVE}<|im_end|>\n",
    ),
    "tools_empty_content.jsonl": ((USER,), (CALLS,), said(FIVE)),
    "tools_history.jsonl": ((USER, CALLS, Turn("tool", "4", '{"name":"add"}')), said(FOUR), said(FIVE)),
    "tools_no_content.jsonl": ((USER,), (CALLS,), said(FIVE)),
    "tools_null_content.jsonl": ((USER,), (CALLS,), said(FIVE)),
    "trailing_comma_array_lines.jsonl": PLAIN,
    "two_users.jsonl": ((Turn("user", "Listen."), USER), said(FOUR), said(FIVE)),
    "ultrafeedback.jsonl": TALK,
}
BAD = {
    "alpaca.jsonl": "line 1 has the column 'instruction', which would change what the row says; if it is the question, "
    "rename the column to prompt",
    "alpaca_prompt.jsonl": "line 1 has the column 'input', which would change what the row says; write it into the",
    "chosen_is_user.jsonl": "line 1: chosen begins with the user's turn, and not with the turns of the prompt",
    "cp1252.jsonl": "(line 1 has the byte 0xe9), and its encoding is not known; convert it: iconv -f ENCODING -t UTF-8",
    "difficulty_word.jsonl": "line 1 has difficulty='hard'; write a whole number",
    "dup_key.jsonl": "line 1 is not JSON (an object has the key 'chosen' twice); mend or remove it",
    "empty_rejected.jsonl": "line 2 has no text in 'rejected', which is empty",
    "empty_turn.jsonl": "line 1 has an empty turn of the assistant in 'chosen'",
    "hh.jsonl": "where the prompt ends in a plain text is not guessed; write prompt, chosen and rejected (docs/data.md",
    "multi_turn_completion.jsonl": "chosen has the user's turn after the assistant's, and it would be trained on",
    "nan_column.jsonl": "line 1 is not JSON (NaN is not a JSON number)",
    "null_chosen.jsonl": "line 2 has no text (or list of turns with role and content) in 'chosen'",
    "number_prompt.jsonl": "line 1 has no text (or list of turns with role and content) in 'prompt'",
    "orca.jsonl": "line 1 has the column 'question'",
    "prompt_ends_assistant.jsonl": "line 1: the prompt ends with the assistant's turn",
    "prompts_conv.jsonl": "line 1 has no column 'chosen'; a row needs prompt, chosen and rejected",
    "same.jsonl": "line 1: chosen and rejected are the same text",
    "same_but_space.jsonl": "line 1: chosen and rejected are the same text, white space around it aside",
    "space_rejected.jsonl": "line 1 has no text in 'rejected', which is empty",
    "stringified.jsonl": "line 1 has in 'chosen' a conversation that is written as a text; write it as a list of turns",
    "surrogate.jsonl": r"line 1 holds half a character (\ud800 to \udfff) that cannot be written as UTF-8; mend it",
    "utf16.jsonl": "since it is UTF-16; convert it: iconv -f UTF-16 -t UTF-8",
}
LONG = {"long.jsonl", "rare_system_row.jsonl"}
ONLY_SOURCES = {"difficulty_word.jsonl"}
"""Files whose fault matters only for training sources."""
TOOLS = {name for name in GOOD if name.startswith("tools_")}
