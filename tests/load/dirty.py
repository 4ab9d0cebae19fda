"""B13: half a million lines as partners send them, good and bad, through the real upload, job and worker.

Every bad line is listed with its reason under its own number and nothing else is; every good one is counted to the kopeck.
"""

import csv
import io
import random
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from threading import Event, Thread
from typing import Self

import psutil
import urllib3

from tests.checked import Outline
from tests.load.proof import Row
from tests.load.world import World, until

NAMES = ("B13",)
HEAD = "external_id,member,card,purchased_at,amount,currency,category"
APART = 25  # lines between two bad ones: a quotation mark that is never closed looks 20 lines ahead
LONGEST = 64 * 1024
MIB = 1024 * 1024
MOST_MEMORY = 400 * MIB
HOURS_S = 2 * 3600.0


@dataclass
class Wanted:
    """What is in a file: line → a piece of the reason; purchases, their sum in minor units, and who bought."""

    bad: dict[int, str] = field(default_factory=dict)
    recorded: int = 0
    repeated: int = 0
    amount: int = 0
    members: set[str] = field(default_factory=set)

    def counts(self) -> dict[str, int]:
        """As the job tells them."""
        return {
            "lines": self.recorded + self.repeated + len(self.bad),
            "recorded": self.recorded,
            "repeated": self.repeated,
            "rejected": len(self.bad),
            "members": len(self.members),
        }


def run(names: tuple[str, ...], full: bool) -> Iterator[Row]:
    with World.own(members=2) as world:
        yield dirty_file(world, lines=500_000 if full else 2_000)


def dirty_file(world: World, *, lines: int) -> Row:
    """B13: a file of so many lines is uploaded at the desk, imported by a worker, and its rejected lines are fetched."""
    content, wanted = made_up(lines)
    world.web(workers=1)
    world.relay()
    world.pool("fast", 1)
    pool = world.pool("long", 1)
    own = world.counters[0]
    cookie = {"Cookie": f"sid={own.cookie}", "Host": own.host}
    began = time.monotonic()
    with Memory(pool.pid) as memory:
        job_id = _uploaded(world, cookie, content)
        state = until(lambda: _ended(world, job_id), within=HOURS_S, every=0.5)
    seconds = time.monotonic() - began
    wrong = [] if state == "done" else [f"the job ended as {state}"]
    wrong += _differences(world, job_id, wanted)
    wrong += _handed_back(world, cookie, job_id, wanted)
    if memory.most > MOST_MEMORY:
        wrong.append(f"the worker took {memory.most // MIB} MiB")
    for line in wrong[:20]:
        print(f"B13: {line}", flush=True)
    world.drain(within=HOURS_S)
    return world.checked(
        Row(
            "B13",
            f"a dirty file of {len(content) // MIB} MiB uploaded and imported: bad lines listed by number, good ones exact",
            wanted.counts()["lines"],
            len(wrong),
            f"{wanted.recorded:,} recorded, {wanted.repeated:,} repeated, {len(wanted.bad):,} rejected of {len(BAD)} kinds;"
            f" {seconds:.0f} s; the worker's memory {memory.early // MIB} MiB at first, {memory.most // MIB} at most",
        )
    )


# the file


BAD = {  # kind → the line, and a piece of what is said of it
    "short": (lambda n: f"b{n},C1,,1997-01-01", "columns"),
    "encoding": (lambda n: f"b{n},C1,,1997-01-01,5.00,RUB,".encode() + b"\x98\xff", "unknown encoding"),
    "no number": (lambda n: ",C1,,1997-01-01,5.00,RUB,", "number of the purchase is empty"),
    "long number": (lambda n: f"{n:0201},C1,,1997-01-01,5.00,RUB,", "number of the purchase is too long"),
    "currency": (lambda n: f"b{n},C1,,1997-01-01,5.00,USD,", "the currency is USD"),
    "negative": (lambda n: f"b{n},C1,,1997-01-01,-5.00,RUB,", "negative"),
    "words": (lambda n: f"b{n},C1,,1997-01-01,five,RUB,", "cannot be read"),
    "decimals": (lambda n: f"b{n},C1,,1997-01-01,1.23456,RUB,", "cannot be read"),
    "infinite": (lambda n: f"b{n},C1,,1997-01-01,1e999,RUB,", "cannot be read"),
    "no amount": (lambda n: f"b{n},C1,,1997-01-01,,RUB,", "cannot be read"),
    "too much": (lambda n: f"b{n},C1,,1997-01-01,{'9' * 30},RUB,", "cannot be read"),
    "no day": (lambda n: f"b{n},C1,,1997-02-30,5.00,RUB,", "the date"),
    "american": (lambda n: f"b{n},C1,,01/31/1997,5.00,RUB,", "the date"),
    "before time": (lambda n: f"b{n},C1,,0001-01-01,5.00,RUB,", "the date"),
    "future": (lambda n: f"b{n},C1,,2999-01-01,5.00,RUB,", "future"),
    "card": (lambda n: f"b{n},,500000001011,1997-01-01,5.00,RUB,", "no card number"),
    "nobody": (lambda n: f"b{n},,,1997-01-01,5.00,RUB,", "nothing names the member"),
    "long name": (lambda n: f"b{n},{'C' * 121},,1997-01-01,5.00,RUB,", "customer's number is too long"),
    "phone": (lambda n: f"b{n},500000001011,,1997-01-01,5.00,RUB,", "neither a card nor a telephone"),
    "mail": (lambda n: f"b{n},a@b,,1997-01-01,5.00,RUB,", "no e-mail"),
    "nul": (lambda n: f"b{n},C\x001,,1997-01-01,5.00,RUB,", "NUL"),
    "quote": (lambda n: f'b{n},"C1,,1997-01-01,5.00,RUB,', "quotation mark"),
    "endless": (lambda n: f"b{n},C1,,1997-01-01,5.00,RUB,{'x' * LONGEST}", "longer than 64 kB"),
    "changed": (lambda n: "", "differs in: amount"),  # an earlier number again, made where the earlier one is known
}  # fmt: skip
SELDOM = {"endless": 50}  # of so many rounds through the kinds, one: the file is to stay below the largest upload


def made_up(lines: int, seed: int = 13) -> tuple[bytes, Wanted]:
    """A file of about so many lines, the same for the same seed, and what is in it."""
    dice, wanted, out = random.Random(seed), Wanted(), io.BytesIO()
    kinds, earlier, place = list(BAD), [], 1

    def write(line: str | bytes) -> int:
        nonlocal place
        began, raw = place, line if isinstance(line, bytes) else line.encode()
        out.write(raw + (b"\r\n" if dice.random() < 0.5 else b"\n"))
        place += 1 + raw.count(b"\n")
        return began

    write("\ufeff" + HEAD)
    rounds = 0
    for n in range(lines):
        if n % APART == APART - 1:
            kind = kinds[rounds % len(kinds)]
            rounds += 1
            if rounds // len(kinds) % SELDOM.get(kind, 1):
                continue
            line, reason = BAD[kind]
            if kind == "changed":
                known = dice.choice(earlier)
                wanted.bad[write(known.replace(".00,RUB", ".01,RUB"))] = reason
            else:
                wanted.bad[write(line(n))] = reason
        elif n % 401 == 0:
            write(dice.choice(("", "   ")))
        elif n % 97 == 0 and earlier:
            write(dice.choice(earlier))
            wanted.repeated += 1
        else:
            calm = n % APART <= 20  # a quotation mark may still be open
            who, named = _buyer(dice, lines)
            wanted.members.add(who)
            rubles = dice.randrange(0, 5_000)
            wanted.recorded += 1
            wanted.amount += rubles * 100
            day = date(1997, 1, 1) + timedelta(days=dice.randrange(8_000))
            line = f"g{n},{named},,{day},{rubles}.00,RUB,music"
            if calm or n % 2:
                write(line)
                earlier = [*earlier[-3_000:], line] if n % 7 == 0 else earlier
            else:
                write(_dressed(dice, n, named, day, rubles))
    return out.getvalue(), wanted


def _buyer(dice: random.Random, lines: int) -> tuple[str, str]:
    """Who it is, and how this line writes it."""
    number = (
        int(dice.paretovariate(1.1)) if dice.random() < 0.4 else dice.randrange(lines // 20 + 1)
    )  # regulars, and others
    way = number % 5
    if way == 0:
        mail = f"buyer{number}@shop.example"
        return mail, dice.choice((mail, mail.title(), mail.upper()))
    if way == 1:
        digits = f"983{number:07}"
        return digits, dice.choice((f"+7{digits}", f"8 ({digits[:3]}) {digits[3:6]}-{digits[6:8]}-{digits[8:]}"))
    return f"C{number}", f"C{number}"


def _dressed(dice: random.Random, n: int, named: str, day: date, rubles: int) -> str | bytes:
    """The same sale as other programs write it."""
    return dice.choice(
        (
            f'"g{n}","{named}",,"{day}","{rubles}.00","rub","say ""music"""',
            f'g{n},{named},,{day},"{rubles:,}.00",RUB,music',
            f'g{n},{named},,{day},"{rubles},00",RUB,music',
            f"g{n}, {named} ,,{day.strftime('%d.%m.%Y')},{rubles},RUB,,more,columns",
            f"g{n},{named},,{day}T10:20:30+03:00,{rubles}.0,RUB,music",
            f'g{n},{named},,{day} 9:05,{rubles}.00,RUB,"two\nlines"',
            f"g{n},{named},,{day},{rubles}.00,RUB,Пластинки".encode("cp1251"),
        )
    )


# what became of it


def _uploaded(world: World, cookie: dict[str, str], content: bytes) -> str:
    """Sends the form of the desk's page; the id of the job."""
    page = f"/desk/{world.counters[0].shop}/imports"
    form = next(f for f in Outline(world.get(page, headers=cookie)[1].decode()).forms if f["id"] == "import-form")
    fields = {**dict(form["fields"]), "accrue": "as-of", "file": ("history.csv", content)}
    address = f"http://127.0.0.1:{world.port}{page}"
    answer = urllib3.request("POST", address, fields=fields, headers=cookie, redirect=False, timeout=300)
    if answer.status != 303:
        raise AssertionError(f"the upload was answered {answer.status}: {answer.data[-2_000:]!r}")
    return re.findall(r"[0-9a-f-]{36}", answer.headers["Location"])[-1]


def _ended(world: World, job_id: str) -> str | None:
    state = world.one("SELECT state FROM jobs WHERE id = %s", job_id)
    return state if state in {"done", "failed", "cancelled"} else None


def _differences(world: World, job_id: str, wanted: Wanted) -> list[str]:
    told = world.one("SELECT result FROM jobs WHERE id = %s", job_id)
    wrong = [
        f"{name}: {told.get(name)} told, {n} in the file" for name, n in wanted.counts().items() if told.get(name) != n
    ]
    with world.admin() as connection:
        row = connection.execute(
            "SELECT count(*), coalesce(sum(amount), 0), count(DISTINCT member_id) FROM purchases WHERE source = 'import'"
        ).fetchone()
        listed = dict(
            connection.execute("SELECT line, reason FROM import_rejects WHERE job_id = %s", (job_id,)).fetchall()
        )
    stored = (wanted.recorded, wanted.amount, len(wanted.members))
    return (
        wrong
        + ([f"stored {row}, in the file {stored}"] if tuple(map(int, row)) != stored else [])
        + unlike(listed, wanted)
    )


def unlike(listed: dict[int, str], wanted: Wanted) -> list[str]:
    """The lines that are listed for no reason, not listed, or for another reason."""
    return [
        f"line {line}: {listed.get(line)!r}, expected {wanted.bad.get(line)!r}"
        for line in sorted(listed.keys() | wanted.bad.keys())
        if line not in listed or line not in wanted.bad or wanted.bad[line] not in listed[line]
    ]


def _handed_back(world: World, cookie: dict[str, str], job_id: str, wanted: Wanted) -> list[str]:
    page = world.get(f"/desk/{world.counters[0].shop}/imports/{job_id}", headers=cookie)[1].decode()
    link = re.search(r'href="(/files/[^"]+)"', page)
    status, content = world.get(link[1], headers=cookie, timeout=300) if link else (404, b"")
    if status != 200:
        return [f"the file of rejected lines is answered {status}"]
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))[1:]
    return [f"handed back: {one}" for one in unlike({int(row[0]): row[1] for row in rows}, wanted)]


class Memory:
    """How much a worker and its children take: `early` after the first seconds, `most` at the worst moment, in bytes."""

    def __init__(self, pid: int) -> None:
        self._pid, self._over = pid, Event()
        self.early = self.most = 0
        self._watcher = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watcher.join()

    def _watch(self) -> None:
        began = time.monotonic()
        while not self._over.wait(0.2):
            with suppress(psutil.NoSuchProcess):
                forks = psutil.Process(self._pid).children(recursive=True)
                self.most = max([self.most, *(fork.memory_info().rss for fork in forks)])
            if time.monotonic() - began < 15:
                self.early = self.most
