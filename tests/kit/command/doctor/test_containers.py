"""deploy/kit/doctor/containers.py: findings about containers, from what `docker inspect` prints."""

from datetime import UTC, datetime

import pytest

from kit import containers as engine
from kit.doctor import containers
from tests.kit.command.doctor.test_settings import said
from tests.kit.command.test_containers import inspected

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def entry(service, name="", *, state="running", health="healthy", more=None, **values):
    found = inspected(service, name, state, health, **values)
    found["State"] |= more or {}
    return found


def site(*others, nginx=None, app=None):
    return engine.read([nginx or entry("nginx"), app or entry("app"), *others])


def test_all_is_well():
    found = site(entry("app", "app-2"), entry("release", state="exited", health="", more={"ExitCode": 0}))
    assert said(containers.check_states(found, NOW)) == [("ok", "2 app, nginx: running and healthy")]


@pytest.mark.parametrize(
    ("app", "severity", "text"),
    [
        (entry("app", state="exited", health="", more={"ExitCode": 3}), "error", "app has ended with exit status 3"),
        (
            entry("app", state="restarting", more={"ExitCode": 1}),
            "error",
            "app restarts again and again, exit status 1",
        ),
        (entry("app", health="unhealthy"), "error", "app is unhealthy: "),
        (entry("app", health="starting"), "note", "app is starting"),
        (entry("app", RestartCount=4), "warning", "app has been restarted 4 times after it ended by itself"),
        (
            entry("app", RestartCount=1, more={"StartedAt": "2026-11-29T09:00:00.123456789Z"}),
            "warning",
            "app has been restarted once after it ended by itself, last 3 h ago",
        ),
        (entry("app", more={"OOMKilled": True}), "error", "app was killed for lack of memory"),
    ],
)
def test_state_of_a_container(app, severity, text):
    assert said(containers.check_states(site(app=app), NOW))[0] == (severity, text)


def started(service, name, stamp, **values):
    return entry(service, name, more={"StartedAt": stamp}, **values)


def test_uptime_is_that_of_the_container_that_was_started_last():
    found = engine.read(
        [
            started("app", "app-1", "2026-11-24T12:00:00Z"),
            started("app", "app-2", "2026-11-29T11:00:00.5Z"),
            started("nginx", "nginx", "2026-11-09T12:00:00+00:00"),
            started("release", "release", "2026-11-29T11:59:00Z", state="exited"),
        ]
    )
    assert said(containers.check_uptime(found, NOW)) == [("ok", "running: app for 60 min, nginx for 20 days")]
    assert list(containers.check_uptime([], NOW)) == []


def test_memory_has_a_variable_of_the_compose_file(repository):
    compose = (repository / "docker-compose.yml").read_text()
    assert all(f"${{{name}:-" in compose for name in containers.MEMORY_OF.values())
    assert containers.memory_variable("acme") == "the memory limit"


def test_service_without_a_container():
    assert said(containers.check_states([], NOW)) == [
        ("error", "no container of nginx runs"),
        ("error", "no container of app runs"),
    ]


def ports(**bindings):
    return {"Ports": {inside.strip("_") + "/tcp": bound for inside, bound in bindings.items()} | {"8000/tcp": None}}


def binding(address, port):
    return [{"HostIp": address, "HostPort": port}]


def test_ports_of_nginx_are_said_with_who_reaches_them():
    found = site(nginx=entry("nginx", NetworkSettings=ports(_8080=binding("0.0.0.0", "80"))))
    assert said(containers.check_ports(found, public=True)) == [
        ("ok", "nginx at 80 (0.0.0.0): other machines reach the site")
    ]
    assert said(containers.check_ports(found, public=False, where="shop.example itself")) == [
        ("ok", "nginx at 80 (0.0.0.0): only shop.example itself reaches the site")
    ]


@pytest.mark.parametrize(("address", "severity"), [("0.0.0.0", "error"), ("::", "error"), ("127.0.0.1", "note")])
def test_port_of_another_service_goes_past_nginx(address, severity):
    found = site(entry("postgres", NetworkSettings=ports(_5432=binding(address, "5432"))))
    assert said(containers.check_ports(found, public=False))[0][0] == severity


@pytest.mark.parametrize(
    ("address", "severity"), [("127.0.0.1", "ok"), ("0.0.0.0", "error"), ("::", "error"), ("10.0.0.7", "warning")]
)
def test_monitor_is_for_this_machine_since_it_has_no_password(address, severity):
    found = site(entry("monitor", NetworkSettings=ports(_9090=binding(address, "9090"))))
    assert said(containers.check_ports(found, public=False))[0][0] == severity


def test_no_port_at_all():
    assert said(containers.check_ports(site(), public=False)) == [("note", "nginx publishes no port")]


def test_nothing_that_runs_is_no_configuration():
    ended = site(app=entry("app", state="exited"), nginx=entry("nginx", state="exited"))
    for found in ([], ended):
        assert said(containers.check_drift(found, "")) == [("note", "not checked: no container runs")]


def test_changed_configuration_is_what_compose_would_replace():
    running = " DRY-RUN MODE -  Container nginx  Running\n DRY-RUN MODE -  Container app  {}\n"
    assert said(containers.check_drift(site(), running.format("Running")))[0][0] == "ok"
    assert said(containers.check_drift(site(), running.format("Recreate"))) == [
        ("note", "app: .env, a compose file or the image has changed since the start")
    ]


MEGABYTE = 1 << 20


def inside(workers=2, *, memory=60, limit=1024, killed=0, descriptors=50, most=20000, room=384):
    worker = {"memory": memory * MEGABYTE, "descriptors": descriptors, "most_descriptors": most}
    return {
        "workers": [{"pid": 70 + number} | worker for number in range(workers)],
        "memory": {"limit": limit * MEGABYTE, "used": 0, "killed": killed},
        "folders": [{"path": "/tmp", "size": room * MEGABYTE}],
        "descriptors": most,
    }


def test_memory_is_enough():
    assert said(containers.check_memory(inside(), [1 << 30], 8 << 30)) == [
        ("ok", "2 workers use 126 MB; the limit is 1.1 GB")
    ]
    assert said(containers.check_memory(inside(1, limit=0), [], 0)) == [
        ("ok", "1 worker uses 63 MB; there is no limit")
    ]


@pytest.mark.parametrize(
    ("inside", "limits", "severity"),
    [(inside(8, memory=100), [], "warning"), (inside(killed=2), [], "error"), (inside(), [9 << 30], "warning")],
)
def test_memory_is_not_enough(inside, limits, severity):
    assert [found for found, _ in said(containers.check_memory(inside, limits, 8 << 30))] == [severity]


@pytest.mark.parametrize(
    ("inside", "nginx", "severity"),
    [
        (inside(), 16384, "ok"),
        (inside(), 0, "ok"),
        (inside(1, descriptors=19000), 16384, "warning"),
        (inside(most=1024), 16384, "warning"),
        (inside(), 1024, "warning"),
    ],
)
def test_descriptors(inside, nginx, severity):
    assert [found for found, _ in said(containers.check_descriptors(inside, nginx))] == [severity]


def test_errors_in_the_log_that_a_line_of_env_mends():
    log = "OSError: [Errno 30] Read-only file system: './cache/1'\n" * 2 + "KeyError: 'x'\n"
    log += "sqlite3.OperationalError: no such table: post\n"
    assert said(containers.check_errors(log)) == [
        ("error", "the project writes to cache/1, and the container's files are read-only"),
        ("error", "the database has no table 'post'"),
    ]
    assert said(containers.check_errors("KeyError: 'x'\n"))[0][0] == "ok"
