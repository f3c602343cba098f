"""The law of extraction (probes/scoring/execution/extraction.py) as a table: shapes of answers that models give,
each with what a person would say of it, judged by the scorer itself."""

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from long_cases import all_but

from evaluation.problems import Problem, load_problems
from probes.scoring import Answer
from probes.scoring.execution.scorer import ExecutionScorer, ExecutionSettings

STUB = '''from typing import List


def total(numbers: List[int]) -> int:
    """ The sum of the numbers.
    >>> total([1, 2])
    3
    """
'''
BODY = """    result = 0
    for number in numbers:
        result += number

    return result
"""
HEAD = "def total(numbers):\n"
RIGHT, WRONG, SKELETON = HEAD + BODY, HEAD + "    return 0\n", HEAD + "    pass\n"
TEST = "def check(candidate):\n    assert candidate([1, 2]) == 3\n    assert candidate([]) == 0\n"
HUMANEVAL = {"task_id": "Own/1", "prompt": STUB, "entry_point": "total", "canonical_solution": BODY, "test": TEST}
MBPP = {"task_id": 2, "text": "Sum the numbers.", "code": RIGHT, "test_list": ["assert total([1, 2]) == 3"]}


def fence(code: str, tag: str = "python", mark: str = "```") -> str:
    return f"{mark}{tag}\n{code}{mark}\n"


def thought(code: str) -> str:
    return f"<think>\nLet me try:\n{fence(code)}Hmm.\n</think>\n\n"


MARKS_OF_THOUGHTS = {
    "think": ("<think>", "</think>"),
    "seed": ("<seed:think>", "</seed:think>"),
    "thought": ("<thought>", "</thought>"),
    "reasoning": ("<reasoning>", "</reasoning>"),
    "Mistral": ("[THINK]", "[/THINK]"),
    "begin of thought": ("<|begin_of_thought|>", "<|end_of_thought|>\n\n<|begin_of_solution|>"),
    "harmony": (
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
    ),
    "harmony with its start": (
        "<|start|>assistant<|channel|>analysis<|message|>",
        "<|end|>\n<|start|>assistant<|channel|>final<|message|>",
    ),
}
TAILS = {
    "call": "print(total([1, 2",
    "def": "def",
    "text": 'print("tot',
    "if": 'if __name__ == "__ma',
    "import": "from math imp",
    "function": "def other(x):\n    return (x",
    "version": HEAD + "    return sum(num",
    "comparison": "total([1]) ==",
    "comprehension": "[total([i]) for i in",
    "bracket": "(",
}
# What each gives with a torn tail: format where it stands in the passage of the last complete version, else pass.
TORN = {
    "bare": (RIGHT + "\n{}", "format"),
    "prose, bare": ("Sure, here it is:\n\n" + RIGHT + "\n{}", "format"),
    "in a fence": ("```python\n" + RIGHT + "\n{}", "format"),
    "in a closed fence": ("```python\n" + RIGHT + "\n{}\n```\nThat is all.\n", "format"),
    "in the second fence": (fence(RIGHT) + "Or:\n```python\n" + RIGHT + "\n{}", "format"),
    "in a bare correction": (fence(RIGHT) + "Or:\n" + RIGHT + "\n{}", "format"),
    "bare, before a fence": (RIGHT + "\n{}\n" + fence("2\n", "text"), "format"),
    "bare, before prose": (RIGHT + "\n{}\n\nThat is all.\n", "format"),
    "behind a fence": (fence(RIGHT) + "{}", "pass"),
    "behind a fence and a blank line": (fence(RIGHT) + "\n{}", "pass"),
    "behind a fence and prose": (fence(RIGHT) + "Use it so:\n\n{}", "pass"),
    "in a fence of its own": (fence(RIGHT) + "Use it so:\n```python\n{}", "pass"),
    "in a closed fence of its own": (fence(RIGHT) + "Use it so:\n" + fence("{}\n"), "pass"),
    "bare, then in a fence of its own": (RIGHT + "\n```python\n{}", "pass"),
    "bare, prose": (RIGHT + "\nUse it so:\n{}", "pass"),
    "prose, bare, prose": ("Sure:\n" + RIGHT + "\nUse it so:\n\n{}", "pass"),
}
FLUSH = BODY.replace("\n    ", "\n")[4:]
NUMPY = "import math\n" + HEAD + "    return int(math.fsum(numbers))\n"
NEEDS_HELPER = HEAD + "    return half(2 * sum(numbers))\n"
TYPED = STUB + BODY


def documented(tag: str, mark: str = "```", words: str = "") -> str:
    """The function with an example in its docstring, between Markdown's marks."""
    return f'{HEAD}    """Add.\n\n    {words}{mark}{tag}\n    total([1])\n    {mark}\n    """\n{BODY}'


# What each gives: pass, fail, format (fails, and only its format is wrong), none (no code), refusal.
BOTH = {
    "a function": (RIGHT, "pass"),
    "a wrong function": (WRONG, "fail"),
    "a fence": (fence(RIGHT), "pass"),
    "a fence without a tag": (fence(RIGHT, ""), "pass"),
    "a fence of tildes": (fence(RIGHT, "python", "~~~"), "pass"),
    "a fence of four backticks": (fence(RIGHT, "python", "````"), "pass"),
    "a fence in a fence of four": (fence(fence(RIGHT), "markdown", "````"), "pass"),
    "a fence in a fence of four without a tag": (fence(fence(RIGHT), "", "````"), "pass"),
    "a fence in a fence of tildes": (fence(fence(RIGHT), "md", "~~~"), "pass"),
    "a fence without an end": ("```python\n" + RIGHT, "pass"),
    "a fence between prose": ("Sure! Here it is:\n\n" + fence(RIGHT) + "\nIt adds them up.\n", "pass"),
    "a fence of a shell, then code": (fence("pip install x\n", "bash") + fence(RIGHT), "pass"),
    "imports in a fence of their own": (fence("import math\n") + "Then:\n" + fence(NUMPY[12:]), "pass"),
    "the tag on a line of its own": ("```\npython\n" + RIGHT + "```\n", "pass"),
    "an earlier example in a fence that the answer does not need": (
        fence("def other(numbers: List[int]) -> int:\n    return 0\n") + "So:\n" + fence(RIGHT),
        "pass",
    ),
    "a helper that a helper needs": (
        fence("import math\n") + fence("def half(x):\n    return math.floor(x / 2)\n") + fence(NEEDS_HELPER),
        "pass",
    ),
    "prose around code": ("Sure, here it is:\n\n" + RIGHT + "\nIt adds them up.\n", "pass"),
    "prose behind code": (RIGHT + "\nThis adds them up, one by one.\n", "pass"),
    "a thought with a wrong draft": (thought(WRONG) + fence(RIGHT), "pass"),
    "a thought with a right draft": (thought(RIGHT) + fence(WRONG), "fail"),
    "a thought, then bare code": (thought(WRONG) + RIGHT, "pass"),
    "a thought whose beginning the template wrote": (thought(WRONG).removeprefix("<think>\n") + fence(RIGHT), "pass"),
    "a thought on one line": ("<think>I add them.</think>" + fence(RIGHT), "pass"),
    "a thought that closes at the end of a line": (thought(WRONG).replace("\n</think>", "</think>") + RIGHT, "pass"),
    "two thoughts": (thought(WRONG) + thought(WRONG) + fence(RIGHT), "pass"),
    "a thought in capitals": (thought(WRONG).replace("think", "THINK") + fence(RIGHT), "pass"),
    "a thinking tag": (thought(WRONG).replace("think", "thinking") + fence(RIGHT), "pass"),
    "a thought that never ended": ("<think>\nLet me try:\n" + fence(RIGHT), "none"),
    "an answer, then a thought that never ended": (fence(RIGHT) + "<think>\nOr:\n" + fence(WRONG), "pass"),
    "a thought that ended, then nothing": (thought(RIGHT), "none"),
    "a thought that ended, then a refusal": (thought(RIGHT) + "I'm sorry, I cannot do that.", "refusal"),
    "wrong, then corrected": (fence(WRONG) + "Wait, that is 0. Corrected:\n\n" + fence(RIGHT), "pass"),
    "right, then made wrong": (fence(RIGHT) + "Shorter:\n\n" + fence(WRONG), "fail"),
    "wrong, then corrected, between prose": (f"So:\n\n{WRONG}\nNo. Corrected:\n\n{RIGHT}\nThat is all.", "pass"),
    "right, then broken off": (fence(RIGHT) + "Shorter:\n```python\n" + HEAD + "    return sum(num", "pass"),
    "right, then an example of use": (fence(RIGHT) + "Use it so:\n" + fence("print(total([1]))\n"), "pass"),
    "right, then a skeleton": (fence(RIGHT) + "Its form:\n" + fence(SKELETON), "pass"),
    "a skeleton, then the function": (fence(SKELETON) + "Now its body:\n" + fence(RIGHT), "pass"),
    "a skeleton that raises, then the function": (
        fence(HEAD + "    raise NotImplementedError('later')\n") + fence(RIGHT),
        "pass",
    ),
    "right, then a skeleton that returns NotImplemented": (
        fence(RIGHT) + "Its form:\n" + fence(HEAD + "    return NotImplemented\n"),
        "pass",
    ),
    "a skeleton with a docstring, then the function": (fence(HEAD + "    'Add.'\n    ...\n") + fence(RIGHT), "pass"),
    "a skeleton between prose, then the function": (f"First:\n\n{SKELETON}\nThen this:\n\n{RIGHT}\nDone.", "pass"),
    "only a skeleton": (fence(SKELETON), "fail"),
    "a correction that uses an earlier import": (
        fence("import math\n" + WRONG) + "Corrected:\n" + fence(NUMPY.removeprefix("import math\n")),
        "pass",
    ),
    "an earlier version that does not load": (fence("@missing\n" + RIGHT) + "Corrected:\n" + fence(RIGHT), "pass"),
    "marks": (f"[BEGIN]\n{RIGHT}[DONE]\n", "pass"),
    "marks that the prompt opened": (f"{RIGHT}[DONE]\n\nYou are an expert. [BEGIN]\ndef other", "pass"),
    "marks, and the next task": (f"[BEGIN]\n{RIGHT}[DONE]\nNext task:\n[BEGIN]\ndef g():\n    pass\n[DONE]\n", "pass"),
    "marks of another model": (f"[PYTHON]\n{RIGHT}[/PYTHON]\n", "pass"),
    "a mark beside the last line": (f"[BEGIN]\n{RIGHT.rstrip()} [DONE]\n", "pass"),
    "a mark beside the first line": (f"[BEGIN] {RIGHT}[DONE]\n", "pass"),
    "marks beside both lines": (f"Sure: [BEGIN] {RIGHT.rstrip()} [DONE]\nThat is all.\n", "pass"),
    "a mark beside the last line that the prompt opened": (f"{RIGHT.rstrip()} [DONE]\nNext: [BEGIN]\nx = (", "pass"),
    "a list in the program that looks like a mark": (f"DONE = 1\nALL = [DONE]\n{RIGHT}", "pass"),
    "a mark in a docstring": (f'{HEAD}    """Add.\n\n    The mark is [DONE]\n    """\n{BODY}', "pass"),
    "marks around a fence": (f"[BEGIN]\n{fence(RIGHT)}[DONE]\n", "pass"),
    "a torn call": (RIGHT + "\nprint(total([1, 2", "format"),
    "a torn text": (RIGHT + '\nprint("tot', "format"),
    "a bare def": (RIGHT + "\ndef", "format"),
    "a torn def": (RIGHT + "\ndef other(x", "format"),
    "a torn body": (RIGHT + "\ndef other(x):\n    return (x", "format"),
    "a torn if": (RIGHT + '\nif __name__ == "__ma', "format"),
    "a torn import": (RIGHT + "\nfrom math imp", "format"),
    "a torn assignment": (RIGHT + "\nvalue = total([1,", "format"),
    "a torn comparison": (RIGHT + "\ntotal([1]) ==", "format"),
    "a torn comprehension": (RIGHT + "\n[total([i]) for i in", "format"),
    "a torn call over lines": (RIGHT + "\nprint(total([\n    1,\n    2", "format"),
    "a torn call in a fence": ("```python\n" + RIGHT + "\nprint(total([1, 2", "format"),
    "a bare def in a fence": ("```python\n" + RIGHT + "\ndef", "format"),
    "a torn call behind prose": ("Sure, here it is:\n\n" + RIGHT + "\nprint(total([1, 2", "format"),
    "a bare def behind prose": ("Sure, here it is:\n\n" + RIGHT + "\ndef", "format"),
    "a torn if behind prose": ("Sure, here it is:\n\n" + RIGHT + '\nif __name__ == "__ma', "format"),
    "a torn function": (HEAD + "    result = [\n        0,", "fail"),
    "a torn sentence": (RIGHT + "\nThis function (which adds", "pass"),
    "a self-test that fails": (RIGHT + "\nassert total([1]) == 5\n", "format"),
    "an answer in prose": ("One would add all numbers.", "none"),
    "nothing": ("", "none"),
    "a refusal": ("I'm sorry, but I can't help with that.", "refusal"),
    "a thought tag in a text of the program": (RIGHT.replace("return", 'x = "</think>"\n    return'), "pass"),
    "a thought tag in a fenced text": (fence(RIGHT.replace("return", "x = '</think>'\n    return")), "pass"),
    "thought tags in words of the program": (
        fence(HEAD + '    """Add, as <think>thoughts</think> do."""\n' + BODY),
        "pass",
    ),
    "marks in a docstring in a fence": (fence(documented("")), "pass"),
    "marks with a tag in a docstring in a fence": (fence(documented("python")) + "That is all.\n", "pass"),
    "marks behind words in a docstring in a fence": (fence(documented("py", words="So: ")), "pass"),
    "marks in a docstring in a fence of tildes": (fence(documented("", "~~~"), "", "~~~"), "pass"),
    "marks in a docstring in an indented fence": (
        "1. Do:\n" + textwrap.indent(fence(documented("python")), "     "),
        "pass",
    ),
    "marks around words in a docstring in a fence": (
        fence(HEAD + '    """Add.\n\n    See ```total([1])```\n    """\n' + BODY),
        "pass",
    ),
    "marks in a docstring behind prose": ("So:\n\n" + documented("python"), "pass"),
    "a right fence, then a bare wrong correction": (fence(RIGHT) + "Wait, corrected version:\n" + WRONG, "fail"),
    "a wrong fence, then a bare right correction": (fence(WRONG) + "Corrected:\n\n" + RIGHT + "\nDone.\n", "pass"),
    "a right bare version, then a wrong fence": ("So:\n" + RIGHT + "\nShorter:\n" + fence(WRONG), "fail"),
    "a wrong bare version, then a right fence": ("So:\n" + WRONG + "\nCorrected:\n" + fence(RIGHT), "pass"),
    "fence, bare, fence": (fence(WRONG) + "Or:\n" + WRONG + "\nOr:\n" + fence(RIGHT), "pass"),
    "bare, fence, bare": ("So:\n" + RIGHT + "\nOr:\n" + fence(RIGHT) + "Or:\n" + WRONG, "fail"),
    "a bare correction that uses an earlier fence's import": (
        fence("import math\n" + WRONG) + "Corrected:\n" + NUMPY.removeprefix("import math\n"),
        "pass",
    ),
    "a fence, then prose with lines like code": (
        fence(RIGHT) + "It gives:\nresult = 6\ntotal = 6\nimport math\nwhere x = a + b\ntotal([1, 2])\n",
        "pass",
    ),
    "prose with lines like code, then a fence": ("We want\ntotal = a + b\nx = a + b\nSo:\n" + fence(RIGHT), "pass"),
    "a fence, then much prose with lines like code": (fence(RIGHT) + "So:\nx = 1\n\n" * 40, "pass"),
    "a fence, then a bare skeleton": (fence(RIGHT) + "Its form:\n\n" + SKELETON, "pass"),
    "a fence, then its first line": (fence(RIGHT) + "Here\n" + HEAD + "\nbegins it.\n", "pass"),
    "a fence whose end is indented as its code": ("```python\n" + RIGHT + "    ```\nThat is all.\n", "pass"),
    "marks in a docstring in a fence without an end": ("```python\n" + documented("python"), "pass"),
    "marks in a docstring": (documented("python"), "pass"),
    "windows line ends": (fence(RIGHT).replace("\n", "\r\n"), "pass"),
}
COMPLETIONS = {
    "a body": (BODY, "pass"),
    "a wrong body": ("    return 0\n", "fail"),
    "the stub again": (TYPED, "pass"),
    "a body in a fence": (fence(BODY), "pass"),
    "a body that lost its indentation in a fence": (fence(FLUSH), "pass"),
    "a body behind a thought": (thought("    return 0\n") + BODY, "pass"),
    "a skeleton, then a body": (fence(SKELETON) + "Now its body:\n" + fence(BODY), "pass"),
    "a body between prose": ("Here is the rest:\n\n" + BODY + "\nThat is it, I hope.\n", "pass"),
    "a body whose first line lost its indentation": (BODY.lstrip(), "format"),
    "a body of one line that lost it": ("return sum(numbers)", "format"),
    "a body that lost all of it": (FLUSH, "format"),
    "a loop that lost it": ("for n in numbers:\n        pass\n    return sum(numbers)\n", "format"),
    "a body and a torn call": (BODY + "\nprint(total([1, 2", "format"),
    "a body and a bare def": (BODY + "\ndef", "format"),
    "a body and a torn comparison": (BODY + "\ntotal([1]) ==", "format"),
    "a body and a torn if": (BODY + '\nif __name__ == "__ma', "format"),
    "a torn body": ("    return sum(\n", "fail"),
}


@pytest.fixture(scope="module")
def scorer() -> Iterator[ExecutionScorer]:
    opened = ExecutionScorer(ExecutionSettings())
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def problems(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Problem]:
    path: Path = tmp_path_factory.mktemp("shapes") / "problems.jsonl"
    path.write_text(json.dumps(HUMANEVAL) + "\n" + json.dumps(MBPP) + "\n", encoding="utf-8")
    return {problem.prompt.category: problem for problem in load_problems(path).problems}


def verdict(scorer: ExecutionScorer, problem: Problem, text: str) -> str:
    mark: Any = scorer.score([Answer(problem.prompt, text)])[0]
    words = {"PASS": "pass", "NO_CODE": "none", "REFUSAL": "refusal"}
    return "format" if mark.format_only else words.get(mark.outcome, "fail")


@pytest.mark.parametrize("kind", all_but(["humaneval"], ["humaneval", "mbpp"]))
@pytest.mark.parametrize(("text", "expected"), BOTH.values(), ids=BOTH)
def test_an_answer_is_judged_as_a_person_would(
    scorer: ExecutionScorer, problems: dict[str, Problem], kind: str, text: str, expected: str
) -> None:
    assert verdict(scorer, problems[kind], text) == expected


@pytest.mark.parametrize(("text", "expected"), COMPLETIONS.values(), ids=COMPLETIONS)
def test_a_completion_is_judged_as_a_person_would(
    scorer: ExecutionScorer, problems: dict[str, Problem], text: str, expected: str
) -> None:
    assert verdict(scorer, problems["humaneval"], text) == expected


@pytest.mark.parametrize("kind", all_but(["mbpp"], ["humaneval", "mbpp"]))
@pytest.mark.parametrize(("shape", "expected"), TORN.values(), ids=TORN)
def test_a_torn_tail_counts_in_the_passage_of_the_last_version_alone(
    scorer: ExecutionScorer, problems: dict[str, Problem], kind: str, shape: str, expected: str
) -> None:
    found = {name: verdict(scorer, problems[kind], shape.replace("{}", tail)) for name, tail in TAILS.items()}
    assert found == dict.fromkeys(TAILS, expected)


@pytest.mark.parametrize(("opening", "closing"), MARKS_OF_THOUGHTS.values(), ids=MARKS_OF_THOUGHTS)
def test_a_thought_of_any_kind_of_model_is_no_answer(
    scorer: ExecutionScorer, problems: dict[str, Problem], opening: str, closing: str
) -> None:
    draft = f"Let me try:\n{fence(RIGHT)}Hmm."
    in_a_string = RIGHT.replace("return", f"x = {closing!r}\n    y = '''\n{opening}\n{closing}\n'''\n    return")
    expected = {
        f"{opening}{draft}{closing}{fence(WRONG)}": "fail",
        f"{opening}\n{draft}\n{closing}\n{WRONG}": "fail",
        f"{opening}{draft.replace(RIGHT, WRONG)}{closing}{RIGHT}": "pass",
        f"{draft}\n{closing}\n{fence(WRONG)}": "fail",
        f"{opening}{draft}": "none",
        f"{fence(RIGHT)}{opening}\nOr:\n{fence(WRONG)}": "pass",
        in_a_string: "pass",
    }
    found = {text: verdict(scorer, problems["mbpp"], text) for text in expected}
    assert found == expected


@pytest.mark.parametrize("end", ["<|return|>", "<|end|>", "<|end_of_solution|>\n"])
def test_the_mark_that_ends_a_message_is_no_code(
    scorer: ExecutionScorer, problems: dict[str, Problem], end: str
) -> None:
    message = f"<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>{RIGHT.rstrip()}"
    assert verdict(scorer, problems["mbpp"], message + end) == "pass"


def test_only_the_last_final_message_counts(scorer: ExecutionScorer, problems: dict[str, Problem]) -> None:
    final = "<|start|>assistant<|channel|>final<|message|>"
    text = f"<|channel|>analysis<|message|>Hm.<|end|>{final}{fence(RIGHT)}<|end|>{final}{fence(WRONG)}<|return|>"
    assert verdict(scorer, problems["mbpp"], text) == "fail"
