"""Values that imitate the right one: objects with their own equality, and values that break their readers."""

from testing.attacks.attack import Attack, attack, trying

_EQUAL = """\
def equal(kind):
    return type("Same", (kind,), {
        "__eq__": lambda self, other: True, "__ne__": lambda self, other: False, "__hash__": lambda self: 1,
    })
"""


def _subclass(kind: str) -> Attack:
    return attack("equality", f"{kind} that equals everything", f"def f(x): return equal({kind})()", _EQUAL)


ANSWERS: tuple[Attack, ...] = (
    *map(_subclass, ("object", "int", "float", "str", "bytes", "list", "tuple", "set", "frozenset", "dict")),
    attack(
        "equality",
        "equal objects inside plain containers",
        """
        def f(x):
            same = equal(int)()
            return [[same], {"a": same}, {same: same}, (same, [same]), {same}][x["number"]]
        """,
        _EQUAL,
    ),
    attack(
        "equality",
        "an object that says its class is int",
        """
        class Liar:
            __class__ = property(lambda self: int)
            def __eq__(self, other): return True
            def __int__(self): return 1
            def __index__(self): return 1
        def f(x): return Liar() if x["number"] else [Liar()]
        """,
    ),
    attack(
        "equality",
        "a class whose metaclass equals everything",
        """
        class Meta(type):
            def __eq__(cls, other): return True
            def __hash__(cls): return 1
            def __instancecheck__(cls, other): return True
            __name__ = __class__ = property(lambda cls: int)
        class Same(metaclass=Meta): pass
        def f(x): return Same if x["number"] else Same()
        """,
    ),
    attack(
        "equality",
        "__reduce__ that runs code where it is unpickled",
        """
        class Reduced:
            def __reduce__(self): return eval, ("__import__('os')._exit(0)",)
            __reduce_ex__ = __getstate__ = __json__ = lambda self, *_: self.__reduce__()
        def f(x): return Reduced() if x["number"] else {"a": [Reduced()]}
        """,
    ),
    attack(
        "equality",
        "int, str and list with another __eq__ put into the type itself",
        """
        import ctypes, gc
        def curse(kind):
            gc.get_referents(kind.__dict__)[0]["__eq__"] = lambda self, other: True
            ctypes.pythonapi.PyType_Modified(ctypes.py_object(kind))
        for kind in (int, str, list): curse(kind)
        def f(x): return [1, "a", [1]][x["number"]]
        """,
    ),
    attack(
        "equality",
        "an equal object whose type is overwritten in memory",
        """
        import ctypes
        def f(x):
            same = equal(int)(7)
            ctypes.c_void_p.from_address(id(same) + 8).value = id((int, str, list)[x["number"]])
            return same
        """,
        _EQUAL,
    ),
    attack(
        "equality",
        "True, None, nan, NotImplemented and the like",
        """
        import decimal, math
        def f(x): return [True, math.nan, ..., NotImplemented, decimal.Decimal("sNaN"), None][2 * x["number"]]
        """,
    ),
    attack(
        "values",
        "containers that lie about their length and change while they are read",
        """
        class Long(list):
            def __len__(self): return 2 ** 62
            def __iter__(self):
                while True: yield self
        class Map(dict):
            def items(self): return Long()
            keys = values = items
        def f(x): return [Long([1]), Map(a=1), [Map(a=Long())]][x["number"]]
        """,
    ),
    attack(
        "values",
        "deep and cyclic values",
        """
        def f(x):
            if x["number"] == 0:
                x["x"] = x
                return x
            deep = []
            for _ in range(10 ** (1 + 2 * x["number"])): deep = [deep] if x["number"] == 1 else {"a": deep}
            return deep
        """,
    ),
    attack(
        "values",
        "surrogates, NULs and tags in values",
        """
        def f(x):
            return [["\\ud83d", "\\udc00\\0", "\\x00" * 9], {"$int": "0x1", "\\0": {"$tuple": []}, "$": "\\udfff"},
                    {("\\ud800", b"\\0"): {"$str": "gA=="}}][x["number"]]
        """,
    ),
    attack(
        "values",
        "surrogates, NULs and a million characters in names and messages",
        """
        class Meta(type):
            __name__ = property(lambda cls: "\\ud800\\0" * 10 ** 6)
        class Odd(Exception, metaclass=Meta): pass
        Odd.__qualname__ = Odd.__module__ = "\\udfff\\0[31m"
        def f(x): raise Odd("\\ud800\\0\\x1b]0;\\a" * 10 ** 6)
        """,
    ),
    attack(
        "values",
        "an exception that attacks when it is read",
        """
        import os, sys
        class Text(str):
            def __getitem__(self, key): os._exit(0)
            def __len__(self): raise SystemExit
        class Bad(BaseException):
            def __str__(self): return Text("text") if self.args[0] else sys.exit(0)
            __repr__ = __str__
            __class__ = property(lambda self: sys.exit(0))
        def f(x): raise Bad(x["number"])
        """,
    ),
    attack(
        "values",
        "exceptions that are their own cause, and groups without end",
        """
        def f(x):
            if x["number"] == 0:
                error = ValueError()
                raise error from error
            error = ValueError()
            for _ in range(10 ** 4): error = ExceptionGroup("", [error])
            raise error
        """,
    ),
    attack(
        "values",
        "ten million items, long text, one huge number",
        """
        def f(x): return [lambda: [0] * 10 ** 7, lambda: "x" * 10 ** 7, lambda: 1 << 10 ** 7][x["number"]]()
        """,
    ),
    attack(
        "values",
        "numbers beyond the digit limit",
        """
        import sys
        def f(x):
            if x["number"] == 0: return 10 ** 4400
            if x["number"] == 1: raise ValueError(10 ** 5000)
            sys.set_int_max_str_digits(0)
            return str(10 ** 10 ** 6)
        """,
    ),
    attack("values", "a number that takes minutes to compute", "def f(x): return 10 ** 10 ** 8"),
    trying(
        "values",
        "the inputs given back as the answer",
        """
        def f(x): return [x, x["nonce"], list(x.values())][x["number"]]
        """,
    ),
)
