"""Imports: the answer needs a module of the standard library, so the natural failure is a NameError.

Every template here has the missing import as a mistake (template.py adds it), and those that it lists.
"""

from functools import partial

from labs.microcoder.tasks.template import Template, one_of

_template = partial(Template, "imports")
_K = one_of(k=range(2, 10))
_SMALL = one_of(k=range(2, 5))

# fmt: off
TEMPLATES: tuple[Template, ...] = (
    _template(
        1, "whole_root_plus_$k|root_plus_$k", {"n": "natural"},
        "the whole square root of $n plus $k|the root of $n rounded down plus $k",
        "return math.isqrt($n) + $k", (("+ $k", "- $k"),), (_K,), "import math", ("result >= $k",),
    ),
    _template(
        1, "common_divisor|shared_factor|gcd_of", {"a": "int", "b": "int"},
        "the greatest common divisor of $a and $b|the largest number that divides $a and $b",
        "return math.gcd($a, $b)", (("math.gcd($a, $b)", "min($a, $b)"),), (), "import math", ("result >= 0",),
    ),
    _template(
        1, "round_up_$k|boxes_of_$k", {"n": "int"},
        "$n divided by $k rounded up|how many boxes of $k hold $n",
        "return math.ceil($n / $k)", (("ceil", "floor"), ("math.ceil($n / $k)", "$n // $k")), (_K,),
        "import math",
    ),
    _template(
        1, "ways_to_pick_$k|choose_$k", {"n": "small"},
        "how many ways there are to pick $k of $n|the number of choices of $k from $n",
        "return math.comb($n, $k)", (("$n, $k", "$k, $n"),), (_SMALL,), "import math", ("result >= 0",),
    ),
    _template(
        1, "${what}_of_circle|round_$what", {"n": "natural"},
        "the $what of a circle with radius $n|the $what of a round shape of radius $n",
        "return $term", (("math.pi", "3"),),
        (one_of(what=("area", "edge"), term=("math.pi * $n ** 2", "2 * math.pi * $n")),), "import math",
    ),
    _template(
        2, "find_$what|all_$what", {"s": "text"}, "the $what in $s as a list|a list of all $what in $s",
        "return re.findall(r'$pattern', $s)", (("findall", "match"),),
        (
            one_of(
                what=("numbers", "capitals", "vowels", "small_words"),
                pattern=("[0-9]+", "[A-Z]", "[aeiou]", "[a-z]+"),
            ),
        ),
        "import re",
    ),
    _template(
        2, "mask_$what|hide_$what", {"s": "text"},
        "$s with its $what replaced by $p|$s where $what become $p",
        "return re.sub(r'$pattern', '$p', $s)", (("'$p', $s", "$s, '$p'"),),
        (
            one_of(what=("numbers", "capitals", "vowels"), pattern=("[0-9]+", "[A-Z]", "[aeiou]")),
            one_of(p=("x", "_")),
        ),
        "import re",
    ),
    _template(
        2, "counts|tally|how_often", {"s": "word"},
        "how often each character is in $s as a dict|a dict of the character counts of $s",
        "return dict(Counter($s))", (("dict(Counter($s))", "len($s)"),), (), "from collections import Counter",
        ("sum(result.values()) == len($s)",),
    ),
    _template(
        2, "top_count_times_$k|most_often_times_$k", {"xs": "some_ints"},
        "how often the commonest item of $xs is there times $k|$k times the count of the commonest item in $xs",
        "return Counter($xs).most_common(1)[0][1] * $k", (("[0][1]", "[0][0]"), (" * $k", "")), (_K,),
        "from collections import Counter", ("result >= $k",),
    ),
    _template(
        2, "running_totals|sums_so_far|piled_up", {"xs": "ints"},
        "the running totals of $xs|a list of the sums of $xs so far",
        "return list(accumulate($xs))", (("list(accumulate($xs))", "[sum($xs)]"),), (),
        "from itertools import accumulate", ("len(result) == len($xs)",),
    ),
    _template(
        2, "smallest_$k|lowest_$k", {"xs": "ints"},
        "the $k smallest numbers of $xs from low to high|the lowest $k of $xs in order",
        "return heapq.nsmallest($k, $xs)", (("nsmallest", "nlargest"),), (_K,), "import heapq",
        ("len(result) <= $k",),
    ),
    _template(
        2, "letter_$k|shift_letter_$k", {"n": "natural"},
        "the small letter $k places after number $n of the alphabet going round"
        "|letter $n plus $k of the alphabet going round",
        "return string.ascii_lowercase[($n + $k) % 26]",
        ((" % 26", ""), ("+ $k", "- $k")), (_K,), "import string", ("len(result) == 1",),
    ),
    _template(
        3, "product_times_$k|multiply_all_by_$k", {"xs": "ints"},
        "the product of the numbers in $xs times $k|all numbers of $xs multiplied together times $k",
        "return reduce(lambda a, b: a * b, $xs, $k)", (("a * b", "a + b"), (", $k)", ")")), (_K,),
        "from functools import reduce",
    ),
    _template(
        3, "group_by_first|words_by_letter|by_initial|index_of_words", {"words": "words"},
        "$words grouped by first letter as a dict of lists|a dict from first letter to the items of $words",
        """
        result = defaultdict(list)
        for w in $words:
            result[w[0]].append(w)
        return dict(result)
        """,
        (("result[w[0]]", "result[len(w)]"), ("w[0]", "w[-1]")), (), "from collections import defaultdict",
    ),
    _template(
        3, "pairs_adding_to_$k|pairs_with_sum_$k", {"xs": "ints"},
        "how many pairs of $xs add up to $k|the number of pairs in $xs with sum $k",
        """
        count = 0
        for a, b in combinations($xs, 2):
            if a + b == $k:
                count += 1
        return count
        """,
        (("== $k", "> $k"), ("count += 1", "count = 1")), (one_of(k=range(9)),),
        "from itertools import combinations", ("result >= 0",),
    ),
)
