"""About me: picture, names, birthday, and the public page that a member may have."""

from contextlib import closing
from typing import Any
from uuid import UUID

from flask import Response, abort, flash, g, redirect, request, send_file, url_for
from flask_babel import gettext
from flask_login import current_user
from sqlalchemy import select

from portal.extensions import db
from portal.files import service as files
from portal.files.pictures import Square
from portal.identity.models import User
from portal.identity.stepup import fresh_to_write
from portal.identity.views.member import touchable
from portal.kernel import clock
from portal.kernel.authz import LOGIN, PUBLIC, Permission, PortalBlueprint
from portal.kernel.errors import PortalError
from portal.kernel.reads import written_down
from portal.profiles import birthdays, service
from portal.profiles.forms import AboutForm, BirthdayForm, PartForm
from portal.profiles.models import Profile
from portal.web.fragments import render
from portal.web.security import reading

profiles = PortalBlueprint("profiles", __name__, room="member")
admin = PortalBlueprint("profiles_admin", __name__, room="admin", url_prefix="/admin/members")
desk = PortalBlueprint("profiles_desk", __name__, room="desk", url_prefix="/desk/<business>")
public = PortalBlueprint("profiles_public", __name__, room="public")


@profiles.route("/me/about", methods=["GET", "POST"], permission=LOGIN)
def about() -> Any:
    """Names, birthday, public page."""
    profile = service.of(current_user.id)
    if reading():
        return _page(AboutForm(obj=profile, data={"handle": _handle() or ""}))
    form = AboutForm()
    if not form.validate():
        return _page(form, status=422)
    try:
        service.edit_profile(
            current_user.id,
            first_name=form.first_name.data or "",
            last_name=form.last_name.data or "",
            display_name=form.display_name.data or "",
            about=form.about.data or "",
            born_on=form.born_on.data,
            birthday_shared=bool(form.birthday_shared.data),
            handle=form.handle.data,
            public=bool(form.public.data),
            shows=form.shows.data or [],
        )
    except PortalError as error:
        form.refuse(error)
        return _page(form, status=422)
    flash(gettext("Saved."))
    return redirect(url_for("profiles.about"), code=303)


@profiles.route("/me/about/picture", methods=["POST"], permission=LOGIN)
def set_picture() -> Any:
    """A new picture, or none; only the chosen square is kept, drawn anew."""
    part = PartForm()
    if request.form.get("remove"):
        service.remove_avatar(current_user.id)
        return redirect(url_for("profiles.about"), code=303)
    sent = request.files.get("picture")
    if sent is None or not sent.filename:
        return _page(_stored(), picture_error=gettext("Choose a picture first."), status=422)
    with closing(sent.stream) as stream:
        if not part.validate():
            return _page(_stored(), picture_error=gettext("Choose the part of the picture again."), status=422)
        chosen = Square(*(_share(part[name].data, middle) for name, middle in (("x", 0.5), ("y", 0.5), ("side", 1.0))))
        try:
            service.set_avatar(current_user.id, stream, chosen)
        except files.FileRefused as error:
            return _page(_stored(), picture_error=error.message, status=error.status)
    flash(gettext("Your picture is changed."))
    return redirect(url_for("profiles.about"), code=303)


@profiles.route("/avatars/<uuid:member_id>", permission=LOGIN)
def avatar(member_id: UUID) -> Response:
    """A member's picture, for themselves and for those who work here."""
    if member_id != current_user.id and not (current_user.staff or current_user.permissions):
        abort(404)
    return _picture(member_id)


@public.route("/people/<handle>", permission=PUBLIC)
def person(handle: str) -> Any:
    """What a member shows to everybody."""
    from portal.loyalty.queries import tier_of

    user, profile = _public(handle)
    shows = set(profile.shows)
    return render(
        "profiles/person.html",
        handle=handle,
        name=profile.display_name or user.name.split(" ")[0],
        about=profile.about if "about" in shows else "",
        tier=tier_of(user.id) if "tier" in shows else None,
        since=user.joined_at if "since" in shows else None,
        picture="avatar" in shows and profile.avatar_id is not None,
    )


@public.route("/people/<handle>/picture", permission=PUBLIC)
def person_picture(handle: str) -> Response:
    """The picture of somebody who shows it."""
    user, profile = _public(handle)
    if "avatar" not in profile.shows:
        abort(404)
    return _picture(user.id)


def _public(handle: str) -> tuple[User, Profile]:
    statement = (
        select(User, Profile)
        .join(Profile, (Profile.tenant_id == User.tenant_id) & (Profile.id == User.id))
        .where(User.username == handle, Profile.public, User.archived_at.is_(None), User.suspended_at.is_(None))
    )
    row = db.session.execute(statement).one_or_none()
    if row is None:
        abort(404)
    return row[0], row[1]


def _picture(member_id: UUID) -> Response:
    file_id = db.session.scalar(select(Profile.avatar_id).where(Profile.id == member_id))
    if file_id is None:
        abort(404)
    response: Any = send_file(files.open_file(file_id), mimetype="image/webp", etag=str(file_id))
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    answer: Response = response.make_conditional(request)
    return answer


def _share(value: float | None, middle: float) -> float:
    return middle if value is None else value


def _handle() -> str | None:
    return db.session.scalar(select(User.username).where(User.id == current_user.id))


def _stored() -> AboutForm:
    return AboutForm(formdata=None, obj=service.of(current_user.id), data={"handle": _handle() or ""})


def _page(form: AboutForm, *, status: int = 200, picture_error: str = "") -> Any:
    profile = service.of(current_user.id)
    handle = _handle() if profile.public else None
    return render(
        "profiles/about.html",
        status=status,
        form=form,
        part=PartForm(formdata=None),
        picture=profile.avatar_id,
        picture_error=picture_error,
        born_on=profile.born_on,
        base=g.tenant.base_url,
        page=url_for("profiles_public.person", handle=handle) if handle else "",
    )


@admin.route("/birthdays", permission=Permission.MEMBERS_READ)
def birthdays_soon() -> Any:
    """Whose birthday it is this week."""
    return _birthdays("layouts/admin.html", birthdays.this_week())


@desk.route("/birthdays", permission=Permission.PURCHASES_READ)
def birthdays_here() -> Any:
    """Whose birthday it is this week, of those who buy here and let shops know."""
    return _birthdays("layouts/partner.html", birthdays.this_week(g.business.id))


@admin.route("/<uuid:member_id>/birthday", methods=["GET", "POST"], permission=Permission.MEMBERS_UPDATE)
@fresh_to_write
def correct_birthday(member_id: UUID) -> Any:
    """A birthday put right by staff, with a reason; whoever opens this sees the year, and stands in the log (AUD-2)."""
    found = touchable(member_id)
    if reading():
        written_down("member.read_birthday", about=("member", member_id))
        return _birthday(found, BirthdayForm(formdata=None, data={"born_on": birthdays.of(member_id)}))
    form = BirthdayForm()
    if not form.validate():
        return _birthday(found, form, status=422)
    try:
        service.correct_birthday(member_id, form.born_on.data, reason=form.reason.data or "")
    except PortalError as error:
        form.born_on.errors = [error.message]
        return _birthday(found, form, status=422)
    flash(gettext("The birthday is saved."))
    return redirect(url_for("identity_admin.member", member_id=member_id), code=303)


def _birthday(found: User, form: BirthdayForm, *, status: int = 200) -> Any:
    return render("profiles/birthday.html", status=status, member=found, form=form)


def _birthdays(layout: str, people: list[birthdays.Birthday]) -> Any:
    return render(
        "profiles/birthdays.html",
        layout=layout,
        people=people,
        today=clock.today(g.tenant.timezone),
        admin=layout == "layouts/admin.html",
    )
