"""Signals to others, more processes, threads."""

from testing.attacks.attack import TRYING, Attack, attack, kernel, trying

_FORKING = """\
import ctypes, os, time

def named(x):
    # Whoever runs on can be found by this name, even when it has left our tree of processes.
    ctypes.CDLL(None).prctl(15, x["process"].encode(), 0, 0, 0)
    time.sleep(3)
    os._exit(0)
"""


def _forking(name: str, source: str) -> Attack:
    return attack("processes", name, source, TRYING + _FORKING)


def _kill(name: str, targets: str, numbers: str) -> Attack:
    return trying(
        "signals",
        name,
        f"""
        import os, signal
        def f(x):
            mine = os.getpid()
            return tried(*[
                (f"sent signal {{number}} to {{target}}", lambda target=target, number=number: os.kill(target, number))
                for target in {targets} if target not in (mine, -mine) for number in {numbers}
            ])
        """,
    )


PROCESSES: tuple[Attack, ...] = (
    _kill("SIGSTOP to the parent", "(os.getppid(),)", "(signal.SIGSTOP, signal.SIGKILL)"),
    _kill("SIGKILL to its group", "(0, -os.getppid())", "(signal.SIGKILL,)"),
    _kill("SIGURG to everybody", "(-1,)", "(0, signal.SIGURG)"),  # does nothing where it is not expected
    _kill("SIGURG to process 1 and the next", "range(1, 9)", "(0, signal.SIGURG)"),
    _kill("SIGURG to the caller and its group", '(x["caller"], -x["caller"])', "(0, signal.SIGURG)"),
    _kill("SIGSTOP to a bystander", '(x["bystander"],)', "(0, signal.SIGSTOP, signal.SIGKILL)"),
    trying(
        "signals",
        "SIGSTOP to the parent when loaded",
        """
        import os, signal
        def stop(): os.kill(os.getppid(), signal.SIGSTOP)
        stopped = tried(("stopped its parent", stop))
        def f(x): return stopped
        """,
    ),
    kernel(
        "signals",
        "signals by tgkill, tkill, sigqueue and pidfd",
        """
        def f(x):
            pid = x["bystander"]
            info = ctypes.create_string_buffer(128)
            return tried(
                ("tgkill", lambda: call(234, 131, pid, pid, 10)),
                ("tkill", lambda: call(200, 130, pid, 10)),
                ("rt_sigqueueinfo", lambda: call(129, 138, pid, 10, info)),
                ("pidfd_send_signal", lambda: call(424, 424, call(434, 434, pid, 0), 10, 0, 0)),
            )
        """,
    ),
    kernel(
        "signals",
        "a signal by way of a descriptor's owner or a timer",
        """
        import fcntl
        def f(x):
            pid, timer = x["bystander"], ctypes.create_string_buffer(64)
            return tried(
                ("F_SETOWN", lambda: fcntl.fcntl(3, 8, pid)),
                ("F_SETSIG", lambda: fcntl.fcntl(3, 10, 10)),
                ("FIOSETOWN", lambda: fcntl.ioctl(3, 0x8901, pid.to_bytes(4, "little"))),
                ("O_ASYNC", lambda: fcntl.fcntl(3, 4, 0o20000)),
                ("timer_create", lambda: call(222, 107, 0, 0, timer)),
            )
        """,
    ),
    _forking(
        "fork",
        """
        def child(x):
            if os.fork() == 0: named(x)
        def f(x): return tried(("forked", lambda: child(x)))
        """,
    ),
    _forking(
        "daemon",
        """
        def daemon(x):
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0: named(x)
                os._exit(0)
        def f(x): return tried(("left a daemon", lambda: daemon(x)))
        """,
    ),
    _forking(
        "fork bomb",
        """
        def bomb(x):
            for _ in range(32):
                if os.fork() == 0: named(x)
        def f(x): return tried(("forked 32 times", lambda: bomb(x)))
        """,
    ),
    _forking(
        "memory bomb times forks",
        """
        def bomb(x):
            for _ in range(8):
                if os.fork() == 0:
                    held = bytearray(64 << 20)
                    named(x)
        def f(x): return tried(("forked 8 times, with 64 MiB each", lambda: bomb(x)))
        """,
    ),
    kernel(
        "processes",
        "fork by clone and clone3",
        """
        def child(pid):
            if pid == 0: os._exit(0)
        def f(x):
            arguments = ctypes.create_string_buffer((0).to_bytes(32, "little") + (17).to_bytes(8, "little"), 88)
            return tried(
                ("clone", lambda: child(call(56, 220, 17, 0, 0, 0, 0))),
                ("clone3", lambda: child(call(435, 435, arguments, 88))),
            )
        """,
    ),
    trying(
        "processes",
        "other programs started",
        """
        import os, subprocess, _posixsubprocess
        def f(x):
            shell = ["/bin/sh", "-c", f"echo {x['marker']} > {x['folder']}/{x['marker']}-shell"]
            return tried(
                ("subprocess", lambda: subprocess.run(shell, check=True)),
                ("os.system", lambda: os.system(shell[2]) == 0),
                ("posix_spawn", lambda: os.posix_spawn("/bin/sh", shell, {})),
                ("forkpty", lambda: os.forkpty()[0] or os._exit(0)),
                ("exec", lambda: os.execv("/bin/sh", shell)),
            )
        """,
    ),
    trying(
        "processes",
        "threads",
        """
        import _thread, ctypes, threading
        def pthread():
            libc = ctypes.CDLL(None)
            made = libc.pthread_create(ctypes.byref(ctypes.c_ulong()), None, libc.pause, None)
            return made == 0
        def f(x):
            return tried(
                ("threading", threading.Thread(target=int).start),
                ("_thread", lambda: _thread.start_new_thread(int, ())),
                ("pthread_create", pthread),
            )
        """,
    ),
    attack(
        "processes",
        "a pool of workers",
        """
        from concurrent.futures import ProcessPoolExecutor
        def f(x):
            with ProcessPoolExecutor(4) as pool: return list(pool.map(abs, range(4)))
        """,
    ),
)
