"""Text of unknown origin, made fit for a log."""


def one_line(text: str, limit: int) -> str:
    """Printable text without line breaks, control characters or lone surrogates, at most ``limit`` characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:limit]
