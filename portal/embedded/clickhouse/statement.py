"""As much of a statement as the HTTP interface has to know: does it carry data, what format does it answer in."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from .errors import SYNTAX_ERROR, ClickHouseError

TOKEN = re.compile(
    r"""
      (?P<skip>(?:\s | \xc2\xa0 | \xe2\x80[\x80-\x8b] | \xe3\x80\x80 | \xef\xbb\xbf)+
        | (?:-- | // | \#[ !])[^\n]* | /\*(?:[^*/]++ | \*(?!/) | /(?!\*) | /\*.*?\*/)*+\*/)
    | (?P<string>'(?:[^'\\]++|\\.|'')*+' | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    | (?P<name>"(?:[^"\\]++|\\.|"")*+" | `(?:[^`\\]++|\\.|``)*+`)
    | (?P<word>[A-Za-z_]\w*)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
DATA_START = re.compile(rb"[ \t\f]*\r?\n?")
OPENING, CLOSING = {"(", "[", "{"}, {")", "]", "}"}
SELECTS = {"SELECT", "WITH", "FROM"}
READS = SELECTS | {"SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "VALUES", "CHECK", "USE", "SET"}
ANSWERS = READS - {"USE", "SET"} | {"KILL", "BACKUP", "RESTORE"}


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
    """`text` is the statement; `bare` is a selection without its FORMAT and semicolon.

    An insert that carries data is `before`, `after` and the `data` to be read as `format`. Between the two parts
    belongs `FROM INFILE`; or the name of a file where the statement reads `input()`, whose structure is in `after`.
    """

    text: str
    verb: str
    format: str | None = None
    words: frozenset[str] = frozenset()  # outside parentheses
    data: bytes | None = None
    before: str = ""
    after: str = ""
    bare: str = ""
    through_input: bool = False

    @property
    def shown(self) -> str:
        """The statement without its data."""
        return (self.text or f"{self.before} {self.after}").encode(errors="replace").decode()

    @property
    def selects(self) -> bool:
        return self.verb in SELECTS and "INTO" not in self.words

    @property
    def only_reads(self) -> bool:
        return self.verb in READS

    @property
    def answers(self) -> bool:
        """Whether it has a result, even if an empty one."""
        return self.verb in ANSWERS

    @property
    def takes_data(self) -> bool:
        return self.data is not None


def as_text(raw: bytes) -> str:
    """A statement may hold any bytes in its literals: such as are no UTF-8 come back in `as_bytes`."""
    return raw.decode(errors="surrogateescape")


def as_bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def parse(raw: bytes) -> Statement:
    """Split a statement from its data. Raises `SYNTAX_ERROR` for more than one, as ClickHouse does over HTTP."""
    # One byte, one character: the positions found are those in the bytes.
    text = raw.decode("latin-1")
    if (insert := _insertion(text)) is not None:
        return _insert(raw, insert, _top_level(_tokens(text, insert.end)))
    tokens = list(_top_level(_tokens(text)))
    if not tokens:
        raise ClickHouseError.of_ours(SYNTAX_ERROR, "Empty query")
    return _other(raw, tokens)


def begins_with_insert(raw: bytes) -> bool:
    """Whether the statement may carry data: then only its beginning has to be held in memory."""
    return _insertion(raw.decode("latin-1")) is not None


def replaced(text: str, words: Mapping[str, str]) -> str:
    """The statement with other words in place of these, which are given in capitals."""
    latin, out, start = as_bytes(text).decode("latin-1"), [], 0
    for token in _tokens(latin):
        if token.kind == "word" and token.word in words:
            out += [latin[start : token.start], words[token.word]]
            start = token.end
    return as_text("".join([*out, latin[start:]]).encode("latin-1"))


def _insertion(text: str) -> Token | None:
    """The word INSERT that makes the statement an insert: the first one, or after `WITH …` the one before INTO."""
    tokens = _top_level(_tokens(text))
    first = next(tokens, None)
    if first is None or first.word == "INSERT":
        return first
    if first.word == "WITH":
        for token in tokens:
            if token.word == "SELECT":
                break
            if token.word == "INSERT" and (following := next(tokens, None)) and following.word == "INTO":
                return token
    return None


def _tokens(text: str, start: int = 0) -> Iterator[Token]:
    for match in TOKEN.finditer(text, start):
        if match.lastgroup and (kind := "string" if match.lastgroup == "tag" else match.lastgroup) != "skip":
            yield Token(kind, match[0], match.start(), match.end())


def _top_level(tokens: Iterator[Token]) -> Iterator[Token]:
    """The tokens outside parentheses, and the first word inside leading ones."""
    depth, seen = 0, False
    for token in tokens:
        depth -= token.text in CLOSING
        if depth == 0 or (not seen and token.kind == "word"):
            yield token
            seen = seen or token.kind == "word"
        depth += token.text in OPENING


def _insert(raw: bytes, first: Token, tokens: Iterator[Token]) -> Statement:
    cut: int | None = None
    words: set[str] = {first.word}
    for token in tokens:
        words.add(token.word)
        if token.word in {"SELECT", "WITH"}:
            return _insert_selection(raw, words, _tokens(raw.decode("latin-1"), token.end))
        if token.word == "SETTINGS":
            cut = token.start
        if token.word == "VALUES":
            settings = as_text(raw[cut or token.start : token.start])
            data, form, after = raw[token.end :], "Values", f"{settings} FORMAT Values"
        elif token.word == "FORMAT" and (name := next(tokens, None)):
            data, form = raw[_data_start(raw, name) :], name.text
            after = as_text(raw[cut or token.start : name.end])
        else:
            continue
        before = as_text(raw[first.start : cut or token.start])  # what stands before INSERT can't bear on data
        return Statement("", "INSERT", form, frozenset(words), data, before, after)
    return Statement(as_text(raw), "INSERT", words=frozenset(words))


def _insert_selection(raw: bytes, words: set[str], tokens: Iterator[Token]) -> Statement:
    """`INSERT … SELECT`, which reads its data through `input('structure') … FORMAT name` if it has any."""
    source: Token | None = None
    previous: Token | None = None
    depth = 0
    for token in tokens:
        depth += (token.text in OPENING) - (token.text in CLOSING)
        if depth == 0:
            words.add(token.word)
        if previous and previous.word == "INPUT" and token.word == "(":
            source = previous
        if source and depth == 0 and token.word == "FORMAT" and (name := next(tokens, None)):
            opening = raw.index(b"(", source.end) + 1
            return Statement(
                "",
                "INSERT",
                name.text,
                frozenset(words),
                raw[_data_start(raw, name) :],
                as_text(raw[: source.start]),
                as_text(raw[opening : token.start]),
                through_input=True,
            )
        previous = token
    return Statement(as_text(raw), "INSERT", words=frozenset(words))


def _data_start(raw: bytes, name: Token) -> int:
    found = DATA_START.match(raw, name.end)
    return found.end() if found else name.end


def _other(raw: bytes, tokens: list[Token]) -> Statement:
    first = next((token for token in tokens if token.kind == "word"), tokens[0])
    ends = [index for index, token in enumerate(tokens) if token.word == ";"]
    if ends and any(token.word != ";" for token in tokens[ends[0] :]):
        raise ClickHouseError.of_ours(SYNTAX_ERROR, "Syntax error (Multi-statements are not allowed)")
    end = Token("other", ";", len(raw), len(raw))
    body = tokens[: ends[0]] if ends else tokens
    stop = tokens[ends[0]].start if ends else len(raw)
    named, bare = None, raw[:stop]
    after = [*body[1:], end]
    for (token, following), last in zip(pairwise(after), [*after[2:], end], strict=True):
        if token.word == "FORMAT" and following.kind == "word" and last.word in {";", "SETTINGS"}:
            named, bare = following.text, raw[: token.start] + raw[following.end : stop]
    return Statement(as_text(raw), first.word, named, frozenset(_words(iter(tokens))), bare=as_text(bare))


def _words(tokens: Iterator[Token]) -> Iterator[str]:
    return (token.word for token in tokens if token.kind == "word")
