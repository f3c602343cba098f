"""Lists: whole numbers in a list; a number or another list out."""

from functools import partial

from labs.microcoder.tasks.template import Template, one_of

_template = partial(Template, "lists")
_K = one_of(k=range(2, 9))
_TEST = one_of(
    what=("even", "odd", "positive", "negative"),
    test=("x % 2 == 0", "x % 2 == 1", "x > 0", "x < 0"),
)

# fmt: off
TEMPLATES: tuple[Template, ...] = (
    _template(
        1, "scale_$k|times_$k", {"xs": "ints"}, "the numbers of $xs times $k|each number of $xs multiplied by $k",
        "return [x * $k for x in $xs]", (("x * $k", "x + $k"), ("[x * $k for x in $xs]", "$xs * $k")), (_K,),
        invariants=("len(result) == len($xs)",),
    ),
    _template(
        1, "shift_$k|raise_by_$k", {"xs": "ints"}, "the numbers of $xs plus $k|each number of $xs raised by $k",
        "return [x + $k for x in $xs]", (("x + $k", "x * $k"), ("x + $k", "x + 1")), (_K,),
        invariants=("len(result) == len($xs)",),
    ),
    _template(
        1, "only_$what|keep_$what", {"xs": "ints"}, "the $what numbers of $xs|all $what numbers in $xs in order",
        "return [x for x in $xs if $test]", ((" if $test", ""), ("if $test", "if not $test")), (_TEST,),
        invariants=("len(result) <= len($xs)",),
    ),
    _template(
        1, "first_$k|head_$k", {"xs": "ints"}, "the first $k items of $xs|a list of the first $k items of $xs",
        "return $xs[:$k]", (("[:$k]", "[$k:]"), ("[:$k]", "[1:$k]")), (_K,), invariants=("len(result) <= $k",),
    ),
    _template(
        1, "every_other_from_$j|alternate_from_$j", {"xs": "ints"},
        "every second item of $xs from position $j|the items of $xs in steps of two from position $j",
        "return $xs[$j::2]", (("[$j::2]", "[$j:2]"), ("[$j::2]", "[$j:]")), (one_of(j=range(4)),),
    ),
    _template(
        2, "total_$what|sum_$what", {"xs": "ints"},
        "the sum of the $what numbers in $xs|all $what numbers of $xs added up",
        """
        total = 0
        for x in $xs:
            if $test:
                total += x
        return total
        """,
        (("total += x", "total += 1"), ("total = 0", "total = 1")), (_TEST,),
    ),
    _template(
        2, "count_above_$k|how_many_over_$k", {"xs": "ints"},
        "how many numbers of $xs are above $k|the count of numbers over $k in $xs",
        """
        count = 0
        for x in $xs:
            if x > $k:
                count += 1
        return count
        """,
        (("x > $k", "x < $k"), ("count += 1", "count += x")), (_K,), invariants=("0 <= result <= len($xs)",),
    ),
    _template(
        2, "spread|range_of|high_minus_low", {"xs": "some_ints"},
        "the largest minus the smallest number of $xs|the gap between the smallest and largest in $xs",
        "return max($xs) - min($xs)", (("max($xs) - min($xs)", "$xs[-1] - $xs[0]"), ("- min", "+ min")),
        invariants=("result >= 0",),
    ),
    _template(
        2, "top_$k|largest_$k", {"xs": "ints"},
        "the $k largest numbers of $xs from high to low|the top $k of $xs with the largest first",
        "return sorted($xs, reverse=True)[:$k]",
        ((", reverse=True", ""), ("[:$k]", "[$k:]")), (_K,), invariants=("len(result) <= $k",),
    ),
    _template(
        2, "added_pairs|sum_each|add_lists", {"xs": "ints", "ys": "ints"},
        "the sums of the items of $xs and $ys at the same position|item by item sums of $xs and $ys",
        "return [x + y for x, y in zip($xs, $ys)]",
        (("[x + y for x, y in zip($xs, $ys)]", "$xs + $ys"), ("x + y", "x - y")),
    ),
    _template(
        3, "running_total|sums_so_far|cumulative", {"xs": "ints"},
        "the running totals of $xs|a list of the sums of $xs so far",
        """
        result = []
        total = 0
        for x in $xs:
            total += x
            result.append(total)
        return result
        """,
        (("append(total)", "append(x)"), ("total += x", "total = x")), invariants=("len(result) == len($xs)",),
    ),
    _template(
        3, "steps|neighbour_gaps|differences", {"xs": "ints"},
        "each item of $xs minus the one before it|the differences between neighbours in $xs",
        """
        result = []
        for i in range(1, len($xs)):
            result.append($xs[i] - $xs[i - 1])
        return result
        """,
        (
            ("range(1, len($xs))", "range(len($xs))"),
            ("range(1, len($xs))", "range(1, len($xs) - 1)"),
            ("- $xs", "+ $xs"),
        ),
    ),
    _template(
        3, "unique|without_repeats|first_seen", {"xs": "ints"},
        "$xs without repeats in the order first seen|the different numbers of $xs in their order",
        """
        result = []
        for x in $xs:
            if x not in result:
                result.append(x)
        return result
        """,
        (("if x not in result", "if x in $xs"), ("not in", "in")), invariants=("len(set(result)) == len(result)",),
    ),
    _template(
        3, "chunks_of_$k|split_by_$k", {"xs": "ints"},
        "$xs cut into lists of $k items|the items of $xs in groups of $k",
        """
        result = []
        for i in range(0, len($xs), $k):
            result.append($xs[i:i + $k])
        return result
        """,
        ((", $k)", ")"), ("i + $k", "$k")), (one_of(k=range(2, 5)),),
    ),
)
