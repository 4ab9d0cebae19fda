"""The API against a program that tries everything its description allows, and much that it does not (schemathesis).

A sandbox with the shop and member of the examples behind gunicorn; one key with every scope. All checks, all phases, links
between the operations followed; the examples of the readable page are run as they stand.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path

from tests.load.proof import Row
from tests.load.world import World

NAMES = ("api.examples", "api.schemathesis")
EXAMPLES = {True: 300, False: 6}  # a phase and operation
SEED = "20260"


def run(names: list[str], full: bool) -> Iterator[Row]:
    with World.own(members=2, API_RATE="100000 per minute") as world:
        yield from proved(world, names, full=full)


def proved(world: World, names: list[str], *, full: bool) -> Iterator[Row]:
    world.web(workers=1, threads=8, API_RATE="100000 per minute")
    key, host = sandbox(world)
    if "api.examples" in names:
        yield world.checked(examples(world, key, host), drained=False)
    if "api.schemathesis" in names:
        yield world.checked(schemathesis(world, key, host, EXAMPLES[full]), drained=False)


def sandbox(world: World) -> tuple[str, str]:
    """Opens it by the command line; returns its test key and its host."""
    made = world.portal(
        "tenant", "create", "sandbox", "--kind", "sandbox", "--currency", "RUB", "--admin", "", check=False
    )
    if made.returncode:
        from flask import g

        from portal.api.sandbox import SLUG, furnish
        from portal.kernel.tenancy import tenant_scope
        from portal.tenants.hosts import tenant_by_id, tenant_named
        from portal.tenants.start import open_tenant

        with world.app.app_context():
            open_tenant(SLUG, name="Sandbox", currency="RUB", timezone="UTC", locales=("en", "ru"), kind="sandbox")
            tenant_id = tenant_named(SLUG)
            with tenant_scope(tenant_id):
                g.tenant = tenant_by_id(tenant_id)
                return furnish(), f"{SLUG}.localhost:{world.port}"
    return re.search(r"krug_test_\w+", made.stdout)[0], f"sandbox.localhost:{world.port}"


def examples(world: World, key: str, host: str) -> Row:
    """Every command and program of the page, as a reader would paste it; told where the host is."""
    _, page = world.get("/api/v1/docs", host=host)
    shown = re.findall(r"<code[^>]*>((?:export|curl|import).*?)</code>", page.decode(), re.S)
    programs = [unescape(found) for found in shown if found.startswith("import")]
    commands = [unescape(found) for found in shown if not found.startswith("import")]
    env = {**os.environ, "KRUG_KEY": key, "PURCHASE_ID": ""}
    wrong = []
    order = sorted(commands, key=lambda command: ("$PURCHASE_ID" in command, "/refunds" in command))
    for command in order:
        script = re.sub(r"export KRUG_KEY=\S+", "", command)
        script = re.sub(r"https?://[^/\s\"]+", f"http://127.0.0.1:{world.port}", script)
        script = script.replace("curl ", f"curl -sS -w '\\n%{{http_code}}' -H 'Host: {host}' ")
        told = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, check=False)
        body, _, status = told.stdout.rpartition("\n")
        if status not in {"200", "201"}:
            wrong.append(f"{command.splitlines()[0]}: {status} {body[:200]}{told.stderr[:200]}")
        elif not env["PURCHASE_ID"] and status == "201":
            env["PURCHASE_ID"] = json.loads(body)["id"]
    for program in programs:
        script = re.sub(r"https?://[^/\s\"]+", f"http://127.0.0.1:{world.port}", program)
        script = script.replace("headers={", f'headers={{"Host": "{host}", ')
        told = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=False)
        if told.returncode or not told.stdout.startswith("{"):
            wrong.append(f"{program.splitlines()[3]}: {told.stdout[-200:]}{told.stderr[-200:]}")
    return Row(
        "api.examples",
        "every command and program of the API's page, run as it stands",
        len(order) + len(programs),
        len(wrong),
        "; ".join(wrong),
    )


def schemathesis(world: World, key: str, host: str, count: int) -> Row:
    """All checks in all phases; the number of requests is what the program says."""
    address = f"http://127.0.0.1:{world.port}"
    command = [
        sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()",
        "--config-file", str(Path(__file__).with_name("schemathesis.toml")), "run", f"{address}/api/v1/openapi.json",
        "--url", address, "-H", f"Authorization: Bearer {key}", "-H", f"Host: {host}", "--checks", "all", "-n", str(count),
        "--continue-on-failure", "--seed", SEED, "--no-color", "--suppress-health-check", "all",
    ]  # fmt: skip
    told = subprocess.run(command, cwd=world.var, capture_output=True, text=True, check=False)
    (Path(world.var) / "log" / "schemathesis.log").write_text(told.stdout + told.stderr)
    cases = re.search(r"([\d,]+) generated", told.stdout)
    found = re.search(r"(\d+) unique failures?", told.stdout)
    wrong = int(found[1]) if found else int(told.returncode != 0)
    if wrong:
        print(told.stdout[-6000:], told.stderr[-2000:], file=sys.stderr)
    return Row(
        "api.schemathesis", "requests made from the description, links followed, all checks",
        int(cases[1].replace(",", "")) if cases else 0, wrong,
    )  # fmt: skip
