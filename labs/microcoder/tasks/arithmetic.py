"""Arithmetic: numbers in, a number out."""

from functools import partial

from labs.microcoder.tasks.template import Template, one_of

_template = partial(Template, "arithmetic")
_K = one_of(k=range(2, 11))
_J = one_of(j=range(1, 10))

# fmt: off
TEMPLATES: tuple[Template, ...] = (
    _template(
        1, "add_$k|plus_$k", {"n": "int"}, "$n plus $k|the sum of $n and $k",
        "return $n + $k", (("+", "-"), ("+ $k", "+ 1")), (_K,),
    ),
    _template(
        1, "times_${k}_plus_$j|line_${k}_$j", {"n": "int"}, "$n times $k plus $j|$k times $n plus $j",
        "return $n * $k + $j", (("+ $j", "- $j"), ("$n * $k + $j", "$n * ($k + $j)")), (_K, _J),
    ),
    _template(
        1, "scaled_sum_$k|sum_times_$k", {"a": "int", "b": "int"},
        "the sum of $a and $b times $k|$k times the sum of $a and $b",
        "return ($a + $b) * $k", (("($a + $b) * $k", "$a + $b * $k"),), (_K,),
    ),
    _template(
        1, "distance|gap|how_far", {"a": "int", "b": "int"},
        "the distance between $a and $b|how far $a is from $b",
        "return abs($a - $b)", (("abs($a - $b)", "$a - $b"),), invariants=("result >= 0",),
    ),
    _template(
        1, "groups_of_$k|packs_of_$k", {"n": "natural"},
        "how many whole groups of $k fit in $n|the number of full packs of $k in $n",
        "return $n // $k", (("//", "/"), ("//", "%")), (_K,), invariants=("result >= 0",),
    ),
    _template(
        2, "middle|halfway|mean_of_two", {"a": "int", "b": "int"},
        "the mean of $a and $b rounded down|halfway between $a and $b rounded down",
        "return ($a + $b) // 2", (("($a + $b)", "$a + $b"), ("//", "/")),
    ),
    _template(
        2, "sum_to|total_up_to|add_up_to", {"n": "natural"},
        "the sum of the numbers from 1 to $n|1 plus 2 and so on up to $n",
        """
        total = 0
        for i in range(1, $n + 1):
            total += i
        return total
        """,
        (("$n + 1", "$n"), ("total = 0", "total = 1")), invariants=("result >= 0",),
    ),
    _template(
        2, "sum_of_${word}_to|${word}_total", {"n": "natural"},
        "the sum of the ${word} from 1 to $n|all $word from 1 to $n added up",
        """
        total = 0
        for i in range(1, $n + 1):
            total += $term
        return total
        """,
        (("$n + 1", "$n"), ("$term", "i")),
        (one_of(word=("squares", "cubes", "doubles"), term=("i * i", "i ** 3", "2 * i")),),
    ),
    _template(
        2, "sum_multiples_of_$k|add_multiples_$k", {"n": "natural"},
        "the sum of the multiples of $k from 1 to $n|all multiples of $k up to $n added up",
        """
        total = 0
        for i in range($k, $n + 1, $k):
            total += i
        return total
        """,
        (("$n + 1", "$n"), ("total += i", "total += 1")), (one_of(k=range(2, 8)),),
        invariants=("result % $k == 0",),
    ),
    _template(
        2, "larger_times_$k|max_times_$k", {"a": "int", "b": "int"},
        "the larger of $a and $b times $k|$k times the larger of $a and $b",
        "return max($a, $b) * $k", (("max", "min"), ("max($a, $b)", "$a")), (_K,),
    ),
    _template(
        3, "factorial_plus_$j|product_to_plus_$j", {"n": "small"},
        "the product of the numbers from 1 to $n plus $j|the factorial of $n plus $j",
        """
        result = 1
        for i in range(1, $n + 1):
            result *= i
        return result + $j
        """,
        (("$n + 1", "$n"), ("result = 1", "result = 0"), ("result + $j", "result")), (_J,),
    ),
    _template(
        3, "count_divisors|how_many_divisors|divisors_of", {"n": "positive"},
        "how many numbers divide $n|the number of divisors of $n",
        """
        count = 0
        for i in range(1, $n + 1):
            if $n % i == 0:
                count += 1
        return count
        """,
        (("$n + 1", "$n"), ("range(1, ", "range(2, ")), invariants=("1 <= result <= $n",),
    ),
    _template(
        3, "digit_sum_times_$k|digits_times_$k", {"n": "int"},
        "the sum of the digits of $n times $k|$k times the sum of the digits of $n",
        """
        total = 0
        for c in str(abs($n)):
            total += int(c)
        return total * $k
        """,
        (("abs($n)", "$n"), ("total * $k", "total")), (_K,),
    ),
)
