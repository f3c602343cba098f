"""Small tokenizers of the kinds of open models, and chat templates like theirs."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

TEXT = (
    "What is two plus two? It is four. Name a colour of the sky. Blue. Be brief. You are a careful helper. "
    "def double(x):\n    return x * 2\n\n# negate with 3\nHello, how can I help? Write code. Are you sure? Yes.\n"
)
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
HEADERS = (  # Llama 3
    "{{ bos_token }}{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}"
    "<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
DATED = (  # Llama 3.2
    "{{ bos_token }}<|start_header_id|>system<|end_header_id|>\n\nToday: {{ strftime_now('%d %b %Y') }}<|eot_id|>"
    "{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n{{ m.content | trim }}<|eot_id|>"
    "{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
ALTERNATING = (  # Mistral: strictly alternating, no system turns, eos as the end of turn
    "{{ bos_token }}{% for m in messages %}"
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate!') }}{% endif %}"
    "{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]{% else %} {{ m.content }}{{ eos_token }}{% endif %}"
    "{% endfor %}"
)
MODELS = (  # Gemma
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}"
    "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
PHI = (  # also ends a whole conversation with eos
    "{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% else %}{{ eos_token }}{% endif %}"
)
THOUGHTS = (  # Qwen3: the last answer has a thought, which is empty if thinking is off
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.role == 'assistant' and loop.last %}<think>\n\n</think>\n\n{% endif %}{{ m.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
OPENS_A_THOUGHT = (  # DeepSeek R1: the question opens a thought, which rows do not have
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% if m.role == 'assistant' %}{{ eos_token }}"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}"
)
TOOLS = (
    "{% if tools %}<|im_start|>system\n{% for t in tools %}{{ t | tojson }}\n{% endfor %}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
    "{% for c in m.tool_calls or [] %}<tool_call>{{ c.function | tojson }}</tool_call>{% endfor %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
DIRECT = (  # an answer directly after a special token
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
WORDS_END_IT = (  # an end of turn that is not a token
    "{% for m in messages %}### {{ m.role }}:\n{{ m.content }}\n### End\n{% endfor %}"
    "{% if add_generation_prompt %}### assistant:\n{% endif %}"
)

CHAT = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")
LLAMA = ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
SENTENCES = ("<s>", "</s>")
GEMMA = ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>", "<pad>")
DIRECT_TOKENS = ("<s>", "</s>", "<|user|>", "<|assistant|>", "<|end|>", "<|system|>")
PHI_TOKENS = ("<s>", "<|endoftext|>", "<|user|>", "<|assistant|>", "<|end|>", "<|system|>")


def byte_level(special: tuple[str, ...], bos: bool = False) -> Any:
    """BPE over bytes, as GPT-2, Llama 3 and Qwen have it. ``bos``: a post-processor writes the first special token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        [TEXT], trainers.BpeTrainer(vocab_size=400, special_tokens=list(special), initial_alphabet=alphabet)
    )
    if bos:
        made.post_processor = processors.TemplateProcessing(
            single=f"{special[0]} $A", special_tokens=[(special[0], made.token_to_id(special[0]))]
        )
    return made


def metaspace(special: tuple[str, ...], prefix: str = "first", bos: bool = True) -> Any:
    """BPE with ▁ for blanks and byte fallback for unknown characters, like the SentencePiece models of Llama 2 and
    Mistral."""
    import json

    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    made = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    made.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme=prefix, split=False)
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(content=" ", left=1)]
    )
    fallback = [f"<0x{byte:02X}>" for byte in range(256)]
    made.train_from_iterator(
        TEXT.split("\n"), trainers.BpeTrainer(vocab_size=700, special_tokens=["<unk>", *special, *fallback])
    )
    state = json.loads(made.to_str())  # bytes are ordinary tokens, as in these models
    state["added_tokens"] = [token for token in state["added_tokens"] if token["content"] not in fallback]
    made = Tokenizer.from_str(json.dumps(state))
    if bos:
        made.post_processor = processors.TemplateProcessing(
            single=f"{special[0]} $A", special_tokens=[(special[0], made.token_to_id(special[0]))]
        )
    return made


def legacy(special: tuple[str, ...]) -> Any:
    """Like ``metaspace``, but a normalizer adds a blank before each piece of text, even after a special token (Llama 2
    and Phi-3)."""
    import json

    from tokenizers import Tokenizer, normalizers

    state = json.loads(metaspace(special, "never").to_str())
    state["pre_tokenizer"] = None
    made = Tokenizer.from_str(json.dumps(state))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return made


def taking_white_space(made: Any, *special: str, left: bool = False) -> Any:
    """The tokenizer with special tokens that remove the white space after them (Phi-3), or before them."""
    from tokenizers import AddedToken

    made.add_special_tokens(
        [AddedToken(token, special=True, rstrip=not left, lstrip=left, normalized=False) for token in special]
    )
    return made


def composing(made: Any) -> Any:
    """The tokenizer with NFC as its normalizer, like Qwen's."""
    from tokenizers import normalizers

    made.normalizer = normalizers.NFC()
    return made


def wrapped(made: Any, template: str | None = None, special: tuple[str, ...] = (), **named: str) -> Any:
    """The tokenizer as transformers loads it. ``special``: further special tokens in its settings; Llama 3 lists
    none, although its tokenizer marks them. ``named``: bos_token, eos_token, pad_token."""
    from transformers import PreTrainedTokenizerFast

    found = PreTrainedTokenizerFast(tokenizer_object=made, extra_special_tokens=list(special), **named)
    found.chat_template = template
    return found


def chatml(template: str = CHATML, **named: str) -> Any:
    return wrapped(byte_level(CHAT), template, CHAT, **{"eos_token": "<|endoftext|>", **named})


KINDS: Mapping[str, Callable[[], Any]] = {
    "plain, eos only": lambda: wrapped(byte_level(("<|endoftext|>",)), eos_token="<|endoftext|>"),
    "plain, eos is bos (GPT-2)": lambda: wrapped(
        byte_level(("<|endoftext|>",)), eos_token="<|endoftext|>", bos_token="<|endoftext|>"
    ),
    "plain, with pad": lambda: wrapped(byte_level(("<eos>", "<pad>")), eos_token="<eos>", pad_token="<pad>"),
    "plain, bos by post-processor": lambda: wrapped(
        byte_level(LLAMA, bos=True), None, LLAMA, bos_token=LLAMA[0], eos_token=LLAMA[1]
    ),
    "plain, metaspace": lambda: wrapped(metaspace(SENTENCES), bos_token="<s>", eos_token="</s>"),
    "plain, metaspace always": lambda: wrapped(metaspace(SENTENCES, "always"), bos_token="<s>", eos_token="</s>"),
    "ChatML base": chatml,
    "ChatML, eos ends a turn": lambda: chatml(eos_token="<|im_end|>", pad_token="<|endoftext|>"),
    "bos by both": lambda: wrapped(byte_level(LLAMA, bos=True), HEADERS, bos_token=LLAMA[0], eos_token="<|eot_id|>"),
    "bos by template": lambda: wrapped(byte_level(GEMMA), MODELS, GEMMA, bos_token="<bos>", eos_token="<eos>"),
    "bos by post-processor alone": lambda: wrapped(
        byte_level(("<s>", *CHAT), bos=True), CHATML, CHAT, bos_token="<s>", eos_token="<|im_end|>"
    ),
    "today's date": lambda: wrapped(byte_level(LLAMA, bos=True), DATED, bos_token=LLAMA[0], eos_token="<|eot_id|>"),
    "strictly alternating": lambda: wrapped(metaspace(SENTENCES), ALTERNATING, bos_token="<s>", eos_token="</s>"),
    "without system turns": lambda: wrapped(
        metaspace(GEMMA, "never", bos=False), MODELS, GEMMA, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>"
    ),
    "eos behind the end": lambda: wrapped(
        metaspace(PHI_TOKENS), PHI, PHI_TOKENS, bos_token="<s>", eos_token="<|endoftext|>"
    ),
    "plain, a blank of its own": lambda: wrapped(legacy(SENTENCES), bos_token="<s>", eos_token="</s>"),
    "a blank of its own (Llama 2)": lambda: wrapped(
        legacy(DIRECT_TOKENS), DIRECT, DIRECT_TOKENS, bos_token="<s>", eos_token="</s>"
    ),
    "a blank of its own if there is none": lambda: wrapped(
        metaspace(DIRECT_TOKENS, "always"), DIRECT, DIRECT_TOKENS, bos_token="<s>", eos_token="</s>"
    ),
    "white space taken off (Phi-3)": lambda: wrapped(
        taking_white_space(legacy(SENTENCES), *PHI_TOKENS[1:]), PHI, bos_token="<s>", eos_token="<|endoftext|>"
    ),
    "white space taken off, byte-level": lambda: wrapped(
        taking_white_space(byte_level(("<eos>",)), *PHI_TOKENS[1:]), PHI, eos_token="<|endoftext|>"
    ),
    "white space taken off before the end": lambda: wrapped(
        taking_white_space(byte_level((CHAT[0], CHAT[2])), CHAT[1], left=True), CHATML, eos_token="<|endoftext|>"
    ),
    "characters composed (Qwen)": lambda: wrapped(composing(byte_level(CHAT)), CHATML, CHAT, eos_token=CHAT[1]),
    "thoughts": lambda: chatml(THOUGHTS, eos_token="<|im_end|>"),
    "tools": lambda: chatml(TOOLS, eos_token="<|im_end|>"),
    "an end that is no token": lambda: chatml(WORDS_END_IT),
}


def save(kind: str, folder: Path) -> Any:
    """Save the tokenizer and return it."""
    made = KINDS[kind]()
    made.save_pretrained(folder)
    return made
