"""``nightlane export``: writes an adapter in a form that servers load, checked before the folder gets its final name.

export.py        from a request to the folder, checked and complete
formats.py       the three forms: PEFT's files, a GGUF adapter, a merged model
bench.py         the base with and without PEFT's adapter, against which every form is compared
exported.py      the request and the result; values only
trained.py       what is exported: the adapter, its files, and the record of the run that trained it
base.py          the unquantised base model that the adapter goes on
lora_weights.py  the matrices of a plain LoRA adapter, and which adapters are not plain, with the remedy
gguf_file.py     writes the GGUF adapter: for which architectures, with which names and row order of tensors
gguf_check.py    reads it back, applies it to the base, and compares logits with PEFT's
llama_check.py   the same through llama.cpp, and tensor by tensor against its own converter
serving.py       commands and an Ollama Modelfile that serve what was exported; pure
"""

RECORD = "adapter_export.json"
"""Written last, with the digest of each other file of the export."""
