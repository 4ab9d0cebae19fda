"""Every setting of the portal, in one class: an unknown or missing value stops the start with its name."""

import os
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent
LOGIN_ROLES = ("portal_owner", "portal_app", "portal_relay", "portal_platform", "portal_backup")


class SettingsError(SystemExit):
    """The configuration cannot be used; the text says which name is wrong."""


class Settings(BaseSettings):
    """Read from the environment; README.md holds the table of names."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    SECRET_KEY: str = Field(min_length=32)
    SECRET_KEY_FALLBACKS: list[str] = []
    DATABASE_URL: str
    DATABASE_APP_URL: str = ""
    DATABASE_RELAY_URL: str = ""
    DATABASE_PLATFORM_URL: str = ""
    DATABASE_OWNER_URL: str = ""
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
    TRUSTED_PROXIES: int = Field(default=0, ge=0)
    METRICS_TOKEN: str = ""
    LOG_LEVEL: str = "INFO"
    LOG_FORMAT: str = Field(default="json", pattern="^(json|text)$")

    def database_url(self, role: str) -> str:
        """The address of the same database for one of `LOGIN_ROLES`; an explicit DATABASE_<ROLE>_URL wins (D4)."""
        explicit = str(getattr(self, f"DATABASE_{role.removeprefix('portal_').upper()}_URL", ""))
        if explicit:
            return explicit
        parts = urlsplit(self.DATABASE_URL)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(netloc=f"{role}:{quote(self.role_password(role))}@{host}"))

    def role_password(self, role: str) -> str:
        """Derived from SECRET_KEY, so that no process has to be told five more secrets (D4)."""
        kdf = HKDF(algorithm=hashes.SHA256(), length=24, salt=None, info=f"krug/db/{role}".encode())
        return kdf.derive(self.SECRET_KEY.encode()).hex()

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
