"""What keeps files and calls tidy; imports themselves come through the outbox (`jobs.run`) on the queue `long`."""

from workers.periodic import each_tenant
from workers.tasks import Queue, task


@task(Queue.FAST, name="files.purge", timeout=300)
def purge() -> None:
    """Files that expired or never arrived, and answers to API calls older than 30 days (D23)."""
    from portal.api.idempotency import purge_old
    from portal.files.service import purge as purge_files

    each_tenant(lambda: (purge_files(), purge_old()))
