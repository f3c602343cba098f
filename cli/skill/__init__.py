"""SKILL.md: how an agent writes a study, runs it, reads it and acts on it."""

from pathlib import Path

SKILL = Path(__file__).parent / "SKILL.md"
