"""Damaged files: bench/faults/damaged_files.py damages each file of a workspace in each way and runs every
command on it."""

import json
import os
import shutil
from dataclasses import asdict

from bench.faults.cases import Outcome, scratch
from bench.faults.nights import NIGHTS, in_harvest_world
from bench.faults.supervisor import Fault, Supervisor

NAME = "a workspace with a damaged file, every command"


def play_damaged(number: int) -> Outcome:
    """On a night with a harvest that was killed before its end, so that there is something to take up. Each number
    gives every file another damage."""
    from bench.faults.damaged_files import damage_table

    night, folder = NIGHTS[0], scratch()
    root, report = folder / "root", folder / "report.json"
    root.mkdir()
    supervisor = Supervisor(root, folder, 900)

    def damage() -> int:
        os.environ["TMPDIR"] = str(folder)
        in_harvest_world()
        table = damage_table(root, root / "study" / "study.toml", round_of=number)
        found = {
            "faults": len({(case.file, case.damage) for case in table.cases}),
            "unnoticed": [asdict(case) for case in table.unnoticed],
            "tracebacks": [asdict(case) for case in table.tracebacks],
        }
        report.write_text(json.dumps(found), encoding="utf-8")
        return 0

    try:
        night.prepare(root, supervisor.run)
        count = supervisor.run(night.act(root)).count
        for path in ("runs", "results.tsv"):
            shutil.rmtree(root / path) if path == "runs" else (root / path).unlink()
        supervisor.run(night.act(root), Fault("kill", int(0.8 * count)))
        ended = Supervisor(folder / "none", folder, 900).run(damage)
        if ended.code:
            return Outcome("damaged", number, NAME, "", traceback=(ended.errors[-2000:],))
        found = json.loads(report.read_text(encoding="utf-8"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    line = "{file} {damage}, {command}: {says}".format_map
    told = {name: tuple(line(case)[-300:] for case in found[name]) for name in ("unnoticed", "tracebacks")}
    return Outcome(
        "damaged", number, NAME, "", different=told["unnoticed"], traceback=told["tracebacks"], faults=found["faults"]
    )
