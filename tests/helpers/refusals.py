"""What a function refuses, as a value."""

from collections.abc import Callable

from common.errors import NightlaneError


def refusal(function: Callable[..., object], *arguments: object) -> str:
    """The message of the NightlaneError that the call raises; "" if it raises none."""
    try:
        function(*arguments)
    except NightlaneError as error:
        return str(error)
    return ""
