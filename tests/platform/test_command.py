"""`portal operator`: the first operator of an installation, and one who lost password or second factor."""

import pytest
from click.testing import CliRunner

from portal.cli import main
from tests.cast import OPERATOR_EMAIL
from tests.platform.test_operator import OPS, ask, enter
from tests.platform.test_second_factor import enrol

pytestmark = pytest.mark.commits
NEW = "harbour violet twenty"


def run(*words, password=NEW, again=None):
    return CliRunner().invoke(main, list(words), input=f"{password}\n{again or password}\n")


def test_the_first_operator_of_an_installation_signs_in(visitor, app):
    """The doctor says that nobody can enter the room; the command makes the one who can."""
    assert "portal operator create" in run("doctor").output
    made = run("operator", "create", "First@Krug.example", "--name", "Vera Orlova")
    assert made.exit_code == 0, made.output
    assert f"http://{OPS}" in made.output
    assert NEW not in made.output
    browser = visitor(OPS)
    assert enter(browser, "first@krug.example", NEW).status_code == 303
    assert "Vera Orlova" in browser.get("/account").text
    assert "portal operator create" not in run("doctor").output
    assert "made an operator on the command line" in browser.get("/audit").text


@pytest.mark.parametrize(
    ("mail", "password", "told"),
    [
        (OPERATOR_EMAIL, NEW, "portal operator reset"),
        ("second@krug.example", "short", "Error"),
        ("no mail", NEW, "Error"),
    ],
)
def test_what_makes_no_operator(operator, mail, password, told):
    refused = run("operator", "create", mail, password=password)
    assert refused.exit_code == 1
    assert told in refused.output
    assert "Traceback" not in refused.output
    assert ask("SELECT id FROM operators") == [(operator,)]


def test_an_operator_who_lost_everything_is_let_in_again(visitor, inside):
    """Password, app, recovery codes and sessions of before open nothing any more. Seen red with the app and the sessions kept."""
    _, codes = enrol(inside)
    done = run("operator", "reset", OPERATOR_EMAIL)
    assert done.exit_code == 0, done.output
    assert inside.get("/tenants").location.startswith("/login")
    assert enter(visitor(OPS)).status_code == 422
    browser = visitor(OPS)
    assert enter(browser, password=NEW).location == "/tenants"
    assert browser.get("/tenants").status_code == 200  # nothing is asked for that was lost
    for table in ("operator_factors", "operator_recovery_codes"):
        assert ask(f"SELECT count(*) FROM {table}") == [(0,)]
    assert len(codes) == 10
    assert ask("SELECT action FROM platform_audit WHERE action = 'operator.reset'") == [("operator.reset",)]


def test_nobody_is_reset_who_is_no_operator(operator):
    refused = run("operator", "reset", "nobody@krug.example")
    assert refused.exit_code == 1
    assert "portal operator create nobody@krug.example" in refused.output
