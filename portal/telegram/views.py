"""In by Telegram, the link on the page of safety, the bot's settings and the address that Telegram calls."""

import binascii
import hmac
import json
import secrets
from base64 import urlsafe_b64decode
from dataclasses import asdict
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from flask import Response, abort, flash, jsonify, redirect, request, url_for
from flask import session as browser
from flask_babel import gettext
from flask_login import current_user
from werkzeug.wrappers import Response as Answer

from portal.extensions import csrf, db
from portal.identity import access, onward, referrals, sessions, stepup
from portal.identity.limits import JOINS_AN_ADDRESS, TRIES_AN_ADDRESS, limited
from portal.identity.stepup import fresh
from portal.kernel.authz import LOGIN, PUBLIC, Permission, PortalBlueprint
from portal.kernel.errors import PortalError
from portal.messages.codes import spoken
from portal.settings import settings as config
from portal.telegram import bot as api
from portal.telegram import service, signed, talk
from portal.telegram.forms import BotForm, NewcomerForm
from portal.web.client import client_address
from portal.web.fragments import render
from portal.web.security import reading

telegram = PortalBlueprint("telegram", __name__, room="public")
mine = PortalBlueprint("telegram_mine", __name__, room="member")
admin = PortalBlueprint("telegram_admin", __name__, room="admin")
P = Permission
ASKED, NEWCOMER = "telegram_asked", "telegram_newcomer"  # what the session keeps
WAIT = timedelta(minutes=30)  # for a newcomer to agree, and for Telegram to answer


@telegram.app_template_global()
def telegram_bot() -> Any:
    """The tenant's bot for pages that offer it; None when there is none."""
    return service.connected()


@telegram.app_template_global()
def telegram_account(user_id: UUID) -> Any:
    """A member's linked Telegram; None when there is none."""
    return service.account_of(user_id)


@telegram.route("/telegram/start", permission=PUBLIC)
def start() -> Any:
    """Go to Telegram's own sign-in page; it comes back to `/telegram/login`. `link=1` ties it to who is signed in."""
    bot = service.connected() or abort(404)
    linking = request.args.get("link") == "1" and current_user.is_authenticated
    if linking and not stepup.is_fresh():
        return stepup.ask()
    state = secrets.token_urlsafe(16)
    browser[ASKED] = {
        "state": state,
        "link": linking,
        "next": onward.safe_path(request.args.get("next")),
        "until": _moment() + WAIT.total_seconds(),
    }
    home = f"{request.scheme}://{request.host}"
    query = {
        "bot_id": bot.bot_id,
        "origin": home,
        "request_access": "write",
        "return_to": f"{home}{url_for('telegram.login', state=state)}",
    }
    return redirect(f"{config().TELEGRAM_OAUTH_URL}/auth?{urlencode(query)}", code=303)


@telegram.route("/telegram/login", methods=["GET", "POST"], permission=PUBLIC)
@limited(TRIES_AN_ADDRESS)
def login() -> Any:
    """Where Telegram's sign-in page comes back to, its answer behind the #; a script sends it on.

    Only the browser that went there may come back: another's answer in a link would sign its reader in as its sender.
    """
    if service.connected() is None:
        abort(404)
    asked = browser.get(ASKED) or {}
    state = request.values.get("state", "")
    if reading():
        return render("telegram/arriving.html", state=state)
    fields = _decoded(request.form.get("result", ""))
    ours = bool(asked) and hmac.compare_digest(state.encode(), asked["state"].encode())
    if fields is None or not ours or asked["until"] < _moment():
        return _refused(service.NotBelieved())
    browser.pop(ASKED)
    try:
        told = service.told_by_widget(fields)
        if asked["link"] and current_user.is_authenticated:
            service.link(current_user.id, told)
            flash(gettext("Telegram is linked. You can sign in with it."))
            return redirect(url_for("identity.security"), code=303)
        return _enter(told, asked["next"])
    except PortalError as error:
        return _refused(error)


@telegram.route("/telegram/app", methods=["GET", "POST"], permission=PUBLIC)
@limited(TRIES_AN_ADDRESS)
def mini_app() -> Any:
    """The Mini App's first page: Telegram gives its word behind the #, a script sends it. Whoever is signed in stays so."""
    if service.connected() is None:
        abort(404)
    if current_user.is_authenticated:
        return redirect(onward.first_page(current_user), code=303)
    if reading():
        return render("telegram/app.html")
    try:
        return _enter(service.told_by_app(request.form.get("result", "")), None)
    except PortalError as error:
        return _refused(error)


@telegram.route("/telegram/join", methods=["GET", "POST"], permission=PUBLIC)
@limited(JOINS_AN_ADDRESS)
def join() -> Any:
    """Somebody whom Telegram named and nobody here knows: a name and a consent make them a member."""
    kept = browser.get(NEWCOMER)
    if not kept or kept["until"] < _moment() or service.connected() is None:
        browser.pop(NEWCOMER, None)
        return redirect(url_for("identity.join"), code=303)
    told = signed.Told(**kept["told"])
    form = NewcomerForm(data={"name": told.name}) if reading() else NewcomerForm()
    if reading():
        return render("telegram/join.html", form=form, told=told)
    if not form.validate():
        return render("telegram/join.html", form=form, told=told, status=422)
    try:
        member_id = service.join(
            told,
            name=form.name.data or "",
            marketing=bool(form.marketing.data),
            ref=browser.get(referrals.ASKED, ""),
        )
    except service.LinkedElsewhere:  # by this very form in another tab
        return _refused(service.NotBelieved())
    except PortalError as error:
        form.name.errors = [error.message]
        return render("telegram/join.html", form=form, told=told, status=422)
    with sessions.acting_as(member_id, "member"):
        cookie = access.admit(member_id, user_agent=request.user_agent.string, ip=client_address(), amr="tg")
    browser.pop(referrals.ASKED, None)
    sessions.hand_cookie(cookie)
    return redirect(kept["next"] or url_for("identity.first"), code=303)


@telegram.route("/hooks/telegram/<uuid:hook_id>", methods=["POST"], permission=PUBLIC)
@csrf.exempt
def hook(hook_id: UUID) -> Any:
    """Telegram's updates; the secret in the header is the whole authority. The answer goes back with the reply."""
    bot = service.connected()
    given = request.headers.get("X-Telegram-Bot-Api-Secret-Token", "")
    if bot is None or bot.id != hook_id or not service.hook_fits(bot, given):
        abort(404)
    update = request.get_json(silent=True)
    if not isinstance(update, dict):
        return Response(status=200)
    db.session.rollback()
    with spoken(talk.language_of(update) or ""):
        answer = talk.hear(update)
    if answer is None:
        return Response(status=200)
    return jsonify(method="sendMessage", chat_id=answer[0], text=answer[1])


@mine.route("/me/security/telegram", methods=["POST"], permission=LOGIN)
@fresh
def offer_link() -> Any:
    """A link to the bot by which it knows who one is; for whoever has Telegram on another device."""
    bot = service.connected() or abort(404)
    secret = service.offer_link(current_user.id)
    url = f"{config().TELEGRAM_LINK_URL}/{bot.username}?start={secret}"
    return render("telegram/link.html", url=url, username=bot.username, secret=secret)


@mine.route("/me/security/telegram/unlinking", methods=["POST"], permission=LOGIN)
@fresh
def unlink() -> Any:
    try:
        service.unlink(current_user.id)
    except PortalError as error:
        flash(error.message, "error")
    else:
        flash(gettext("Telegram no longer opens your account."))
    return redirect(url_for("identity.security"), code=303)


@admin.route("/admin/settings/telegram", methods=["GET", "POST"], permission=P.SETTINGS_UPDATE)
@fresh
def settings() -> Any:
    """The circle's bot: a token, checked with Telegram before it is kept."""
    form = BotForm()
    if reading():
        return _bot_page(BotForm(formdata=None))
    if not form.validate():
        return _bot_page(form, status=422)
    try:
        username = service.connect(form.token.data or "")
    except (api.BotRefused, api.BotBlocked):
        form.token.errors = [
            gettext(
                "Telegram refuses this token or this address. A bot needs an address with https that Telegram reaches."
            )
        ]
        return _bot_page(form, status=422)
    except api.BotFailed:
        form.token.errors = [gettext("Telegram does not answer. Nothing was changed; try again in a minute.")]
        return _bot_page(form, status=503)
    flash(gettext("@%(name)s is connected.", name=username))
    return redirect(url_for("telegram_admin.settings"), code=303)


@admin.route("/admin/settings/telegram/disconnection", methods=["POST"], permission=P.SETTINGS_UPDATE)
@fresh
def disconnect() -> Any:
    service.disconnect()
    flash(gettext("The bot is disconnected. Nobody signs in by Telegram any more."))
    return redirect(url_for("telegram_admin.settings"), code=303)


def _bot_page(form: BotForm, status: int = 200) -> Answer:
    return render("telegram/settings.html", form=form, bot=service.connected(), status=status)


def _enter(told: signed.Told, ahead: str | None) -> Any:
    """In, or to the page where one becomes a member."""
    cookie = service.enter(
        told,
        user_agent=request.user_agent.string,
        ip=client_address(),
        replaces=access.current_session_id(),
    )
    if cookie is None:
        browser[NEWCOMER] = {"told": asdict(told), "next": ahead, "until": _moment() + WAIT.total_seconds()}
        return redirect(url_for("telegram.join"), code=303)
    sessions.hand_cookie(cookie)
    return redirect(ahead or url_for("identity.first"), code=303)


def _refused(error: PortalError) -> Answer:
    return render("telegram/refused.html", refusal=error.message, status=error.status)


def _decoded(text: str) -> dict[str, Any] | None:
    """The object behind `tgAuthResult`: base64url of JSON."""
    if len(text) > signed.LARGEST:
        return None
    try:
        fields = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def _moment() -> float:
    return sessions.real_now().timestamp()
