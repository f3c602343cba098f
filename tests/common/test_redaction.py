"""No secret of an address or of the environment is in what is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.redaction import HIDDEN, redacted, redacted_address

WORD = st.text("abcdefghijklmnopqrstuvwxyz0123456789_~.-", min_size=6, max_size=12).map(lambda word: f"Q{word}Q")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("http://user:word@host:8000/v1", "http://***@host:8000/v1"),
        ("http://key@host/v1: refused", "http://***@host/v1: refused"),
        ("at http://u:p/a@host/v1, say", "at http://***@host/v1, say"),
        ("http://u:p@q@host", "http://***@host"),
        ("https://user:abc@LONGSECRET/w@host/v1", "https://***@host/v1"),
        ("https://user:p@ss/w#rd@host:80x/v1", "https://***@host:80x/v1"),
        ("https://host/v1?RAWSECRET", "https://host/v1?***"),
        ("https://host/v1?a=1&RAWSECRET#part", "https://host/v1?a=***&***#part"),
        ("https://host/v1?token=abc&x=1", "https://host/v1?token=***&x=***"),
        ("https://host/v1#access_token=abc", "https://host/v1#access_token=***"),
        ("GET /v1/models?api_key=abc", "GET /v1/models?api_key=***"),
        ("x-api-key: abc def", "x-api-key: *** def"),
        ("X-Api-Key:abc", "X-Api-Key:***"),
        ("{'api_key': 'abc d', 'x': 1}", "{'api_key': '***', 'x': 1}"),
        ('{"password": "it\'s", "x": 1}', '{"password": "***", "x": 1}'),
        ('{"headers": {"x-api-key":"abc"}}', '{"headers": {"x-api-key":"***"}}'),
        ('"{\\"token\\": \\"abc\\"}"', '"{\\"token\\": \\"***\\"}"'),
        ("url=host:8080/v1?sig=abc&x=1 refused", "url=host:8080/v1?sig=***&x=*** refused"),
        ("Authorization: Bearer abcdefgh1", "Authorization: Bearer ***"),
        ('https://user:pa"ss@host/v1', "https://***@host/v1"),
        ("{'u': 'https://user:p'a/s\"s@x@host:1/v1', 'm': 'a@b'}", "{'u': 'https://***@host:1/v1', 'm': 'a@b'}"),
        ("https://pa<ss@host/v1", "https://***@host/v1"),
        ("token: abcdef", "token: ***"),
        ("x\nPrivate-Token: abcdef\ny", "x\nPrivate-Token: ***\ny"),
        ("with token: a1b2c3 it", "with token: *** it"),
        ("HF_TOKEN = abcdefgh1", "HF_TOKEN = ***"),
        ("api_key = 'abc d'", "api_key = '***'"),
        ("password = hunter,", "password = ***,"),
        ("passwd=abc&client_secret: abc", "passwd=***&client_secret: ***"),
        ("Authorization: Bearer abcdef", "Authorization: Bearer ***"),
        ("authorization=abcdefgh1", "authorization=***"),
        ("curl --api-key abc --token abc -v", "curl --api-key *** --token *** -v"),
        ("Incorrect API key provided: sk-proj-abcdefgh1.", "Incorrect API key provided: ***"),
        *(
            (same, same)
            for same in (
                "http://host:8000/v1; mail a@b",
                "max_tokens=64",
                "is it so? x=1",
                "bad token: 3",
                '"tokens": 3',
                "http://host/@me and http://host",
                "unexpected token: function",
                "token = tokens[0]",
                "password = getpass()",
                "secret = line2.split()",
                "def f(token: str)",
                '{"url":"http://host:8000","mail":"a@b"}',
                '<a href="http://host/v1">a@b</a>',
                '"http://host", "a@b"',
            )
        ),
        ("needs Basic authentication", "needs Basic authentication"),
    ],
)
def test_what_is_secret_is_taken_out_and_the_rest_stays(text: str, told: str) -> None:
    assert redacted(text, {}) == told
    assert redacted(told, {}) == told


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("user:S3CRETpw@host/v1", "***@host/v1"),
        ("S3CRETpw@host/v1", "***@host/v1"),
        ("host:8000/v1", "host:8000/v1"),
        ("https://host/a/b@c", "https://host/a/b@c"),
    ],
)
def test_an_address_without_a_scheme_has_a_user_too(address: str, told: str) -> None:
    assert redacted_address(address) == told


def test_all_before_the_last_at_of_a_servers_address_is_secret() -> None:
    environment = {"OPENAI_BASE_URL": "user:p@ss/words#rd@host/v1"}
    assert redacted("no scheme in user:p@ss/words#rd@host/v1", environment) == "no scheme in ***@host/v1"
    assert redacted("no host in words", environment) == "no host in ***"


@given(WORD, WORD, WORD)
def test_no_part_of_an_address_that_is_secret_is_told(user: str, word: str, token: str) -> None:
    address = f"https://{user}:{word}@host:1/v1?token={token}"
    told = redacted(f"cannot reach {address} ({address!r})", {})
    assert not any(secret in told for secret in (user, word, token))
    assert "host:1/v1" in told


def test_a_piece_that_a_parser_stumbled_over_is_not_told_either() -> None:
    environment = {"OPENAI_JUDGE_BASE_URL": "http://me:first:second/third@host", "HF_TOKEN": "a-token-of-the-hub-1"}
    assert redacted("Invalid port: 'second/third@host'", environment) == "Invalid port: '***/***@host'"
    assert redacted("for a-token-of-the-hub-1", environment) == "for ***"


def test_a_key_that_local_servers_take_is_a_word_like_any_other() -> None:
    assert redacted("none of them", {"OPENAI_API_KEY": "none"}) == "none of them"


def test_a_long_text_of_colons_takes_no_time_that_grows_with_its_square() -> None:
    """It took a minute when each colon began a search for the end of a password."""
    text = "# a://" + ":" * 150_000
    assert redacted(text, {}) == text
    assert redacted(f"{text}secret@host", {}) == f"# a://{HIDDEN}@host"


@pytest.mark.parametrize("piece", ['a://b:"', "a://b:c@", "token: ", "token: aaaaaaa-", '"token":"', "basic ", "A1a_"])
def test_no_text_takes_time_that_grows_with_its_square(piece: str) -> None:
    """Each of these would take minutes if each piece began a search to the end."""
    redacted(piece * (300_000 // len(piece)) + "secret", {})
