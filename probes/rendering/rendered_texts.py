"""Finds texts that were already rendered with a chat template, by the markers of common templates.

Another template would put such a text into one turn with its markers, and the model would learn to write them. Marks of
thoughts do not count (probes/scoring/thoughts.py).
"""

import re

from probes.inputs.rows.turns import Turn, Turns

# Markers of turns or of the end of a text, which only occur in rendered texts and in texts about chat templates.
MARKERS = {
    "ChatML": r"<\|im_(?:start|end)\|>",
    "Llama 3": r"<\|(?:start_header_id|end_header_id|eot_id|eom_id|begin_of_text|end_of_text)\|>",
    "Llama 4": r"<\|(?:header_start|header_end|eot)\|>",
    "Llama 2 and Mistral": r"\[/?INST\]|<</?SYS>>|\[/?(?:SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_RESULTS)\]",
    "Gemma": r"<(?:start|end)_of_turn>",
    "Phi and Zephyr": r"<\|(?:user|assistant|system|end|endoftext)\|>",
    "DeepSeek": r"<｜(?:User|Assistant|begin▁of▁sentence|end▁of▁sentence)｜>",
    "Command R": r"<\|(?:START_OF_TURN|END_OF_TURN|USER|CHATBOT|SYSTEM)_TOKEN\|>",
    "gpt-oss": r"<\|start\|>(?:user|system|developer)\b|<\|return\|>",
    "Granite": r"<\|(?:start_of_role|end_of_role)\|>",
    "OpenChat": r"GPT4 Correct (?:User|Assistant):",
}
_MARKER = re.compile("|".join(f"({pattern})" for pattern in MARKERS.values()))
_STARTS = ("<|", "[", "<<", "_of_turn>", "<｜", "GPT4 ")
_SENTENCE_END = re.compile(r"</s>\s*\Z")

# Headings and names also occur in other texts: a rendered text has those of both speakers.
_USER_HEADING = re.compile(r"^#{2,3} ?(?:Instruction|Human|User|Question|Prompt) ?:", re.MULTILINE)
_ASSISTANT_HEADING = re.compile(r"^#{2,3} ?(?:Response|Assistant|Answer|Output|AI|Bot) ?:", re.MULTILINE)
_USER_NAME = r"(?:USER|User|HUMAN|Human) ?:"
_ASSISTANT_NAME = r"(?:ASSISTANT|Assistant|AI|BOT|Bot|GPT|Chatbot|MODEL|Model) ?:"
_USER_SPEAKS = re.compile(rf"(?:^|\s){_USER_NAME}")
_ASSISTANT_IS_NEXT = re.compile(rf"(?:^|\s){_ASSISTANT_NAME}\Z")
_DIALOGUE = re.compile(rf"\s*{_USER_NAME}.*?(?:\n\s*{_ASSISTANT_NAME}|\s(?:ASSISTANT|BOT|MODEL) ?:)", re.DOTALL)


def marker_in(text: str) -> tuple[str, str] | None:
    """The first marker of a common template in a text, and the template's name."""
    begins = any(start in text for start in _STARTS)  # much faster than the search
    if begins and (found := _MARKER.search(text)) and found.lastindex:
        return found[0], list(MARKERS)[found.lastindex - 1]
    opened_in_html = "<s>" in text.lstrip().removeprefix("<s>")
    if "</s>" in text and _SENTENCE_END.search(text) and not opened_in_html:
        return "</s>", "Llama 2 and Mistral"
    if "##" not in text:
        return None
    user, assistant = _USER_HEADING.search(text), _ASSISTANT_HEADING.search(text)
    return (f"{user[0]} ... {assistant[0]}", "Alpaca and Vicuna") if user and assistant else None


def is_transcript(prompt: Turns) -> bool:
    """Whether a prompt is a dialogue in one text: it begins with the user's name, or ends with the assistant's."""
    if not isinstance(prompt, str):
        spoken = [turn for turn in prompt if turn.role != "system"]
        return len(spoken) == 1 and isinstance(spoken[0], Turn) and is_transcript(spoken[0].content)
    end = prompt.rstrip()
    if end.endswith(":") and _ASSISTANT_IS_NEXT.search(end) and _USER_SPEAKS.search(end):
        return True
    return _DIALOGUE.match(prompt) is not None
