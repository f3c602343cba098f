"""Bad input: each ends in one sentence that names the law, the value and the remedy."""

from pathlib import Path

import pytest

from agent.study.load import Study, load_study, recorded_study
from agent.study.material_check import check_study
from common.errors import BadInput
from testing import simulated_study


def study(folder: Path, *changes: tuple[str, str]) -> Study:
    text = simulated_study.STUDY
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return load_study(simulated_study.write_study(folder, text))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[target]", "[tarket]"), "'tarket' is no key or table of a study; did you mean 'target'"),
        (("steps = 20", "stepps = 20"), "[probe] has no key 'stepps'; did you mean 'steps'"),
        (
            ("learning_rate = 1e-4", "lerning_rate = 1e-4"),
            "[recipe] has no key 'lerning_rate'; did you mean 'learning_rate'",
        ),
        (
            ("[policy]\n", "[policy]\nsurvey = 60\n"),
            "[policy] survey is a key of an older version and decides nothing any more; take it out",
        ),
        (("beta = true", "betta = true"), "[lanes.hyperparameters] has no knob 'betta'; did you mean 'beta'"),
        (("[lanes.curriculum]", "[lanes.curiculum]"), "there is no lane 'curiculum'; did you mean 'curriculum'"),
        (("factor = 2.0, reach", "factr = 2.0, reach"), "has no key 'factr'; did you mean 'factor'"),
        (("learning_rate = 1e-4", "learning_rate = 3.0"), "learning_rate=3.0 is refused: input should be less than 1"),
        (("learning_rate = 1e-4", "learning_rate = 1e-9"), "outside [1e-06, 0.9]"),
        (("seeds = [42, 123, 7]", "seeds = [42]"), "two or more different numbers"),
        (("seeds = [42, 123, 7]", "seeds = [42, 42]"), "two or more different numbers"),
        (("seeds = [42, 123, 7]", "seeds = [42, -1]"), "greater than or equal to 0"),
        (("steps = 20", "steps = true"), "steps=True is refused"),
        (("learning_rate = 1e-4", 'learning_rate = "1e-4"'), "learning_rate='1e-4' is refused"),
        (('mixture = "even"\n', ""), "mixture is missing"),
        (("beta = true", "beta = 3"), "write beta = {"),
        (("[budget]", "[budget]\nx = " + "[" * 5000 + "]" * 5000), "nests too deeply"),
        (("arithmetic = 1.5", "arithmetic = -1.5"), "is no margin"),
        (("arithmetic = 1.5", "lists = 1.5"), "both target and guard"),
        (('mixture = "even"', 'mixture = "evn"'), "is no manifest"),
        (('mixture = "even"', "mixture = { goood = 1.0 }"), "did you mean 'good'"),
        (('mixture = "even"', "mixture = { good = 0.0 }"), "one source with a weight above 0"),
        (
            ("[data.manifests.even]\ngood = 1.0", "[data.manifests.even]\ngoood = 1.0"),
            "weighs 'goood', which is no source",
        ),
        (("effective_batch = 4", 'objective = "dpo"\ndpo_loss = "exo_pair"'), "set label_smoothing above 0"),
        (("effective_batch = 4", 'lora_targets = ["lm_head"]'), "take it out"),
        (('name = "simulated"', 'name = "a b/c"'), "is refused: string should match pattern '^[A-Za-z0-9]"),
        (('[model]\npath = "none"\n', ""), "model is missing; add it"),
        (("steps = 20", "steps = "), "is not TOML"),
        (('kind = "simulated"', 'kind = "cloud"'), "kind='cloud' is not a runner"),
        (("[budget]", "[scorer]\nkind = 'execution'\nseconds = 1e9\n[budget]"), "seconds=1000000000.0 is refused"),
    ],
)
def test_a_wrong_study_file_is_refused_in_one_sentence(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    with pytest.raises(BadInput) as refused:
        study(tmp_path, change)
    assert message in str(refused.value)
    assert "study.toml" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('path = "none"', 'path = "/no/such/folder"'), "is neither a folder nor a hub id"),
        (('path = "none"', 'path = "none"\nchat_template = "gone.jinja"'), "gone.jinja"),
        (('good = "good.jsonl"', 'good = "gone.jsonl"'), "gone.jsonl does not exist"),
        (('file = "prompts.jsonl"', 'file = "gone.jsonl"'), "gone.jsonl does not exist"),
        (("arithmetic = 1.5", "voice = 1.5"), "no probe prompt in the category 'voice'"),
        (('category = "lists"', 'category = "tone"'), "no probe prompt in the category 'tone'"),
        (
            ("[budget]", '[proposer]\nprogram = "gone.md"\n[budget]'),
            "gone.md (program under [proposer]) cannot be read as UTF-8",
        ),
        (("[budget]", '[scorer]\nkind = "executoin"\n[budget]'), "did you mean 'execution'"),
    ],
)
def test_wrong_material_is_refused_without_training(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    with pytest.raises(BadInput) as refused:
        study(tmp_path, change).check_material()
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def quiet(note: str) -> None: ...


def test_a_missing_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="make one with init"):
        load_study(tmp_path / "none.toml")


def test_a_model_that_lacks_what_a_lane_may_choose_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    import architectures

    architectures.write("phi3", tmp_path / "phi3", architectures.byte_tokenizer())
    asked = (
        ('path = "none"', f'path = "{tmp_path / "phi3"}"'),
        ("effective_batch = 4", "max_length = 128"),
        ("steps = 20", "steps = 20\nmax_new_tokens = 8"),
        ("beta = true", "beta = true\nlora_targets = true"),
    )
    assert check_study(study(tmp_path, *asked), quiet).renderer is None
    with pytest.raises(BadInput, match=r"names q_proj, v_proj, and this model .phi3. has no such linear layer"):
        check_study(study(tmp_path, *asked, ('kind = "simulated"', 'kind = "resident"')), quiet)


def test_a_session_of_an_older_version_is_read_without_the_keys_that_are_gone(tmp_path: Path) -> None:
    now = study(tmp_path)
    older = now.text.replace("[policy]\n", "[policy]\nsurvey = 60\nhopeless = 0.25\n")
    assert recorded_study(now.path, older).file == now.file
    assert recorded_study(now.path, older).text == older
    with pytest.raises(BadInput, match="has no key 'hopless'"):
        recorded_study(now.path, older.replace("hopeless", "hopless"))


def test_a_key_of_probe_that_moved_is_named_with_its_new_place_and_read_in_a_recorded_study(tmp_path: Path) -> None:
    now = study(tmp_path)
    older = now.text.replace("[probe]\n", "[probe]\nmicro_batch = 2\ngradient_checkpointing = true\n")
    runner = recorded_study(now.path, older).file.runner
    assert (runner.micro_batch, runner.gradient_checkpointing, runner.kind) == (2, True, "simulated")
    with pytest.raises(BadInput, match=r"\[probe\] micro_batch is a key of \[runner\] now.*move the line there"):
        study(tmp_path, ("[probe]\n", "[probe]\nmicro_batch = 2\n"))


def test_a_mixture_may_be_a_table_of_weights(tmp_path: Path) -> None:
    loaded = study(tmp_path, ('mixture = "even"', "mixture = { good = 3.0, broken = 1.0 }"))
    assert dict(loaded.start.mixture) == {"good": 3.0, "broken": 1.0}
    assert loaded.lanes.knob("manifest").read(loaded.start) == "mostly_good"


def test_the_question_changes_with_what_decides_and_with_nothing_else(tmp_path: Path) -> None:
    first = study(tmp_path)
    for same in (
        ("decisions = 8", "decisions = 9"),
        ('name = "simulated"', 'name = "other"'),
        ("[model]", "# x\n[model]"),
        (
            'kind = "simulated"',
            'kind = "simulated"\nmicro_batch = 1\ngeneration_batch = 3\ngradient_checkpointing = true',
        ),
    ):
        assert study(tmp_path, same).material.key("here", "base") == first.material.key("here", "base")
        assert study(tmp_path, same).question == first.question
    for other in (("steps = 20", "steps = 21"), ("arithmetic = 1.5", "arithmetic = 1.4"), ("1e-4", "2e-4")):
        assert study(tmp_path, other).question != first.question


def test_a_filter_that_leaves_too_few_rows_is_refused_before_any_compute(tmp_path: Path) -> None:
    filtered = study(tmp_path, ("[data.sources]", "[recipe.filters.good]\nmin_margin = 2\n[data.sources]"))
    with pytest.raises(
        BadInput, match=r"min_margin=2 leaves 0 of the \d+ rows of the source 'good' \(\d+ rows have no"
    ):
        filtered.check_material()


def test_a_filter_names_a_source_of_the_study(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"\[recipe\] filters names 'goood'; did you mean 'good'"):
        study(tmp_path, ("[data.sources]", "[recipe.filters.goood]\nsubset = 0.5\n[data.sources]"))
    with pytest.raises(BadInput, match=r"\[recipe\.filters\.good\] has no key 'subsets'; did you mean 'subset'"):
        study(tmp_path, ("[data.sources]", "[recipe.filters.good]\nsubsets = 0.5\n[data.sources]"))


def test_a_filter_that_leaves_every_row_as_it_is_is_no_move(tmp_path: Path) -> None:
    filters = "[lanes.mixture]\nmin_margin = true\nsubset = true\n"
    loaded = study(tmp_path, ("[lanes.mixture]\n", filters))
    rows = [
        {"prompt": f"Number {place}?", "chosen": "It is.", "rejected": "No.", "chosen_score": 8, "rejected_score": 6.5}
        for place in range(80)
    ]
    for source in ("good", "broken"):
        simulated_study.write_jsonl(tmp_path / f"{source}.jsonl", rows)
    moves = loaded.lanes.moves(loaded.start, "mixture")
    assert moves == {"subset.good": (0.5,), "subset.broken": (0.5,)}  # a margin of 1 leaves all rows, one of 2 none
    with pytest.raises(BadInput, match="leaves the same rows of every source"):
        loaded.lanes.mutate(loaded.start, "min_margin.good", 1.0)
