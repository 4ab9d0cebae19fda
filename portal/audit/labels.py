"""Acts, kinds of things and fields in words. The names in the log are frozen; these are not."""

from flask_babel import gettext


def actions() -> dict[str, str]:
    """Every command's name in words, in the order of a list to choose from."""
    return {
        **_shop_acts(),
        **_member_acts(),
        "business.create": gettext("opened a business"),
        "business.update": gettext("changed a business"),
        "business.archive": gettext("closed a business"),
        "business.reopen": gettext("opened a business again"),
        "location.create": gettext("added a place"),
        "location.archive": gettext("closed a place"),
        "staff.add": gettext("gave a post"),
        "staff.remove": gettext("ended a post"),
        "key.create": gettext("made an API key"),
        "key.rotate": gettext("renewed an API key"),
        "key.revoke": gettext("revoked an API key"),
        "role.grant": gettext("gave a role in the circle"),
        "role.take": gettext("took a role in the circle"),
        "role.create": gettext("made a role"),
        "role.update": gettext("changed a role"),
        "role.delete": gettext("removed a role"),
        "role.assign": gettext("gave a role of our own"),
        "role.move": gettext("moved a role to another place"),
        "role.unassign": gettext("took a role of our own"),
        "staff.move": gettext("moved a post to another place"),
        "loyalty.create_program": gettext("set up the tiers"),
        "loyalty.update_program": gettext("changed the tiers"),
        "loyalty.set_tier": gettext("set a member’s tier"),
        "loyalty.qualify": gettext("counted towards a tier"),
        "loyalty.disqualify": gettext("took back from a tier"),
        "loyalty.recheck_tiers": gettext("checked the tiers again"),
        "loyalty.rebuild": gettext("counted the tiers anew"),
        "loyalty.join": gettext("joined the spending of two accounts"),
        "loyalty.part": gettext("parted the spending of two accounts"),
        "tenant.update": gettext("changed the settings"),
        "tenant.set": gettext("changed a setting"),
        "tenant.restore": gettext("restored older settings"),
        "legal.publish": gettext("published a legal page"),
        "domain.claim": gettext("added an address"),
        "domain.verify": gettext("asked the DNS for an address"),
        "domain.activate": gettext("put an address into service"),
        "domain.make_primary": gettext("made an address the first"),
        "domain.retire": gettext("retired an address"),
        "domain.drop": gettext("gave up an address"),
        "tenant.open": gettext("opened the circle"),
        "tenant.name_owner": gettext("named the owner of the circle"),
        "tenant.change_owner": gettext("changed the owner of the circle"),
        "admin.begin": gettext("became the first admin"),  # of logs kept from before invitations did it
        "tenant.move_clock": gettext("moved the sandbox’s clock"),
        "vault.rewrap": gettext("put the keys of secrets under a new master key"),
        "sandbox.furnish": gettext("set up the shop of the API’s examples"),
        "sandbox.test_key": gettext("made a test key"),
        **_machine_acts(),
    }


def _shop_acts() -> dict[str, str]:
    return {
        "purchase.record": gettext("recorded a purchase"),
        "purchase.record_history": gettext("recorded past sales"),
        "purchase.refund": gettext("gave a refund"),
        "purchase.undo": gettext("took a purchase back"),
        "purchase.request_spend_code": gettext("asked for a code to pay with bonus"),
        "purchases.export": gettext("downloaded purchases"),
        "wallet.adjust": gettext("corrected a balance"),
        "wallet.activate": gettext("made waiting bonus spendable"),
        "wallet.expire": gettext("burnt bonus whose time was over"),
        "wallet.fold": gettext("summed up an account"),
    }


def _member_acts() -> dict[str, str]:
    return {
        "code.issue": gettext("asked for a one-time code"),
        "password.ask_reset": gettext("asked for a link to a new password"),
        "password.reset": gettext("set a new password by a link"),
        "member.change_contact": gettext("confirmed an e-mail or phone"),
        "member.welcomed": gettext("put the first steps away"),
        "invitation.make": gettext("invited somebody"),
        "invitation.make_many": gettext("invited people from a list"),
        "invitation.send_again": gettext("sent an invitation again"),
        "invitation.withdraw": gettext("withdrew an invitation"),
        "invitation.accept": gettext("accepted an invitation"),
        "invitation.forget": gettext("dropped old invitations"),
        "consent.give": gettext("agreed to a text"),
        "consent.withdraw": gettext("took a consent back"),
        "referral.create_code": gettext("made a link to bring others"),
        "code.forget": gettext("dropped old one-time codes"),
        "member.register": gettext("enrolled a member"),
        "member.register_batch": gettext("enrolled members from a file"),
        "member.enrol_at_till": gettext("enrolled a member at the till"),
        "member.write_in": gettext("wrote a member in"),
        "member.join": gettext("joined"),
        "member.edit": gettext("corrected a member’s contacts"),
        "member.edit_profile": gettext("changed their profile"),
        "member.choose_language": gettext("chose a language"),
        "member.set_password": gettext("set a password"),
        "member.change_password": gettext("changed their password"),
        "member.end_sessions": gettext("signed a member out everywhere"),
        "member.suspend": gettext("stopped an account"),
        "member.unsuspend": gettext("opened an account again"),
        "note.write": gettext("wrote a note on a member"),
        "note.edit": gettext("changed a note on a member"),
        "members.export": gettext("downloaded members"),
        "member.read_contacts": gettext("looked at a member’s contacts"),
        "member.erase": gettext("erased a member"),
        "member.merge": gettext("merged two members"),
        "member.part": gettext("undid a merge of two members"),
        "pair.distinguish": gettext("said that two members are not one person"),
        "data.export": gettext("asked for their own data"),
        "data.ready": gettext("packed a member’s own data"),
        "data.take": gettext("downloaded their own data"),
        "demo.earlier": gettext("moved days of the demo"),
        "profile.correct_birthday": gettext("corrected a member’s birthday"),
        "member.read_birthday": gettext("looked at a member’s birthday"),
        "profile.edit": gettext("changed what others see of them"),
        "profile.set_avatar": gettext("changed their picture"),
        "kyc.seal": gettext("sealed a document"),
        "kyc.submit": gettext("sent documents"),
        "kyc.approve": gettext("approved a verification"),
        "kyc.reject": gettext("refused a verification"),
        "kyc.review": gettext("put a verification under review"),
        "kyc.expire": gettext("ended a verification that ran out"),
        "kyc.purge": gettext("deleted the documents of a verification"),
        "kyc.read": gettext("opened a verification"),
        "kyc.read_document": gettext("looked at a document"),
        "kyc.set_rules": gettext("changed the rules of verification"),
        "session.open": gettext("signed in"),
        "session.second_factor": gettext("showed the second factor"),
        "session.confirm": gettext("confirmed who they are"),
        "factor.start_app": gettext("began to set up an authenticator app"),
        "factor.confirm_app": gettext("added an authenticator app"),
        "factor.add_passkey": gettext("added a passkey"),
        "factor.add_codes": gettext("chose codes as second factor"),
        "factor.rename": gettext("renamed a passkey"),
        "factor.remove": gettext("removed a second factor"),
        "factor.renew_codes": gettext("made new recovery codes"),
        "security.require_factor": gettext("chose which roles need a second factor"),
        "session.look": gettext("looked through a member’s eyes"),
        "session.stop_looking": gettext("stopped looking through a member’s eyes"),
        "session.close": gettext("signed out"),
        "session.revoke": gettext("signed a device out"),
        "session.revoke_others": gettext("signed all other devices out"),
        "telegram.join": gettext("joined by Telegram"),
        "telegram.link": gettext("linked Telegram"),
        "telegram.unlink": gettext("unlinked Telegram"),
        "telegram.claim": gettext("asked for another member’s Telegram"),
        "telegram.offer_link": gettext("asked for a link to the bot"),
        "telegram.spend_link": gettext("used a link to the bot"),
        "telegram.block": gettext("stopped or started the bot"),
        "telegram.connect": gettext("connected a Telegram bot"),
        "telegram.disconnect": gettext("disconnected the Telegram bot"),
        "telegram.forget": gettext("dropped old traces of Telegram"),
        "notifications.see": gettext("saw the inbox"),
        "notifications.read": gettext("read a notification"),
        "notifications.archive": gettext("put a notification away"),
        "notifications.bring_back": gettext("brought a notification back"),
        "notifications.choose": gettext("chose what to be told"),
        "notifications.stop_mail": gettext("stopped the mails"),
    }


def _machine_acts() -> dict[str, str]:
    return {
        "import.start": gettext("started an import"),
        "import.batch": gettext("imported lines of a file"),
        "file.begin": gettext("began to keep a file"),
        "file.store": gettext("kept a file"),
        "file.drop": gettext("dropped a file"),
        "file.keep": gettext("set how long a file is kept"),
        "job.start": gettext("started long work"),
        "job.start_here": gettext("started long work"),
        "job.take": gettext("took up long work"),
        "job.report": gettext("reported on long work"),
        "job.finish": gettext("finished long work"),
        "job.fail": gettext("gave long work up"),
        "job.stop": gettext("stopped long work"),
        "job.cancel": gettext("cancelled long work"),
        "job.release": gettext("laid long work down"),
        "job.revive": gettext("took long work up again"),
        "delivery.replay": gettext("sent a message again"),
        "delivery.replay_all": gettext("sent messages again"),
        "businesses.export": gettext("downloaded businesses"),
        "file.read": gettext("downloaded a file"),
        "audit.export": gettext("downloaded the audit log"),
        "ledger.seal": gettext("sealed the ledger"),
        "audit.seal": gettext("sealed the audit log"),
        "audit.sign": gettext("signed the audit log"),
        "api.purge_keys": gettext("dropped old answers of the API"),
    }


def columns() -> dict[str, str]:
    """The headings of the workbook; CSV and JSON carry the names themselves, for programs."""
    return {
        "at": gettext("When"),
        "actor": gettext("Who"),
        "on_behalf_of": gettext("Through the eyes of"),
        "action": gettext("Act"),
        "object": gettext("About"),
        "object_id": gettext("Id"),
        "business": gettext("Shop"),
        "fields": gettext("Changed"),
        "changes": gettext("Before and after"),
        "reason": gettext("Reason"),
        "ip": gettext("From the address"),
        "request": gettext("Request"),
        "entry_id": gettext("Entry"),
    }


def action_name(action: str) -> str:
    """What an act's frozen name means; an unlisted one is shown as it is."""
    return actions().get(action, action)


def kinds() -> dict[str, str]:
    """The kinds of things that entries are about."""
    return {
        "member": gettext("member"),
        "invitation": gettext("invitation"),
        "purchase": gettext("purchase"),
        "role": gettext("role"),
        "business": gettext("business"),
        "api_key": gettext("API key"),
        "tier_program": gettext("tiers"),
        "tenant": gettext("circle"),
        "domain": gettext("address"),
        "job": gettext("long work"),
        "file": gettext("file"),
        "delivery": gettext("delivery"),
    }


def kind_name(kind: str | None) -> str:
    """What kind of thing an entry is about."""
    return kinds().get(kind or "", kind or "")


def actor_name(name: str | None, kind: str) -> str:
    """Who acted: a person by name, a machine by what it is."""
    machines = {"key": gettext("An API key"), "system": gettext("The portal"), "operator": gettext("The operator")}
    return name or machines.get(kind, gettext("Somebody"))


def fields() -> dict[str, str]:
    """Columns in words; the others are technical."""
    return {
        "name": gettext("name"),
        "email": gettext("e-mail"),
        "phone": gettext("telephone"),
        "address": gettext("address"),
        "category": gettext("kind"),
        "description_i18n": gettext("description"),
        "max_bonus_share": gettext("bonus share"),
        "spend_confirmation": gettext("proof for paying with bonus"),
        "archived_at": gettext("closed on"),
        "archived_by": gettext("closed by"),
        "role": gettext("role"),
        "user_id": gettext("person"),
        "member_id": gettext("member"),
        "business_id": gettext("business"),
        "location_id": gettext("place"),
        "scopes": gettext("permissions"),
        "permissions": gettext("permissions"),
        "expires_at": gettext("ends on"),
        "revoked_at": gettext("revoked on"),
        "revoked_by": gettext("revoked by"),
        "suspended_at": gettext("stopped on"),
        "suspended_reason": gettext("reason"),
        "timezone": gettext("time zone"),
        "locale": gettext("language"),
        "locales": gettext("languages"),
        "default_locale": gettext("first language"),
        "brand": gettext("brand"),
        "settings": gettext("settings"),
        "clock_offset": gettext("clock"),
        "amount": gettext("amount"),
        "tier_id": gettext("tier"),
    }


def field_name(name: str) -> str:
    """A column in words, where it has any."""
    return fields().get(name, name)
