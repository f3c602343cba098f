"""Loads the base model, once per worker and quantisation, with its tokenizer; and its digest.

torch, transformers and bitsandbytes are imported when a model is loaded.
"""

import hashlib
import json
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.digests import file_digest, folder_digest
from common.errors import BadInput, MissingRequirement, NightlaneError
from common.optional_dependencies import require_extra
from probes.inputs.settings import ModelSettings
from probes.model.placement import device_map, hand_over
from probes.rendering.renderer import Renderer


@dataclass
class Base:
    """A loaded model, which probes leave unchanged. ``model`` is a transformers causal language model; ``adapter`` is a
    ``probes.model.sft_adapter.FrozenAdapter`` that is part of it, or None."""

    model: Any
    renderer: Renderer
    adapter: Any = None

    @property
    def quantised(self) -> bool:
        return bool(getattr(self.model, "is_loaded_in_4bit", False))

    @property
    def on_several_gpus(self) -> bool:
        return len(set(getattr(self.model, "hf_device_map", {}).values())) > 1


def load_renderer(settings: ModelSettings, folder: Path, local: bool = False) -> Renderer:
    """Load only the tokenizer, with the study's chat settings. ``local``: do not use the hub.

    BadInput for a broken folder or template, MissingRequirement for a model that is not available.
    """
    from transformers import AutoTokenizer

    where, template = locate(settings, folder), _template(settings, folder)
    if template is not None:
        require_jinja(template, f"{folder / str(settings.chat_template)} ([model] chat_template)")
    with loading(settings, where):
        tokenizer = AutoTokenizer.from_pretrained(**stored(where), **options(settings), local_files_only=local)
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        if template is None and settings.chat == "auto" and tokenizer.chat_template is not None:
            require_jinja(tokenizer.get_chat_template(), f"the chat template of [model] path={settings.path!r}")
        renderer = Renderer(tokenizer, settings, template)
    renderer.require_known_kwargs()
    return renderer


def _template(settings: ModelSettings, folder: Path) -> str | None:
    """The study's chat template, which replaces the tokenizer's; BadInput for an invalid file."""
    if not settings.chat_template:
        return None
    path = folder / settings.chat_template
    named = f"{path} ([model] chat_template)"
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{named} is not UTF-8 (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise BadInput(f"{named} cannot be read ({error.strerror}); check the path") from None
    if not text.strip():
        raise BadInput(f'{named} is empty; write a template, or take the line out, or set chat = "never"')
    return text


def require_jinja(template: str, named: str) -> None:
    """BadInput for a template that is not valid Jinja."""
    from jinja2 import TemplateSyntaxError
    from transformers.utils.chat_template_utils import _compile_jinja_template

    try:
        _compile_jinja_template(template)
    except TemplateSyntaxError as error:
        raise BadInput(
            f"{named} is no Jinja template (line {error.lineno}: {error.message}); mend it, or name another with "
            "chat_template under [model]"
        ) from None


@contextmanager
def loading(settings: ModelSettings, where: str) -> Iterator[None]:
    """Turn errors of the loaders into one sentence: BadInput for a folder, MissingRequirement for a hub model.

    Errors of memory and of the device pass unchanged.
    """
    import torch

    try:
        yield
    except (NightlaneError, MemoryError, torch.OutOfMemoryError, torch.AcceleratorError):
        raise
    except Exception as error:
        reason = str(error).strip().splitlines()
        why = reason[0] if isinstance(error, (OSError, ValueError)) and reason else _named(error)
        if Path(where).exists():
            raise BadInput(
                f"[model] path={settings.path!r} could not be loaded ({why}); restore its files, or give another that "
                "holds a model"
            ) from None
        raise MissingRequirement(
            f"[model] path={settings.path!r} could not be loaded ({why}); give a folder that holds a model, or a hub "
            "id that this machine can reach or has in its cache"
        ) from None


def _named(error: Exception) -> str:
    """An error with its type, without which the message may be unclear."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}".rstrip(": ")


def _weights(settings: ModelSettings, where: str, quantization: str) -> dict[str, Any]:
    """The loader's arguments for weights that are stored quantised (GGUF) or are quantised when they are loaded."""
    import torch
    from transformers import BitsAndBytesConfig

    if is_gguf(where):
        from transformers import GgufConfig

        require_extra("gguf", f"[model] path={settings.path!r}, a GGUF file,")
        if quantization == "nf4":
            raise BadInput(
                f"NF4 quantises a model that is stored unquantised, and [model] path={settings.path!r} is a GGUF file; "
                'set quantization = "none" under [recipe], or give the folder of the original model'
            )
        return {"quantization_config": GgufConfig(gguf_file=Path(where).name, dequantize=True)}
    if quantization != "nf4":
        return {}
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    return {"quantization_config": config}


def load_base(settings: ModelSettings, folder: Path, quantization: str, device: str) -> Base:
    """Load the model and its tokenizer; ``folder`` is the folder of relative paths. On "cuda" all GPUs that this
    process sees hold its layers together, on "cuda:0" one of them holds it all.

    BadInput if the path or hub id has no model, MissingRequirement if it is not available.
    """
    import torch
    from transformers import AutoModelForCausalLM

    where, below = locate(settings, folder), locate_adapter(settings, folder)
    dtype = "bfloat16" if quantization == "nf4" else data_type(settings, device)
    extra = _weights(settings, where, quantization)
    if settings.attn_implementation:
        extra["attn_implementation"] = settings.attn_implementation
    renderer = load_renderer(settings, folder)
    with loading(settings, where):
        model = AutoModelForCausalLM.from_pretrained(
            **stored(where),
            dtype=getattr(torch, dtype),
            device_map=_device_map(settings, where, quantization, device),
            **extra,
            **options(settings),
        )
    if quantization == "nf4":
        _keep_layout(model)
    model.eval()
    base = Base(model, renderer)
    if base.on_several_gpus:
        hand_over(model)
    if below is not None:
        from probes.model.adapter_files import problems_beside
        from probes.model.sft_adapter import put_on

        for problem in problems_beside(below, settings, renderer):
            raise BadInput(problem)
        base.adapter = put_on(model, below, adapter_digest(below))
    return base


def _device_map(settings: ModelSettings, where: str, quantization: str, device: str) -> dict[str, Any]:
    """Where transformers loads each part of the model to."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    gpus = torch.cuda.device_count() if device == "cuda" else 1
    if gpus == 1:
        return {"": device}
    config = AutoConfig.from_pretrained(**stored(where), **options(settings))
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=settings.trust_remote_code)
    return device_map(model, gpus, quantization == "nf4")


def _keep_layout(model: Any) -> None:
    """Keep bitsandbytes 0.50 from repacking 4-bit weights on CPUs with AVX512-BF16.

    It would do so at the first generation, for a kernel without a gradient, and the next probe on that base would
    silently train with wrong gradients.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def load_quietly() -> None:
    """Turn off the progress bars of the libraries, for logs and for commands with output for people, and a warning that
    is for PEFT's developers."""
    os.environ.setdefault("TQDM_DISABLE", "1")  # a GGUF file's bar; tqdm reads it when it is imported
    warnings.filterwarnings("ignore", r"`\w*gradient_checkpointing\w*` is deprecated", FutureWarning)
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()


SMALL = 50_000_000  # parameters; on a CPU, one thread is faster than several for a model below that


def use_few_threads(base: Base) -> None:
    """Use one thread for a small model on a CPU, and torch's default for a larger one."""
    import torch

    if base.model.device.type == "cpu" and base.model.num_parameters() < SMALL:
        torch.set_num_threads(1)


CPUINFO = Path("/proc/cpuinfo")
NATIVE_BF16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""Flags of processors that compute in bfloat16."""


def data_type(settings: ModelSettings, device: str) -> str:
    """The data type of a base that is not quantised. "auto" is bfloat16 on a GPU that supports it, else float32; so is
    "native", but on a processor that computes in bfloat16."""
    if settings.dtype not in ("auto", "native"):
        return settings.dtype
    if device == "cpu":
        return "bfloat16" if settings.dtype == "native" and _has_bf16() else "float32"
    import torch

    return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"


def _has_bf16() -> bool:
    """Whether the processor computes in bfloat16; False where the kernel does not tell."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return any(
        NATIVE_BF16 & set(line.partition(":")[2].split()) for line in lines if line.startswith(("flags", "Features"))
    )


def note_data_type(settings: ModelSettings, device: str) -> str:
    """What the probe key says of a data type that the machine chose; "" where the settings say it all."""
    return f" dtype={data_type(settings, device)}" if settings.dtype == "native" else ""


def is_gguf(where: str) -> bool:
    return where.endswith(".gguf")


def stored(where: str) -> dict[str, str]:
    """The arguments by which transformers finds a located model: a folder or hub id, or a GGUF file in its folder."""
    if not is_gguf(where):
        return {"pretrained_model_name_or_path": where}
    path = Path(where)
    return {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}


def options(settings: ModelSettings) -> dict[str, Any]:
    return {"revision": settings.revision, "trust_remote_code": settings.trust_remote_code}


def locate(settings: ModelSettings, folder: Path) -> str:
    """The model's folder or GGUF file if it exists, else its hub id; BadInput for neither."""
    local = (folder / Path(settings.path).expanduser()).resolve()
    if local.is_dir():
        return str(local)
    if local.is_file() and is_gguf(str(local)):
        require_extra("gguf", f"[model] path={settings.path!r}, a GGUF file,")
        return str(local)
    if local.is_file():
        raise BadInput(
            f"[model] path={settings.path!r} is a file, and a model is a folder or a .gguf file; give the folder it "
            "lies in"
        )
    looks_local = settings.path.startswith((".", "/", "~")) or settings.path.count("/") > 1
    if looks_local or not settings.path or " " in settings.path:
        raise BadInput(f"[model] path={settings.path!r} is neither a folder nor a hub id; check the path")
    return settings.path


ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def locate_adapter(settings: ModelSettings, folder: Path) -> Path | None:
    """The folder of ``[model] adapter``; BadInput if it lacks PEFT's files, or if the adapter needs a base adapter."""
    if settings.adapter is None:
        return None
    adapter = (folder / Path(settings.adapter).expanduser()).resolve()
    for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS):
        if not (adapter / name).is_file():
            raise BadInput(
                f"[model] adapter={settings.adapter!r} is the folder of a LoRA adapter and {adapter / name} is "
                "missing; give the folder that PEFT saved one in"
            )
    from probes.model.adapter_files import require_no_base_adapter  # that module imports this one

    require_no_base_adapter(adapter)
    return adapter


def adapter_digest(adapter: Path) -> str:
    """The digest of an adapter's configuration and weights."""
    return folder_digest([adapter / ADAPTER_CONFIG, adapter / ADAPTER_WEIGHTS])[:16]


def base_digest(settings: ModelSettings, folder: Path) -> str:
    """The digest of the base: a folder's files, or a hub model's id and revision; dtype, chat settings and adapter."""
    where = locate(settings, folder)
    digest = hashlib.sha256()
    if Path(where).is_dir():
        digest.update(folder_digest(sorted(Path(where).iterdir())).encode())
    elif is_gguf(where):
        digest.update(file_digest(Path(where)).encode())
    else:
        digest.update(f"{where}@{settings.revision or 'main'}".encode())
    digest.update(f"{settings.dtype}|{settings.chat}|{_template(settings, folder) or ''}".encode())
    if settings.attn_implementation:
        digest.update(settings.attn_implementation.encode())
    if settings.chat_template_kwargs:
        digest.update(json.dumps(settings.chat_template_kwargs, sort_keys=True).encode())
    if (adapter := locate_adapter(settings, folder)) is not None:
        digest.update(adapter_digest(adapter).encode())
    return digest.hexdigest()[:16]
