"""Arithmetic: numbers in, a number out."""

from functools import partial

from labs.microcoder.tasks.template import Template, one_of

_template = partial(Template, category="arithmetic")
_K = one_of(k=range(2, 11))
_J = one_of(j=range(1, 10))

TEMPLATES: tuple[Template, ...] = (
    _template(
        difficulty=1,
        name="add_$k|plus_$k",
        parameters={"n": "int"},
        description="$n plus $k|the sum of $n and $k",
        body="return $n + $k",
        mistakes=(("+", "-"), ("+ $k", "+ 1")),
        choices=(_K,),
    ),
    _template(
        difficulty=1,
        name="times_${k}_plus_$j|line_${k}_$j",
        parameters={"n": "int"},
        description="$n times $k plus $j|$k times $n plus $j",
        body="return $n * $k + $j",
        mistakes=(("+ $j", "- $j"), ("$n * $k + $j", "$n * ($k + $j)")),
        choices=(_K, _J),
    ),
    _template(
        difficulty=1,
        name="scaled_sum_$k|sum_times_$k",
        parameters={"a": "int", "b": "int"},
        description="the sum of $a and $b times $k|$k times the sum of $a and $b",
        body="return ($a + $b) * $k",
        mistakes=(("($a + $b) * $k", "$a + $b * $k"),),
        choices=(_K,),
    ),
    _template(
        difficulty=1,
        name="distance|gap|how_far",
        parameters={"a": "int", "b": "int"},
        description="the distance between $a and $b|how far $a is from $b",
        body="return abs($a - $b)",
        mistakes=(("abs($a - $b)", "$a - $b"),),
        invariants=("result >= 0",),
    ),
    _template(
        difficulty=1,
        name="groups_of_$k|packs_of_$k",
        parameters={"n": "natural"},
        description="how many whole groups of $k fit in $n|the number of full packs of $k in $n",
        body="return $n // $k",
        mistakes=(("//", "/"), ("//", "%")),
        choices=(_K,),
        invariants=("result >= 0",),
    ),
    _template(
        difficulty=2,
        name="middle|halfway|mean_of_two",
        parameters={"a": "int", "b": "int"},
        description="the mean of $a and $b rounded down|halfway between $a and $b rounded down",
        body="return ($a + $b) // 2",
        mistakes=(("($a + $b)", "$a + $b"), ("//", "/")),
    ),
    _template(
        difficulty=2,
        name="sum_to|total_up_to|add_up_to",
        parameters={"n": "natural"},
        description="the sum of the numbers from 1 to $n|1 plus 2 and so on up to $n",
        body="""
        total = 0
        for i in range(1, $n + 1):
            total += i
        return total
        """,
        mistakes=(("$n + 1", "$n"), ("total = 0", "total = 1")),
        invariants=("result >= 0",),
    ),
    _template(
        difficulty=2,
        name="sum_of_${word}_to|${word}_total",
        parameters={"n": "natural"},
        description="the sum of the ${word} from 1 to $n|all $word from 1 to $n added up",
        body="""
        total = 0
        for i in range(1, $n + 1):
            total += $term
        return total
        """,
        mistakes=(("$n + 1", "$n"), ("$term", "i")),
        choices=(one_of(word=("squares", "cubes", "doubles"), term=("i * i", "i ** 3", "2 * i")),),
    ),
    _template(
        difficulty=2,
        name="sum_multiples_of_$k|add_multiples_$k",
        parameters={"n": "natural"},
        description="the sum of the multiples of $k from 1 to $n|all multiples of $k up to $n added up",
        body="""
        total = 0
        for i in range($k, $n + 1, $k):
            total += i
        return total
        """,
        mistakes=(("$n + 1", "$n"), ("total += i", "total += 1")),
        choices=(one_of(k=range(2, 8)),),
        invariants=("result % $k == 0",),
    ),
    _template(
        difficulty=2,
        name="larger_times_$k|max_times_$k",
        parameters={"a": "int", "b": "int"},
        description="the larger of $a and $b times $k|$k times the larger of $a and $b",
        body="return max($a, $b) * $k",
        mistakes=(("max", "min"), ("max($a, $b)", "$a")),
        choices=(_K,),
    ),
    _template(
        difficulty=3,
        name="factorial_plus_$j|product_to_plus_$j",
        parameters={"n": "small"},
        description="the product of the numbers from 1 to $n plus $j|the factorial of $n plus $j",
        body="""
        result = 1
        for i in range(1, $n + 1):
            result *= i
        return result + $j
        """,
        mistakes=(("$n + 1", "$n"), ("result = 1", "result = 0"), ("result + $j", "result")),
        choices=(_J,),
    ),
    _template(
        difficulty=3,
        name="count_divisors|how_many_divisors|divisors_of",
        parameters={"n": "positive"},
        description="how many numbers divide $n|the number of divisors of $n",
        body="""
        count = 0
        for i in range(1, $n + 1):
            if $n % i == 0:
                count += 1
        return count
        """,
        mistakes=(("$n + 1", "$n"), ("range(1, ", "range(2, ")),
        invariants=("1 <= result <= $n",),
    ),
    _template(
        difficulty=3,
        name="digit_sum_times_$k|digits_times_$k",
        parameters={"n": "int"},
        description="the sum of the digits of $n times $k|$k times the sum of the digits of $n",
        body="""
        total = 0
        for c in str(abs($n)):
            total += int(c)
        return total * $k
        """,
        mistakes=(("abs($n)", "$n"), ("total * $k", "total")),
        choices=(_K,),
    ),
)
