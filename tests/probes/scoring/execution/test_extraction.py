import ast
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from long_cases import but_one_in, long_case

from probes.scoring.execution import answer_parts
from probes.scoring.execution.extraction import definitions, extract, salvage
from probes.scoring.execution.parser import Parser
from probes.scoring.execution.syntax import LIMIT, SyntaxFault, defines, parse

STUB = '''from typing import List


def double(x: int) -> int:
    return 2 * x


def quadruple(x: int) -> int:
    """ Four times x.
    >>> quadruple(2)
    8
    """
'''
PREAMBLE = STUB[: STUB.index("def quadruple")]
BODY = "    return double(double(x))\n"
WHOLE = "def f(x):\n    return x + 1\n"
PROSE = "\nThis function adds one. It's simple, isn't it?\n"


def fence(code: str, tag: str = "python", mark: str = "```") -> str:
    return f"{mark}{tag}\n{code}{mark}\n"


COMPLETIONS = {
    "body": BODY,
    "body without a last newline": BODY.rstrip(),
    "body after blank lines": "\n\n" + BODY,
    "body with a comment first": "    # twice twice\n" + BODY,
    "body with another docstring": '    """Again."""\n' + BODY,
    "body of pass": "    pass\n",
    "body that only prints": "    print(x)\n",
    "further top-level code": BODY + "\n\nif __name__ == '__main__':\n    print(quadruple(2))\n",
    "another function": BODY + "\n\ndef other(y):\n    return y\n",
    "self-test that fails": BODY + "\nassert quadruple(1) == 5\n",
    "whole function again": "def quadruple(x):\n    return 4 * x\n",
    "whole function with imports": "import math\n\ndef quadruple(x):\n    return 4 * x\n",
    "windows line ends": "    y = x\r\n    return 4 * y\r\n",
    "a fence in a string": '    s = """\n```python\n"""\n    return s\n',
    "an invalid escape": "    return '\\d'\n",
    "tabs in a nested block": "    if x:\n    \treturn 1\n    return 0\n",
}


@pytest.mark.parametrize("text", COMPLETIONS.values(), ids=COMPLETIONS)
def test_a_completion_that_compiles_is_the_stub_and_the_text_letter_by_letter(text: str) -> None:
    extracted = extract(text, "quadruple", STUB)
    assert (extracted.form, extracted.source) == ("completion", STUB + text)


BARE = {
    "function": WHOLE,
    "import and function": "import math\n\n\ndef f(x):\n    return math.floor(x)\n",
    "class before it": "class A:\n    pass\n\n\ndef f(x):\n    return x\n",
    "function of another name": "def g(x):\n    return x\n",
    "assigned lambda": "f = lambda x: x + 1\n",
    "self-test behind it": WHOLE + "\nprint(f(1))\n",
    "comments around it": "# the answer\n" + WHOLE + "# done\n",
    "windows line ends": "def f(x):\r\n    return x\r\n",
    "a refusal in its docstring": 'def f(x):\n    """I\'m sorry, I cannot do better."""\n    return x\n',
    "a refusal in a comment": "# I can't help with this, as an AI\ndef f(x):\n    return x\n",
    "an expression that calls": "print(1)\n",
}


@pytest.mark.parametrize("text", BARE.values(), ids=BARE)
def test_a_text_that_compiles_is_the_program(text: str) -> None:
    extracted = extract(text, "f")
    assert (extracted.form, extracted.source) == ("bare", text)


FENCED = {
    "python": fence(WHOLE),
    "py": fence(WHOLE, "py"),
    "Python3": fence(WHOLE, "Python3"),
    "no tag": fence(WHOLE, ""),
    "space before the tag": fence(WHOLE, " python"),
    "more words behind the tag": fence(WHOLE, 'python title="f.py"'),
    "tildes": fence(WHOLE, "python", "~~~"),
    "four backticks": fence(WHOLE, "python", "````"),
    "prose around it": "Sure! Here it is:\n\n" + fence(WHOLE) + PROSE,
    "opened behind words": "Here it is: " + fence(WHOLE) + PROSE,
    "closed behind code": "```python\n" + WHOLE.rstrip() + "```\nDone.",
    "indented": textwrap.indent("1. Write it:\n" + fence(WHOLE), "   "),
    "code indented": fence(textwrap.indent(WHOLE, "    ")),
    "windows line ends": fence(WHOLE).replace("\n", "\r\n"),
    "no end": "```python\n" + WHOLE,
    "no end and no last newline": "```python\n" + WHOLE.rstrip(),
    "an unended block before it": "```python\nimport math\n" + fence(WHOLE) + PROSE,
    "an example before it": fence("print(f(1))\nprint(f(2))\nprint(f(3))\nprint(f(4))\n") + fence(WHOLE),
    "output behind it": fence(WHOLE) + "Output:\n" + fence("2\n" * 50, ""),
    "a shell block": fence("pip install numpy\n" * 9, "bash") + fence(WHOLE),
    "a skeleton before it": fence("def f(x):\n    ...\n") + fence(WHOLE),
    "a broken one before it": fence("def f(x)\n    return x\n") + fence(WHOLE),
    "another solution before it": fence("def f(x):\n    return 1 + x\n") + "Or:\n" + fence(WHOLE),
    "a refusal before it": "I'm sorry for the confusion. Corrected:\n" + fence(WHOLE),
}


@pytest.mark.parametrize("text", FENCED.values(), ids=FENCED)
def test_a_fenced_function_is_found(text: str) -> None:
    extracted = extract(text, "f")
    assert extracted.form == "fenced"
    assert extracted.source.rstrip().endswith(WHOLE.rstrip())
    assert ast.dump(ast.parse(extracted.source).body[-1]) == ast.dump(ast.parse(WHOLE).body[0])


def test_imports_and_helpers_in_blocks_of_their_own_come_first() -> None:
    helper, last = "def one():\n    return math.floor(1.5)\n", "def f(x):\n    return x + one()\n"
    text = "First:\n" + fence("import math\n") + "then\n" + fence(helper) + fence("print(1)\n") + fence(last)
    assert extract(text, "f").source == f"import math\n\n{helper}\n{last}"


def test_examples_that_the_function_does_not_need_are_left_out() -> None:
    example = "def twice(xs: List[int]) -> int:\n    return 2\n"
    assert extract(fence(example) + fence(WHOLE), "f").source == WHOLE


def test_blocks_behind_the_function_are_left_out() -> None:
    assert extract(fence(WHOLE) + fence("import math\n"), "f").source == WHOLE


def test_helpers_that_do_not_fit_are_left_out() -> None:
    future = "from __future__ import annotations\n" + WHOLE
    assert extract(fence("import math\n") + fence(future), "f").source == future


def test_without_a_name_the_longest_block_is_taken() -> None:
    assert extract(fence("x = 1\n") + fence(WHOLE) + fence("y = 2\n")).source == WHOLE


def test_a_block_with_the_function_stands_behind_the_stub_s_imports_and_helpers() -> None:
    block = "def quadruple(x):\n    return double(double(x))\n"
    extracted = extract("Sure:\n" + fence(block), "quadruple", STUB)
    assert (extracted.form, extracted.source) == ("fenced", PREAMBLE + "\n" + block)


@pytest.mark.parametrize(
    "block",
    [
        BODY,
        textwrap.dedent(BODY),
        "y = double(x)\nif y:\n    return double(y)\nreturn 0\n",
        "y = double(x)\n    return double(y)\n",
    ],
    ids=["indented", "not indented", "nested and not indented", "first line not indented"],
)
def test_a_block_with_only_the_body_continues_the_stub(block: str) -> None:
    extracted = extract(fence(block), "quadruple", STUB)
    assert extracted.form == "fenced"
    assert extracted.source.startswith(STUB)
    assert defines(parse(extracted.source), "quadruple")


def test_an_example_of_use_does_not_continue_the_stub() -> None:
    assert not defines(parse(extract(fence("print(quadruple(2))\n"), "quadruple", STUB).source), "quadruple")


CHATTY = {
    "prose around it": "Sure, here is the function:\n\n" + WHOLE + PROSE,
    "prose behind it": WHOLE + PROSE,
    "prose before it": "Sure, here is the function:\n" + WHOLE,
    "prose that looks like code": "import the following, and then:\nclass of its own\n\n" + WHOLE + PROSE,
    "prose with apostrophes": "Here's what I'd do:\n" + WHOLE + "\nIt's short.\nDon't worry.\nThat's “it”…\n",
    "an unmatched bracket behind it": WHOLE + "\nNotes (there are two\n",
    "output fenced behind it": WHOLE + "\nIt prints:\n" + fence("2\n", ""),
    "another function first": "Sure, two:\n\ndef g(x):\n    return x\n\nNow the main one:\n\n" + WHOLE + PROSE,
    "decorated": "Sure, cached:\n\n@staticmethod\n" + WHOLE + PROSE,
}


@pytest.mark.parametrize("text", CHATTY.values(), ids=CHATTY)
def test_code_between_prose_is_found(text: str) -> None:
    extracted = extract(text, "f")
    assert extracted.form == "chatty"
    assert extracted.source.rstrip().endswith(WHOLE.rstrip())
    assert defines(parse(extracted.source), "f")


def test_imports_between_prose_are_kept() -> None:
    last = "def f(x):\n    return math.floor(x)\n"
    text = "First import it:\n\nimport math\n\nThen define it:\n\n" + last + PROSE
    assert extract(text, "f").source == f"import math\n\n\n{last}\n"


@pytest.mark.parametrize(
    ("text", "source"),
    [
        (BODY + "\nThis works, doesn't it?\n", STUB + BODY + "\n"),
        ("Here is the rest of it:\n\n" + BODY + "\nDone, I hope.\n", STUB + BODY + "\n"),
        ("Sure, here:\n\ndef quadruple(x):\n    return 4 * x\n", PREAMBLE + "\ndef quadruple(x):\n    return 4 * x\n"),
    ],
    ids=["body, then prose", "body between prose", "function behind prose"],
)
def test_code_between_prose_continues_a_stub(text: str, source: str) -> None:
    extracted = extract(text, "quadruple", STUB)
    assert (extracted.form, extracted.source) == ("chatty", source)


@pytest.mark.parametrize("stub", ["", STUB], ids=["no stub", "stub"])
@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("", "none"),
        (" \n\t\n", "none"),
        ("# only a comment\n", "none"),
        ("Sure", "none"),
        ("yes, no", "none"),
        ("Note: this", "none"),
        ("The answer is forty-two, because x = 3.\nIt's simple.", "none"),
        ("To solve it:\n\n1. Sort the list.\n2. Take the first.\n", "none"),
        ("```python\n```\n", "none"),
        ("```\n# nothing\n```\n", "none"),
        ("```\nSorting is hard.\n```\n", "none"),
        ("I'm sorry, but I can't help with that.", "refusal"),
        ("I’m sorry, but I can’t assist.", "refusal"),
        ("Sorry, no.", "refusal"),
        ("I am really sorry, no.", "refusal"),
        ("I cannot write this function.", "refusal"),
        ("I won't do this.", "refusal"),
        ("As an AI language model, I do not write code.", "refusal"),
        ("Unfortunately, I'm unable to do this.", "refusal"),
        ("I apologize, no.", "refusal"),
        ("```\nI'm sorry, but I can't help with that.\n```\n", "refusal"),
        ("A" * 400 + " I'm sorry", "none"),
    ],
)
def test_a_text_without_code_has_no_program(text: str, form: str, stub: str) -> None:
    extracted = extract(text, "quadruple" if stub else "f", stub)
    assert (extracted.form, extracted.source) == (form, "")


TRUNCATED = "def f(x):\n    y = [\n        x,\n"


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (TRUNCATED, "bare"),
        ("def f(x)\n    return x\n", "bare"),
        ("    def f(x):\n        return x\n", "bare"),
        ("# f\nimport math\ndef f(x):\n    return (x\n", "bare"),
        ("def g(x):\n    return (x\n\ndef f(x):\n    return x\n", "bare"),
        ("def f(x):\n    if x:\n        return 1\nreturn 2\n", "bare"),
        (WHOLE + "\ndef g(y):\n    return f(", "bare"),
        ("```python\n" + TRUNCATED, "fenced"),
        (fence("def f(x)\n    return x\n") + PROSE, "fenced"),
        (fence(WHOLE + "\nOutput: it's 2\n"), "fenced"),
        ("Sure, here it is:\n\n" + TRUNCATED, "chatty"),
    ],
)
def test_code_with_a_fault_stays_code(text: str, form: str) -> None:
    extracted = extract(text, "f")
    assert extracted.form == form
    assert isinstance(parse(extracted.source), SyntaxFault)


@pytest.mark.parametrize("text", ["    return double(\n", "    for y in z\n", BODY + "\n\ndef other(y):\n    retur n"])
def test_a_completion_with_a_fault_stays_the_stub_and_the_text(text: str) -> None:
    extracted = extract(text, "quadruple", STUB)
    assert (extracted.form, extracted.source) == ("completion", STUB + text)


def test_a_block_with_another_function_stays_as_it_is() -> None:
    block = "def solution(x):\n    return x\n"
    assert extract(fence(block), "f").source == block
    assert not defines(parse(extract(fence(block), "quadruple", STUB).source), "quadruple")


def test_code_of_another_name_between_prose_stays_without_the_prose() -> None:
    assert extract("Sure, here:\n\ndef g(x):\n    return x\n" + PROSE, "f").source == "def g(x):\n    return x\n\n"


SELF_TESTED = '''"""An answer."""
from __future__ import annotations
import math; print("loaded")
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

try:
    import numpy as np
except ImportError:
    np = None

# The limit, with an ümlaut.
LIMIT = 10; assert LIMIT

@staticmethod
def f(x):
    # inside
    result = x
    return result + len(TABLE)

class A:
    y = 1

def table(n):
    return [n]

TABLE = table(3)
result = f(3)
g = lambda x: f(x)
count: int = f(2)
assert f(1) == 2
for i in range(3):
    print(f(i))
while False:
    pass
with open("x") as file:
    data = file.read()
if result:
    raise SystemExit
del result
try:
    f(1)
except Exception:
    pass
if __name__ == "__main__":
    main()
'''
DEFINED = '''"""An answer."""
from __future__ import annotations
import math
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from collections.abc import Sequence
try:
    import numpy as np
except ImportError:
    np = None
LIMIT = 10
@staticmethod
def f(x):
    # inside
    result = x
    return result + len(TABLE)
class A:
    y = 1
def table(n):
    return [n]
TABLE = table(3)
g = lambda x: f(x)
'''


def test_definitions_keeps_the_text_of_definitions_and_drops_self_tests() -> None:
    assert definitions(SELF_TESTED) == DEFINED
    assert definitions(SELF_TESTED.replace("\n", "\r\n")) == DEFINED


@pytest.mark.parametrize("source", [WHOLE, DEFINED, "", "def f(:\n", "f(\n"])
def test_definitions_has_nothing_to_say_where_there_is_nothing_to_drop(source: str) -> None:
    assert definitions(source) is None


@pytest.mark.parametrize("path", sorted(Path(ast.__file__).parent.glob("[a-f]*.py")), ids=lambda path: path.stem)
def test_definitions_of_the_standard_library_are_the_same_statements(path: Path) -> None:
    source = path.read_text()
    kept = definitions(source)
    if kept is None:
        return
    assert definitions(kept) is None
    whole, left = ([ast.dump(statement) for statement in ast.parse(text).body] for text in (source, kept))
    assert left == [statement for statement in whole if statement in left]


@pytest.mark.parametrize(
    ("text", "salvaged"),
    [
        (WHOLE + "\nassert f(1) == 5\n", WHOLE),
        (WHOLE + "\nprint(f('a'))\n", WHOLE),
        (fence(WHOLE + "\nassert f(1) == 5\n"), WHOLE),
        (WHOLE + "\n\ndef g(y):\n    return f(", WHOLE + "\n\n"),
        (WHOLE + "\nprint(f(1))\nprint(f(", WHOLE),
        ("```python\n" + WHOLE + "\n\ndef g(y):\n    return (", WHOLE + "\n\n"),
        (fence(WHOLE + "\nOutput: it's 2\n"), WHOLE + "\n"),
        (fence("Here's the code:\n" + WHOLE + "It's done.\n"), WHOLE),
        (WHOLE + "\nDone\n", WHOLE),
    ],
)
def test_salvage_reads_an_answer_without_what_is_not_the_function(text: str, salvaged: str) -> None:
    assert salvage(text, extract(text, "f").source, "f", "") == salvaged


@pytest.mark.parametrize(
    ("text", "salvaged"),
    [
        (BODY + "\n\ndef other(y):\n    return (", STUB + BODY + "\n\n"),
        ("return double(double(x))\n", STUB + BODY),
        ("y = double(x)\n    return double(y)\n", STUB + "    y = double(x)\n    return double(y)\n"),
    ],
)
def test_salvage_continues_a_stub(text: str, salvaged: str) -> None:
    assert salvage(text, extract(text, "quadruple", STUB).source, "quadruple", STUB) == salvaged


def test_salvage_makes_no_inner_function_of_a_repeated_one() -> None:
    text = STUB + BODY
    assert salvage(text, extract(text, "quadruple", STUB).source, "quadruple", STUB) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I'm sorry, no.",
        WHOLE,
        TRUNCATED,
        "def g(x):\n    return x\n",
        "def f(x)\n    return x\n",
        "def f(x):\n    if x:\n        return 1\nreturn 2\n",
        "def f(x):\n    if x:\n        return 1\nelse\n    return 2\n",
        "def f(x):\n    y = 0\nfor i in x:\n    y += i\nreturn y\n",
        "x = (\n\ndef f(x):\n    return 1\n",
    ],
)
def test_salvage_mends_no_algorithm(text: str) -> None:
    assert salvage(text, extract(text, "f").source, "f", "") is None


HOSTILE = {
    "backticks": "`" * 10_000_000,
    "backticks and a letter": "`" * 500_000 + "x",
    "fence lines": "```\n" * 200_000,
    "tagged fence lines": "```python\n" * 100_000,
    "tildes": "~" * 1_000_000,
    "broken functions": "def f(:\n" * 125_000,
    "broken functions between prose": "def f(:\nSo.\n" * 50_000,
    "functions between prose": "def g(x):\n    return x\nSo it is.\n" * 30_000,
    "functions between prose, small": "def g(x):\n    return x\nSo it is.\n" * (LIMIT // 36),
    "fenced functions": fence("def g(x):\n    return x\n") * 20_000,
    "torn brackets": "def f(:\n" + "[\n" * 500_000,
    "torn sums": "def f(:\n" + "1 +\n" * 250_000,
    "long torn lines": "def f(:\n" + ("[" * 999 + "\n") * 1_000,
    "marks": "[BEGIN] def f(x): return x [DONE]\n" * 20_000,
    "large fenced functions": fence("def g(x):\n    return x\n" * (LIMIT // 25)) * 20,
    "large fenced bodies": fence("    if x: return x\n" * (LIMIT // 20)) * 20,
    "brackets": "(" * 100_000,
    "few brackets": "(" * 60_000,
    "unary minus": "-" * 60_000 + "1",
    "sums": "1" + "+1" * 30_000,
    "attributes": "a" + ".b" * 30_000,
    "spaces": " " * 1_000_000,
    "blank lines": "\n" * 1_000_000,
    "blank lines and a letter": "\n" * 500_000 + "x",
    "indented blank lines": "    \n" * 200_000,
    "names": "a, " * 300_000,
    "names and spaces": "a" + " " * 500_000 + "x",
    "calls": "f(" + ") " * 300_000 + "x",
    "comments": "#\n" * 300_000,
    "letters": "a" * 10_000_000,
    "colons": "a:" * 300_000,
    "nul": "def f(x):\n    return '\0'\n",
    "lone surrogate": "def f(x):\n    return '\ud800'\n",
    "many digits": "x = " + "9" * 60_000,
    "carriage returns": "\r" * 500_000,
    "quotes": "'" * 60_001,
    "f-strings": "f'" + "{a}" * 20_000 + "'",
    "apologies": "I'm " * 200_000,
}


@pytest.fixture(scope="module")
def parser() -> Iterator[Parser]:
    opened = Parser(seconds=0.25)  # many of these answers take as long as they may
    yield opened
    opened.close()


@pytest.mark.parametrize("stub", ["", long_case(STUB)], ids=["no stub", "stub"])
@pytest.mark.parametrize("text", but_one_in(2, HOSTILE.values()), ids=HOSTILE)
def test_a_hostile_answer_takes_seconds_at_most(parser: Parser, text: str, stub: str) -> None:
    name = "quadruple" if stub else "f"
    began = time.process_time()
    extracted = parser.extract(text, name, stub)
    parser.salvage(text, extracted.source, name, stub)
    assert time.process_time() - began < 1
    assert parser.extract(WHOLE, "f").source == WHOLE


ODD = st.text(st.sampled_from("dfrx01 \n\r\t`~()[]{}:=.,'\"\\#@é\0\ud800"), max_size=60)
FRAGMENTS = """
def f(x):|    return x|import math|```|```python|~~~|Sure!|I'm sorry|x = f(1)|    if x:|else:|'''|class A:|print(f(|)|
""".strip().split("|")
LINES = st.lists(st.sampled_from([*FRAGMENTS, '"""', "def quadruple(x):", "    y = (", "\r"]), max_size=12).map(
    "\n".join
)


@given(
    st.text() | ODD | LINES, st.sampled_from(["", "f", "quadruple", "("]), st.sampled_from(["", STUB, "def f(x):\n"])
)
def test_any_text_gives_a_program_or_none(text: str, name: str, stub: str) -> None:
    extracted = extract(text, name, stub)
    assert (extracted.form in ("none", "refusal")) == (extracted.source == "")
    salvaged = salvage(text, extracted.source, name, stub)
    assert salvaged is None or (salvaged != extracted.source and defines(parse(salvaged), name))
    assert definitions(definitions(text) or "") is None


EXPRESSIONS = st.sampled_from(
    ["x", "x + 1", "[x, x]", "{x: '```'}", "f'{x}'", "lambda: x", "double(x)", "'I am sorry'"]
)
STATEMENTS = st.lists(
    st.one_of(
        EXPRESSIONS.map("y = {}".format),
        EXPRESSIONS.map("if {}: y = 1".format),
        EXPRESSIONS.map("for z in {}:\n        y = z".format),
        EXPRESSIONS.map("return {}".format),
        st.just("# a comment"),
    ),
    max_size=5,
)


@given(STATEMENTS, EXPRESSIONS, st.sampled_from(["\n", "\r\n"]), st.sampled_from(["", "\n\nprint(1)\n", "# end"]))
def test_an_ordinary_completion_is_never_changed(
    statements: list[str], result: str, newline: str, further: str
) -> None:
    text = ("".join(f"    {line}\n" for line in [*statements, f"return {result}"]) + further).replace("\n", newline)
    assert extract(text, "quadruple", STUB).source == STUB + text


@given(STATEMENTS, st.sampled_from(["", "python", "py", "Python3"]), st.sampled_from(["```", "~~~", "`````"]))
def test_what_is_fenced_comes_out_as_it_went_in(statements: list[str], tag: str, mark: str) -> None:
    code = "def f(x):\n" + "".join(f"    {line}\n" for line in [*statements, "return x"])
    for text in (fence(code, tag, mark), "Sure, so:\n" + fence(code, tag, mark) + PROSE, f"{mark}{tag}\n{code}"):
        assert extract(text, "f").source.rstrip("\n") == code.rstrip("\n")


def test_compiling_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def counted(source: str) -> ast.Module | SyntaxFault:
        sizes.append(len(source))
        return SyntaxFault(line=source.count("\n"))

    monkeypatch.setattr(answer_parts, "parse", counted)
    list(answer_parts.code_runs("def f(x):\n    return x\nSo.\n" * 1_000))
    assert len(sizes) <= answer_parts.MOST * answer_parts.CUTS


def test_a_function_indented_as_markdowns_code_is_no_body_of_the_stub() -> None:
    stub = 'def add_all(xs):\n    """ The sum. """\n'
    found = extract("Here's the code:\n\n    def add_all(xs):\n        return sum(xs)\n\nThat is all.", "add_all", stub)
    assert found.source.strip() == "def add_all(xs):\n    return sum(xs)"
