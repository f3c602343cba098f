"""System calls that reach beyond the process: namespaces, other processes' memory, the kernel's own machinery."""

from testing.attacks.attack import Attack, kernel, trying

KERNEL_CALLS: tuple[Attack, ...] = (
    kernel(
        "kernel",
        "namespaces inside the namespace",
        """
        def child(pid):
            if pid == 0: os._exit(0)
        def f(x):
            flags = {"user": 0x10000000, "mount": 0x20000, "pid": 0x20000000, "network": 0x40000000, "ipc": 0x08000000}
            return tried(
                *[(f"unshare {name}", lambda flag=flag: call(272, 97, flag)) for name, flag in flags.items()],
                *[(f"clone {name}", lambda flag=flag: child(call(56, 220, 0x10000000 | flag | 17, 0, 0, 0, 0)))
                  for name, flag in flags.items()],
                ("setns", lambda: call(308, 268, call(434, 434, x["caller"], 0), 0x40000000)),
            )
        """,
    ),
    kernel(
        "kernel",
        "mount, chroot, pivot_root",
        """
        def f(x):
            folder = x["folder"].encode()
            return tried(
                ("mount", lambda: call(165, 40, b"none", folder, b"tmpfs", 0, 0)),
                ("bind mount", lambda: call(165, 40, b"/", folder, 0, 4096, 0)),
                ("umount", lambda: call(166, 39, folder, 2)),
                ("chroot", lambda: os.chroot(os.path.dirname(os.__file__))),
                ("pivot_root", lambda: call(155, 41, folder, folder)),
                ("fsopen", lambda: call(430, 430, b"tmpfs", 0)),
                ("chdir", lambda: os.chdir(os.path.dirname(os.__file__))),
            )
        """,
    ),
    kernel(
        "kernel",
        "other identities and capabilities",
        """
        def capset():
            header = ctypes.create_string_buffer((0x20080522).to_bytes(4, "little"), 8)
            return call(126, 91, header, ctypes.create_string_buffer(b"\\xff" * 24, 24))
        def f(x):
            return tried(
                ("setuid", lambda: os.setuid(0)), ("setgid", lambda: os.setgid(0)),
                ("setresuid", lambda: os.setresuid(0, 0, 0)), ("setgroups", lambda: os.setgroups([0])),
                ("setfsuid", lambda: call(122, 151, 0) == 0 and os.getuid() != 0), ("capset", capset),
                ("was root", lambda: os.geteuid() == 0), ("setsid", os.setsid),
                ("setpgid", lambda: os.setpgid(0, 0)),
            )
        """,
    ),
    kernel(
        "kernel",
        "ptrace of others",
        """
        def f(x):
            return tried(*[
                (f"ptrace {request:#x} of {pid}", lambda request=request, pid=pid: call(101, 117, request, pid, 0, 0))
                for request, pids in ((0x4206, (x["bystander"], x["caller"], os.getppid(), 1)), (16, (x["bystander"],)))
                for pid in pids if pid != os.getpid()
            ], ("PTRACE_TRACEME", lambda: call(101, 117, 0, 0, 0, 0)))
        """,
    ),
    kernel(
        "kernel",
        "memory and descriptors of others",
        """
        def f(x):
            here = ctypes.create_string_buffer(64)
            local = ctypes.create_string_buffer(
                ctypes.addressof(here).to_bytes(8, "little") + (64).to_bytes(8, "little"), 16)
            def reached(number, aarch64, pid):
                try:
                    call(number, aarch64, pid, local, 1, remote, 1, 0)
                except OSError as error:
                    if error.errno != 14: raise  # a bad address was looked for in the other's memory
            remote = ctypes.create_string_buffer(id(x).to_bytes(8, "little") + (64).to_bytes(8, "little"), 16)
            pids = [pid for pid in (x["bystander"], x["caller"], os.getppid(), 1, 2) if pid != os.getpid()]
            return tried(
                *[(f"read memory of {pid}", lambda pid=pid: reached(310, 270, pid))
                  for pid in pids],
                ("wrote memory of a bystander", lambda: reached(311, 271, x["bystander"])),
                *[(f"opened {pid}", lambda pid=pid: call(434, 434, pid, 0)) for pid in pids],
                ("pidfd_getfd", lambda: call(438, 438, call(434, 434, x["caller"], 0), 0, 0)),
                ("kcmp", lambda: call(312, 272, x["caller"], x["bystander"], 0, 0, 0)),
            )
        """,
    ),
    kernel(
        "kernel",
        "the keyring",
        """
        def f(x):
            name = x["marker"].encode()
            return tried(
                ("add_key", lambda: call(248, 217, b"user", name, b"1", 1, -3)),
                ("request_key", lambda: call(249, 218, b"user", name, 0, 0)),
                *[(f"keyctl of keyring {ring}", lambda ring=ring: call(250, 219, 0, ring, 1)) for ring in (-3, -4, -5)],
                ("join_session_keyring", lambda: call(250, 219, 1, 0)),
            )
        """,
    ),
    kernel(
        "kernel",
        "bpf, perf, io_uring, userfaultfd",
        """
        def f(x):
            numbers = [2, 4, 4, 1]
            attribute = ctypes.create_string_buffer(b"".join(n.to_bytes(4, "little") for n in numbers), 128)
            event = ctypes.create_string_buffer((1).to_bytes(4, "little") + (112).to_bytes(4, "little"), 112)
            return tried(
                ("bpf", lambda: call(321, 280, 0, attribute, 72)),
                ("perf_event_open", lambda: call(298, 241, event, 0, -1, -1, 0)),
                ("io_uring_setup", lambda: call(425, 425, 4, ctypes.create_string_buffer(120))),
                ("userfaultfd", lambda: call(323, 282, 1)),
                ("fanotify_init", lambda: call(300, 262, 0x200, 0)),
                ("inotify_init1", lambda: call(294, 26, 0)),
                ("landlock_create_ruleset", lambda: call(444, 444, 0, 0, 1)),
            )
        """,
    ),
    kernel(
        "kernel",
        "files that live in memory only",
        """
        def f(x):
            return tried(
                ("memfd_create", lambda: os.memfd_create("hostile")),
                ("memfd_secret", lambda: call(447, 447, 0)),
            )
        """,
    ),
    kernel(
        "kernel",
        "its own confinement loosened",
        """
        def f(x):
            return tried(
                ("personality", lambda: call(135, 92, 0x0040000)),
                ("PR_SET_DUMPABLE", lambda: call(157, 167, 4, 1, 0, 0, 0)),
                ("PR_SET_PDEATHSIG", lambda: call(157, 167, 1, 0, 0, 0, 0)),
                ("PR_SET_SECCOMP", lambda: call(157, 167, 22, 0, 0, 0, 0)),
                ("PR_SET_PTRACER", lambda: call(157, 167, 0x59616D61, -1, 0, 0, 0)),
                ("PR_SET_NAME", lambda: call(157, 167, 15, b"hostile", 0, 0, 0)),
                ("sched_setscheduler", lambda: call(144, 119, 0, 1, ctypes.create_string_buffer(b"\\x01", 4))),
            )
        """,
    ),
    kernel(
        "kernel",
        "the terminal",
        """
        import fcntl
        def f(x):
            return tried(
                *[(f"TIOCSTI on {fd}", lambda fd=fd: fcntl.ioctl(fd, 0x5412, b"x")) for fd in range(4)],
                *[(f"TIOCSCTTY on {fd}", lambda fd=fd: fcntl.ioctl(fd, 0x540E, 0)) for fd in range(4)],
                *[(f"TIOCLINUX on {fd}", lambda fd=fd: fcntl.ioctl(fd, 0x541C, b"\\x06")) for fd in range(4)],
                ("opened it", lambda: os.open("/dev/tty", os.O_RDONLY)),
            )
        """,
    ),
    kernel(
        "kernel",
        "System V memory, messages and semaphores",
        """
        def f(x):
            key = x["ipc"]
            return tried(
                ("shmget", lambda: call(29, 194, key, 4096, 0o1666)),
                ("msgget", lambda: call(68, 186, key, 0o1666)),
                ("semget", lambda: call(64, 190, key, 1, 0o1666)),
            )
        """,
    ),
    kernel(
        "kernel",
        "POSIX shared memory and message queues",
        """
        import _posixshmem
        def f(x):
            name = "/" + x["marker"]
            return tried(
                ("shm_open", lambda: _posixshmem.shm_open(name, os.O_CREAT | os.O_RDWR, 0o600)),
                ("mq_open", lambda: call(240, 180, name[1:].encode(), os.O_CREAT | os.O_RDWR, 0o600, 0)),
            )
        """,
    ),
    kernel(
        "kernel",
        "the other system call table of x86",
        """
        def child(pid):
            if pid == 0: os._exit(0)
        def f(x): return tried(("fork by x32", lambda: False if ARM else child(call(0x40000000 + 57, -1))))
        """,
    ),
    kernel(
        "kernel",
        "32-bit system calls from machine code",
        """
        import mmap
        page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        page.write(bytes.fromhex("b802000000cd80c3"))  # mov eax, fork; int 0x80; ret
        start = ctypes.addressof(ctypes.c_char.from_buffer(page))
        def fork():
            pid = ctypes.CFUNCTYPE(ctypes.c_int)(start)()
            if pid == 0: os._exit(0)
            return pid > 0
        def f(x): return tried(("fork by int 0x80", lambda: False if ARM else fork()))
        """,
    ),
    kernel(
        "kernel",
        "the machine itself: modules, log, swap, ports",
        """
        def f(x):
            log = ctypes.create_string_buffer(64)
            return tried(
                ("read the kernel's log", lambda: call(103, 116, 3, log, 64)),
                ("init_module", lambda: call(175, 105, log, 64, b"")),
                ("swapon", lambda: call(167, 224, x["canary"].encode(), 0)),
                ("iopl", lambda: False if ARM else call(172, -1, 3)),
            )
        """,
    ),
    trying(
        "kernel",
        "the descriptors it was started with",
        """
        import os, stat
        def foreign(fd):
            mode = os.fstat(fd).st_mode
            return not (fd < 3 and stat.S_ISCHR(mode)) and not (fd == 3 and stat.S_ISSOCK(mode))
        def f(x): return tried(*[(f"held descriptor {fd}", lambda fd=fd: foreign(fd)) for fd in range(1024)])
        """,
    ),
)
