"""Answers that attack their parser: small texts that take much time or memory to parse or compile."""

import textwrap


def _nested(depth: int, inside: str = "") -> str:
    """try/finally in finally: the compiler writes the last block twice for each level above it."""
    lines = []
    for level in range(depth):
        indent = " " * level
        lines += [
            f"{indent}try:",
            *(f"{indent} {line}" for line in (inside or "pass").splitlines()),
            f"{indent}finally:",
        ]
    return "\n".join([*lines, " " * depth + "pass"])


def _function(body: str) -> str:
    return "def f(x):\n" + textwrap.indent(body, "    ")


TEXTS: dict[str, str] = {
    "seventeen blocks of finally, each in the one above": _function(_nested(17)),
    "blocks of finally that many returns lead through": _function(_nested(4, "if 0: return\n" * 30)),
    "brackets in brackets": _function("return " + "(" * 190 + "x" + ")" * 190),
    "thousands of brackets": _function("return " + "[" * 60_000),
    "minus signs": _function("return " + "-" * 100_000 + "1"),
    "a sum of sixty thousand parts": _function("return " + "1+" * 60_000 + "1"),
    "a power to compute before it runs": _function("return ((((9**99)**99)**99)**9)"),
    "a text times a billion": _function("return 'x' * 4096 * 4096 * 64"),
    "a number of a hundred thousand digits": _function("return " + "1" * 100_000),
    "an f-string in f-strings": _function("return " + "f'{" * 2 + "x" + "}'" * 2),
    "deep ifs": _function("\n".join(" " * n + "if x:" for n in range(95)) + "\n" + " " * 95 + "return 1"),
    "ten thousand decorators": "@f\n" * 10_000 + "def f(x): return x",
    "ten thousand functions of one name": "def f(x): return x\n" * 10_000,
    "lambdas in lambdas": _function("return " + "lambda: " * 5000 + "x"),
    "conditions in conditions": _function("return " + "x if x else " * 5000 + "x"),
    "subscripts of subscripts": _function("return x" + "[0]" * 50_000),
    "a pattern of many alternatives": _function("match x:\n case " + "|".join(map(str, range(20_000))) + ": return 1"),
    "comprehensions in comprehensions": _function("return " + "[" * 60 + "x" + " for y in x]" * 60),
    "nothing but opening fences": "```python\n" * 20_000,
    "a fence that a hundred thousand blanks follow": "```" + " " * 100_000 + "\ndef f(x): return x",
}
