"""``nightlane export``: an adapter in a form that people and servers take, checked before it gets its final name.

export.py        from a request to the folder, checked and complete
forms.py         the three forms: PEFT's files, a GGUF adapter, a merged model
bench.py         the base with and without PEFT's adapter, against which every form is compared
exported.py      the request and the result; values only
trained.py       what is exported: the adapter, its files, and the record of the run that trained it
base.py          the unquantised base model that the adapter goes on
refusals.py      adapters that a GGUF file cannot hold, with the reason and the remedy; pure
lora_weights.py  the matrices of a plain LoRA adapter
gguf_names.py    the architectures that a GGUF adapter can be for, and the names and row order of their tensors
gguf_file.py     writes the GGUF adapter
gguf_check.py    reads it back, applies it to the base, and compares logits with PEFT's
llama_check.py   the same through llama.cpp, and tensor by tensor against its own converter
serving.py       commands and an Ollama Modelfile that serve what was exported; pure
"""

RECORD = "adapter_export.json"
"""Written last, with the digest of each other file of the export."""
