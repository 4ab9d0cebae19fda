"""compose.yaml, Dockerfile and .env.example against the code: commands, settings, stores, files, versions."""

import importlib
import re

import pytest
import yaml

from portal.cli import main
from portal.settings import ROOT, Settings

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
EXAMPLE = dict(line.split("=", 1) for line in (ROOT / ".env.example").read_text().splitlines() if line[:1].isupper())
OURS = {name: service for name, service in SERVICES.items() if service.get("build")}
GUNICORNS = set(re.findall(r'environ\.get\("(\w+)"', (ROOT / "portal/web/server.py").read_text()))


def test_each_process_is_a_command_of_the_portal():
    assert {"migrate", "web", "relay", "worker", "long", "cron"} == set(OURS)
    for service in OURS.values():
        name, *rest = service["command"]
        assert name == "portal"
        context = main.make_context("portal", list(rest))
        command = main.get_command(context, rest[0])
        assert command is not None, rest
        if hasattr(command, "commands"):
            assert rest[1] in command.commands
        else:
            command.make_context(rest[0], list(rest[1:]))
    probe = SERVICES["web"]["healthcheck"]["test"][1:]
    assert probe == ["portal", "probe"]
    assert re.search(r'CMD \["portal", "web"\]', DOCKERFILE)


def test_each_variable_is_a_setting_and_each_is_in_the_example():
    for name, service in OURS.items():
        unknown = set(service["environment"]) - set(Settings.model_fields) - GUNICORNS
        assert not unknown, name
        required = {field for field, info in Settings.model_fields.items() if info.is_required()}
        assert required <= set(service["environment"]), name
    used = set(re.findall(r"\$\{(\w+)", (ROOT / "compose.yaml").read_text()))
    assert set(EXAMPLE) <= used
    assert set(re.findall(r"\$\{(\w+):\?", (ROOT / "compose.yaml").read_text())) <= set(EXAMPLE)
    for value in EXAMPLE.values():
        assert "change-me" in value or not re.search(r"\w+:\w+@", value), "no secret in the example"


def test_our_processes_may_do_little_and_have_time_to_end():
    for name, service in OURS.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"]
        assert service["user"] != "0:0"
        assert service["init"]
        if name != "migrate":
            assert service["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
            assert re.fullmatch(r"\d+[sm]", service["stop_grace_period"])
            assert service["deploy"]["resources"]["limits"]["memory"]
    assert int(SERVICES["web"]["environment"]["WEB_GRACE"]) < 30
    uid = re.search(r"useradd --uid (\d+)", DOCKERFILE)[1]
    assert {service["user"] for service in OURS.values()} == {f"{uid}:{uid}"}
    assert "USER krug" in DOCKERFILE


@pytest.mark.parametrize("name", ["postgres", "valkey", "clickhouse"])
def test_stores_are_pinned_checked_and_waited_for(name):
    store = SERVICES[name]
    version = store["image"].rpartition(":")[2]
    assert re.match(r"\d+\.\d+", version)
    assert store["healthcheck"]["test"]
    assert all(service["depends_on"][name]["condition"] == "service_healthy" for service in OURS.values())
    assert "ports" not in store, "stores are for the portal alone"
    assert f"@{name}:" in str(OURS["web"]["environment"]) or f"//{name}:" in str(OURS["web"]["environment"])


def test_named_volumes_are_declared():
    used = {v.partition(":")[0] for service in SERVICES.values() for v in service.get("volumes", ())}
    assert used == set(COMPOSE["volumes"])


def test_the_image_copies_what_is_there_and_takes_locked_packages():
    assert len(set(re.findall(r"^FROM (python:\d+\.\d+\.\d+-slim-\w+)", DOCKERFILE, re.M))) == 1
    assert "--require-hashes -r requirements.lock" in DOCKERFILE
    wanted = [name for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.M) for name in line.split()]
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(wanted) == let_in
    assert all((ROOT / name).exists() for name in wanted)
    importlib.import_module("portal.web.server")
