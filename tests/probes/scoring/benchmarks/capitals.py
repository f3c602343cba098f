"""Inspect tasks for the tests."""
# mypy: disallow-untyped-decorators=False

from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import choice, includes
from inspect_ai.solver import generate, multiple_choice, prompt_template, system_message

CITIES = {
    "France": "Paris",
    "Italy": "Rome",
    "Japan": "Tokyo",
    "Kenya": "Nairobi",
    "Peru": "Lima",
    "Chile": "Santiago",
    "Ghana": "Accra",
    "Egypt": "Cairo",
    "China": "Beijing",
    "Nepal": "Kathmandu",
}


def samples() -> list[Sample]:
    return [
        Sample(id=land.lower(), input=f"Capital of {land}?", target=city, metadata={"half": "ab"[place % 2]})
        for place, (land, city) in enumerate(CITIES.items())
    ]


@task
def capitals() -> Task:
    solver = [system_message("Be brief."), prompt_template("{prompt}\nOne word."), generate()]
    return Task(dataset=samples(), solver=solver, scorer=includes())


@task
def choices() -> Task:
    return Task(
        dataset=[Sample(input="Which is hot?", choices=["ice", "tea"], target="B")],
        solver=multiple_choice(),
        scorer=choice(),
    )


@task
def twice() -> Task:
    return Task(dataset=samples(), solver=[generate(), generate()], scorer=includes())


@task
def boxed() -> Task:
    return Task(dataset=samples(), solver=[generate()], scorer=includes(), sandbox="docker")

    return Task(dataset=samples(), solver=[generate()], scorer=[includes(), includes(ignore_case=False)])
