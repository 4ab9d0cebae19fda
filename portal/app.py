"""The application: extensions, guards and every noun's pages, put together."""

from typing import Any

from flask import Flask
from flask_openapi3 import Info, OpenAPI
from werkzeug.middleware.proxy_fix import ProxyFix

from portal import nouns
from portal.extensions import babel, csrf, db, htmx, limiter, login_manager
from portal.kernel import primaries
from portal.settings import MAIN, ROOT, Settings, settings
from portal.web import tries


class PortalApp(OpenAPI):
    """A Flask application that also describes its API."""


def create_app() -> PortalApp:
    """Put the portal together. Nothing is connected to yet."""
    config = settings()
    app = PortalApp(
        "portal",
        info=Info(title="Krug API", version="1"),
        doc_ui=False,
        template_folder=str(ROOT / "templates"),
        static_folder=str(ROOT / "static"),
    )
    app.config.update(_flask_config(config))
    app.extensions["settings"] = config
    if config.TRUSTED_PROXIES:
        proxies = config.TRUSTED_PROXIES
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies)  # type: ignore[method-assign]
    _extensions(app)
    _web(app)
    _pages(app)
    return app


def _flask_config(config: Settings) -> dict[str, Any]:
    return {
        "SECRET_KEY": config.SECRET_KEY,
        "SECRET_KEY_FALLBACKS": config.SECRET_KEY_FALLBACKS,
        "SQLALCHEMY_BINDS": {None if name == MAIN else name: _pool(config, name) for name in config.primaries},
        "WTF_CSRF_TIME_LIMIT": None,  # D38
        "WTF_CSRF_SSL_STRICT": False,  # the Origin check of portal/web/security.py is the second net
        "MAX_CONTENT_LENGTH": 64 * 1024 * 1024,
        "MAX_FORM_MEMORY_SIZE": 1024 * 1024,
        "MAX_FORM_PARTS": 500,
        "RATELIMIT_STORAGE_URI": tries.PREFIX + config.REDIS_URL,
        "RATELIMIT_KEY_PREFIX": config.REDIS_PREFIX,
        "RATELIMIT_STRATEGY": "moving-window",
        "RATELIMIT_HEADERS_ENABLED": True,
        "RATELIMIT_STORAGE_OPTIONS": {"socket_connect_timeout": 1, "socket_timeout": 1},
        "BABEL_DEFAULT_LOCALE": "en",
        "BABEL_TRANSLATION_DIRECTORIES": str(ROOT / "translations"),
        "TEMPLATES_AUTO_RELOAD": False,
    }


def _pool(config: Settings, primary: str) -> dict[str, Any]:
    """Time limits belong to the role (`portal db upgrade`), since pgbouncer takes no start-up options."""
    return {
        "url": config.database_url("portal_app", primary).replace("postgresql://", "postgresql+psycopg://"),
        "pool_size": config.DB_POOL_SIZE,
        "max_overflow": 5,
        "pool_timeout": 5,
        "pool_reset_on_return": "rollback",
        "connect_args": {"connect_timeout": 5, "prepare_threshold": 5 if config.DB_PREPARE else None},
    }


def _extensions(app: Flask) -> None:
    from portal.identity import sessions
    from portal.kernel import guard
    from portal.web import locale

    config = settings()
    nouns.load_models()
    nouns.load_handlers()
    db.init_app(app)
    with app.app_context():
        for primary in config.primaries:
            guard.watch(primaries.engine(primary))
        app.extensions["own_transaction"] = lambda primary: primaries.engine(primary).begin()
        app.extensions["own_statement"] = primaries.unwrapped
    sessions.init_app(app)
    login_manager.init_app(app)
    htmx.init_app(app)
    babel.init_app(app, locale_selector=locale.chosen, timezone_selector=locale.zone)
    babel.domain_instance = locale.Catalogues()
    csrf.init_app(app)
    limiter.init_app(app)


def _web(app: Flask) -> None:
    from portal.web import assets, errors, health, observe, security, template

    observe.init_app(app)
    security.init_app(app)
    assets.init_app(app)
    template.init_app(app)
    errors.init_app(app)
    health.init_app(app)


def _pages(app: PortalApp) -> None:
    from portal.kernel.authz import PortalBlueprint

    for module in nouns.load("views"):
        for value in vars(module).values():
            if isinstance(value, PortalBlueprint) and value.name not in app.blueprints:
                app.register_blueprint(value)
    from portal.api import init_app as init_api

    init_api(app)
