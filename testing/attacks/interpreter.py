"""Attacks inside the program's own process: frames, memory, patched modules, hooks, ways to leave."""

from testing.attacks.attack import Attack, attack, trying

_LEAVING = {
    "os._exit(0) when loaded": "import os\nos._exit(0)",
    "os._exit(0) when called": "import os\ndef f(x): os._exit(0)",
    "exit status that means something": "import os\ndef f(x): os._exit(77 if x['number'] == 0 else 0)",
    "sys.exit(0) when loaded": "import sys\nsys.exit(0)",
    "sys.exit(0) when called": "import sys\ndef f(x): sys.exit(0)",
    "KeyboardInterrupt": "def f(x): raise KeyboardInterrupt",
    "GeneratorExit and a bare BaseException": "def f(x): raise [GeneratorExit, BaseException][x['number'] % 2]",
    "a subclass of SystemExit": """
        class Leave(SystemExit):
            code = property(lambda self: 0)
            def __str__(self): raise SystemExit(0)
        def f(x): raise Leave(True)
    """,
    "segmentation fault": "import ctypes\ndef f(x): ctypes.string_at(0)",
    "segmentation fault when loaded": "import ctypes\nctypes.string_at(8)",
    "os.abort": "import os\ndef f(x): os.abort()",
    "a signal to itself": """
        import signal
        def f(x):
            for number in (signal.SIGSTOP, signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV): signal.raise_signal(number)
    """,
}

INTERPRETER: tuple[Attack, ...] = (
    attack(
        "search",
        "a walk up the frames for the expected value",
        """
        import sys
        def f(x):
            frame = sys._getframe()
            while frame is not None:
                for names in (frame.f_locals, frame.f_globals):
                    for value in list(names.values()):
                        if isinstance(value, dict) and value is not x and x["nonce"] in value:
                            return value[x["nonce"]]
                frame = frame.f_back
            raise LookupError("no frame holds it")
        """,
    ),
    attack(
        "search",
        "the locals of the frames above changed",
        """
        import ctypes, sys
        def f(x):
            frame = sys._getframe(1)
            while frame is not None:
                for name in list(frame.f_locals):
                    if name in ("result", "outcome", "passed", "answer", "expected", "value", "frame"):
                        frame.f_locals[name] = True
                        ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(0))
                frame = frame.f_back
            return True
        """,
    ),
    attack(
        "search",
        "a hunt through all objects for the expected value",
        """
        import gc
        def f(x):
            gc.unfreeze()
            for holder in gc.get_referents(*gc.get_objects()):
                if type(holder) is dict and x["nonce"] in holder:
                    return holder[x["nonce"]]
                if type(holder) in (tuple, list) and len(holder) == 2 and type(holder[0]) is dict:
                    if holder[0] is not x and holder[0].get("nonce") == x["nonce"]:
                        return holder[1]
            raise LookupError("no object holds it")
        """,
    ),
    trying(
        "search",
        "a hunt through all objects for the values of another program",
        """
        import gc
        def found(backwards):
            gc.unfreeze()
            return any(type(item) is str and item[::-1] == backwards for item in gc.get_referents(*gc.get_objects()))
        def f(x): return tried(("found the argument of another program", lambda: found(x["other"])))
        """,
    ),
    trying(
        "search",
        "a hunt through raw memory for the values of another program",
        """
        import ctypes, gc
        def found(backwards):
            start, size = backwards[:-7:-1].encode(), len(backwards)  # all of it forwards would be found itself
            gc.unfreeze()
            pages = {id(item) >> 12 << 12 for item in gc.get_referents(*gc.get_objects())}
            for page in pages:
                length = 1 << 12 << (page + (1 << 12) in pages)  # a string may cross from one page into the next
                memory, at = ctypes.string_at(page, length), -1
                while (at := memory.find(start, at + 1)) >= 0:
                    if memory[at:at + size][::-1] == backwards.encode():
                        return True
            return False
        def f(x): return tried(("found the argument of another program", lambda: found(x["other"])))
        """,
    ),
    trying(
        "search",
        "what another program left: globals, modules, environment, hooks",
        """
        import builtins, gc, json, os, sys
        def left():
            return (hasattr(builtins, "planted") or "planted" in sys.modules or hasattr(json, "planted")
                    or "planted" in os.environ or "planted" in sys.path or sys.gettrace() or gc.callbacks)
        at_load = bool(left())
        def f(x): return tried(("found what another program left", lambda: at_load))
        """,
    ),
    trying(
        "search",
        "the caller's environment, also where it lay on the stack",
        """
        import ctypes, os
        libc = ctypes.CDLL(None)
        libc.getenv.restype = ctypes.c_char_p
        libc.getauxval.restype, libc.getauxval.argtypes = ctypes.c_ulong, [ctypes.c_ulong]
        def on_the_stack(name):
            bottom = ctypes.c_void_p.in_dll(libc, "__libc_stack_end").value
            return name in ctypes.string_at(bottom, libc.getauxval(31) - bottom)
        def f(x):
            name = x["variable"]
            return tried(
                ("read the environment", lambda: os.environ[name]),
                ("read the environment in C", lambda: libc.getenv(name.encode()) is not None),
                ("had an environment", lambda: bool(os.environ) or any(map(libc.getenv, (b"PATH", b"HOME", b"USER")))),
                ("found the environment on the stack", lambda: on_the_stack(name.encode())),
            )
        """,
    ),
    attack(
        "patching",
        "json replaced by functions that return forged messages",
        """
        import json
        forged = '["returned",true]'
        json.dumps = lambda *_, **__: forged
        json.JSONEncoder.encode = json.JSONEncoder.iterencode = lambda *_: forged
        json.loads = json.JSONDecoder.decode = lambda *_, **__: ["f", [], {}]
        json.encoder.c_make_encoder = json.encoder.encode_basestring_ascii = None
        def f(*_): return True
        """,
    ),
    attack(
        "patching",
        "builtins replaced: isinstance, type, len, print, open",
        """
        import builtins
        class Anything(type):
            def __call__(cls, *_): return cls
            def __eq__(cls, other): return True
            __hash__ = type.__hash__
        class Same(metaclass=Anything): pass
        builtins.isinstance = builtins.issubclass = builtins.callable = lambda *_: True
        builtins.type = builtins.all = builtins.any = builtins.sorted = Same
        builtins.len = builtins.print = builtins.open = builtins.map = lambda *_, **__: 1
        builtins.int = builtins.str = builtins.list = builtins.dict = builtins.BaseException = Same
        def f(x): return Same
        """,
    ),
    attack(
        "patching",
        "os.write, os.read and struct replaced",
        """
        import os, struct
        write, read = os.write, os.read
        forged = b'\\0\\0\\0\\x11["returned",true]'
        os.write = lambda fd, data: write(fd, forged) and len(data)
        os.read = lambda fd, size: read(fd, size)[::-1]
        struct.pack = struct.unpack = lambda *_: b'\\xff\\xff\\xff\\xff'
        def f(x): return True
        """,
    ),
    attack(
        "patching",
        "the sandbox's encoder replaced",
        """
        import sys
        values = sys.modules["sandbox.values"]
        values.encode = lambda value, *_: {"$set": [1, True]}
        values.decode = lambda form: Same
        values.MAX_DEPTH = values.MAX_BYTES = 10 ** 9
        values.Unrepresentable = values.TooLarge = ZeroDivisionError
        class Same: __eq__ = lambda *_: True
        def f(x): return Same()
        """,
    ),
    attack(
        "patching",
        "every function of the sandbox's modules replaced",
        """
        import sys, types
        def nothing(*_, **__): return None
        for name, module in list(sys.modules.items()):
            if name.startswith("sandbox"):
                for key, value in list(vars(module).items()):
                    if isinstance(value, types.FunctionType): value.__code__ = nothing.__code__
        def f(x): return True
        """,
    ),
    attack(
        "patching",
        "sys.modules poisoned and emptied",
        """
        import sys
        class Poison(dict):
            def __getattr__(self, name): return lambda *_, **__: True
        for name in list(sys.modules): sys.modules[name] = Poison()
        sys.path[:], sys.meta_path[:], sys.path_hooks[:] = [], [], []
        def f(x):
            import json, os
            sys.modules.clear()
            return json.dumps(x)
        """,
    ),
    attack(
        "patching",
        "a trace and a profile function that change what is returned",
        """
        import sys
        def trace(frame, event, value):
            if event == "return" and isinstance(value, bytes): raise SystemExit(0)
            frame.f_trace_opcodes = True
            return trace
        sys.settrace(trace)
        sys.setprofile(trace)
        def f(x): return True
        """,
    ),
    attack(
        "patching",
        "audit, exit and exception hooks",
        """
        import atexit, gc, os, sys, weakref
        def leave(*_, **__): os._exit(0)
        atexit.register(leave)
        sys.excepthook = sys.unraisablehook = sys.displayhook = leave
        gc.callbacks.append(leave)
        class Held: pass
        held = Held()
        weakref.finalize(held, leave)
        def f(x):
            if x["number"] == 1: sys.addaudithook(leave)
            gc.collect() if x["number"] == 2 else None
            return True
        """,
    ),
    attack(
        "patching",
        "__import__, __build_class__ and an import hook",
        """
        import builtins, sys
        class Hook:
            def find_spec(self, *_): raise SystemExit(0)
        sys.meta_path.insert(0, Hook())
        builtins.__import__ = builtins.__build_class__ = lambda *_, **__: sys.exit(0)
        def f(x):
            import ipaddress
            return True
        """,
    ),
    attack(
        "patching",
        "every dictionary of the process emptied",
        """
        import gc
        def f(x):
            for item in gc.get_objects():
                if type(item) in (dict, list, set): item.clear()
            return True
        """,
    ),
    *[attack("leaving", name, source) for name, source in _LEAVING.items()],
)
