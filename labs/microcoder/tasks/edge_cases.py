"""Edge cases: empty lists, None, a zero divisor, a missing key, a position past the end."""

from functools import partial

from labs.microcoder.tasks.template import Template, one_of

_template = partial(Template, category="edge_cases")
_DEFAULT = one_of(d=("None", 0, -1, 99), word=("none", "zero", "minus", "max"))
_K = one_of(k=range(1, 7))

TEMPLATES: tuple[Template, ...] = (
    _template(
        difficulty=1,
        name="first_or_$word|head_or_$word",
        parameters={"xs": "ints"},
        description="the first item of $xs or $d when $xs is empty|$xs at its start, $d for an empty list",
        body="""
        if not $xs:
            return $d
        return $xs[0]
        """,
        mistakes=(("    if not $xs:\n        return $d\n", ""), ("$xs[0]", "$xs[1]")),
        choices=(_DEFAULT,),
    ),
    _template(
        difficulty=1,
        name="last_or_$word|tail_or_$word",
        parameters={"xs": "ints"},
        description="the last item of $xs or $d when $xs is empty|$xs at its end, $d for an empty list",
        body="""
        if not $xs:
            return $d
        return $xs[-1]
        """,
        mistakes=(("    if not $xs:\n        return $d\n", ""), ("$xs[-1]", "$xs[len($xs)]")),
        choices=(_DEFAULT,),
    ),
    _template(
        difficulty=1,
        name="length_or_none_$k|size_plus_$k",
        parameters={"s": "maybe_text"},
        description="the length of $s plus $k or 0 when $s is None|0 for None, otherwise the length of $s plus $k",
        body="""
        if $s is None:
            return 0
        return len($s) + $k
        """,
        mistakes=(("    if $s is None:\n        return 0\n", ""), ("$s is None", "not $s")),
        choices=(_K,),
    ),
    _template(
        difficulty=1,
        name="plus_$k|add_or_$k",
        parameters={"n": "maybe_int"},
        description="$n plus $k or $k when $n is None|$k for None, otherwise $n plus $k",
        body="""
        if $n is None:
            return $k
        return $n + $k
        """,
        mistakes=(("    if $n is None:\n        return $k\n", ""), ("return $k", "return None")),
        choices=(_K,),
    ),
    _template(
        difficulty=2,
        name="divide_or_$word|ratio_or_$word",
        parameters={"a": "int", "b": "int"},
        description="$a divided by $b rounded down or $d when $b is zero"
        "|$d for a zero $b, otherwise $a divided by $b rounded down",
        body="""
        if $b == 0:
            return $d
        return $a // $b
        """,
        mistakes=(("    if $b == 0:\n        return $d\n", ""), ("$b == 0", "$a == 0"), ("//", "/")),
        choices=(_DEFAULT,),
    ),
    _template(
        difficulty=2,
        name="rest_or_$word|left_over_or_$word",
        parameters={"a": "int", "b": "int"},
        description="the rest of $a divided by $b or $d when $b is zero"
        "|$d for a zero $b, otherwise what is left of $a by $b",
        body="""
        if $b == 0:
            return $d
        return $a % $b
        """,
        mistakes=(("    if $b == 0:\n        return $d\n", ""), ("%", "//")),
        choices=(_DEFAULT,),
    ),
    _template(
        difficulty=2,
        name="mean_or_$word|average_or_$word",
        parameters={"xs": "ints"},
        description="the mean of $xs rounded down or $d when $xs is empty"
        "|$d for an empty list, otherwise the mean of $xs rounded down",
        body="""
        if not $xs:
            return $d
        return sum($xs) // len($xs)
        """,
        mistakes=(("    if not $xs:\n        return $d\n", ""), ("//", "/")),
        choices=(_DEFAULT,),
    ),
    _template(
        difficulty=2,
        name="${which}_or_$word|${which}_with_$word",
        parameters={"xs": "ints"},
        description="the ${which}imum of $xs or $d when $xs is empty"
        "|$d for an empty list, otherwise the ${which}imum of $xs",
        body="""
        if not $xs:
            return $d
        return $which($xs)
        """,
        mistakes=(("    if not $xs:\n        return $d\n", ""), ("return $which($xs)", "return $xs[0]")),
        choices=(
            one_of(which=("max", "min")),
            one_of(d=("None", 0, -1, 99), word=("none", "zero", "minus", "top")),
        ),
    ),
    _template(
        difficulty=2,
        name="at_${k}_or_$word|item_${k}_or_$word",
        parameters={"xs": "ints"},
        description="the item of $xs at position $k or $d when $xs is too short|$xs at $k, $d past the end",
        body="""
        if len($xs) <= $k:
            return $d
        return $xs[$k]
        """,
        mistakes=(("    if len($xs) <= $k:\n        return $d\n", ""), ("<= $k", "< $k")),
        choices=(_K, _DEFAULT),
    ),
    _template(
        difficulty=2,
        name="look_up_or_$word|get_or_$word",
        parameters={"table": "table", "key": "key"},
        description="the value of $key in $table or $d when it is missing|$table at $key, $d for a missing $key",
        body="""
        if $key not in $table:
            return $d
        return $table[$key]
        """,
        mistakes=(("    if $key not in $table:\n        return $d\n", ""), ("not in", "in")),
        choices=(_DEFAULT,),
    ),
    _template(
        difficulty=3,
        name="total_known|sum_known|add_present",
        parameters={"xs": "holes"},
        description="the sum of $xs leaving out None|all items of $xs that are not None added up",
        body="""
        total = 0
        for x in $xs:
            if x is not None:
                total += x
        return total
        """,
        mistakes=(
            ("        if x is not None:\n            total += x\n", "        total += x\n"),
            ("total += x", "total = x"),
        ),
    ),
    _template(
        difficulty=3,
        name="number_or_$word|parse_or_$word",
        parameters={"s": "digits"},
        description="$s as a number or $d when it is not all digits"
        "|$d for a text that is not digits, otherwise the number in $s",
        body="""
        if not $s.isdigit():
            return $d
        return int($s)
        """,
        mistakes=(("    if not $s.isdigit():\n        return $d\n", ""), ("int($s)", "$s")),
        choices=(_DEFAULT,),
    ),
    _template(
        difficulty=3,
        name="second_or_$word|runner_up_or_$word",
        parameters={"xs": "ints"},
        description="the second largest of $xs or $d with fewer than two items"
        "|$d under two items, otherwise the second largest of $xs",
        body="""
        if len($xs) < 2:
            return $d
        return sorted($xs)[-2]
        """,
        mistakes=(("len($xs) < 2", "not $xs"), ("    if len($xs) < 2:\n        return $d\n", ""), ("[-2]", "[1]")),
        choices=(_DEFAULT,),
    ),
    _template(
        difficulty=3,
        name="total_or_$word|sum_or_$word",
        parameters={"xs": "maybe_ints"},
        description="the sum of $xs times $k or $d when $xs is None or empty"
        "|$d for None or an empty list, otherwise the sum of $xs times $k",
        body="""
        if not $xs:
            return $d
        return sum($xs) * $k
        """,
        mistakes=(("    if not $xs:\n        return $d\n", ""), ("* $k", "+ $k")),
        choices=(one_of(k=range(2, 7)), one_of(d=(-1, 99, 5), word=("minus", "max", "five"))),
    ),
)
