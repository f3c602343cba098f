"""Watches a hub model's folder in the cache while it is loaded, so that a download is told from a slow load."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from probes.inputs.settings import ModelSettings
from probes.model.load import is_gguf, locate

PAUSE = 5.0
"""Seconds between two looks at the cache."""


@contextmanager
def watch_download(settings: ModelSettings, folder: Path, grown: Callable[[], object]) -> Iterator[None]:
    """Call ``grown`` inside the block, from a thread, whenever files of the model came into the hub's cache."""
    where = locate(settings, folder)
    if Path(where).is_dir() or is_gguf(where):
        yield
        return
    done = threading.Event()
    thread = threading.Thread(target=_watch, args=(_blobs(where), done, grown), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _watch(blobs: Path, done: threading.Event, grown: Callable[[], object]) -> None:
    before = _bytes(blobs)
    while not done.wait(PAUSE):
        now = _bytes(blobs)
        if now > before:
            grown()
        before = now


def _blobs(hub_id: str) -> Path:
    """Where the hub's client puts the files of a model, unfinished ones too."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE) / f"models--{hub_id.replace('/', '--')}" / "blobs"


def _bytes(blobs: Path) -> int:
    """The bytes on the disk: an unfinished file may have its full length from the start."""
    total = 0
    for path in blobs.glob("*"):
        try:
            total += path.stat().st_blocks * 512
        except OSError:
            continue  # it was just renamed
    return total
