"""A process that plays cases: it reads [kind, number] per line of stdin and writes an outcome as JSON to stdout.

echo '["kill", 17]' | python -m bench.faults.worker
"""

import json
import os
import sys
import threading
from dataclasses import asdict

from bench.faults.cases import play
from view.pages.environment import compile_templates


def main() -> None:
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # what libraries print goes to stderr
    compile_templates()
    for line in sys.stdin:
        kind, number = json.loads(line)
        outcome = play(kind, number)
        if threading.active_count() > 1:  # a process that is forked now could wait for a lock for ever
            raise RuntimeError(f"{outcome.scenario} leaves a thread in the process that forks")
        print(json.dumps(asdict(outcome)), file=replies, flush=True)


if __name__ == "__main__":
    main()
