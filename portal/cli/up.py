"""`portal up`: the whole installation on this machine, engines included, until Ctrl-C."""

import json
import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from portal import embedded
from portal.embedded.ports import choose
from portal.embedded.supervisor import Supervisor
from portal.settings import ROOT

ADDRESSES = ("DATABASE_URL", "REDIS_URL", "CLICKHOUSE_URL")
MAIL_PORT_FROM_WEB = 25  # mail pages answer 25 ports above the portal: 8000 → 8025
SMS_PORT_FROM_WEB = 26
TELEGRAM_PORT_FROM_WEB = 27
TELEGRAM_URLS = ("TELEGRAM_API_URL", "TELEGRAM_OAUTH_URL", "TELEGRAM_LINK_URL")


def secret_key(var: Path) -> str:
    """The installation's secret, made at the first start and kept for its owner alone."""
    path = var / "secret_key"
    if not path.exists():
        var.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
    return path.read_text().strip()


def write_private(path: Path, content: Mapping[str, object]) -> None:
    """A JSON file that nobody else may read, whole or not at all."""
    draft = path.with_suffix(".draft")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(content, file, indent=2, ensure_ascii=False)
        file.write("\n")
    draft.replace(path)


def enter(var: Path, engines: embedded.Engines | None, port: int) -> dict[str, str]:
    """The environment in which every process of this installation runs; sets it here too."""
    values = {
        "SECRET_KEY": os.environ.get("SECRET_KEY") or secret_key(var),
        "VAR_DIR": str(var.resolve()),
        "PORT": str(port),
    }
    if engines:
        values |= {
            "DATABASE_URL": engines.database_url,
            "REDIS_URL": engines.redis_url,
            "CLICKHOUSE_URL": engines.clickhouse_url,
        }
    os.environ.update(values)
    return values


@click.command()
@click.option("--demo", is_flag=True, help="Fill an empty installation with the demo world.")
@click.option("--port", default=lambda: int(os.environ.get("PORT", "8000")), type=int, help="Where the portal answers.")
@click.option("--var", "var_dir", default="var", type=click.Path(path_type=Path), help="Where everything is kept.")
def up(*, demo: bool, port: int, var_dir: Path) -> None:
    """Start the engines that no *_URL names, migrate, and run web, relay, workers and cron."""
    os.chdir(ROOT)
    var = var_dir.resolve()
    supervisor = Supervisor(hint="make demo")
    try:
        os.environ.setdefault("DEVELOPMENT", "1" if demo else "0")
        os.environ.setdefault("OPERATOR_SECOND_FACTOR", "0" if demo else "1")
        _add_web(supervisor, port, var)
        given = {name: os.environ[name] for name in ADDRESSES if os.environ.get(name)}
        engines = embedded.start(var, given=given)
    except (embedded.PortTaken, embedded.AlreadyRunning, embedded.EngineFailed) as problem:
        raise click.ClickException(str(problem)) from None
    supervisor.use(engines)
    try:
        smtp_port = choose(None, taken=frozenset())
        values = enter(var, engines.engines, port)
        os.environ.setdefault("SMTP_URL", f"smtp://127.0.0.1:{smtp_port}")
        os.environ.setdefault("SMS_URL", f"http://krug:demo@127.0.0.1:{port + SMS_PORT_FROM_WEB}?from=Krug")
        if demo:
            for name in TELEGRAM_URLS:
                os.environ.setdefault(name, f"http://localhost:{port + TELEGRAM_PORT_FROM_WEB}")
        outside = {name: os.environ[name] for name in ("SMTP_URL", "SMS_URL", *TELEGRAM_URLS) if name in os.environ}
        write_private(var / "run.json", {**values, **outside})
        _prepare(demo=demo, mail_url=f"http://localhost:{port + MAIL_PORT_FROM_WEB}")
    except BaseException:
        engines.stop()
        raise
    _add_background(supervisor, smtp_port, port, var)
    if demo:
        _add_telegram(supervisor, port, var)
    sys.exit(supervisor.run(lambda: _announce(var, port)))


def _add_web(supervisor: Supervisor, port: int, var: Path) -> None:
    metrics = var / "metrics"
    supervisor.add(
        "web",
        (sys.executable, "-m", "gunicorn", "-c", "python:portal.web.server", "wsgi:app"),
        env={"PROMETHEUS_MULTIPROC_DIR": str(metrics), "PORT": str(port), "LOG_FORMAT": "text", "LOG_LEVEL": "WARNING"},
        port=port,
    )


def _add_background(supervisor: Supervisor, smtp_port: int, port: int, var: Path) -> None:
    quiet = {"LOG_FORMAT": "text", "LOG_LEVEL": "WARNING"}
    python = sys.executable
    supervisor.add("relay", (python, "-m", "workers.relay"), env=quiet)
    supervisor.add("worker", (python, "-m", "workers.pool", "fast", "2"), env=quiet)
    supervisor.add("long", (python, "-m", "workers.pool", "long", "1"), env=quiet)
    supervisor.add("cron", (python, "-m", "workers.cron"), env=quiet)
    pages = str(port + MAIL_PORT_FROM_WEB)
    supervisor.add(
        "mail",
        (python, "-m", "portal.embedded.smtp", str(smtp_port), str(var / "mail"), "--pages", pages),
        port=int(pages),
    )
    texts = port + SMS_PORT_FROM_WEB
    supervisor.add("sms", (python, "-m", "portal.embedded.sms", str(texts), str(var / "sms")), port=texts)


def _add_telegram(supervisor: Supervisor, port: int, var: Path) -> None:
    """The demo's Telegram; a real installation speaks to the real one."""
    number = port + TELEGRAM_PORT_FROM_WEB
    command = (sys.executable, "-m", "portal.embedded.telegram", str(number), str(var / "telegram"))
    supervisor.add("telegram", command, port=number)


def _prepare(*, demo: bool, mail_url: str) -> None:
    from portal.analytics.migrate import upgrade as upgrade_clickhouse
    from portal.cli import database

    database.upgrade()
    upgrade_clickhouse()
    if demo:
        from portal.demo.world import build_once

        build_once(mail_url=mail_url, say=click.echo)


def _announce(var: Path, port: int) -> None:
    """What a newcomer needs: where, and as whom."""
    path = var / "demo.json"
    if not path.exists():
        click.echo(f"\n  Krug answers on http://localhost:{port}\n")
        return
    demo = json.loads(path.read_text())
    lines = ["", f"  Krug is ready: {demo['base_url']}", ""]
    for tenant in demo["tenants"]:
        lines.append(f"  {tenant['name']} — {tenant['url']}")
        lines += [f"    {p['role']:<9} {p['email']:<34} {p['password']}" for p in tenant["people"]]
    operator = demo["operator"]
    lines += [
        "",
        f"  Operator — {operator['url']}",
        f"    {'operator':<9} {operator['email']:<34} {operator['password']}",
    ]
    lines += [
        "",
        f"  Mail that the portal sends: {demo['mail_url']}",
        f"  Text messages that it sends: http://localhost:{port + SMS_PORT_FROM_WEB}",
        f"  Its Telegram: http://localhost:{port + TELEGRAM_PORT_FROM_WEB}",
        "  Safari does not resolve *.localhost; Chromium and Firefox do.",
    ]
    lines += ["  Ctrl-C stops everything; the data stays in " + str(var), ""]
    click.echo("\n".join(lines))
