"""Too much of everything: time, memory, disk, depth, output."""

from testing.attacks.attack import Attack, attack, trying

_LOOPS = {
    "an endless loop": "def f(x):\n    while True: pass",
    "an endless loop when loaded": "while True: pass",
    "an endless loop that catches everything": """
        def f(x):
            while True:
                try:
                    while True: pass
                except BaseException: pass
    """,
    "an endless loop with all signals ignored and blocked": """
        import signal
        def f(x):
            for number in range(1, 65):
                try: signal.signal(number, signal.SIG_IGN)
                except (OSError, ValueError): pass
            signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
            while True: pass
    """,
    "a loop in C that holds the interpreter's lock": "import re\ndef f(x): re.match('(a+)+$', 'a' * 60 + 'b')",
    "sleep": "import time\ndef f(x): time.sleep(60)",
    "sleep when loaded": "import time\ntime.sleep(60)",
    "sleep in small pieces": "import time\ndef f(x):\n    while True: time.sleep(0.002)",
    "waiting for a signal that never comes": "import signal\ndef f(x):\n    while True: signal.pause()",
    "alarms that interrupt whatever watches": """
        import signal, time
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        def f(x):
            while True: time.sleep(1)
    """,
}
_DEPTHS = {
    "recursion": "import sys\nsys.setrecursionlimit(10 ** 9)\ndef f(x): return f(x)",
    "recursion by way of json": """
        import json, sys
        sys.setrecursionlimit(10 ** 9)
        def f(x): return json.loads("[" * 10 ** 6)
    """,
    "recursion by way of repr": """
        import sys
        sys.setrecursionlimit(10 ** 9)
        class Deep:
            def __repr__(self): return repr([self])
        def f(x): return repr(Deep())
    """,
    "a source too deep for the parser": "def f(x): return " + "-" * 100_000 + "1",
    "a source too long for the compiler": "def f(x): return " + "1+" * 60_000 + "1",
    "a source with NULs, surrogates and another encoding": "# -*- coding: utf-7 -*-\n'\ud800\0'\ndef f(x): return 1",
}
_MEMORY = {
    "memory bomb": "def f(x):\n    held = []\n    while True: held.append(bytearray(1 << 20))",
    "memory bomb when loaded": "held = []\nwhile True: held.append(bytearray(1 << 20))",
    "memory bomb that goes on after MemoryError": """
        held = []
        def f(x):
            for size in (1 << 20, 1 << 12, 64):
                try:
                    while True: held.append(bytearray(size))
                except MemoryError: pass
            while True:
                try: held.append(held * 2)
                except MemoryError: pass
    """,
    "one allocation of everything": "def f(x): return len(bytearray(1 << 62 if x['number'] else 1 << 40))",
    "memory mapped without an end": """
        import mmap
        def f(x):
            held = []
            while True: held.append(mmap.mmap(-1, 1 << 20))
    """,
}

RESOURCES: tuple[Attack, ...] = (
    *[attack("time", name, source) for name, source in _LOOPS.items()],
    *[attack("depth", name, source) for name, source in _DEPTHS.items()],
    *[attack("memory", name, source) for name, source in _MEMORY.items()],
    trying(
        "disk",
        "files that fill what is writable",
        """
        import os
        def fill(path):
            with open(path, "wb") as file:
                for _ in range(64): file.write(bytes(1 << 20))
        def f(x):
            folders = ("/", ".", "/tmp", "/dev/shm", "/run", "/var/tmp", "/home", x["folder"])
            return tried(*[
                (f"filled {folder}", lambda path=os.path.join(folder, x["marker"]): fill(path)) for folder in folders
            ])
        """,
    ),
    attack("output", "a flood of print", "def f(x):\n    while True: print('x' * 10 ** 5, flush=True)"),
    attack(
        "output",
        "a flood on standard error",
        """
        import os, sys
        def f(x):
            for _ in range(100):
                sys.stderr.write("x" * 10 ** 5)
                os.write(2, bytes(10 ** 5))
            return True
        """,
    ),
    attack(
        "output",
        "as many descriptors as there are",
        """
        import os
        def f(x):
            while True: os.dup(3)
        """,
    ),
    trying(
        "limits",
        "limits raised",
        """
        import resource
        KINDS = ("AS", "CPU", "NOFILE", "NPROC", "FSIZE", "CORE", "STACK", "MEMLOCK", "MSGQUEUE")
        def more(kind):
            hard = resource.getrlimit(kind)[1]
            resource.setrlimit(kind, (hard + 1, hard + 1))
        def f(x):
            return tried(*[(f"raised RLIMIT_{kind}", lambda kind=kind: more(getattr(resource, f"RLIMIT_{kind}")))
                           for kind in KINDS])
        """,
    ),
    trying(
        "limits",
        "limits, priority and processors of others",
        """
        import os, resource
        def f(x):
            pid = x["bystander"]
            return tried(
                ("limited the caller", lambda: resource.prlimit(x["caller"], resource.RLIMIT_CORE, (0, 0))),
                ("limited a bystander", lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, (8, 8))),
                ("read the caller's limits", lambda: resource.prlimit(x["caller"], resource.RLIMIT_AS)),
                ("slowed a bystander", lambda: os.setpriority(os.PRIO_PROCESS, pid, 19)),
                ("moved a bystander", lambda: os.sched_setaffinity(pid, {0})),
                ("made itself first", lambda: os.nice(-5)),
            )
        """,
    ),
)
