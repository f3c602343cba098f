"""Lines behind a function: prose, which is left out, or an expression that was cut off, which is judged."""

import pytest

from probes.scoring.execution.extraction import extract
from probes.scoring.execution.syntax import SyntaxFault, defines, parse
from probes.scoring.execution.torn_lines import LONGEST, is_torn

WHOLE = "def f(x):\n    return x + 1\n"
PROSE = [
    "This works.",
    "It's simple, isn't it",
    "It's",
    "This is",
    "This is not",
    "This function uses (see",
    "Notes (there are two",
    "1. Sort the list (",
    "1. Call f(",
    "2) Then [",
    "- item f(",
    "- O(n) +",
    "* `f(x",
    "> f(1) ==",
    "**Note**: f(",
    "**Example",
    "### f(",
    "Example: f(1) ==",
    "Example:",
    "Output: [1, 2",
    "Output [1, 2",
    "Hence, f(1) == (2",
    "Complexity: O(n",
    "Time complexity: O(n",
    "(There are two",
    "(see above",
    "(1) First [",
    "| a | b | (",
    "---",
    "===",
    "***",
    "$x = (",
    "\\( x",
    "\\[",
    "\\boxed{5",
    "`f(1) ==",
    "So f(1",
    "Done.",
    "这个函数返回 (",
    "解释：f(1) ==",
    "→ [1, 2",
    "<br> (",
    "[Source](http://a",
    "[/INST]",
    "[1, 2, 3].",
    "e.g. f(1",
    "We get f(1) ==",
    "not the best [",
    "lambda functions are (",
    "and then (",
    "in short (",
    "f gives 2 when x is",
    "Use f like so: f(",
    "For n > 0 we have (",
    "Let x be in",
    "Test it with [",
    "Call f(1) and get [",
    "Hope this helps (and",
    "I can",
    "You can",
    "Feel free to",
    "Note that f(x) is",
    "match the following:",
    "result:",
    "case 1:",
    "main.py:",
    "or",
    "So f(x).",
    "Note: f(x) !",
    "(a): the first",
    "dp[i]: the largest sum",
    "type hints",
]
TORN = [
    "f(1) ==",
    "[f(i) for i in",
    "[f(i) for i i",
    "[f(i) for",
    "(",
    "[",
    "{",
    "\\",
    "not f(",
    "not",
    "~",
    "~f(",
    "lambda",
    "lambda x",
    "lambda x:",
    "lambda x, y",
    "await",
    "global",
    "nonlocal",
    "(f(1), f(2",
    "-1 +",
    "1 +",
    "f'{",
    "f'{f(1)",
    "[1,2] ==",
    "[1, 2",
    "{f(1):",
    "{f(1): ",
    "{'a': 1, 'b",
    "f(1) if",
    "f(1) if x",
    "f(1) == 'hello wor",
    'f(1) == "it is',
    "f(1) +",
    "f(1) ==  # two",
    "x.y(",
    "x[1",
    "x.y ==",
    "f(1) and",
    "f(1) and not",
    "(f(1) ==",
    "(f(1) == 2) and (",
    "[x for x in range(3) i",
    "f(x) == f(y) !=",
    "f(1) is",
    "f(1) in [1, 2,",
    "f(1) @",
    "2 ** 3 -",
    "((f(1)",
    '"ab" +',
    "'Test",
    "f(1) == 1 o",
    "f(1) !",
    "f([1])[0].",
    "as",
    "a[1]:",
    "a[1]: in",
    "a[1].b: dict[str, int] =",
    "b: list[in",
    "match x:",
    "match x, y:",
    "match {'a':",
    "async for y in x:",
    "break",
    "type X",
    "type X[T]",
]
STATEMENTS = [
    "match f(1), x:\n    case [1, *rest] if rest:\n        pass",
    "a[1].b: dict[str, int] = {'one': f(1)}",
    "b: list[int] = [f(1)]",
    "type Pair[T] = tuple[T, T]",
    "async with a as b, f(1) as c:\n    pass",
    "assert f(1) == 2 and f(2) != 3 or not f(3).real, 'wrong'",
]
LABELS = {"b:"}
"""What is read as prose at the end of those, because a line of text may be equal."""


@pytest.mark.parametrize("line", PROSE)
def test_a_line_that_is_plainly_prose_is_left_out(line: str) -> None:
    assert not is_torn(line)
    for text in (WHOLE + "\n" + line, "Sure, here it is:\n\n" + WHOLE + "\n" + line):
        assert defines(parse(extract(text, "f").source), "f")


@pytest.mark.parametrize("line", TORN)
def test_an_expression_that_was_cut_off_is_judged_as_it_stands(line: str) -> None:
    for text in (WHOLE + "\n" + line, "Sure, here it is:\n\n" + WHOLE + "\n" + line, "```python\n" + WHOLE + line):
        assert isinstance(parse(extract(text, "f").source), SyntaxFault), text


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_statement_that_was_cut_off_anywhere_is_judged_alike_in_every_form(statement: str) -> None:
    for end in range(1, len(statement) + 1):
        tail = statement[:end]
        forms = (WHOLE + "\n" + tail, "Sure, here it is:\n\n" + WHOLE + "\n" + tail, "```python\n" + WHOLE + tail)
        faults = {isinstance(parse(extract(text, "f").source), SyntaxFault) for text in forms}
        assert len(faults) == 1 or tail.strip() in LABELS, tail


@pytest.mark.parametrize(
    "line", ["", "   ", "# a comment (", "f(1)", "[1, 2]", "f(1) if x else 2", "x" * LONGEST + " ("]
)
def test_what_is_whole_empty_or_very_long_is_not_torn(line: str) -> None:
    assert not is_torn(line)
