from tests.api.conftest import key_of  # noqa: F401  a fixture
from tests.imports.conftest import bring  # noqa: F401  a fixture
