"""The portal with one more address, which answers nothing."""

from portal import create_app
from portal.kernel.authz import PUBLIC, guarded

app = create_app()
app.add_url_rule("/bench/empty", "bench_empty", guarded(lambda: "", PUBLIC, room="public"))
