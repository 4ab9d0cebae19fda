"""The SMS provider of `SMS_URL`, over the HTTP of Twilio's Messages resource, which several providers speak.

`https://SID:TOKEN@api.twilio.com?from=+15550100`: account, token and the sender that people see (a number or a name).
"""

from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit

import requests

from portal.settings import settings

PATIENCE_S = 10
TRY_AGAIN = {408, 425, 429}


class SmsRefused(Exception):
    """The provider will not take this message, now or later: a number that does not exist, or a wrong account."""


class SmsFailed(OSError):
    """The provider did not take the message this time."""


def send(to: str, body: str) -> str:
    """Hand a text message over; `to` is E.164. Returns the provider's id. Raises `SmsRefused` or `SmsFailed`."""
    parts = urlsplit(settings().SMS_URL)
    account = unquote(parts.username or "")
    host = parts.netloc.rpartition("@")[2]
    base = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
    sender = parse_qs(parts.query.replace("+", "%2B")).get("from", [""])[0]
    try:
        answer = requests.post(
            f"{base}/2010-04-01/Accounts/{account}/Messages.json",
            data={"To": to, "From": sender, "Body": body},
            auth=(account, unquote(parts.password or "")),
            timeout=PATIENCE_S,
            allow_redirects=False,
        )
        told = answer.json()
        number = int(told.get("code") or 0) if answer.status_code != requests.codes.created else 0
        known = str(told["sid"]) if answer.status_code == requests.codes.created else ""
    except (requests.RequestException, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SmsFailed(type(error).__name__) from None  # the words would repeat the number
    if known:
        return known
    if answer.status_code < 500 and answer.status_code not in TRY_AGAIN:  # noqa: PLR2004
        raise SmsRefused(f"refused: {answer.status_code} {number}")
    raise SmsFailed(f"answered {answer.status_code} {number}")
