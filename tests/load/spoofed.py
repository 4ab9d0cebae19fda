"""T5: sixty ways to name a host, at five doors, byte by byte against gunicorn as it runs in production.

The host alone says whose house it is, and only the stored names open one. Whatever else a request says about itself, no
answer shows another tenant, a cookie opens nothing on another's host, and mails carry the stored name.

Seen red: ProxyFix with x_host, whoever asks.
"""

import re
import socket
from collections import Counter as Tally
from collections.abc import Iterator
from email import message_from_bytes, policy
from uuid import uuid4

from tests import cast
from tests.load.proof import Row
from tests.load.world import Counter, World

NAMES = ("T5",)
OWN, OTHER, NOBODY, OWN_OR_REFUSED = "own", "other", "nobody", "own or refused"
REFUSED = {400, 404, 421}
A, B = cast.CIRCLE, cast.GLOBEX


def hosts(port: int) -> Iterator[tuple[list[bytes], str]]:
    """Lines that stand for Host in a request, and whose house it then is. A is the tenant whose cookie and key are sent."""

    def of(*lines: str | bytes) -> list[bytes]:
        return [line if isinstance(line, bytes) else line.encode("latin-1") for line in lines]

    a, b = A.host, B.host
    for name in (
        a, f"{a}:{port}", f"{a}:1", a.upper(), a.title(), f"{a}.", f"{a}.:{port}", f"{a.upper()}.", f" {a}", f"{a} ", f"\t{a}\t",
    ):  # fmt: skip
        yield of(f"Host: {name}"), OWN
    yield of(f"Host: {a}:"), OWN_OR_REFUSED
    for name in (b, f"{b}:{port}", b.upper(), f"{b}.", f" {b} "):
        yield of(f"Host: {name}"), OTHER
    for more in (
        f"X-Forwarded-Host: {b}", f"X-Forwarded-Host: {b}, {a}", "X-Forwarded-Host: evil.example", f"Forwarded: host={b};proto=https", f"X-Host: {b}",
        f"X-Forwarded-Server: {b}", f"X-HTTP-Host-Override: {b}", f"X-Original-Host: {b}", f"X-Original-URL: http://{b}/me", f"X-Rewrite-URL: //{b}/me",
        "X-Forwarded-For: 10.0.0.1", f"Origin: http://{b}", f"Referer: http://{b}/me", "X-Forwarded-Port: 1", "X-Forwarded-Proto: https", f":authority: {b}",
    ):  # fmt: skip
        yield of(f"Host: {a}", more), OWN_OR_REFUSED
    for more in (f"X-Forwarded-Host: {a}", f"Forwarded: host={a}", f"X-Host: {a}", f"X-Original-Host: {a}"):
        yield of("Host: evil.example", more), NOBODY
    for name in (
        "evil.example", f"{a}.evil.example", f"evil.{a}", f"x.y.{a}", f"evil{a}", f"{A.slug}", f"{A.slug}..localhost", f".{a}", f"{a}..", "localhost.",
        f"{a}@{b}", f"{b}@{a}", f"user:pass@{a}", f"{a}/{b}", f"{a}#{b}", f"{a}?{b}", f"{a}\\{b}", f"{a},{b}", f"{a}, {b}", f"{a} {b}", f"{a}\t{b}", f"{a};{b}",
        "[::1]", f"[::1]:{port}", "[::ffff:127.0.0.1]", "127.0.0.1", f"127.0.0.1:{port}", "2130706433", "0x7f.1", "[circle.localhost]", "",
        "xn--ircle-zyd.localhost", "\u0441ircle.localhost".encode().decode("latin-1"), "c\u0131rcle.localhost".encode().decode("latin-1"), "%63ircle.localhost", "circle%2elocalhost",
        "*", "*.localhost", "%", "'", '" OR 1=1 --', "ops", "ops.evil.example", "a" * 300 + ".localhost", "circle\xadlocalhost", "circle.localhos\xdf",
    ):  # fmt: skip
        yield of(f"Host: {name}"), NOBODY
    for raw in (
        f"Host: {a}\0".encode(), f"Host: \0{a}".encode(), f"Host: {a}\0.evil".encode(), f"Host : {a}".encode(), f"Host: {a}\x0b".encode(), f"Host: {a}\x7f".encode(),
    ):  # fmt: skip
        yield of(raw), NOBODY
    yield of(f"Host: {a}\r\n {b}"), NOBODY  # a folded line
    yield of(f"Host: {a}", f"Host: {b}"), NOBODY
    yield of(f"Host: {b}", f"Host: {a}"), NOBODY
    yield of(f"Host: {a}", f"host: {a}"), OWN_OR_REFUSED
    yield of(f"Host: {a}", f"Host_: {b}"), OWN_OR_REFUSED
    yield of("Host: evil.example", f"HTTP_HOST: {a}"), NOBODY
    yield of(), NOBODY


def doors(counter: Counter) -> dict[str, tuple[str, bytes]]:
    """Five entries; three of them with what is only good on A's host."""
    cookie, key = f"Cookie: sid={counter.cookie}\r\n".encode(), f"Authorization: Bearer {counter.key}\r\n".encode()
    return {
        "the front": ("/", b""),
        "signing in": ("/login", b""),
        "one's own page": ("/me", cookie),
        "the desk": (f"/desk/{counter.shop}", cookie),
        "the API": (f"/api/v1/members/{counter.cards[0]}", key),
    }


def run(names: tuple[str, ...], full: bool) -> Iterator[Row]:
    with World.own(members=4, mail=True) as world:
        yield spoofed(world, full=full)


def spoofed(world: World, *, full: bool) -> Row:
    """T5: every form at every door (short: at one of them, in turn), absolute addresses and HTTP/1.0; then mails."""
    world.web(workers=1, threads=4)
    own, cases, wrong, told = world.counters[0], 0, [], Tally()
    forms = [
        ("GET /PATH HTTP/1.1", b"".join(line + b"\r\n" for line in lines), whose) for lines, whose in hosts(world.port)
    ]
    forms += [(f"GET {start}", host.encode(), whose) for start, host, whose in _targets()]
    for n, (start, lines, whose) in enumerate(forms):
        entries = list(doors(own).items())
        for door, (path, more) in entries if full else [entries[n % len(entries)]]:
            cases += 1
            first = start.replace("/PATH", path).encode()
            status, answer = _ask(world, first + b"\r\n" + lines + more + b"Connection: close\r\n\r\n")
            told[status] += 1
            if difference := _judged(whose, door, status, answer):
                wrong.append(f"{first!r} {lines!r} at {door}: {difference}")
    sent, more = _mails(world)
    for line in [*wrong, *more][:40]:
        print(line, flush=True)
    answers = ", ".join(f"{n}× {status or 'closed'}" for status, n in sorted(told.items()))
    return Row(
        "T5",
        "forms of Host at five doors, raw bytes to gunicorn; then links in mails",
        cases + sent,
        len(wrong) + len(more),
        answers,
    )


def _targets() -> Iterator[tuple[str, str, str]]:
    a, b = A.host, B.host
    yield f"http://{a}/PATH HTTP/1.1", f"Host: {a}\r\n", OWN_OR_REFUSED
    yield f"http://{b}/PATH HTTP/1.1", f"Host: {a}\r\n", OWN_OR_REFUSED
    yield f"http://{a}/PATH HTTP/1.1", f"Host: {b}\r\n", OTHER
    yield f"http://{a}/PATH HTTP/1.1", "Host: evil.example\r\n", NOBODY
    yield f"http://{a}/PATH HTTP/1.1", "", NOBODY
    yield f"//{b}/PATH HTTP/1.1", f"Host: {a}\r\n", OWN_OR_REFUSED
    yield "/PATH HTTP/1.0", "", NOBODY
    yield "/PATH HTTP/1.0", f"Host: {a}\r\n", OWN
    yield "/PATH HTTP/1.0", f"Host: {b}\r\n", OTHER
    yield "/PATH HTTP/1.1", f"Host:{a}\r\n", OWN


def _ask(world: World, request: bytes) -> tuple[int, str]:
    with socket.create_connection(("127.0.0.1", world.port), timeout=30) as line:
        line.sendall(request)
        answer = b""
        while piece := line.recv(65536):
            answer += piece
    found = re.match(rb"HTTP/1\.[01] (\d{3})", answer)
    return int(found[1]) if found else 0, answer.decode("utf-8", "replace")


def _judged(whose: str, door: str, status: int, answer: str) -> str:
    """What is wrong with the answer; '' when nothing is."""
    shows_a, shows_b = A.name in answer, B.name in answer
    inside = status == 200 and door not in ("the front", "signing in")
    refused = status in REFUSED or status == 0
    if status >= 500:
        return f"{status}"
    if "evil.example" in answer.partition("\r\n\r\n")[0]:
        return "the header's host stands in the answer's head"
    if whose == NOBODY:
        data = shows_a or shows_b or "set-cookie" in answer.lower()
        return "" if refused and not data else f"{status}, data: {data}"
    if whose == OWN_OR_REFUSED and refused:
        return "shows B" if shows_b else ""
    if whose == OTHER:
        return f"{status}, inside: {inside}, shows A: {shows_a}" if inside or shows_a else ""
    good = status in (200, 303) and not shows_b and (inside or door in ("the front", "signing in"))
    return "" if good else f"{status}, shows B: {shows_b}"


def _mails(world: World) -> tuple[int, list[str]]:
    """Sales under spoofed names; the members' mails speak of the stored one."""
    own, odd = (
        world.counters[0],
        ("X-Forwarded-Host: evil.example", "Forwarded: host=evil.example", f"X-Forwarded-Host: {B.host}"),
    )
    world.relay()
    world.pool("fast", 1)
    for n, (host, more) in enumerate(zip((A.host.upper(), f"{A.host}.", f"{A.host}:1"), odd, strict=True)):
        body = f'{{"external_id": "T5-{uuid4()}", "member": "{cast.ALICE.card}", "amount": "{n + 1}00.00", "currency": "{own.currency}"}}'
        head = (
            f"POST /api/v1/purchases HTTP/1.1\r\nHost: {host}\r\n{more}\r\nAuthorization: Bearer {own.key}\r\nIdempotency-Key: {uuid4()}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
        )
        status, answer = _ask(world, head.encode())
        if status != 201:
            return n, [f"a sale under {host} was answered {status}: {answer[-300:]}"]
    world.drain()
    wrong, mails = [], [p for p in (world.mail / "new").iterdir()]
    for path in mails:
        mail = message_from_bytes(path.read_bytes(), policy=policy.default)
        text = "".join(part.get_content() for part in mail.walk() if part.get_content_maintype() == "text")
        links = re.findall(r"https?://[^/\s\"'<>:]+", text)
        if not links or any(link != f"http://{A.host}" for link in links) or "evil" in text or B.host in text:
            wrong.append(f"{path.name}: {sorted(set(links))}")
    return len(mails), wrong or ([] if mails else ["no mail was sent"])
