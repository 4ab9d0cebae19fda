"""Where the bytes lie: `FILES_URL` through fsspec, a directory or a bucket; nothing outside it can be named."""

from functools import lru_cache
from typing import Any

import fsspec
from fsspec.implementations.dirfs import DirFileSystem

from portal.settings import settings


@lru_cache(maxsize=4)
def _opened(url: str) -> DirFileSystem:
    system, root = fsspec.core.url_to_fs(url)
    system.makedirs(root, exist_ok=True)
    return DirFileSystem(path=root, fs=system)


def storage() -> DirFileSystem:
    """The store of this installation."""
    return _opened(settings().files_url)


def write(path: str, chunks: Any) -> None:
    """Keep the chunks under `path`; a failure leaves nothing under it."""
    store = storage()
    folder = path.rpartition("/")[0]
    if folder:
        store.makedirs(folder, exist_ok=True)
    try:
        with store.open(path, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
    except BaseException:
        remove(path)
        raise


def remove(path: str) -> None:
    """Forget the bytes; it is fine when there are none."""
    store = storage()
    if store.exists(path):
        store.rm_file(path)
