"""A TOML file that a study names, as pydantic takes it."""

import json
import tomllib
from pathlib import Path
from typing import Any

from common.errors import BadInput


def read_toml(path: Path, what: str) -> tuple[dict[str, Any], str]:
    """The table, and the same as JSON: pydantic is strict there without refusing a list for a tuple or 25 for 25.0.

    BadInput in one sentence; ``what``: the key under [scorer] that names the file.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        return table, json.dumps(table)
    except (OSError, UnicodeDecodeError):
        raise BadInput(
            f"{path} ({what} under [scorer]) cannot be read as UTF-8 text; write it or mend the path"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path} is not TOML: {error}; mend that line") from None
    except (RecursionError, TypeError, ValueError):
        raise BadInput(
            f"{path} nests too deeply, or holds a date or an endless number; write tables of texts and numbers"
        ) from None
