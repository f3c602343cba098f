import json
from pathlib import Path

import openai
import pytest

from agent.scripted_endpoint import MODEL, ScriptedEndpoint
from probes.prompts import Prompt
from probes.scoring import Answer, Mark
from probes.scoring.judge import JudgeScorer, JudgeSettings

RUBRIC = """
scale = { low = 1, high = 5 }
component = [
    { name = "voice", weight = 2, definition = "d" },
    { name = "facts", weight = 1, definition = "d" },
]
critical = [{ name = "empty", definition = "d", cap = 0 }]
"""


def marks(folder: Path, texts: list[str], rule: str, seed: int = 0, refuses: tuple[str, ...] = ()) -> list[Mark]:
    (folder / "rubric.toml").write_text(RUBRIC, encoding="utf-8")
    with ScriptedEndpoint([{"judge": rule}], seed=seed, refuses=refuses) as endpoint:
        settings = JudgeSettings(model=MODEL, cache=f"{rule}-{seed}-{len(refuses)}")
        scorer = JudgeScorer(settings, folder, endpoint.environment)
        found = scorer.score([Answer(Prompt("p", "probe", "c", 1, "Why?", {}), text) for text in texts])
        scorer.close()
    assert all(isinstance(mark, Mark) for mark in found)
    return [mark for mark in found if isinstance(mark, Mark)]


def test_judgements_are_computed_from_the_request_and_the_seed(tmp_path: Path) -> None:
    texts = [f"answer {number}" for number in range(40)]
    first = marks(tmp_path, texts, "hash")
    assert {len(mark.critical) for mark in first} == {0, 1}
    assert len({mark.value for mark in first}) > 10
    assert marks(tmp_path, texts, "hash", refuses=("response_format",)) == first
    assert marks(tmp_path, texts, "hash", seed=1) != first


def test_more_different_words_are_worth_more(tmp_path: Path) -> None:
    texts = ["", "so so so so so so", "a b c d e f g h i j k l", " ".join(f"w{n}" for n in range(60))]
    values = [mark.value for mark in marks(tmp_path, texts, "words")]
    assert values == sorted(values)
    assert values[0] == 0
    assert values[-1] > 8


def test_any_other_request_gets_a_plain_reply() -> None:
    with (
        ScriptedEndpoint([{"judge": "hash"}]) as endpoint,
        openai.OpenAI(base_url=endpoint.base_url, api_key="any") as client,
    ):
        for content in ("hello", '{"answer": 1}'):
            reply = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": content}])
            assert reply.choices[0].message.content == "OK"


@pytest.mark.parametrize("name", ["rhyme", True, 1])
def test_a_rule_that_is_none_is_refused(name: object) -> None:
    with pytest.raises(ValueError, match="judge"):
        ScriptedEndpoint([json.loads(json.dumps({"judge": name}))])
