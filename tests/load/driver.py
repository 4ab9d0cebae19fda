"""Tills that sell, give back and undo, from several processes, and remember what they were told.

Each act has a key. What was not answered (no connection, a cut one, 5xx) is sent again with the same key until it is answered, as
a till does. `compare` then holds the books against what the tills remember: every acknowledged act stands there exactly
once, with the values of its answer, and nothing stands there that no till sent.
"""

import http.client
import json
import multiprocessing
import random
import threading
import time
from collections import Counter as Tally
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlencode
from uuid import uuid4

from tests.load.world import Counter, World

TIMEOUT_S = 30.0
WAIT = 429  # too many calls of one key: not refused for good
MIX = (("sell", 66), ("spend", 12), ("refund", 16), ("undo", 6))
AGAIN = 0.05  # how many of the acknowledged are sent once more, to be answered the same


@dataclass
class Answers:
    """What the tills remember. `acknowledged`: (tenant, kind, external_id) → the answer."""

    acknowledged: dict[tuple[str, str, str], dict] = field(default_factory=dict)
    refused: dict[tuple[str, str, str], str] = field(default_factory=dict)
    unresolved: set[tuple[str, str, str]] = field(default_factory=set)
    sent: int = 0
    unanswered: int = 0  # sendings without an answer, each sent again
    errors: Tally = field(default_factory=Tally)  # answers of 500 and above, by status
    changed: list[str] = field(default_factory=list)  # repeats that were answered otherwise
    slowest: float = 0.0

    @property
    def writes(self) -> int:
        return len(self.acknowledged) + len(self.refused) + len(self.unresolved)


class Driver:
    """`with Driver(world) as driver: … driver.wait(writes=2000)`, then `driver.compare()`.

    `patience`: for how many seconds a till tries to be answered before it gives an act up as unresolved.
    """

    def __init__(
        self,
        world: World,
        *,
        processes: int = 2,
        threads: int = 4,
        pause: float = 0.0,
        patience: float = 120.0,
        seed: int = 1,
    ) -> None:
        self.world, self.answers = world, Answers()
        self._number, self._threads = processes, threads
        self._options = {"port": world.port, "pause": pause, "patience": patience}
        self._context = multiprocessing.get_context("spawn")
        self._stop = self._context.Event()
        self._done = self._context.Value("q", 0)
        self._seed = seed
        self._processes: list[tuple[multiprocessing.Process, Path]] = []

    @classmethod
    def remembering(cls, world: World, acts: list[dict]) -> Self:
        """A driver that has done these acts already, for `compare`."""
        driver = cls(world)
        for act in acts:
            _remember(act, driver.answers)
        return driver

    def __enter__(self) -> Self:
        for n in range(self._number):
            told = self.world.var / f"tills-{self._seed}-{n}-{uuid4().hex[:6]}.jsonl"
            arguments = (
                self.world.counters,
                self._threads,
                self._options,
                self._seed * 1000 + n,
                str(told),
                self._stop,
                self._done,
            )
            process = self._context.Process(target=_process, args=arguments, daemon=True)
            process.start()
            self._processes.append((process, told))
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def done(self) -> int:
        """Acts that came to an end so far."""
        return self._done.value

    def wait(self, writes: int, within: float = 7200.0) -> None:
        """Until so many acts have ended."""
        end = time.monotonic() + within
        while self.done < writes:
            if time.monotonic() > end or not any(p.is_alive() for p, _ in self._processes):
                raise AssertionError(f"the tills came to {self.done} of {writes}")
            time.sleep(0.1)

    def stop(self) -> Answers:
        """Let the tills end what they are at; what they remember is in `answers`."""
        self._stop.set()
        for process, told in self._processes:
            process.join(self._options["patience"] + TIMEOUT_S + 30)
            if process.is_alive():
                process.kill()
            _read(told, self.answers)
        self._processes.clear()
        return self.answers

    def compare(self) -> list[str]:
        """What the books say otherwise than the tills remember."""
        found = list(self.answers.changed)
        found += _sales_against(self.world, self.answers)
        found += _refunds_against(self.world, self.answers)
        return found


def _read(told: Path, answers: Answers) -> None:
    for line in told.read_text().splitlines():
        _remember(json.loads(line), answers)


def _remember(act: dict, answers: Answers) -> None:
    key = (act["tenant"], act["kind"], act["key"])
    answers.sent += act["sent"]
    answers.unanswered += act["unanswered"]
    answers.errors.update({int(status): n for status, n in act["errors"].items()})
    answers.slowest = max(answers.slowest, act["slowest"])
    if act["changed"]:
        answers.changed.append(f"{key}: {act['changed']}")
    if act["end"] == "acknowledged":
        answers.acknowledged[key] = act["answer"]
    elif act["end"] == "refused":
        answers.refused[key] = act["answer"]
    else:
        answers.unresolved.add(key)


def _sales_against(world: World, answers: Answers) -> list[str]:
    mine = {(tenant, key): answer for (tenant, kind, key), answer in answers.acknowledged.items() if kind == "sell"}
    maybe = {(tenant, key) for tenant, kind, key in answers.unresolved if kind == "sell"}
    found: list[str] = []
    seen: Tally = Tally()
    with world.admin() as connection:
        rows = connection.execute(
            "SELECT p.tenant_id::text, p.external_id, p.id::text, p.amount, p.bonus_accrued, p.paid_with_bonus,"
            " (SELECT count(*) FROM ledger_transactions t WHERE t.tenant_id = p.tenant_id AND t.caused_by = p.id AND t.type = 'accrual')"
            " FROM purchases p WHERE p.external_id LIKE 'T-%'"
        ).fetchall()
    for tenant, key, purchase_id, amount, accrued, paid, _postings in rows:
        seen[tenant, key] += 1
        answer = mine.get((tenant, key))
        if answer is None:
            if (tenant, key) not in maybe:
                found.append(f"sale {key} stands in the books, its till was refused or never sent it")
        elif answer != [purchase_id, amount, accrued, paid]:
            found.append(f"sale {key}: answered {answer}, kept {[purchase_id, amount, accrued, paid]}")
    found += [f"sale {key} was acknowledged and is not there" for tenant, key in mine if not seen[tenant, key]]
    found += [f"sale {key} is there {n} times" for (_, key), n in seen.items() if n > 1]
    return found


def _refunds_against(world: World, answers: Answers) -> list[str]:
    mine = {(t, key): a for (t, kind, key), a in answers.acknowledged.items() if kind in ("refund", "undo")}
    maybe = {(t, key) for t, kind, key in answers.unresolved if kind in ("refund", "undo")}
    found: list[str] = []
    seen: Tally = Tally()
    with world.admin() as connection:
        rows = connection.execute(
            "SELECT tenant_id::text, external_id, id::text, amount, cause FROM purchase_refunds WHERE external_id LIKE 'R-%'"
        ).fetchall()
    for tenant, key, refund_id, amount, cause in rows:
        seen[tenant, key] += 1
        answer = mine.get((tenant, key))
        if answer is None:
            if (tenant, key) not in maybe:
                found.append(f"{cause} {key} stands in the books, its till was refused or never sent it")
        elif cause == "refund" and answer != [refund_id, amount]:
            found.append(f"refund {key}: answered {answer}, kept {[refund_id, amount]}")
    found += [f"refund or undo {key} was acknowledged and is not there" for t, key in mine if not seen[t, key]]
    found += [f"refund or undo {key} is there {n} times" for (_, key), n in seen.items() if n > 1]
    return found


# in the tills' own processes


def _process(counters: list[Counter], threads: int, options: dict, seed: int, told: str, stop, done) -> None:
    lock = threading.Lock()
    with open(told, "w", buffering=1) as out:

        def tell(act: dict) -> None:
            with lock:
                out.write(json.dumps(act) + "\n")
            with done.get_lock():
                done.value += 1

        tills = [Till(counters, options, seed * 100 + n, stop, tell) for n in range(threads)]
        running = [threading.Thread(target=till.work) for till in tills]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()


class Till:
    """One thread with one connection."""

    def __init__(self, counters: list[Counter], options: dict, number: int, stop, tell) -> None:
        self.counters, self.options, self.number, self.stop, self.tell = counters, options, number, stop, tell
        self.chance = random.Random(number)
        self.connection: http.client.HTTPConnection | None = None
        self.sold: list[tuple[Counter, str, int]] = []

    def work(self) -> None:
        while not self.stop.is_set():
            kind = self.chance.choices([k for k, _ in MIX], [w for _, w in MIX])[0]
            if kind in ("refund", "undo") and self.sold:
                counter, purchase_id, amount = self.sold.pop(self.chance.randrange(len(self.sold)))
                (self.refund if kind == "refund" else self.undo)(counter, purchase_id, amount)
            else:
                self.sell(self.chance.choice(self.counters), spend=kind == "spend")
            if self.options["pause"]:
                time.sleep(self.chance.uniform(0, 2 * self.options["pause"]))

    def sell(self, counter: Counter, *, spend: bool) -> None:
        key, amount = f"T-{uuid4()}", self.chance.randrange(1_000, 500_000)
        body = {
            "external_id": key,
            "member": self.chance.choice(counter.cards),
            "amount": _decimal(amount),
            "currency": counter.currency,
        }
        if spend:
            body["bonus_to_spend"] = _decimal(self.chance.randrange(100, amount // 4 + 101))
        answer = self.act("sell", counter, key, "/api/v1/purchases", body)
        if answer:
            self.sold.append((counter, answer["id"], amount))

    def refund(self, counter: Counter, purchase_id: str, amount: int) -> None:
        key = f"R-{uuid4()}"
        part = amount if self.chance.random() < 0.5 else self.chance.randrange(1, amount)
        body = {"external_id": key, "amount": _decimal(part), "reason": "returned"}
        self.act("refund", counter, key, f"/api/v1/purchases/{purchase_id}/refunds", body)

    def undo(self, counter: Counter, purchase_id: str, amount: int) -> None:
        key = f"R-{uuid4()}"
        self.act("undo", counter, key, f"/till/{counter.shop}/purchases/{purchase_id}/undo", {"form_key": key})

    def act(self, kind: str, counter: Counter, key: str, path: str, body: dict) -> dict | None:
        """Send until answered; returns the answer's body if it was acknowledged."""
        act = {
            "tenant": counter.tenant_id, "kind": kind, "key": key, "sent": 0, "unanswered": 0, "errors": {},
            "slowest": 0.0, "changed": "", "end": "unresolved", "answer": "",
        }  # fmt: skip
        until, told = time.monotonic() + self.options["patience"], None
        while time.monotonic() < until:
            status, told = self.send(kind, counter, key, path, body, act)
            if status and status < 500 and status != WAIT:
                break
            if status == WAIT:
                time.sleep(1)
            elif status:
                act["errors"][status] = act["errors"].get(status, 0) + 1
            else:
                act["unanswered"] += 1
            time.sleep(self.chance.uniform(0.02, 0.2))
        else:
            status = 0
        if status in (200, 201, 303):
            act["end"], act["answer"] = "acknowledged", _kept(kind, told)
            if self.chance.random() < AGAIN:
                again, same = self.send(kind, counter, key, path, body, act)
                if (
                    again
                    and again < 500
                    and again != WAIT
                    and (again not in (200, 303) or _kept(kind, same) != act["answer"])
                ):
                    act["changed"] = f"answered {act['answer']}, repeated: {again} {same}"
        elif status:
            act["end"], act["answer"] = "refused", f"{status} {(told or {}).get('code', '')}"
        self.tell(act)
        return told if act["end"] == "acknowledged" and kind == "sell" else None

    def send(self, kind: str, counter: Counter, key: str, path: str, body: dict, act: dict) -> tuple[int, dict | None]:
        """One sending: its status, 0 without an answer, and the JSON of the answer."""
        headers = {"Host": counter.host}
        if kind == "undo":
            data = urlencode({"reason": "amount", **body})
            headers |= {
                "Content-Type": "application/x-www-form-urlencoded",
                "Cookie": f"sid={counter.cookie}",
                "X-CSRFToken": counter.csrf,
            }
        else:
            data = json.dumps(body)
            headers |= {
                "Content-Type": "application/json",
                "Authorization": f"Bearer {counter.keys[self.number % len(counter.keys)]}",
                "Idempotency-Key": key,
            }
        act["sent"] += 1
        began = time.monotonic()
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.options["port"], timeout=TIMEOUT_S)
            self.connection.request("POST", path, data, headers)
            with self.connection.getresponse() as response:
                text = response.read()
                status = response.status
        except (OSError, http.client.HTTPException):
            self.hang_up()
            return 0, None
        finally:
            act["slowest"] = max(act["slowest"], time.monotonic() - began)
        try:
            return status, json.loads(text) if "json" in response.headers.get("Content-Type", "") else {}
        except ValueError:  # cut in the middle
            self.hang_up()
            return 0, None

    def hang_up(self) -> None:
        if self.connection is not None:
            self.connection.close()
        self.connection = None


def _kept(kind: str, told: dict) -> list:
    """What of an answer must stand in the books."""
    if kind == "sell":
        return [told["id"], _minor(told["amount"]), _minor(told["bonus_accrued"]), _minor(told["paid_with_bonus"])]
    return [told["refund_id"], _minor(told["amount"])] if kind == "refund" else []


def _decimal(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02}"


def _minor(decimal: str) -> int:
    return round(float(decimal) * 100)
