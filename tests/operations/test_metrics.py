"""`/metrics`: for whoever has the token, and for loopback unless a proxy there speaks for somebody else; never a tenant in it."""

from tests.cast import CIRCLE, GLOBEX


def test_what_stores_and_processes_tell_is_shown_to_those_who_may(app):
    from portal.kernel import beat

    beat.count("wallets.fold", failed=False, seconds=0.5)
    browser = app.test_client()
    told = browser.get("/metrics").text
    for line in (
        'krug_store_up{store="redis"} 1.0',
        'krug_tasks_total{result="done",task="wallets.fold"} 1.0',
        "krug_queue_jobs",
    ):
        assert line in told
    assert not [name for name in (CIRCLE.slug, str(CIRCLE.id), GLOBEX.slug) if name in told]
    assert browser.get("/metrics", headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 404
    assert browser.get("/metrics", environ_overrides={"REMOTE_ADDR": "203.0.113.9"}).status_code == 404


def test_the_counts_of_dead_processes_stay_and_their_files_do_not(tmp_path):
    """Seen red: without `bury` each restart of a worker leaves its files for ever."""
    from prometheus_client.mmap_dict import MmapedDict

    from portal.web.figures import bury

    for pid in (11, 12):
        own = MmapedDict(str(tmp_path / f"counter_{pid}.db"))
        own.read_value("answers")
        own.write_value("answers", 5.0, 0.0)
        own.close()
        bury(tmp_path, pid)
    assert [path.name for path in tmp_path.iterdir()] == ["counter_0.db"]
    assert [
        (key, value) for key, value, *_ in MmapedDict.read_all_values_from_file(str(tmp_path / "counter_0.db"))
    ] == [("answers", 10.0)]
