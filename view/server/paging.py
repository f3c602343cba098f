"""Pages of a long list: the one that a URL asks for, and the URLs of its neighbours."""

from dataclasses import dataclass
from math import ceil

from starlette.requests import Request

from common.errors import BadInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging:
    """``number``: of the page, from 1. ``first``, ``last``: numbers of its rows. ``before``, ``after``: the URLs of the
    neighbouring pages, "" for none."""

    number: int
    pages: int
    total: int
    first: int
    last: int
    before: str
    after: str

    @staticmethod
    def of(request: Request, number: int, total: int, each: int) -> "Paging":
        """The paging of a request; BadInput for a number after the last page."""
        pages = max(1, ceil(total / each))
        if number > pages:
            raise BadInput(f"page={number} is after the last page; give 1 to {pages}")

        def address(page: int) -> str:
            query = request.url.include_query_params(page=page).query
            return f"{request.url.path}?{query}" if 1 <= page <= pages else ""

        first = each * (number - 1)
        return Paging(
            number=number,
            pages=pages,
            total=total,
            first=min(first + 1, total),
            last=min(first + each, total),
            before=address(number - 1),
            after=address(number + 1),
        )


def page_number(request: Request) -> int:
    """The number in ``page`` of the URL; 1 without it."""
    text = request.query_params.get("page", "1")
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 10**9):
        raise BadInput(f"page={text!r} is not a page; give a number from 1 on")
    return int(text)
