"""Lists: whole numbers in a list; a number or another list out."""

from functools import partial

from labs.microcoder.tasks.template import Template, one_of

_template = partial(Template, category="lists")
_K = one_of(k=range(2, 9))
_TEST = one_of(
    what=("even", "odd", "positive", "negative"),
    test=("x % 2 == 0", "x % 2 == 1", "x > 0", "x < 0"),
)

TEMPLATES: tuple[Template, ...] = (
    _template(
        difficulty=1,
        name="scale_$k|times_$k",
        parameters={"xs": "ints"},
        description="the numbers of $xs times $k|each number of $xs multiplied by $k",
        body="return [x * $k for x in $xs]",
        mistakes=(("x * $k", "x + $k"), ("[x * $k for x in $xs]", "$xs * $k")),
        choices=(_K,),
        invariants=("len(result) == len($xs)",),
    ),
    _template(
        difficulty=1,
        name="shift_$k|raise_by_$k",
        parameters={"xs": "ints"},
        description="the numbers of $xs plus $k|each number of $xs raised by $k",
        body="return [x + $k for x in $xs]",
        mistakes=(("x + $k", "x * $k"), ("x + $k", "x + 1")),
        choices=(_K,),
        invariants=("len(result) == len($xs)",),
    ),
    _template(
        difficulty=1,
        name="only_$what|keep_$what",
        parameters={"xs": "ints"},
        description="the $what numbers of $xs|all $what numbers in $xs in order",
        body="return [x for x in $xs if $test]",
        mistakes=((" if $test", ""), ("if $test", "if not $test")),
        choices=(_TEST,),
        invariants=("len(result) <= len($xs)",),
    ),
    _template(
        difficulty=1,
        name="first_$k|head_$k",
        parameters={"xs": "ints"},
        description="the first $k items of $xs|a list of the first $k items of $xs",
        body="return $xs[:$k]",
        mistakes=(("[:$k]", "[$k:]"), ("[:$k]", "[1:$k]")),
        choices=(_K,),
        invariants=("len(result) <= $k",),
    ),
    _template(
        difficulty=1,
        name="every_other_from_$j|alternate_from_$j",
        parameters={"xs": "ints"},
        description="every second item of $xs from position $j|the items of $xs in steps of two from position $j",
        body="return $xs[$j::2]",
        mistakes=(("[$j::2]", "[$j:2]"), ("[$j::2]", "[$j:]")),
        choices=(one_of(j=range(4)),),
    ),
    _template(
        difficulty=2,
        name="total_$what|sum_$what",
        parameters={"xs": "ints"},
        description="the sum of the $what numbers in $xs|all $what numbers of $xs added up",
        body="""
        total = 0
        for x in $xs:
            if $test:
                total += x
        return total
        """,
        mistakes=(("total += x", "total += 1"), ("total = 0", "total = 1")),
        choices=(_TEST,),
    ),
    _template(
        difficulty=2,
        name="count_above_$k|how_many_over_$k",
        parameters={"xs": "ints"},
        description="how many numbers of $xs are above $k|the count of numbers over $k in $xs",
        body="""
        count = 0
        for x in $xs:
            if x > $k:
                count += 1
        return count
        """,
        mistakes=(("x > $k", "x < $k"), ("count += 1", "count += x")),
        choices=(_K,),
        invariants=("0 <= result <= len($xs)",),
    ),
    _template(
        difficulty=2,
        name="spread|range_of|high_minus_low",
        parameters={"xs": "some_ints"},
        description="the largest minus the smallest number of $xs|the gap between the smallest and largest in $xs",
        body="return max($xs) - min($xs)",
        mistakes=(("max($xs) - min($xs)", "$xs[-1] - $xs[0]"), ("- min", "+ min")),
        invariants=("result >= 0",),
    ),
    _template(
        difficulty=2,
        name="top_$k|largest_$k",
        parameters={"xs": "ints"},
        description="the $k largest numbers of $xs from high to low|the top $k of $xs with the largest first",
        body="return sorted($xs, reverse=True)[:$k]",
        mistakes=((", reverse=True", ""), ("[:$k]", "[$k:]")),
        choices=(_K,),
        invariants=("len(result) <= $k",),
    ),
    _template(
        difficulty=2,
        name="added_pairs|sum_each|add_lists",
        parameters={"xs": "ints", "ys": "ints"},
        description="the sums of the items of $xs and $ys at the same position|item by item sums of $xs and $ys",
        body="return [x + y for x, y in zip($xs, $ys)]",
        mistakes=(("[x + y for x, y in zip($xs, $ys)]", "$xs + $ys"), ("x + y", "x - y")),
    ),
    _template(
        difficulty=3,
        name="running_total|sums_so_far|cumulative",
        parameters={"xs": "ints"},
        description="the running totals of $xs|a list of the sums of $xs so far",
        body="""
        result = []
        total = 0
        for x in $xs:
            total += x
            result.append(total)
        return result
        """,
        mistakes=(("append(total)", "append(x)"), ("total += x", "total = x")),
        invariants=("len(result) == len($xs)",),
    ),
    _template(
        difficulty=3,
        name="steps|neighbour_gaps|differences",
        parameters={"xs": "ints"},
        description="each item of $xs minus the one before it|the differences between neighbours in $xs",
        body="""
        result = []
        for i in range(1, len($xs)):
            result.append($xs[i] - $xs[i - 1])
        return result
        """,
        mistakes=(
            ("range(1, len($xs))", "range(len($xs))"),
            ("range(1, len($xs))", "range(1, len($xs) - 1)"),
            ("- $xs", "+ $xs"),
        ),
    ),
    _template(
        difficulty=3,
        name="unique|without_repeats|first_seen",
        parameters={"xs": "ints"},
        description="$xs without repeats in the order first seen|the different numbers of $xs in their order",
        body="""
        result = []
        for x in $xs:
            if x not in result:
                result.append(x)
        return result
        """,
        mistakes=(("if x not in result", "if x in $xs"), ("not in", "in")),
        invariants=("len(set(result)) == len(result)",),
    ),
    _template(
        difficulty=3,
        name="chunks_of_$k|split_by_$k",
        parameters={"xs": "ints"},
        description="$xs cut into lists of $k items|the items of $xs in groups of $k",
        body="""
        result = []
        for i in range(0, len($xs), $k):
            result.append($xs[i:i + $k])
        return result
        """,
        mistakes=((", $k)", ")"), ("i + $k", "$k")),
        choices=(one_of(k=range(2, 5)),),
    ),
)
