from tests.imports.conftest import bring  # noqa: F401  a fixture
