"""The answers of full-length runs to the holdout prompts, scored. They are kept in the folder of each run."""

from collections.abc import Mapping, Sequence
from functools import partial

from evaluation.own_study.adapters import put_on
from evaluation.own_study.answers import AnsweringSide, ModelInMemory, write_scored_answers
from evaluation.own_study.evaluate import Identities, StudyRequest
from evaluation.own_study.stored import StoredAnswer, is_sound, read_answers, write_whole
from finetune.manifest import require_whole
from finetune.promotion.full_runs import FullRun
from finetune.run import Note
from probes.endpoint.spending import SpendingMeter
from probes.model.load import adapter_digest
from probes.run.execute import Workbench
from probes.scoring.failures import scorer_failures_reported


def holdout_answers(
    request: StudyRequest, bench: Workbench, runs: Sequence[FullRun], note: Note
) -> Mapping[int, list[StoredAnswer]]:
    """The answers of each run by its seed, which is also the sampling seed, so that two recipes draw the same random
    numbers."""
    known, found = Identities(request), {}
    with scorer_failures_reported(), SpendingMeter() as meter:
        for one in runs:
            require_whole(one.adapter)
            side = AnsweringSide(str(one.folder), one.adapter, adapter_digest(one.adapter))
            identity = known.of(side, one.seed)
            if not is_sound(identity, one.folder):
                note(f"{one.folder} answers {len(request.prompts)} holdout prompts")
                base = bench.base(request.quantization)
                with put_on(base, one.adapter) as model:
                    sampler = ModelInMemory(model, base.renderer)
                    asked = (bench, base.renderer, sampler, request.prompts, one.seed)
                    write_whole(identity, one.folder, partial(write_scored_answers, *asked, meter=meter, note=note))
            found[one.seed] = read_answers(identity, one.folder)
    return found
