"""Reads TOML files, and validates tables strictly."""

import datetime
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from common.errors import BadInput

Model = TypeVar("Model", bound=BaseModel)


def parse_strict(model: type[Model], table: Mapping[str, Any]) -> Model:
    """Validate a TOML table without converting values: true is not 1, and "1e-4" is not a number.

    It goes through JSON, because pydantic's strict mode for Python values would refuse a list for a tuple and 25 for
    25.0. ValidationError for a bad key or value, TypeError for a time, RecursionError for too deep nesting.
    """
    # A strict model may have parts that are not strict; an argument would override them.
    strict = None if model.model_config.get("strict") else True
    return model.model_validate_json(json.dumps(table, default=_date), strict=strict)


def _date(value: object) -> str:
    if type(value) is datetime.date:
        return value.isoformat()
    raise TypeError(f"{value!r} is neither a text, a number, a table nor a date")


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """The table in a file; BadInput if it cannot be read. ``what``: the key or option that names the file."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        json.dumps(table)
        return table
    except (OSError, UnicodeDecodeError):
        raise BadInput(f"{path} ({what}) cannot be read as UTF-8 text; write it or correct the path") from None
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path} is not TOML: {error}; correct that line") from None
    except (RecursionError, TypeError, ValueError):
        raise BadInput(
            f"{path} nests too deeply, or holds a date or an endless number; write tables of texts and numbers"
        ) from None
