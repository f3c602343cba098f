"""Small words of sentences that a person reads."""


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def lower_first(message: str) -> str:
    """A library's sentence inside one of ours. Only its first letter: what it quotes, a pattern say, stays as it is."""
    return message[:1].lower() + message[1:]
