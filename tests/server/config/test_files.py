"""Configuration files of both kinds."""

from __future__ import annotations

from pathlib import Path

import pytest

from ropewalk.config.load import Loaded, load_settings
from ropewalk.errors import ConfigError


def load(path: Path, content: str) -> Loaded:
    path.write_text(content)
    return load_settings(["--config", str(path)], {})


def test_a_toml_file_has_the_options_names_with_dashes_or_underscores(tmp_path: Path) -> None:
    settings = load(
        tmp_path / "server.toml",
        'bind = [":8001", "unix:/run/x"]\nworkers = 2\nkeep-alive = 5.5\ngraceful_timeout = 3\n'
        'access-logfile = "-"\nlimit-request-body = "20M"\nwsgi-app = "shop.wsgi"\n',
    ).settings
    assert settings.bind == (":8001", "unix:/run/x")
    assert (settings.workers, settings.keep_alive, settings.graceful_timeout) == (2, 5.5, 3.0)
    assert (settings.access_log, settings.limit_request_body) == ("-", 20 * 1024 * 1024)
    assert settings.wsgi_app == "shop.wsgi"


def test_a_gunicorn_file_is_read_by_gunicorns_names(tmp_path: Path) -> None:
    loaded = load(
        tmp_path / "gunicorn.conf.py",
        "import multiprocessing\n"
        "_per_core = 1\n"
        "def cores(): return 3\n"
        "bind = '0.0.0.0:8001'\nworkers = cores() * _per_core\nkeepalive = 5\ntimeout = 120\n"
        "raw_env = ['A=1']\naccesslog = '-'\nerrorlog = '-'\nloglevel = 'warning'\npidfile = '/tmp/x.pid'\n"
        "forwarded_allow_ips = '10.0.0.1,10.0.0.2'\nlimit_request_field_size = 4096\nchdir = None\n",
    )
    settings = loaded.settings
    assert settings.bind == ("0.0.0.0:8001",)
    assert (settings.workers, settings.keep_alive, settings.timeout) == (3, 5.0, 120.0)
    assert (settings.env, settings.access_log, settings.error_log) == (("A=1",), "-", "-")
    assert (settings.log_level, settings.pid, settings.chdir) == ("warning", "/tmp/x.pid", "")
    assert settings.forwarded_allow_ips == ("10.0.0.1", "10.0.0.2")
    assert settings.limit_request_field_size == 4096
    assert loaded.warnings == ()


def test_gunicorns_names_without_effect_are_named_in_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "gunicorn.conf.py"
    loaded = load(path, "worker_class = 'gthread'\nspew = True\ndef dirty_post_fork(a, b): pass\nport = 1\n")
    assert [warning.partition(":")[2][1:].partition(":")[0] for warning in loaded.warnings] == [
        "dirty_post_fork has no effect",
        "spew has no effect",
        "worker_class has no effect",
        "not settings",
    ]
    assert loaded.warnings[-1] == f"{path}: not settings: port"


def test_a_name_that_is_like_a_setting_may_stand_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "gunicorn.conf.py"
    loaded = load(
        path, "timeout_str = '120'\ntimeout = int(timeout_str)\naccesslog_var = '-'\naccesslog = accesslog_var\n"
    )
    assert (loaded.settings.timeout, loaded.settings.access_log) == (120.0, "-")
    assert loaded.warnings == (f"{path}: not settings: accesslog_var, timeout_str",)


def test_a_name_that_looks_like_a_misspelled_setting_is_a_hint_and_no_error(tmp_path: Path) -> None:
    path = tmp_path / "gunicorn.conf.py"
    loaded = load(path, "time_out = 30\nTIME_OUT = 40\nworker = 2\nother = 1\n")
    assert loaded.is_default("timeout")
    assert loaded.warnings == (
        f"{path}: time_out is not a setting; did you mean timeout?",
        f"{path}: worker is not a setting; did you mean workers?",
        f"{path}: not settings: other",
    )


def test_functions_with_the_names_of_hooks_are_kept(tmp_path: Path) -> None:
    content = "def helper(): pass\ndef on_exit(server): return 7\npost_request = None\nchild_exit = print\n"
    loaded = load(tmp_path / "gunicorn.conf.py", content)
    assert sorted(loaded.hooks) == ["child_exit", "on_exit"]
    assert loaded.hooks["on_exit"](None) == 7
    assert loaded.warnings == ()


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.toml", "worker = 2", "worker (from {}): no such setting; did you mean workers?"),
        ("a.toml", "keepalive = 2", "keepalive (from {}): no such setting; did you mean keep-alive?"),
        ("a.toml", "xyzzy = 2", "xyzzy (from {}): no such setting"),
        (
            "a.toml",
            "check-config = true",
            "check-config (from {}): is not supported: it is an option of the command line",
        ),
        ("a.py", "def on_exit(): pass", "on_exit (from {}): must take 1 argument: server"),
        ("a.py", "def on_exit(server, more, *, and_more): pass", "on_exit (from {}): must take 1 argument: server"),
        ("a.py", "post_fork = 1", "post_fork='1' (from {}): must be a function of server, worker"),
        ("a.toml", "on_exit = 'print'", "on_exit (from {}): no such setting"),
        ("a.ini", "workers = 2", "--config='{}': must be a .toml or a .py file"),
        ("a.py", "workers = 1 / 0", "--config='{}': failed in line 1: ZeroDivisionError: division by zero"),
        ("a.py", "\nimport sys\nsys.exit('no')", "--config='{}': failed in line 3: SystemExit: no"),
    ],
)
def test_a_file_that_is_wrong_is_reported_in_one_line(tmp_path: Path, name: str, content: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / name, content)
    assert str(caught.value) == line.format(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content", "start"),
    [
        ("a.toml", "workers = ", "is not TOML: "),
        ("a.py", "workers = (", "failed in line 1: SyntaxError: "),
    ],
)
def test_a_file_that_cannot_be_parsed_is_reported_with_its_line(
    tmp_path: Path, name: str, content: str, start: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / name, content)
    assert caught.value.allowed.startswith(start)
    assert str(caught.value).isprintable()


def test_a_file_that_is_not_there_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    with pytest.raises(ConfigError) as caught:
        load_settings(["-c", str(path)], {})
    assert str(caught.value) == f"--config='{path}': cannot be read: No such file or directory"
