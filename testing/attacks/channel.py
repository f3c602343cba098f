"""Forged frames on the channel: unrequested, false and endless ones, on every descriptor."""

from testing.attacks.attack import Attack, attack

_FORGING = """\
import json, os, struct, time

def frame(*message):
    body = json.dumps(message[0] if len(message) == 1 else message).encode()
    return struct.pack(">I", len(body)) + body

def everywhere(data):
    for fd in range(1024):
        try:
            os.write(fd, data)
        except OSError:
            pass

def returned(items, tag):
    # as one value, of four megabytes at most
    size = 0
    kept = []
    for item in items:
        size += len(item) + 1
        if size > (4 << 20) - 100: break
        kept.append(item)
    body = b'["returned",{"%s":[%s]}]' % (tag, b",".join(kept))
    data = struct.pack(">I", len(body)) + body
    while data: data = data[os.write(3, data):]

def colliding():
    for k in range(5, 10 ** 6): yield b'{"$int":"%#x"}' % (k * (2 ** 61 - 1))

RETURNED = b"".join(frame("returned", form) for form in (True, None, {"$float": "nan"}, {"$set": [1]}))
"""


def _forging(name: str, source: str) -> Attack:
    return attack("forgery", name, source, _FORGING)


CHANNEL: tuple[Attack, ...] = (
    _forging(
        "answers to every call, written when loaded",
        """
        everywhere(frame("loaded") + RETURNED)
        def f(x): return True
        """,
    ),
    _forging(
        "a number that is infinite when it is read",
        """
        def f(x):
            for body in (b'["returned",1e999]', b'["returned",[-1e999]]'):
                os.write(3, struct.pack(">I", len(body)) + body)
            time.sleep(100)
        """,
    ),
    _forging(
        "answers to every call, and then gone",
        """
        everywhere(frame("loaded") + RETURNED)
        os._exit(0)
        """,
    ),
    _forging(
        "answers to every call, written when called",
        """
        def f(x):
            everywhere(RETURNED)
            return True
        """,
    ),
    _forging(
        "another ready and loaded",
        """
        everywhere(frame(["ready"]) + frame({"ready": 1, "namespaces": True}) + frame(["loaded"]))
        def f(x):
            everywhere(frame(["ready"]) + frame(["loaded"]) + frame({"ready": 1, "namespaces": False}))
            return True
        """,
    ),
    _forging(
        "the zygote's report on itself and on others",
        """
        def f(x):
            for number in range(200):
                everywhere(frame({"report": number, "stopped": None, "exit": 0, "cpu": 0.0}))
            return True
        """,
    ),
    _forging(
        "the caller's orders to the zygote",
        """
        everywhere(frame({"stop": 1}) + frame({"run": 2}))
        def f(x):
            everywhere(frame({"run": x["number"]}) + frame({"stop": x["number"]}))
            return True
        """,
    ),
    _forging(
        "questions that nobody answers",
        """
        def f(x):
            everywhere(frame("ask", "__import__", ["os"], {}) + frame("ask", "eval", ["1"], {}))
            return True
        """,
    ),
    _forging(
        "verdicts of other shapes",
        """
        def f(x):
            for message in (True, "returned", ["returned"], ["returned", 1, 2], {"returned": True}, ["passed", 3, 3],
                            {"outcomes": [True] * 3}, ["raised", 1, 2], ["ended", "passed", ""], [["returned"], 1]):
                everywhere(frame(message))
            return True
        """,
    ),
    _forging(
        "values that decode to something else than plain ones",
        """
        def f(x):
            forms = ([{"$set": [1, True]}, {"$dict": [[[], 1]]}], {"$int": "0x" + "f" * 4000}, {"$eval": "1"})
            os.write(3, frame("returned", forms[x["number"]]))
            return True
        """,
    ),
    _forging(
        "text that is no JSON, too deep, not UTF-8",
        """
        def f(x):
            body = (b"[" * 4000, b'["returned",NaN]', b'["returned","' + bytes(range(128, 256)) + b'"]')[x["number"]]
            everywhere(struct.pack(">I", len(body)) + body)
            return True
        """,
    ),
    _forging(
        "a length of four gigabytes",
        """
        def f(x):
            everywhere(b"\\xff\\xff\\xff\\xff" + b"x" * 60000)
            return True
        """,
    ),
    _forging(
        "a length of nothing, a hundred thousand times",
        """
        def f(x):
            for _ in range(100): os.write(3, bytes(4000))
            return True
        """,
    ),
    _forging(
        "half a frame, and then gone",
        """
        def f(x):
            os.write(3, RETURNED[:7])
            os._exit(0)
        """,
    ),
    _forging(
        "half a frame, and then silence",
        """
        def f(x):
            os.write(3, RETURNED[:7])
            while True: time.sleep(0.001)
        """,
    ),
    _forging("a flood of frames", "def f(x):\n    while True: os.write(3, RETURNED * 1000)"),
    _forging("a flood of zeros", "def f(x):\n    while True: os.write(3, bytes(65536))"),
    _forging(
        "the later inputs read ahead and answered",
        """
        def f(x):
            os.read(3, 1 << 20)
            os.write(3, RETURNED)
            while True: os.read(3, 1 << 20)
        """,
    ),
    _forging(
        "a socket made of the channel: descriptors and credentials sent along",
        """
        import socket
        def f(x):
            channel = socket.socket(fileno=3)
            for level, data in ((socket.SCM_RIGHTS, struct.pack("4i", 0, 1, 2, 3)), (2, struct.pack("3i", 1, 0, 0))):
                try: channel.sendmsg([RETURNED], [(socket.SOL_SOCKET, level, data)])
                except OSError: pass
            try: channel.shutdown(socket.SHUT_RDWR)
            except OSError: pass
            return True
        """,
    ),
    *[
        _forging(
            f"a {name} whose keys all have one hash",
            f"""
            def f(x):
                returned(({form} for key in colliding()), b"{tag}")
                while True: time.sleep(1)
            """,
        )
        for name, form, tag in (
            ("set of numbers", "key", "$set"),
            ("dict of numbers", 'b"[" + key + b",0]"', "$dict"),
            ("set of tuples", """b'{"$tuple":[' + key + b']}'""", "$set"),
        )
    ],
    _forging(
        "millions of empty containers in every answer",
        """
        def f(x):
            for form in (b"[]", b"{}", b'{"a":[]}', b'{"$tuple":[]}', b"1.5", b'"ab"'):
                returned((form for _ in range(10 ** 7)), b"$tuple")
            while True: time.sleep(1)
        """,
    ),
    _forging(
        "as many lists as a value may have, in every answer",
        """
        def f(x):
            body = b'["returned",[' + b",".join([b"[]"] * 170_000) + b"]]"
            data = struct.pack(">I", len(body)) + body
            while True: os.write(3, data)
        """,
    ),
    _forging(
        "a number of four megabytes, in digits and in bits",
        """
        def f(x):
            digits = b"1" * ((4 << 20) - 200) if x["number"] else b'{"$int":"0x' + b"f" * (3 << 20) + b'"}'
            returned((digits, b"0"), b"$tuple")
            while True: time.sleep(1)
        """,
    ),
    _forging("all descriptors closed", "def f(x):\n    os.closerange(0, 1024)\n    return True"),
    _forging("all descriptors closed, and no end", "os.closerange(0, 1024)\nwhile True: pass"),
    _forging(
        "the channel closed and something else in its place",
        """
        def f(x):
            for fd in range(4): os.dup2(0 if x["number"] else 1, fd)
            return True
        """,
    ),
    _forging(
        "a frame at exit",
        """
        import atexit, sys
        atexit.register(everywhere, RETURNED)
        class Last:
            def __del__(self): everywhere(RETURNED)
        last = Last()
        def f(x): sys.exit(0)
        """,
    ),
)
