"""Conditions: the right branch for the right input."""

from functools import partial

from labs.microcoder.tasks.template import Template, one_of

_template = partial(Template, category="conditions")
_K = one_of(k=range(2, 10))
_LOW = one_of(low=range(5))
_HIGH = one_of(high=(6, 7, 8, 9, 10, 20))
_WORDS = one_of(
    yes=("yes", "big", "hot", "full", "open"),
    no=("no", "small", "cold", "empty", "shut"),
)

TEMPLATES: tuple[Template, ...] = (
    _template(
        difficulty=1,
        name="divides_$k|label_$k",
        parameters={"n": "int"},
        description="'$yes' when $n is divisible by $k and '$no' otherwise|'$yes' if $k divides $n else '$no'",
        body="""
        if $n % $k == 0:
            return '$yes'
        return '$no'
        """,
        mistakes=(("== 0", "== 1"), ("% $k", "// $k")),
        choices=(_K, _WORDS),
    ),
    _template(
        difficulty=1,
        name="over_$k|above_$k",
        parameters={"n": "int"},
        description="'$yes' when $n is above $k and '$no' otherwise|'$yes' if $n is more than $k else '$no'",
        body="""
        if $n > $k:
            return '$yes'
        return '$no'
        """,
        mistakes=(("$n > $k", "$n < $k"), ("$n > $k", "$n > 0")),
        choices=(_K, _WORDS),
    ),
    _template(
        difficulty=1,
        name="sign|sign_word|which_sign",
        parameters={"n": "int"},
        description="'positive' or 'negative' or 'zero' for $n|the sign of $n in words",
        body="""
        if $n > 0:
            return 'positive'
        if $n < 0:
            return 'negative'
        return 'zero'
        """,
        mistakes=(("$n > 0", "$n >= 0"), ("$n < 0", "$n <= 0")),
    ),
    _template(
        difficulty=1,
        name="between_${low}_$high|in_${low}_$high",
        parameters={"n": "int"},
        description="whether $n is from $low to $high|True when $n lies between $low and $high inclusive",
        body="return $low <= $n <= $high",
        mistakes=(("$low <=", "$low <"), ("<= $high", "< $high")),
        choices=(_LOW, _HIGH),
        invariants=("isinstance(result, bool)",),
    ),
    _template(
        difficulty=2,
        name="clamp_${low}_$high|limit_${low}_$high",
        parameters={"n": "int"},
        description="$n but at least $low and at most $high|$n kept between $low and $high",
        body="""
        if $n < $low:
            return $low
        if $n > $high:
            return $high
        return $n
        """,
        mistakes=(("    if $n < $low:\n        return $low\n", ""), ("return $high", "return $low")),
        choices=(_LOW, _HIGH),
        invariants=("$low <= result <= $high",),
    ),
    _template(
        difficulty=2,
        name="larger_from_$k|best_from_$k",
        parameters={"a": "int", "b": "int"},
        description="the larger of $a and $b but at least $k"
        "|whichever of $a and $b is larger, $k when both are below it",
        body="""
        best = $a
        if $b > best:
            best = $b
        if best < $k:
            best = $k
        return best
        """,
        mistakes=(("    if best < $k:\n        best = $k\n", ""), ("$b > best", "$b < best")),
        choices=(_K,),
        invariants=("result >= $k",),
    ),
    _template(
        difficulty=2,
        name="longer|longer_text|pick_longer",
        parameters={"s": "left_word", "t": "right_word"},
        description="the longer of $s and $t and $s on a tie|whichever of $s and $t is longer, $s when equal",
        body="""
        if len($t) > len($s):
            return $t
        return $s
        """,
        mistakes=(("len($t) > len($s)", "$t > $s"), (">", "<")),
        invariants=("result in ($s, $t)",),
    ),
    _template(
        difficulty=2,
        name="price_${k}_$high|discount_${k}_$high",
        parameters={"n": "int"},
        description="$n minus $k when $n is at least $high and $n otherwise|$n reduced by $k if $n is $high or more",
        body="""
        if $n >= $high:
            return $n - $k
        return $n
        """,
        mistakes=((">= $high", "> $high"), ("- $k", "+ $k")),
        choices=(_K, _HIGH),
    ),
    _template(
        difficulty=2,
        name="collatz_$k|jump_$k",
        parameters={"n": "int"},
        description="half of $n when $n is even and $k times $n plus 1 when it is odd"
        "|$n halved if even else $k times $n plus 1",
        body="""
        if $n % 2 == 0:
            return $n // 2
        return $n * $k + 1
        """,
        mistakes=(("== 0", "== 1"), ("* $k + 1", "* $k"), ("//", "/")),
        choices=(_K,),
    ),
    _template(
        difficulty=2,
        name="exactly_one_above_$k|one_over_$k",
        parameters={"a": "int", "b": "int"},
        description="whether exactly one of $a and $b is above $k|True when only one of $a and $b is over $k",
        body="return ($a > $k) != ($b > $k)",
        mistakes=(("!=", "or"), ("!=", "and")),
        choices=(_K,),
        invariants=("isinstance(result, bool)",),
    ),
    _template(
        difficulty=3,
        name="fizz_${j}_$k|code_${j}_$k",
        parameters={"n": "natural"},
        description="'both' when $j and $k divide $n, 'first' for $j only, 'second' for $k only and 'none' otherwise",
        body="""
        if $n % $j == 0 and $n % $k == 0:
            return 'both'
        if $n % $j == 0:
            return 'first'
        if $n % $k == 0:
            return 'second'
        return 'none'
        """,
        mistakes=(
            ("    if $n % $j == 0 and $n % $k == 0:\n        return 'both'\n", ""),
            (" and ", " or "),
            ("return 'none'", "return ''"),
        ),
        choices=(one_of(j=(2, 3, 4)), one_of(k=(5, 7, 9))),
    ),
    _template(
        difficulty=3,
        name="grade_${low}_$high|size_${low}_$high",
        parameters={"n": "int"},
        description="'low' below $low, 'high' from $high on and 'mid' between for $n",
        body="""
        if $n < $low:
            return 'low'
        if $n >= $high:
            return 'high'
        return 'mid'
        """,
        mistakes=(("$n < $low", "$n <= $low"), (">= $high", "> $high"), ("return 'mid'", "return 'low'")),
        choices=(_LOW, _HIGH),
    ),
    _template(
        difficulty=3,
        name="fare_${k}_$high|toll_${k}_$high",
        parameters={"n": "int"},
        description="0 for $n below 1, $k times $n up to $high and $k times $high above"
        "|$k for each of $n, at most $high of them",
        body="""
        if $n < 1:
            return 0
        if $n > $high:
            return $high * $k
        return $n * $k
        """,
        mistakes=(("    if $n < 1:\n        return 0\n", ""), ("$n > $high", "$n < $high"), ("$high * $k", "$high")),
        choices=(_K, _HIGH),
        invariants=("result >= 0",),
    ),
)
