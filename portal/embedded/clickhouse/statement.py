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
ANSWERS = {"SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "VALUES", "CHECK"}
READS = ANSWERS | {"USE", "SET"}


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
    """`text` is the statement. An insert that carries data is `before`, `after` and the `data` to be read as `format`:
    `FROM INFILE` belongs between the two parts.
    """

    text: str
    verb: str
    format: str | None = None
    words: frozenset[str] = frozenset()  # outside parentheses
    data: bytes | None = None
    before: str = ""
    after: str = ""

    @property
    def only_reads(self) -> bool:
        return self.verb in READS and "INSERT" not in self.words

    @property
    def answers(self) -> bool:
        """Whether it has a result, even if an empty one."""
        return self.verb in ANSWERS and "INSERT" not in self.words

    @property
    def takes_data(self) -> bool:
        return self.data is not None


def parse(raw: bytes) -> Statement:
    """Split a statement from its data. Raises `SYNTAX_ERROR` for more than one, as ClickHouse does over HTTP."""
    # One byte, one character: the positions found are those in the bytes.
    tokens = _top_level(_tokens(raw.decode("latin-1")))
    first = next(tokens, None)
    if first is None:
        raise ClickHouseError.of_ours(SYNTAX_ERROR, "Empty query")
    if first.word == "INSERT":
        return _insert(raw, first, tokens)
    return _other(raw, first, tokens)


def begins_with_insert(raw: bytes) -> bool:
    """Whether the statement may carry data: then only its beginning has to be held in memory."""
    first = next(_tokens(raw.decode("latin-1")), None)
    return first is not None and first.word == "INSERT"


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
    cut: int | None = None
    words: set[str] = {first.word}
    for token in tokens:
        words.add(token.word)
        if token.word in {"SELECT", "WITH"}:
            return Statement(raw.decode(), "INSERT", words=frozenset(words | set(_words(tokens))))
        if token.word == "SETTINGS":
            cut = token.start
        if token.word == "VALUES":
            settings = raw[cut or token.start : token.start].decode()
            data, form, after = raw[token.end :], "Values", f"{settings} FORMAT Values"
        elif token.word == "FORMAT" and (name := next(tokens, None)):
            found = DATA_START.match(raw, name.end)
            data, form, after = (
                raw[found.end() if found else name.end :],
                name.text,
                raw[cut or token.start : name.end].decode(),
            )
        else:
            continue
        return Statement("", "INSERT", form, frozenset(words), data, raw[: cut or token.start].decode(), after)
    return Statement(raw.decode(), "INSERT", words=frozenset(words))


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
    return Statement(raw.decode(), first.word, named, frozenset(_words(iter(rest))))


def _words(tokens: Iterator[Token]) -> Iterator[str]:
    return (token.word for token in tokens if token.kind == "word")
