"""S11, TMA-1, TMA-2: what is taken for Telegram's word and what is not."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from portal.telegram import signed

# The public vector of the Mini Apps documentation (init-data-golang): its bot exists for this purpose alone.
PUBLIC_TOKEN = "7342037359:AAHI25ES9xCOMPokpYoz-p8XVrZUdygo2J4"
PUBLIC = (
    "user=%7B%22id%22%3A279058397%2C%22first_name%22%3A%22Vladislav%20%2B%20-%20%3F%20%5C%2F%22%2C%22last_name%22%3A%22"
    "Kibenko%22%2C%22username%22%3A%22vdkfrost%22%2C%22language_code%22%3A%22ru%22%2C%22is_premium%22%3Atrue%2C%22"
    "allows_write_to_pm%22%3Atrue%2C%22photo_url%22%3A%22https%3A%5C%2F%5C%2Ft.me%5C%2Fi%5C%2Fuserpic%5C%2F320%5C%2F"
    "4FPEE4tmP3ATHa57u6MqTDih13LTOiMoKoLDRG4PnSA.svg%22%7D&chat_instance=8134722200314281151&chat_type=private"
    "&auth_date=1733509682&signature=TYJxVcisqbWjtodPepiJ6ghziUL94-KNpG8Pau-X7oNNLNBM72APCpi_RKiUlBvcqo5L-LAxIc3dnTzcZX_PDg"
    "&hash=a433d8f9847bd6addcc563bff7cc82c89e97ea0d90c11fe5729cae6796a36d73"
)
THEN = datetime.fromtimestamp(1733509682, UTC)
TOKEN = "4242:made-for-these-tests"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def at(seconds=0):
    return str(int(NOW.timestamp()) + seconds)


def lines(pairs):
    return "\n".join(f"{k}={v}" for k, v in sorted(pairs.items())).encode()


def mini_app(token=TOKEN, *, encode=lambda v: quote(v, safe=""), order=None, **more):
    """initData as Telegram makes it: the query and its hash."""
    pairs = {"user": json.dumps({"id": 77, "first_name": "Ann + Bo", "username": "ann"}), "auth_date": at(), **more}
    secret = hmac.new(b"WebAppData", token.encode(), hashlib.sha256).digest()
    pairs["hash"] = hmac.new(secret, lines(pairs), hashlib.sha256).hexdigest()
    return "&".join(f"{k}={encode(pairs[k])}" for k in order or pairs)


def widget(token=TOKEN, **more):
    pairs = {"id": "77", "first_name": "Ann", "auth_date": at(), **more}
    secret = hashlib.sha256(token.encode()).digest()
    return {**pairs, "hash": hmac.new(secret, lines(pairs), hashlib.sha256).hexdigest()}


def test_the_public_vector_is_telegrams_word_to_the_last_byte():
    told = signed.init_data(PUBLIC, PUBLIC_TOKEN, THEN)
    assert (told.id, told.username, told.name) == (279058397, "vdkfrost", "Vladislav + - ? / Kibenko")
    assert signed.by_third_party(PUBLIC, 7342037359)
    for n in range(0, len(PUBLIC), 7):
        flipped = PUBLIC[:n] + ("x" if PUBLIC[n] != "x" else "y") + PUBLIC[n + 1 :]
        with pytest.raises(ValueError):
            signed.init_data(flipped, PUBLIC_TOKEN, THEN)


def test_the_third_partys_check_knows_the_bot_and_the_key():
    assert not signed.by_third_party(PUBLIC, 7342037358)
    assert not signed.by_third_party(PUBLIC.replace("private", "public"), 7342037359)
    assert not signed.by_third_party(PUBLIC.replace("&signature=TY", "&signature=!"), 7342037359)
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    assert not signed.by_third_party(PUBLIC, 7342037359, other)


def test_a_mini_app_of_our_own_bot_is_believed_in_any_order_and_with_any_field():
    assert signed.init_data(mini_app(), TOKEN, NOW).name == "Ann + Bo"
    assert signed.init_data(mini_app(order=["hash", "auth_date", "user"]), TOKEN, NOW).id == 77
    assert signed.init_data(mini_app(query_id="AA+/=", newest_field="1", empty=""), TOKEN, NOW).id == 77
    assert signed.init_data(mini_app(start_param="a+b", encode=lambda v: quote(v, safe="+/:")), TOKEN, NOW).id == 77


@pytest.mark.parametrize(
    "raw",
    [
        mini_app() + "&auth_date=" + at(),  # a key twice
        mini_app() + "&user=%7B%22id%22%3A1%7D",
        mini_app() + "&extra=1",
        mini_app(token="4242:another-bots"),
        mini_app().replace("hash=", "hush="),
        mini_app(user="[]"),
        mini_app(user='{"id": true}'),
        mini_app(user='{"id": "77 "}'),
        mini_app(user='{"id": 9999999999999999999}'),
        mini_app(user="{" * 3000),
        mini_app(auth_date="soon"),
        mini_app(extra="x" * 9000),
        mini_app() + "&",
        "hash=%ff",
        "hash=%zz",
        "",
        "&".join(f"{k}={quote(str(v))}" for k, v in widget(user='{"id": 77}').items()),  # the widget's secret
    ],
)
def test_what_telegram_did_not_say_is_refused(raw):
    with pytest.raises(signed.NotFromTelegram):
        signed.init_data(raw, TOKEN, NOW)


def test_the_widget_is_believed_with_the_bots_own_secret_only():
    told = signed.login(widget(id=77, last_name="Lee", photo_url="https://t.me/i/1.jpg"), TOKEN, NOW)
    assert (told.id, told.name) == (77, "Ann Lee")
    for wrong in (
        widget("4242:another-bots"),
        {**widget(), "id": "78"},
        {**widget(), "extra": "1"},
        {**widget(), "hash": ["a"]},
        {**widget(), "hash": widget()["hash"][:-1] + "x"},
        {**widget(), "first_name": "\ud800"},
        {k: v for k, v in widget().items() if k != "hash"},
    ):
        with pytest.raises(signed.NotFromTelegram):
            signed.login(wrong, TOKEN, NOW)


@pytest.mark.parametrize(("seconds", "fine"), [(-301, False), (-299, True), (59, True), (61, False)])
def test_five_minutes_back_and_one_ahead(seconds, fine):
    """decisions.md: login auth_date at most 5 min old; TMA-2: not more than 60 s in the future."""
    for check, said in (
        (signed.login, widget(auth_date=at(seconds))),
        (signed.init_data, mini_app(auth_date=at(seconds))),
    ):
        if fine:
            assert check(said, TOKEN, NOW).id == 77
        else:
            with pytest.raises(signed.TooOld):
                check(said, TOKEN, NOW)
    assert signed.login(widget(auth_date=at(-1000)), TOKEN, NOW, timedelta(hours=1)).id == 77
