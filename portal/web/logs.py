"""gunicorn's own lines in the form of all others."""

from typing import Any

from gunicorn.glogging import Logger

from portal.web.observe import configure_logs


class GunicornLogger(Logger):
    """Hands its lines to the root logger."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        configure_logs()
        self.error_log.handlers.clear()
        self.error_log.propagate = True
