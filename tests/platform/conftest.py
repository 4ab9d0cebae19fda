"""Who runs the installation, and their browser in its room."""

from tests.platform.test_operator import inside, operator  # noqa: F401  fixtures
