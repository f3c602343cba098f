"""Edge cases: empty lists, None, a zero divisor, a missing key, a position past the end."""

from functools import partial

from labs.microcoder.tasks.template import Template, one_of

_template = partial(Template, "edge_cases")
_DEFAULT = one_of(d=("None", 0, -1, 99), word=("none", "zero", "minus", "max"))
_K = one_of(k=range(1, 7))

# fmt: off
TEMPLATES: tuple[Template, ...] = (
    _template(
        1, "first_or_$word|head_or_$word", {"xs": "ints"},
        "the first item of $xs or $d when $xs is empty|$xs at its start, $d for an empty list",
        """
        if not $xs:
            return $d
        return $xs[0]
        """,
        (("    if not $xs:\n        return $d\n", ""), ("$xs[0]", "$xs[1]")),
        (_DEFAULT,),
    ),
    _template(
        1, "last_or_$word|tail_or_$word", {"xs": "ints"},
        "the last item of $xs or $d when $xs is empty|$xs at its end, $d for an empty list",
        """
        if not $xs:
            return $d
        return $xs[-1]
        """,
        (("    if not $xs:\n        return $d\n", ""), ("$xs[-1]", "$xs[len($xs)]")),
        (_DEFAULT,),
    ),
    _template(
        1, "length_or_none_$k|size_plus_$k", {"s": "maybe_text"},
        "the length of $s plus $k or 0 when $s is None|0 for None, otherwise the length of $s plus $k",
        """
        if $s is None:
            return 0
        return len($s) + $k
        """,
        (("    if $s is None:\n        return 0\n", ""), ("$s is None", "not $s")), (_K,),
    ),
    _template(
        1, "plus_$k|add_or_$k", {"n": "maybe_int"},
        "$n plus $k or $k when $n is None|$k for None, otherwise $n plus $k",
        """
        if $n is None:
            return $k
        return $n + $k
        """,
        (("    if $n is None:\n        return $k\n", ""), ("return $k", "return None")), (_K,),
    ),
    _template(
        2, "divide_or_$word|ratio_or_$word", {"a": "int", "b": "int"},
        "$a divided by $b rounded down or $d when $b is zero"
        "|$d for a zero $b, otherwise $a divided by $b rounded down",
        """
        if $b == 0:
            return $d
        return $a // $b
        """,
        (("    if $b == 0:\n        return $d\n", ""), ("$b == 0", "$a == 0"), ("//", "/")),
        (_DEFAULT,),
    ),
    _template(
        2, "rest_or_$word|left_over_or_$word", {"a": "int", "b": "int"},
        "the rest of $a divided by $b or $d when $b is zero"
        "|$d for a zero $b, otherwise what is left of $a by $b",
        """
        if $b == 0:
            return $d
        return $a % $b
        """,
        (("    if $b == 0:\n        return $d\n", ""), ("%", "//")),
        (_DEFAULT,),
    ),
    _template(
        2, "mean_or_$word|average_or_$word", {"xs": "ints"},
        "the mean of $xs rounded down or $d when $xs is empty"
        "|$d for an empty list, otherwise the mean of $xs rounded down",
        """
        if not $xs:
            return $d
        return sum($xs) // len($xs)
        """,
        (("    if not $xs:\n        return $d\n", ""), ("//", "/")),
        (_DEFAULT,),
    ),
    _template(
        2, "${which}_or_$word|${which}_with_$word", {"xs": "ints"},
        "the ${which}imum of $xs or $d when $xs is empty|$d for an empty list, otherwise the ${which}imum of $xs",
        """
        if not $xs:
            return $d
        return $which($xs)
        """,
        (("    if not $xs:\n        return $d\n", ""), ("return $which($xs)", "return $xs[0]")),
        (
            one_of(which=("max", "min")),
            one_of(d=("None", 0, -1, 99), word=("none", "zero", "minus", "top")),
        ),
    ),
    _template(
        2, "at_${k}_or_$word|item_${k}_or_$word", {"xs": "ints"},
        "the item of $xs at position $k or $d when $xs is too short|$xs at $k, $d past the end",
        """
        if len($xs) <= $k:
            return $d
        return $xs[$k]
        """,
        (("    if len($xs) <= $k:\n        return $d\n", ""), ("<= $k", "< $k")),
        (_K, _DEFAULT),
    ),
    _template(
        2, "look_up_or_$word|get_or_$word", {"table": "table", "key": "key"},
        "the value of $key in $table or $d when it is missing|$table at $key, $d for a missing $key",
        """
        if $key not in $table:
            return $d
        return $table[$key]
        """,
        (("    if $key not in $table:\n        return $d\n", ""), ("not in", "in")),
        (_DEFAULT,),
    ),
    _template(
        3, "total_known|sum_known|add_present", {"xs": "holes"},
        "the sum of $xs leaving out None|all items of $xs that are not None added up",
        """
        total = 0
        for x in $xs:
            if x is not None:
                total += x
        return total
        """,
        (
            ("        if x is not None:\n            total += x\n", "        total += x\n"),
            ("total += x", "total = x"),
        ),
    ),
    _template(
        3, "number_or_$word|parse_or_$word", {"s": "digits"},
        "$s as a number or $d when it is not all digits|$d for a text that is not digits, otherwise the number in $s",
        """
        if not $s.isdigit():
            return $d
        return int($s)
        """,
        (("    if not $s.isdigit():\n        return $d\n", ""), ("int($s)", "$s")),
        (_DEFAULT,),
    ),
    _template(
        3, "second_or_$word|runner_up_or_$word", {"xs": "ints"},
        "the second largest of $xs or $d with fewer than two items"
        "|$d under two items, otherwise the second largest of $xs",
        """
        if len($xs) < 2:
            return $d
        return sorted($xs)[-2]
        """,
        (("len($xs) < 2", "not $xs"), ("    if len($xs) < 2:\n        return $d\n", ""), ("[-2]", "[1]")),
        (_DEFAULT,),
    ),
    _template(
        3, "total_or_$word|sum_or_$word", {"xs": "maybe_ints"},
        "the sum of $xs times $k or $d when $xs is None or empty"
        "|$d for None or an empty list, otherwise the sum of $xs times $k",
        """
        if not $xs:
            return $d
        return sum($xs) * $k
        """,
        (("    if not $xs:\n        return $d\n", ""), ("* $k", "+ $k")),
        (one_of(k=range(2, 7)), one_of(d=(-1, 99, 5), word=("minus", "max", "five"))),
    ),
)
