"""Commands and an Ollama Modelfile that serve what was exported. Pure functions."""

from dataclasses import dataclass

from finetune.export.base import ExportBase

VLLM_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""The values that vLLM takes for --max-lora-rank."""
OLLAMA_LAST = "0.34.0"
"""The last version of Ollama that takes ADAPTER."""
LLAMA_SINCE = "builds since August 2024"
"""Those that take a LoRA adapter as GGUF (pull request 8332)."""
MODELFILE = "Modelfile"


@dataclass(frozen=True, slots=True)
class ServeCommand:
    """``versions``: the versions of the server that load this form."""

    server: str
    versions: str
    command: str


def adapter_commands(base: ExportBase, rank: int, template: str) -> tuple[ServeCommand, ...]:
    """For PEFT's own files. ``template``: the file of a chat template that replaces the base's; "" for none."""
    asked = f" --chat-template {template}" if template else ""
    most = next((one for one in VLLM_RANKS if rank <= one), None)
    if most is None:
        return ()
    command = f"vllm serve {base.name} --enable-lora --max-lora-rank {most} --lora-modules tuned=.{asked}"
    return (ServeCommand("vLLM", "0.6.4 and newer", command),)


def gguf_commands(adapter: str, template: str) -> tuple[ServeCommand, ...]:
    """For a GGUF adapter; base.gguf is the base as GGUF, quantised or not."""
    asked = f" --chat-template-file {template}" if template else ""
    return (
        ServeCommand("llama.cpp", LLAMA_SINCE, f"llama-server -m base.gguf --lora {adapter} --jinja{asked}"),
        ServeCommand("Ollama", f"{OLLAMA_LAST} and older", f"ollama create tuned -f {MODELFILE}"),
    )


def merged_commands() -> tuple[ServeCommand, ...]:
    return (
        ServeCommand("vLLM", "every version that knows the base", "vllm serve ."),
        ServeCommand("llama.cpp", "every version that knows the base", "convert_hf_to_gguf.py . --outfile merged.gguf"),
    )


def modelfile(adapter: str) -> str:
    """An Ollama Modelfile. It has no TEMPLATE: Ollama then takes the base's own from base.gguf, with which the adapter
    was trained."""
    return (
        f"# Ollama {OLLAMA_LAST} and older take ADAPTER; newer ones refuse it: use llama-server --lora.\n"
        "# There is no TEMPLATE here, so that the base's own chat template is used, as in training.\n"
        "FROM ./base.gguf\n"
        f"ADAPTER ./{adapter}\n"
    )
