"""Imports: the answer needs a module of the standard library, so the natural failure is a NameError.

Every template here has the missing import as a mistake (template.py adds it), and those that it lists.
"""

from functools import partial

from labs.microcoder.tasks.template import Template, one_of

_template = partial(Template, category="imports")
_K = one_of(k=range(2, 10))
_SMALL = one_of(k=range(2, 5))

TEMPLATES: tuple[Template, ...] = (
    _template(
        difficulty=1,
        name="whole_root_plus_$k|root_plus_$k",
        parameters={"n": "natural"},
        description="the whole square root of $n plus $k|the root of $n rounded down plus $k",
        body="return math.isqrt($n) + $k",
        mistakes=(("+ $k", "- $k"),),
        choices=(_K,),
        imports="import math",
        invariants=("result >= $k",),
    ),
    _template(
        difficulty=1,
        name="common_divisor|shared_factor|gcd_of",
        parameters={"a": "int", "b": "int"},
        description="the greatest common divisor of $a and $b|the largest number that divides $a and $b",
        body="return math.gcd($a, $b)",
        mistakes=(("math.gcd($a, $b)", "min($a, $b)"),),
        imports="import math",
        invariants=("result >= 0",),
    ),
    _template(
        difficulty=1,
        name="round_up_$k|boxes_of_$k",
        parameters={"n": "int"},
        description="$n divided by $k rounded up|how many boxes of $k hold $n",
        body="return math.ceil($n / $k)",
        mistakes=(("ceil", "floor"), ("math.ceil($n / $k)", "$n // $k")),
        choices=(_K,),
        imports="import math",
    ),
    _template(
        difficulty=1,
        name="ways_to_pick_$k|choose_$k",
        parameters={"n": "small"},
        description="how many ways there are to pick $k of $n|the number of choices of $k from $n",
        body="return math.comb($n, $k)",
        mistakes=(("$n, $k", "$k, $n"),),
        choices=(_SMALL,),
        imports="import math",
        invariants=("result >= 0",),
    ),
    _template(
        difficulty=1,
        name="${what}_of_circle|round_$what",
        parameters={"n": "natural"},
        description="the $what of a circle with radius $n|the $what of a round shape of radius $n",
        body="return $term",
        mistakes=(("math.pi", "3"),),
        choices=(one_of(what=("area", "edge"), term=("math.pi * $n ** 2", "2 * math.pi * $n")),),
        imports="import math",
    ),
    _template(
        difficulty=2,
        name="find_$what|all_$what",
        parameters={"s": "text"},
        description="the $what in $s as a list|a list of all $what in $s",
        body="return re.findall(r'$pattern', $s)",
        mistakes=(("findall", "match"),),
        choices=(
            one_of(
                what=("numbers", "capitals", "vowels", "small_words"),
                pattern=("[0-9]+", "[A-Z]", "[aeiou]", "[a-z]+"),
            ),
        ),
        imports="import re",
    ),
    _template(
        difficulty=2,
        name="mask_$what|hide_$what",
        parameters={"s": "text"},
        description="$s with its $what replaced by $p|$s where $what become $p",
        body="return re.sub(r'$pattern', '$p', $s)",
        mistakes=(("'$p', $s", "$s, '$p'"),),
        choices=(
            one_of(what=("numbers", "capitals", "vowels"), pattern=("[0-9]+", "[A-Z]", "[aeiou]")),
            one_of(p=("x", "_")),
        ),
        imports="import re",
    ),
    _template(
        difficulty=2,
        name="counts|tally|how_often",
        parameters={"s": "word"},
        description="how often each character is in $s as a dict|a dict of the character counts of $s",
        body="return dict(Counter($s))",
        mistakes=(("dict(Counter($s))", "len($s)"),),
        imports="from collections import Counter",
        invariants=("sum(result.values()) == len($s)",),
    ),
    _template(
        difficulty=2,
        name="top_count_times_$k|most_often_times_$k",
        parameters={"xs": "some_ints"},
        description="how often the commonest item of $xs is there times $k"
        "|$k times the count of the commonest item in $xs",
        body="return Counter($xs).most_common(1)[0][1] * $k",
        mistakes=(("[0][1]", "[0][0]"), (" * $k", "")),
        choices=(_K,),
        imports="from collections import Counter",
        invariants=("result >= $k",),
    ),
    _template(
        difficulty=2,
        name="running_totals|sums_so_far|piled_up",
        parameters={"xs": "ints"},
        description="the running totals of $xs|a list of the sums of $xs so far",
        body="return list(accumulate($xs))",
        mistakes=(("list(accumulate($xs))", "[sum($xs)]"),),
        imports="from itertools import accumulate",
        invariants=("len(result) == len($xs)",),
    ),
    _template(
        difficulty=2,
        name="smallest_$k|lowest_$k",
        parameters={"xs": "ints"},
        description="the $k smallest numbers of $xs from low to high|the lowest $k of $xs in order",
        body="return heapq.nsmallest($k, $xs)",
        mistakes=(("nsmallest", "nlargest"),),
        choices=(_K,),
        imports="import heapq",
        invariants=("len(result) <= $k",),
    ),
    _template(
        difficulty=2,
        name="letter_$k|shift_letter_$k",
        parameters={"n": "natural"},
        description="the small letter $k places after number $n of the alphabet going round"
        "|letter $n plus $k of the alphabet going round",
        body="return string.ascii_lowercase[($n + $k) % 26]",
        mistakes=((" % 26", ""), ("+ $k", "- $k")),
        choices=(_K,),
        imports="import string",
        invariants=("len(result) == 1",),
    ),
    _template(
        difficulty=3,
        name="product_times_$k|multiply_all_by_$k",
        parameters={"xs": "ints"},
        description="the product of the numbers in $xs times $k|all numbers of $xs multiplied together times $k",
        body="return reduce(lambda a, b: a * b, $xs, $k)",
        mistakes=(("a * b", "a + b"), (", $k)", ")")),
        choices=(_K,),
        imports="from functools import reduce",
    ),
    _template(
        difficulty=3,
        name="group_by_first|words_by_letter|by_initial|index_of_words",
        parameters={"words": "words"},
        description="$words grouped by first letter as a dict of lists|a dict from first letter to the items of $words",
        body="""
        result = defaultdict(list)
        for w in $words:
            result[w[0]].append(w)
        return dict(result)
        """,
        mistakes=(("result[w[0]]", "result[len(w)]"), ("w[0]", "w[-1]")),
        imports="from collections import defaultdict",
    ),
    _template(
        difficulty=3,
        name="pairs_adding_to_$k|pairs_with_sum_$k",
        parameters={"xs": "ints"},
        description="how many pairs of $xs add up to $k|the number of pairs in $xs with sum $k",
        body="""
        count = 0
        for a, b in combinations($xs, 2):
            if a + b == $k:
                count += 1
        return count
        """,
        mistakes=(("== $k", "> $k"), ("count += 1", "count = 1")),
        choices=(one_of(k=range(9)),),
        imports="from itertools import combinations",
        invariants=("result >= 0",),
    ),
)
