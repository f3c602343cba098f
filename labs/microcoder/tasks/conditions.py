"""Conditions: the right branch for the right input."""

from functools import partial

from labs.microcoder.tasks.template import Template, one_of

_template = partial(Template, "conditions")
_K = one_of(k=range(2, 10))
_LOW = one_of(low=range(5))
_HIGH = one_of(high=(6, 7, 8, 9, 10, 20))
_WORDS = one_of(
    yes=("yes", "big", "hot", "full", "open"),
    no=("no", "small", "cold", "empty", "shut"),
)

# fmt: off
TEMPLATES: tuple[Template, ...] = (
    _template(
        1, "divides_$k|label_$k", {"n": "int"},
        "'$yes' when $n is divisible by $k and '$no' otherwise|'$yes' if $k divides $n else '$no'",
        """
        if $n % $k == 0:
            return '$yes'
        return '$no'
        """,
        (("== 0", "== 1"), ("% $k", "// $k")), (_K, _WORDS),
    ),
    _template(
        1, "over_$k|above_$k", {"n": "int"},
        "'$yes' when $n is above $k and '$no' otherwise|'$yes' if $n is more than $k else '$no'",
        """
        if $n > $k:
            return '$yes'
        return '$no'
        """,
        (("$n > $k", "$n < $k"), ("$n > $k", "$n > 0")), (_K, _WORDS),
    ),
    _template(
        1, "sign|sign_word|which_sign", {"n": "int"},
        "'positive' or 'negative' or 'zero' for $n|the sign of $n in words",
        """
        if $n > 0:
            return 'positive'
        if $n < 0:
            return 'negative'
        return 'zero'
        """,
        (("$n > 0", "$n >= 0"), ("$n < 0", "$n <= 0")),
    ),
    _template(
        1, "between_${low}_$high|in_${low}_$high", {"n": "int"},
        "whether $n is from $low to $high|True when $n lies between $low and $high inclusive",
        "return $low <= $n <= $high", (("$low <=", "$low <"), ("<= $high", "< $high")), (_LOW, _HIGH),
        invariants=("isinstance(result, bool)",),
    ),
    _template(
        2, "clamp_${low}_$high|limit_${low}_$high", {"n": "int"},
        "$n but at least $low and at most $high|$n kept between $low and $high",
        """
        if $n < $low:
            return $low
        if $n > $high:
            return $high
        return $n
        """,
        (("    if $n < $low:\n        return $low\n", ""), ("return $high", "return $low")), (_LOW, _HIGH),
        invariants=("$low <= result <= $high",),
    ),
    _template(
        2, "larger_from_$k|best_from_$k", {"a": "int", "b": "int"},
        "the larger of $a and $b but at least $k|whichever of $a and $b is larger, $k when both are below it",
        """
        best = $a
        if $b > best:
            best = $b
        if best < $k:
            best = $k
        return best
        """,
        (("    if best < $k:\n        best = $k\n", ""), ("$b > best", "$b < best")), (_K,),
        invariants=("result >= $k",),
    ),
    _template(
        2, "longer|longer_text|pick_longer", {"s": "left_word", "t": "right_word"},
        "the longer of $s and $t and $s on a tie|whichever of $s and $t is longer, $s when equal",
        """
        if len($t) > len($s):
            return $t
        return $s
        """,
        (("len($t) > len($s)", "$t > $s"), (">", "<")), invariants=("result in ($s, $t)",),
    ),
    _template(
        2, "price_${k}_$high|discount_${k}_$high", {"n": "int"},
        "$n minus $k when $n is at least $high and $n otherwise|$n reduced by $k if $n is $high or more",
        """
        if $n >= $high:
            return $n - $k
        return $n
        """,
        ((">= $high", "> $high"), ("- $k", "+ $k")), (_K, _HIGH),
    ),
    _template(
        2, "collatz_$k|jump_$k", {"n": "int"},
        "half of $n when $n is even and $k times $n plus 1 when it is odd|$n halved if even else $k times $n plus 1",
        """
        if $n % 2 == 0:
            return $n // 2
        return $n * $k + 1
        """,
        (("== 0", "== 1"), ("* $k + 1", "* $k"), ("//", "/")), (_K,),
    ),
    _template(
        2, "exactly_one_above_$k|one_over_$k", {"a": "int", "b": "int"},
        "whether exactly one of $a and $b is above $k|True when only one of $a and $b is over $k",
        "return ($a > $k) != ($b > $k)", (("!=", "or"), ("!=", "and")), (_K,),
        invariants=("isinstance(result, bool)",),
    ),
    _template(
        3, "fizz_${j}_$k|code_${j}_$k", {"n": "natural"},
        "'both' when $j and $k divide $n, 'first' for $j only, 'second' for $k only and 'none' otherwise",
        """
        if $n % $j == 0 and $n % $k == 0:
            return 'both'
        if $n % $j == 0:
            return 'first'
        if $n % $k == 0:
            return 'second'
        return 'none'
        """,
        (
            ("    if $n % $j == 0 and $n % $k == 0:\n        return 'both'\n", ""),
            (" and ", " or "),
            ("return 'none'", "return ''"),
        ),
        (one_of(j=(2, 3, 4)), one_of(k=(5, 7, 9))),
    ),
    _template(
        3, "grade_${low}_$high|size_${low}_$high", {"n": "int"},
        "'low' below $low, 'high' from $high on and 'mid' between for $n",
        """
        if $n < $low:
            return 'low'
        if $n >= $high:
            return 'high'
        return 'mid'
        """,
        (("$n < $low", "$n <= $low"), (">= $high", "> $high"), ("return 'mid'", "return 'low'")),
        (_LOW, _HIGH),
    ),
    _template(
        3, "fare_${k}_$high|toll_${k}_$high", {"n": "int"},
        "0 for $n below 1, $k times $n up to $high and $k times $high above|$k for each of $n, at most $high of them",
        """
        if $n < 1:
            return 0
        if $n > $high:
            return $high * $k
        return $n * $k
        """,
        (("    if $n < 1:\n        return 0\n", ""), ("$n > $high", "$n < $high"), ("$high * $k", "$high")),
        (_K, _HIGH), invariants=("result >= 0",),
    ),
)
