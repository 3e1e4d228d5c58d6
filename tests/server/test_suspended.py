"""A real agent and a real monitor that takes nothing for a while."""

from chaos import Log, plain_config
from real_monitor import running_monitor
from running import eventually


def test_a_suspended_monitor_costs_no_login(tmp_path, agent_of):
    """Logins wait as long as it is suspended, ``status`` says why, and then all arrive, once."""
    log = Log(tmp_path / "auth.log")
    with running_monitor(tmp_path / "data") as (process, caller):
        url = f"http://127.0.0.1:{process.address.port}"
        keys = {"key": caller.keys.api_key, "secret": caller.keys.secret_key}
        run = agent_of(log.path, config=plain_config(url, tmp_path, **keys)).start()
        log.append(1)
        monitor = eventually(lambda: caller.get("getMonitors", tag="loginMonitor").json)[0]["id"]

        def count():
            return len(caller.page("/logins.json?limit=100").json["logins"])

        assert eventually(lambda: count() == 1)
        assert caller.post("suspendMonitors", monitorIds=monitor).json["status"] == "ok"

        log.append(30)
        assert eventually(lambda: "suspended" in repr(run.status()["delivery"]))
        assert count() == 1
        assert caller.post("activateMonitors", monitorIds=monitor).json["status"] == "ok"
        assert eventually(lambda: count() == 31, 90)
        assert run.stop() == 0
