"""Attacks on files of the host: reading, listing, changing and leaving files.

Under Landlock, a program can find out whether a path exists, because Landlock does not control stat(2).
"""

from testing.attacks.attack import Attack, kernel, trying

_READING = """\
import os, stat

def look(path):
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if stat.S_ISDIR(os.fstat(fd).st_mode):
        return len(os.listdir(path)) > 1  # one name may be the way to the interpreter, in an otherwise empty jail

def readings(paths):
    return tried(*[(f"read {path}", lambda path=path: look(path)) for path in paths])
"""


def _reading(name: str, paths: str) -> Attack:
    return trying("files", name, f"{_READING}\ndef f(x): return readings({paths})")


FILES: tuple[Attack, ...] = (
    _reading("passwords and system files", '["/etc/shadow", "/etc/passwd", "/etc/hosts", "/etc", "/var/log", "/sys"]'),
    _reading(
        "home folders and ssh keys",
        '[x["home"], x["home"] + "/.ssh/id_rsa", os.path.expanduser("~"), "/root", "/root/.ssh", "/home"]',
    ),
    _reading(
        "the repository and the expected values in it",
        '[x["repository"] + tail for tail in'
        ' ("", "/testing", "/testing/hostile_suite.py", "/sandbox/values.py", "/.git/config")]',
    ),
    _reading("the canary and its folder", '[x["canary"], x["folder"], x["folder"] + "/.", x["fifo"]]'),
    _reading("temporary folders", '["/tmp", "/var/tmp", "/dev/shm", "/run", "/mnt", "/media", "/boot"]'),
    _reading(
        "devices",
        '["/dev/" + name for name in ("mem", "kmsg", "tty", "kvm", "null", "sda", "vda", "fd", "ptmx", "vsock", "")]',
    ),
    _reading(
        "/proc: environment, memory and command lines of everybody",
        '["/proc", "/proc/mounts", "/proc/keys", "/proc/kcore", "/proc/sys/kernel/hostname"] + [f"/proc/{who}/{what}"'
        ' for who in ("self", "thread-self", 1, 2, os.getppid(), x["caller"], x["bystander"])'
        ' for what in ("environ", "mem", "maps", "cmdline", "status", "fd", "root", "cwd")]',
    ),
    _reading(
        "outside by a detour: .., links, other spellings",
        '[place + tail for tail in ("/etc/passwd", x["canary"]) for place in'
        ' ("/..", "/usr/lib/../..", "//", os.path.dirname(os.__file__) + "/../../../../../..", "/proc/self/root")]',
    ),
    trying(
        "files",
        "writing into the canary and its folder",
        """
        import os
        def write(path, mode="w"):
            with open(path, mode) as file: file.write("hostile")
        def f(x):
            new = x["folder"] + "/" + x["marker"]
            return tried(
                ("wrote the canary", lambda: write(x["canary"], "a")),
                ("truncated the canary", lambda: os.truncate(x["canary"], 0)),
                ("made a file", lambda: write(new)),
                ("made a folder", lambda: os.mkdir(new + "-d")),
                ("made a fifo", lambda: os.mkfifo(new + "-f")),
                ("made a link", lambda: os.link(x["canary"], new + "-l")),
                ("made a symbolic link", lambda: os.symlink("/etc", new + "-s")),
                ("made a device", lambda: os.mknod(new + "-n", 0o20666, os.makedev(1, 3))),
                ("made a nameless file", lambda: os.open(x["folder"], os.O_TMPFILE | os.O_RDWR)),
            )
        """,
    ),
    trying(
        "files",
        "changing the canary without opening it",
        """
        import os
        def f(x):
            canary, new = x["canary"], x["folder"] + "/" + x["marker"]
            return tried(
                ("chmod", lambda: os.chmod(canary, 0o600)),
                ("utime", lambda: os.utime(canary, (1, 1))),
                ("setxattr", lambda: os.setxattr(canary, "user.hostile", b"1")),
                ("chown", lambda: os.chown(canary, 1, 1)),
                ("rename", lambda: os.rename(canary, new)),
                ("unlink", lambda: os.unlink(canary)),
                ("rmdir", lambda: os.rmdir(x["home"])),
            )
        """,
    ),
    trying(
        "files",
        "writing wherever the host has a folder for everybody",
        """
        import os
        def f(x):
            library = os.path.dirname(os.__file__)
            folders = ["/", ".", "/tmp", "/var/tmp", "/dev/shm", "/run", "/home", "/mnt", x["repository"], library,
                       library + "/json/__pycache__", x["home"], "/usr/lib"]
            return tried(*[
                (f"wrote in {folder}", lambda path=f"{folder}/{x['marker']}": open(path, "w").close())
                for folder in folders
            ])
        """,
    ),
    trying(
        "files",
        "the standard library changed for the next program",
        """
        import json, mmap, os
        def mapped(path):
            fd = os.open(path, os.O_RDONLY)
            mmap.mmap(fd, 4096, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)[0] = 35
        def f(x):
            path = json.__file__
            return tried(
                ("opened it for writing", lambda: os.open(path, os.O_RDWR)),
                ("appended", lambda: os.open(path, os.O_WRONLY | os.O_APPEND)),
                ("mapped it for writing", lambda: mapped(path)),
                ("reopened it by /proc", lambda: open(f"/proc/self/fd/{os.open(path, os.O_RDONLY)}", "r+")),
            )
        """,
    ),
    kernel(
        "files",
        "files by system calls that few filters know",
        """
        def f(x):
            library = os.open(os.path.dirname(os.__file__), os.O_RDONLY)
            handle = (8).to_bytes(4, "little") + (1).to_bytes(4, "little") + (2).to_bytes(8, "little")
            how = ctypes.create_string_buffer((1 | 0o100).to_bytes(8, "little") + (0o600).to_bytes(8, "little"), 24)
            canary, new = x["canary"].encode(), (x["folder"] + "/" + x["marker"]).encode()
            return tried(
                ("open_by_handle_at", lambda: call(304, 265, library, ctypes.create_string_buffer(handle, 16), 0)),
                ("openat2", lambda: call(437, 437, -100, new, how, 24)),
                ("creat", lambda: False if ARM else call(85, -1, new, 0o600)),
                ("mknodat", lambda: call(259, 33, -100, new, 0o100600, 0)),
                ("renameat2", lambda: call(316, 276, -100, canary, -100, new, 0)),
                ("open_tree", lambda: call(428, 428, -100, canary, 1)),
                ("name_to_handle_at", lambda: call(303, 264, -100, canary, ctypes.create_string_buffer(128),
                                                   ctypes.create_string_buffer(8), 0)),
            )
        """,
    ),
)
