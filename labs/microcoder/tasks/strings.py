"""Strings: text in, text or a count out."""

from functools import partial

from labs.microcoder.tasks.template import Template, one_of

_template = partial(Template, category="strings")
_K = one_of(k=range(2, 9))
_LETTER = one_of(c=tuple("aeioustn"))
_SEPARATOR = one_of(sep=("-", "_", "+"))
_TEST = one_of(
    what=("vowels", "digits", "spaces", "capitals", "small_letters"),
    test=("c in 'aeiouAEIOU'", "c.isdigit()", "c == ' '", "c.isupper()", "c.islower()"),
)

TEMPLATES: tuple[Template, ...] = (
    _template(
        difficulty=1,
        name="backwards|reverse_text|flip",
        parameters={"s": "word"},
        description="$s backwards|the characters of $s in reverse order",
        body="return $s[::-1]",
        mistakes=(("[::-1]", "[:-1]"),),
        invariants=("len(result) == len($s)",),
    ),
    _template(
        difficulty=1,
        name="first_$k|start_$k",
        parameters={"s": "word"},
        description="the first $k characters of $s|the start of $s up to $k characters",
        body="return $s[:$k]",
        mistakes=(("[:$k]", "[$k:]"), ("[:$k]", "[1:$k]")),
        choices=(_K,),
        invariants=("len(result) <= $k",),
    ),
    _template(
        difficulty=1,
        name="last_$k|end_$k",
        parameters={"s": "word"},
        description="the last $k characters of $s|the end of $s of $k characters",
        body="return $s[-$k:]",
        mistakes=(("[-$k:]", "[$k:]"), ("[-$k:]", "[:-$k]")),
        choices=(_K,),
        invariants=("len(result) <= $k",),
    ),
    _template(
        difficulty=1,
        name="every_$k|step_$k",
        parameters={"s": "word"},
        description="every $k-th character of $s from the first|the characters of $s in steps of $k",
        body="return $s[::$k]",
        mistakes=(("[::$k]", "[$k::]"), ("[::$k]", "[:$k]")),
        choices=(_K,),
    ),
    _template(
        difficulty=1,
        name="replace_${c}_$d|${c}_to_$d",
        parameters={"s": "word"},
        description="$s with every $c replaced by $d|$s where each $c becomes $d",
        body="return $s.replace('$c', '$d')",
        mistakes=(("'$c', '$d'", "'$d', '$c'"),),
        choices=(one_of(c=tuple("aeio")), one_of(d=tuple("xyu"))),
    ),
    _template(
        difficulty=1,
        name="starts_with_$c|begins_$c",
        parameters={"s": "word"},
        description="whether $s starts with $c|True when the first character of $s is $c",
        body="return $s.startswith('$c')",
        mistakes=(("$s.startswith('$c')", "$s[0] == '$c'"), ("starts", "ends")),
        choices=(_LETTER,),
        invariants=("isinstance(result, bool)",),
    ),
    _template(
        difficulty=2,
        name="count_$what|how_many_$what",
        parameters={"s": "text"},
        description="how many $what are in $s|the number of $what in $s",
        body="""
        count = 0
        for c in $s:
            if $test:
                count += 1
        return count
        """,
        mistakes=(("count = 0", "count = 1"), ("count += 1", "count = 1")),
        choices=(_TEST,),
        invariants=("0 <= result <= len($s)",),
    ),
    _template(
        difficulty=2,
        name="without_$what|drop_$what",
        parameters={"s": "text"},
        description="$s without its $what|what is left of $s without $what",
        body="""
        result = ''
        for c in $s:
            if not $test:
                result += c
        return result
        """,
        mistakes=(("if not", "if"), ("result += c", "result = c")),
        choices=(_TEST,),
        invariants=("len(result) <= len($s)",),
    ),
    _template(
        difficulty=2,
        name="loud_words|join_upper|shout",
        parameters={"s": "text"},
        description="the words of $s in upper case joined with $sep|upper case words of $s with $sep between",
        body="return '$sep'.join($s.upper().split())",
        mistakes=(("$s.upper()", "$s"), ("'$sep'", "' '")),
        choices=(_SEPARATOR,),
    ),
    _template(
        difficulty=2,
        name="repeat_$k|copies_$k",
        parameters={"s": "word"},
        description="$k copies of $s joined with $sep|$s repeated $k times with $sep between",
        body="return '$sep'.join([$s] * $k)",
        mistakes=(("* $k", "* 2 * $k"), ("'$sep'", "''")),
        choices=(_K, _SEPARATOR),
    ),
    _template(
        difficulty=2,
        name="pad_$k|widen_$k",
        parameters={"s": "word"},
        description="$s padded on the left with $p to width $k|$s with $p in front up to width $k",
        body="return $s.rjust($k, '$p')",
        mistakes=(("rjust", "ljust"), (", '$p'", "")),
        choices=(_K, one_of(p=("0", "x", "*"))),
        invariants=("result.endswith($s)",),
    ),
    _template(
        difficulty=3,
        name="same_backwards|is_palindrome|mirror",
        parameters={"s": "word"},
        description="whether $s reads the same backwards ignoring case|True when $s in lower case equals its reverse",
        body="""
        low = $s.lower()
        return low == low[::-1]
        """,
        mistakes=(("$s.lower()", "$s"), ("[::-1]", "[::1]")),
        invariants=("isinstance(result, bool)",),
    ),
    _template(
        difficulty=3,
        name="longest_word_length|size_of_longest|longest_in",
        parameters={"s": "text"},
        description="the length of the longest word of $s|how long the longest word in $s is",
        body="""
        best = 0
        for w in $s.split():
            if len(w) > best:
                best = len(w)
        return best
        """,
        mistakes=(("best = 0", "best = 1"), ("> best", "< best"), ("$s.split()", "$s")),
        invariants=("0 <= result <= len($s)",),
    ),
    _template(
        difficulty=3,
        name="swap_ends|trade_ends|ends_swapped",
        parameters={"s": "word"},
        description="$s with its first and last characters swapped|$s after trading its first and last characters",
        body="""
        if len($s) < 2:
            return $s
        return $s[-1] + $s[1:-1] + $s[0]
        """,
        mistakes=(("    if len($s) < 2:\n        return $s\n", ""), ("[1:-1]", "[1:]")),
        invariants=("sorted(result) == sorted($s)",),
    ),
)
