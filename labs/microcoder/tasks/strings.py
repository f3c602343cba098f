"""Strings: text in, text or a count out."""

from functools import partial

from labs.microcoder.tasks.template import Template, one_of

_template = partial(Template, "strings")
_K = one_of(k=range(2, 9))
_LETTER = one_of(c=tuple("aeioustn"))
_SEPARATOR = one_of(sep=("-", "_", "+"))
_TEST = one_of(
    what=("vowels", "digits", "spaces", "capitals", "small_letters"),
    test=("c in 'aeiouAEIOU'", "c.isdigit()", "c == ' '", "c.isupper()", "c.islower()"),
)

# fmt: off
TEMPLATES: tuple[Template, ...] = (
    _template(
        1, "backwards|reverse_text|flip", {"s": "word"}, "$s backwards|the characters of $s in reverse order",
        "return $s[::-1]", (("[::-1]", "[:-1]"),), invariants=("len(result) == len($s)",),
    ),
    _template(
        1, "first_$k|start_$k", {"s": "word"}, "the first $k characters of $s|the start of $s up to $k characters",
        "return $s[:$k]", (("[:$k]", "[$k:]"), ("[:$k]", "[1:$k]")), (_K,), invariants=("len(result) <= $k",),
    ),
    _template(
        1, "last_$k|end_$k", {"s": "word"}, "the last $k characters of $s|the end of $s of $k characters",
        "return $s[-$k:]", (("[-$k:]", "[$k:]"), ("[-$k:]", "[:-$k]")), (_K,), invariants=("len(result) <= $k",),
    ),
    _template(
        1, "every_$k|step_$k", {"s": "word"},
        "every $k-th character of $s from the first|the characters of $s in steps of $k",
        "return $s[::$k]", (("[::$k]", "[$k::]"), ("[::$k]", "[:$k]")), (_K,),
    ),
    _template(
        1, "replace_${c}_$d|${c}_to_$d", {"s": "word"},
        "$s with every $c replaced by $d|$s where each $c becomes $d",
        "return $s.replace('$c', '$d')", (("'$c', '$d'", "'$d', '$c'"),),
        (one_of(c=tuple("aeio")), one_of(d=tuple("xyu"))),
    ),
    _template(
        1, "starts_with_$c|begins_$c", {"s": "word"},
        "whether $s starts with $c|True when the first character of $s is $c",
        "return $s.startswith('$c')", (("$s.startswith('$c')", "$s[0] == '$c'"), ("starts", "ends")),
        (_LETTER,), invariants=("isinstance(result, bool)",),
    ),
    _template(
        2, "count_$what|how_many_$what", {"s": "text"}, "how many $what are in $s|the number of $what in $s",
        """
        count = 0
        for c in $s:
            if $test:
                count += 1
        return count
        """,
        (("count = 0", "count = 1"), ("count += 1", "count = 1")), (_TEST,),
        invariants=("0 <= result <= len($s)",),
    ),
    _template(
        2, "without_$what|drop_$what", {"s": "text"}, "$s without its $what|what is left of $s without $what",
        """
        result = ''
        for c in $s:
            if not $test:
                result += c
        return result
        """,
        (("if not", "if"), ("result += c", "result = c")), (_TEST,), invariants=("len(result) <= len($s)",),
    ),
    _template(
        2, "loud_words|join_upper|shout", {"s": "text"},
        "the words of $s in upper case joined with $sep|upper case words of $s with $sep between",
        "return '$sep'.join($s.upper().split())",
        (("$s.upper()", "$s"), ("'$sep'", "' '")), (_SEPARATOR,),
    ),
    _template(
        2, "repeat_$k|copies_$k", {"s": "word"},
        "$k copies of $s joined with $sep|$s repeated $k times with $sep between",
        "return '$sep'.join([$s] * $k)", (("* $k", "* 2 * $k"), ("'$sep'", "''")), (_K, _SEPARATOR),
    ),
    _template(
        2, "pad_$k|widen_$k", {"s": "word"},
        "$s padded on the left with $p to width $k|$s with $p in front up to width $k",
        "return $s.rjust($k, '$p')", (("rjust", "ljust"), (", '$p'", "")), (_K, one_of(p=("0", "x", "*"))),
        invariants=("result.endswith($s)",),
    ),
    _template(
        3, "same_backwards|is_palindrome|mirror", {"s": "word"},
        "whether $s reads the same backwards ignoring case|True when $s in lower case equals its reverse",
        """
        low = $s.lower()
        return low == low[::-1]
        """,
        (("$s.lower()", "$s"), ("[::-1]", "[::1]")), invariants=("isinstance(result, bool)",),
    ),
    _template(
        3, "longest_word_length|size_of_longest|longest_in", {"s": "text"},
        "the length of the longest word of $s|how long the longest word in $s is",
        """
        best = 0
        for w in $s.split():
            if len(w) > best:
                best = len(w)
        return best
        """,
        (("best = 0", "best = 1"), ("> best", "< best"), ("$s.split()", "$s")),
        invariants=("0 <= result <= len($s)",),
    ),
    _template(
        3, "swap_ends|trade_ends|ends_swapped", {"s": "word"},
        "$s with its first and last characters swapped|$s after trading its first and last characters",
        """
        if len($s) < 2:
            return $s
        return $s[-1] + $s[1:-1] + $s[0]
        """,
        (("    if len($s) < 2:\n        return $s\n", ""), ("[1:-1]", "[1:]")),
        invariants=("sorted(result) == sorted($s)",),
    ),
)
