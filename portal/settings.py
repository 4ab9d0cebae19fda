"""Every setting of the portal, in one class: an unknown or missing value stops the start with its name."""

import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent
MAIN = "main"  # the primary of DATABASE_URL
LOGIN_ROLES = ("portal_owner", "portal_app", "portal_relay", "portal_platform", "portal_backup")


class SettingsError(SystemExit):
    """The configuration cannot be used; the text says which name is wrong."""


class Primary(BaseModel):
    """Where one PostgreSQL primary answers; `url` is that of a role with CREATEROLE, the others are derived from it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str
    owner: str = ""
    app: str = ""
    relay: str = ""
    platform: str = ""
    backup: str = ""


class Settings(BaseSettings):
    """Read from the environment; README.md holds the table of names."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    SECRET_KEY: str = Field(min_length=32)
    SECRET_KEY_FALLBACKS: list[str] = []
    MASTER_KEY: str = Field(default="", pattern="^$|^.{32,}$")  # of secrets at rest; empty: derived from SECRET_KEY
    MASTER_KEY_FALLBACKS: list[str] = []
    DATABASE_URL: str
    DATABASE_APP_URL: str = ""
    DATABASE_RELAY_URL: str = ""
    DATABASE_PLATFORM_URL: str = ""
    DATABASE_OWNER_URL: str = ""
    DATABASE_BACKUP_URL: str = ""
    DATABASE_URLS: dict[str, Primary] = {}
    DB_POOL_SIZE: int = 10
    DB_PREPARE: bool = True
    REDIS_URL: str
    REDIS_PREFIX: str = "krug"
    CLICKHOUSE_URL: str
    CLICKHOUSE_DATABASE: str = "krug"
    CLICKHOUSE_CLUSTER: str = ""
    DEFAULT_TENANT: str = "krug"
    BASE_DOMAIN: str = "localhost"
    PUBLIC_HOST: str = ""
    PORT: int = 8000
    SCHEME: str = "http"
    VAR_DIR: Path = Path("var")
    FILES_URL: str = ""
    SMTP_URL: str = "smtp://127.0.0.1:1025"
    MAIL_FROM: str = "Krug <hello@krug.localhost>"
    TRANSLATIONS: Path | None = None
    DNS_RESOLVER: str = ""  # address:port of the resolver that proves domains; empty: the system's own
    SMS_URL: str = ""  # https://SID:TOKEN@api.twilio.com?from=+15550100; empty: no text messages
    TELEGRAM_API_URL: str = "https://api.telegram.org"
    TELEGRAM_OAUTH_URL: str = "https://oauth.telegram.org"
    TELEGRAM_LINK_URL: str = "https://t.me"
    TRUSTED_PROXIES: int = Field(default=0, ge=0)
    METRICS_TOKEN: str = ""
    OPERATOR_SECOND_FACTOR: bool = True  # whether every operator must have one
    DEVELOPMENT: bool = False  # shows /_components
    LOG_LEVEL: str = "INFO"
    API_RATE: str = "1200 per minute; 60 per second"  # calls of one key
    LOG_FORMAT: str = Field(default="json", pattern="^(json|text)$")

    @field_validator("DATABASE_URLS", mode="before")
    @classmethod
    def _plain_addresses(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        for name in given:
            if not re.fullmatch(r"[a-z][a-z0-9_]{0,30}", str(name)) or name == MAIN:
                raise ValueError(f"{name!r} cannot name a primary: small letters and digits, not {MAIN!r}")
        return {name: {"url": one} if isinstance(one, str) else one for name, one in given.items()}

    @property
    def primaries(self) -> tuple[str, ...]:
        """The names of every PostgreSQL primary: `main`, then those of DATABASE_URLS."""
        return (MAIN, *self.DATABASE_URLS)

    def admin_url(self, primary: str = MAIN) -> str:
        """The address of the role that makes the others (D4)."""
        return self.DATABASE_URL if primary == MAIN else self.DATABASE_URLS[primary].url

    def database_url(self, role: str, primary: str = MAIN) -> str:
        """The address of a primary for one of `LOGIN_ROLES`; an explicit one wins over the derived one (D4)."""
        name = role.removeprefix("portal_")
        if primary == MAIN:
            explicit = str(getattr(self, f"DATABASE_{name.upper()}_URL", ""))
        else:
            explicit = str(getattr(self.DATABASE_URLS[primary], name))
        if explicit:
            return explicit
        parts = urlsplit(self.admin_url(primary))
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(netloc=f"{role}:{quote(self.role_password(role))}@{host}"))

    def role_password(self, role: str) -> str:
        """Derived from SECRET_KEY, so that no process has to be told five more secrets (D4)."""
        kdf = HKDF(algorithm=hashes.SHA256(), length=24, salt=None, info=f"krug/db/{role}".encode())
        return kdf.derive(self.SECRET_KEY.encode()).hex()

    @property
    def master_keys(self) -> tuple[str, ...]:
        """What wraps the keys of secrets at rest: the newest first, then those that only still open."""
        return (self.MASTER_KEY or self.SECRET_KEY, *self.MASTER_KEY_FALLBACKS)

    @property
    def files_url(self) -> str:
        return self.FILES_URL or (self.VAR_DIR.resolve() / "files").as_uri()

    @property
    def secure(self) -> bool:
        """Cookies are `Secure` and named `__Host-…` everywhere but over plain http."""
        return self.SCHEME == "https"

    @property
    def authority_port(self) -> str:
        """`:8000` as it stands in addresses, empty for the scheme's own port."""
        return "" if (self.SCHEME, self.PORT) in {("http", 80), ("https", 443)} else f":{self.PORT}"


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The process's settings; raises `SettingsError` that names each wrong or unknown value."""
    unknown = sorted(name for name in os.environ if name.startswith("KRUG_"))
    if unknown:
        raise SettingsError(f"unknown setting {', '.join(unknown)}: names carry no KRUG_ prefix, see README.md")
    try:
        return Settings()
    except ValidationError as error:
        lines = [f"setting {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise SettingsError("\n".join([*lines, "README.md, Configuration, lists every name"])) from None
