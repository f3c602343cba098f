"""Programs that imitate a failing machine, or take resources of others, so that no program could be judged.

Each tries to wait or to be killed without using processor time, as on an overloaded machine.
"""

from testing.attacks.attack import Attack, attack, kernel

_KINDS = '[getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]'

STARVING: tuple[Attack, ...] = (
    kernel(
        "starving",
        "a loop of membarrier, which waits for every processor",
        """
        def f(x):
            while True: libc.syscall(283 if ARM else 324, 1, 0, 0)
        """,
    ),
    attack(
        "starving",
        "no processor time allowed, so that the kernel kills it",
        """
        import resource
        try: resource.setrlimit(resource.RLIMIT_CPU, (0, 0))
        except (OSError, ValueError): pass
        def f(x):
            while True: pass
        """,
    ),
    attack(
        "starving",
        "all of its own limits set to zero",
        f"""
        import resource
        def f(x):
            for kind in {_KINDS}:
                try: resource.setrlimit(kind, (0, 0))
                except (OSError, ValueError): pass
            held = []
            while True: held.append(bytearray(1 << 16))
        """,
    ),
    attack(
        "starving",
        "files read again from the disk, without an end",
        """
        import os
        def f(x):
            fd = os.open(os.__file__, os.O_RDONLY)
            while True:
                try: os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                except OSError: pass
                os.pread(fd, 1 << 16, 0)
        """,
    ),
    kernel(
        "starving",
        "memory paged out and read back",
        """
        import mmap
        def f(x):
            pages = mmap.mmap(-1, 16 << 20)
            start = ctypes.addressof(ctypes.c_char.from_buffer(pages))
            while True:
                pages[::4096] = bytes(len(pages[::4096]))
                libc.madvise(ctypes.c_void_p(start), 16 << 20, 21)
        """,
    ),
    kernel(
        "starving",
        "a vfork whose child never ends",
        """
        def child():
            pid = call(56, 220, 0x4000 | 0x100 | 17, 0, 0, 0, 0)
            if pid == 0:
                while True: libc.pause()
        def f(x): return tried(("vforked", child))
        """,
    ),
    kernel(
        "starving",
        "stopped or killed by its own signals",
        """
        import signal
        def f(x):
            for number in (signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGKILL):
                for send in (lambda: os.kill(os.getpid(), number), lambda: os.kill(0, number),
                             lambda: signal.raise_signal(number), lambda: call(157, 167, 1, number, 0, 0, 0),
                             lambda: call(234, 131, os.getpid(), os.getpid(), number)):
                    try: send()
                    except OSError: pass
            while True: signal.pause()
        """,
    ),
    *[
        attack(
            "starving",
            f"an alarm of {which} time that nobody handles",
            f"""
            import signal
            signal.setitimer(signal.ITIMER_{which.upper()}, 0.01)
            def f(x):
                while True: pass
            """,
        )
        for which in ("real", "virtual", "prof")
    ],
    kernel(
        "starving",
        "last in every queue for a processor",
        """
        def f(x):
            tried(
                ("SCHED_IDLE", lambda: call(144, 119, 0, 5, ctypes.create_string_buffer(4))),
                ("SCHED_DEADLINE", lambda: call(314, 274, 0, ctypes.create_string_buffer(48), 0)),
                ("nice", lambda: os.nice(19)), ("ioprio_set", lambda: call(251, 30, 1, 0, 3 << 13)),
                ("no processor", lambda: os.sched_setaffinity(0, {0})),
            )
            while True: pass
        """,
    ),
    kernel(
        "starving",
        "a fault that another thread would have to serve",
        """
        def f(x):
            tried(("userfaultfd", lambda: call(323, 282, 0)), ("mlockall", lambda: call(151, 230, 3)))
            word = ctypes.c_uint(os.getppid())
            while True: libc.syscall(98 if ARM else 202, ctypes.byref(word), 6, 0, 0, 0, 0)
        """,
    ),
    attack(
        "starving",
        "asleep except for a moment between two checks",
        """
        import time
        def f(x):
            while True:
                time.sleep(0.0485)
                end = time.perf_counter() + 0.0015
                while time.perf_counter() < end: pass
        """,
    ),
    attack(
        "starving",
        "memory up to the limit, used again and again",
        """
        def f(x):
            held = []
            try:
                while True: held.append(bytearray(1 << 20))
            except MemoryError:
                held.pop()
            while True:
                for part in held: part[::4096] = b"x" * 256
        """,
    ),
    attack(
        "starving",
        "the first to be killed when memory is short",
        """
        def f(x):
            for name in ("oom_score_adj", "oom_adj", "timerslack_ns", "coredump_filter"):
                try: open(f"/proc/self/{name}", "w").write("1000")
                except OSError: pass
            held = []
            while True: held.append(bytearray(1 << 20))
        """,
    ),
    attack(
        "starving",
        "descriptors, pipes, timers and folders as long as there are some",
        """
        import os, select, tempfile
        def f(x):
            for take in (os.pipe, select.epoll, lambda: os.dup(0), lambda: os.eventfd(1), tempfile.mkdtemp):
                for _ in range(10 ** 4):
                    try: take()
                    except OSError: break
            return True
        """,
    ),
)

OTHERS: tuple[Attack, ...] = (
    kernel(
        "others",
        "clocks of other processes",
        """
        import time
        def f(x):
            pids = [pid for pid in (x["bystander"], x["caller"], os.getppid(), 1) if pid and pid != os.getpid()]
            return tried(*[
                (f"{what} of {pid}", lambda ask=ask, pid=pid, kind=kind: ask((~pid << 3) | kind))
                for pid in pids for kind in (0, 1, 2, 6) for what, ask in (
                    ("read the clock", time.clock_gettime), ("read the resolution", time.clock_getres),
                    ("slept by the clock", lambda clock: call(230, 115, clock, 0, (ctypes.c_long * 2)(0, 1000), 0)))
            ])
        """,
    ),
    kernel(
        "others",
        "processors, priorities, limits and locks of other processes",
        """
        import resource
        def f(x):
            buffer = ctypes.create_string_buffer(256)
            pids = [pid for pid in (x["bystander"], x["caller"], os.getppid(), 1) if pid and pid != os.getpid()]
            return tried(*[
                (f"{what} of {pid}", lambda ask=ask, pid=pid: ask(pid)) for pid in pids for what, ask in (
                    ("processors", os.sched_getaffinity), ("scheduler", os.sched_getscheduler),
                    ("parameters", os.sched_getparam), ("priority", lambda pid: os.getpriority(os.PRIO_PROCESS, pid)),
                    ("limits", lambda pid: resource.prlimit(pid, resource.RLIMIT_AS)), ("session", os.getsid),
                    ("group", os.getpgid), ("descriptor", os.pidfd_open),
                    ("disk priority", lambda pid: call(252, 31, 1, pid)),
                    ("locks", lambda pid: call(274, 100, pid, buffer, buffer)),
                    ("likeness", lambda pid: call(312, 272, os.getpid(), pid, 1, 0, 0)),
                    ("capabilities", lambda pid: call(125, 90, (ctypes.c_int * 2)(0x20080522, pid), buffer)),
                    ("pages", lambda pid: call(279, 239, pid, 0, 0, 0, 0, 0)),
                    ("its lock's owner", lambda pid: call(202, 98, ctypes.byref(ctypes.c_uint(pid)), 8, 0, 0, 0, 0)))
            ])
        """,
    ),
)
