"""As much of a statement as the HTTP interface has to know: does it carry data, what format does it answer in."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from .errors import SYNTAX_ERROR, ClickHouseError

TOKEN = re.compile(
    r"""
      (?P<skip>\s+ | --[^\n]* | \#[ !][^\n]* | /\*.*?\*/)
    | (?P<string>'(?:[^'\\]++|\\.|'')*+' | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    | (?P<name>"(?:[^"\\]++|\\.|"")*+" | `(?:[^`\\]++|\\.|``)*+`)
    | (?P<word>[A-Za-z_]\w*)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
DATA_START = re.compile(rb"[ \t\f]*\r?\n?")
READS = {"SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "USE", "SET", "VALUES", "CHECK"}


class Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int

    @property
    def word(self) -> str:
        return self.text.upper() if self.kind == "word" else self.text if self.kind == "other" else ""


@dataclass(frozen=True)
class Statement:
    """`head` is the statement; `data` what followed an insert's VALUES or FORMAT, to be read as `format`."""

    head: str
    verb: str
    format: str | None = None
    data: bytes | None = None
    settings_at: int | None = None  # where SETTINGS of an insert with data begin in `head`
    words: frozenset[str] = frozenset()

    @property
    def is_insert(self) -> bool:
        return self.verb == "INSERT"

    @property
    def only_reads(self) -> bool:
        return self.verb in READS and "INSERT" not in self.words

    @property
    def takes_data(self) -> bool:
        return self.is_insert and self.data is not None


def parse(raw: bytes) -> Statement:
    """Split a statement from its data. Raises `SYNTAX_ERROR` for more than one statement, as ClickHouse does over HTTP."""
    # One byte, one character: the positions found are those in the bytes.
    tokens = _top_level(_tokens(raw.decode("latin-1")))
    first = next(tokens, None)
    if first is None:
        raise ClickHouseError.of_ours(SYNTAX_ERROR, "Empty query")
    if first.word == "INSERT":
        return _insert(raw, first, tokens)
    return _other(raw, first, tokens)


def _tokens(text: str) -> Iterator[Token]:
    for match in TOKEN.finditer(text):
        if match.lastgroup and (kind := "string" if match.lastgroup == "tag" else match.lastgroup) != "skip":
            yield Token(kind, match[0], match.start(), match.end())


def _top_level(tokens: Iterator[Token]) -> Iterator[Token]:
    """The tokens outside parentheses, and the first word inside leading ones."""
    depth, seen = 0, False
    for token in tokens:
        depth -= token.text in {")", "]", "}"}
        if depth == 0 or (not seen and token.kind == "word"):
            yield token
            seen = seen or token.kind == "word"
        depth += token.text in {"(", "[", "{"}


def _insert(raw: bytes, first: Token, tokens: Iterator[Token]) -> Statement:
    settings_at: int | None = None
    words: set[str] = set()
    for token in tokens:
        if token.word == "VALUES":
            head = raw[: token.start].decode() + "FORMAT Values"
            return Statement(head, "INSERT", "Values", raw[token.end :], settings_at)
        if token.word == "FORMAT" and (name := next(tokens, None)):
            data_at = DATA_START.match(raw, name.end)
            data = raw[data_at.end() if data_at else name.end :]
            return Statement(raw[: name.end].decode(), "INSERT", name.text, data, settings_at)
        if token.word in {"SELECT", "WITH"}:
            return Statement(raw.decode(), "INSERT", words=frozenset({"SELECT", *_words(tokens)}))
        if token.word == "SETTINGS":
            settings_at = token.start
        words.add(token.word)
    return Statement(raw.decode(), first.word, words=frozenset(words))


def _other(raw: bytes, first: Token, tokens: Iterator[Token]) -> Statement:
    rest = [first, *tokens]
    first = next((token for token in rest if token.kind == "word"), first)
    ends = [index for index, token in enumerate(rest) if token.word == ";"]
    if ends and any(token.word != ";" for token in rest[ends[0] :]):
        raise ClickHouseError.of_ours(SYNTAX_ERROR, "Syntax error (Multi-statements are not allowed)")
    end = Token("other", ";", len(raw), len(raw))
    after = [*rest[1:], end]
    named = None
    for (token, following), last in zip(pairwise(after), [*after[2:], end], strict=True):
        if token.word == "FORMAT" and following.kind == "word" and last.word in {";", "SETTINGS"}:
            named = following.text
    return Statement(raw.decode(), first.word, named, words=frozenset(_words(iter(rest))))


def _words(tokens: Iterator[Token]) -> Iterator[str]:
    return (token.word for token in tokens if token.kind == "word")
