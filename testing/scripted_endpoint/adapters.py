"""LoRA adapters that are loaded and unloaded at the scripted endpoint, with the calls and status codes of vLLM."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LOAD, UNLOAD = "/v1/load_lora_adapter", "/v1/unload_lora_adapter"


class ScriptedAdapters:
    """The loaded adapters of one base model. ``calls``: the path and adapter of every successful call, in order."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._loaded: dict[str, str] = {}
        self._lock = threading.Lock()
        self.calls: list[tuple[str, str]] = []

    def call(self, path: str, body: Mapping[str, Any]) -> tuple[int, str]:
        """Load or unload an adapter; returns the status and the text of the reply."""
        name, folder = str(body.get("lora_name") or ""), str(body.get("lora_path") or "")
        with self._lock:
            status, text = self._load(name, folder) if path == LOAD else self._unload(name)
            if status == 200:
                self.calls.append((path, name))
        return status, text

    def knows(self, model: object) -> bool:
        return model == self._base or model in self._loaded

    def cards(self) -> list[dict[str, Any]]:
        """The loaded adapters as entries of the list of models."""
        with self._lock:
            loaded = dict(self._loaded)
        return [
            {"id": name, "object": "model", "created": 0, "owned_by": "nightlane", "root": folder, "parent": self._base}
            for name, folder in loaded.items()
        ]

    def _load(self, name: str, folder: str) -> tuple[int, str]:
        if not name or not folder:
            return 400, "Both 'lora_name' and 'lora_path' must be provided."
        if name in self._loaded:
            return 400, f"The lora adapter '{name}' has already been loaded."
        if not (Path(folder) / "adapter_config.json").is_file():
            return 404, f"Loading lora {name} failed: No adapter found for {folder}"
        self._loaded[name] = folder
        return 200, f"Success: LoRA adapter '{name}' added successfully."

    def _unload(self, name: str) -> tuple[int, str]:
        if not name:
            return 400, "'lora_name' needs to be provided to unload a LoRA adapter."
        if name not in self._loaded:
            return 404, f"The lora adapter '{name}' cannot be found."
        del self._loaded[name]
        return 200, f"Success: LoRA adapter '{name}' removed successfully."
