"""A process that plays cases: lines of [kind, number] on stdin, an outcome as JSON on stdout for each.

echo '["kill", 17]' | python -m bench.faults.worker
"""

import json
import os
import sys
import threading
from dataclasses import asdict

from bench.faults.cases import play


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # whatever a library prints is none of the answers
    for line in sys.stdin:
        kind, number = json.loads(line)
        outcome = play(kind, number)
        if threading.active_count() > 1:  # what forks next may find a lock held that nobody gives back
            raise RuntimeError(f"{outcome.scenario} leaves a thread in the process that forks")
        print(json.dumps(asdict(outcome)), file=answers, flush=True)


if __name__ == "__main__":
    main()
