"""Where a value comes from, which one wins, and how a bad one is reported."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from ropewalk.config.load import load_settings
from ropewalk.config.settings import all_settings
from ropewalk.errors import ConfigError

BAD = {
    "wsgi_app": "a\x01",
    "chdir": "a\0",
    "pythonpath": "a\0",
    "env": "=x",
    "script_name": "shop",
    "static": "static",
    "config": "settings.ini",
    "bind": "127.0.0.1:99999",
    "backlog": "0",
    "unix_mode": "660",
    "workers": "0",
    "preload": "perhaps",
    "threads": "many",
    "stream_threads": "-1",
    "max_requests": "-1",
    "max_requests_jitter": "some",
    "max_rss": "1M",
    "pid": "a\0",
    "user": "-1",
    "group": "a b",
    "umask": "22",
    "timeout": "-1",
    "timeout_for": "/reports",
    "stream_timeout": "0.01",
    "queue_timeout": "0.001",
    "graceful_timeout": "soon",
    "drain_delay": "-1",
    "keep_alive": "1e9",
    "request_head_timeout": "0",
    "request_body_timeout": "0",
    "response_timeout": "0",
    "limit_request_line": "63",
    "limit_request_fields": "0",
    "limit_request_field_size": "63",
    "limit_request_head": "1",
    "limit_request_body": "-1",
    "limit_request_bodies": "1k",
    "body_memory": "2T",
    "response_memory": "1k",
    "limit_buffered_responses": "1k",
    "limit_connections": "0",
    "limit_waiting": "0",
    "control_socket": "a\0",
    "admin_bind": "127.0.0.1:99999",
    "admin_hosts": "shop.example:9000",
    "statsd_host": "localhost:x",
    "statsd_prefix": "a:b",
    "dogstatsd_tags": "a b",
    "access_log": "a\0",
    "access_log_format": "%(nonsense)s",
    "access_log_skip": "pröbe",
    "request_id": "on",
    "error_log": "a\0",
    "node_name": "node 2",
    "replica_name": 'a"b',
    "error_log_format": "xml",
    "log_level": "loud",
    "server_header": "a\nb",
    "forwarded_allow_ips": "localhost",
    "forwarded_fields": "x-real-ip",
    "forwarder_headers": "REMOTE-USER",
    "header_map": "keep",
    "proxy_protocol": "v3",
    "proxy_allow_from": "10.0.0.0/33",
    "certfile": "a\0",
    "keyfile": "a\0",
    "sni_certificate": "example.org",
    "ca_certs": "a\0",
    "cert_reqs": "3",
    "tls_min_version": "1.1",
    "ciphers": "a\nb",
    "reload": "perhaps",
    "reload_engine": "kqueue",
    "reload_extra_files": "a\0",
    "reload_ignore": "a\0",
    "debug": "perhaps",
    "debug_allow_ips": "10.0.0.0/33",
    "debug_hosts": "shop.example:9000",
    "debug_proxied": "perhaps",
}
SWITCHES = {"preload", "reload", "debug", "debug_proxied"}
SAID = [setting for setting in all_settings() if not setting.declaration.is_flag_only]


def test_every_setting_that_takes_a_value_has_a_bad_one_here() -> None:
    assert set(BAD) == {setting.name for setting in SAID}


@pytest.mark.parametrize("name", sorted(BAD.keys() - SWITCHES))
def test_a_bad_option_is_reported_in_one_line(name: str) -> None:
    setting = next(setting for setting in SAID if setting.name == name)
    arguments = [setting.flag, BAD[name]] if setting.declaration.flags else [BAD[name]]
    with pytest.raises(ConfigError) as caught:
        load_settings(arguments, {})
    line = str(caught.value)
    assert line.startswith(f"{setting.flag}={BAD[name]!r}: ")
    assert line.isprintable()


@pytest.mark.parametrize("name", BAD)
def test_a_bad_variable_is_reported_with_its_name(name: str) -> None:
    setting = next(setting for setting in SAID if setting.name == name)
    with pytest.raises(ConfigError) as caught:
        load_settings([], {setting.variables[0]: BAD[name]})
    assert caught.value.value == BAD[name]
    if name != "config":  # there the file is what is bad
        assert f"(from {setting.variables[0]}): " in str(caught.value)


@pytest.mark.parametrize("name", sorted(set(BAD) - {"config"}))
@pytest.mark.parametrize("suffix", [".py", ".toml"])
def test_a_bad_value_in_a_file_is_reported_with_the_file(tmp_path: Path, name: str, suffix: str) -> None:
    setting = next(setting for setting in SAID if setting.name == name)
    path = tmp_path / f"settings{suffix}"
    key = setting.python_key if suffix == ".py" else setting.key
    path.write_text(f"{key} = {{}}\n" if suffix == ".py" else f"{key} = {{a = 1}}\n")
    with pytest.raises(ConfigError) as caught:
        load_settings(["--config", str(path)], {})
    assert caught.value.setting == setting.flag
    assert f"(from {path}): " in str(caught.value)


ORIGINS = ("option", "variable", "file")


@pytest.mark.parametrize(
    "said", [said for n in range(4) for said in itertools.combinations(ORIGINS, n)], ids=lambda said: "+".join(said)
)
def test_option_over_variable_over_file_over_default(tmp_path: Path, said: tuple[str, ...]) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("threads = 4\n" if "file" in said else "")
    arguments = ["--config", str(path)] + (["--threads", "2"] if "option" in said else [])
    environ = {"ROPEWALK_THREADS": "3"} if "variable" in said else {}
    loaded = load_settings(arguments, environ)
    value, source = {
        "option": (2, "--threads"),
        "variable": (3, "ROPEWALK_THREADS"),
        "file": (4, str(path)),
        "default": (16, "default"),
    }[said[0] if said else "default"]
    assert (loaded.settings.threads, loaded.sources["threads"]) == (value, source)


def test_our_variable_goes_over_the_platforms() -> None:
    environ = {"WEB_CONCURRENCY": "3", "ROPEWALK_WORKERS": "2", "FORWARDED_ALLOW_IPS": "*"}
    loaded = load_settings([], environ)
    assert (loaded.settings.workers, loaded.sources["workers"]) == (2, "ROPEWALK_WORKERS")
    assert load_settings([], {"WEB_CONCURRENCY": "3"}).settings.workers == 3
    assert (loaded.settings.forwarded_allow_ips, loaded.sources["forwarded_allow_ips"]) == (
        ("*",),
        "FORWARDED_ALLOW_IPS",
    )


@pytest.mark.parametrize("port", ["1", "8080", " 65535 "])
def test_port_of_a_platform_replaces_the_default_of_bind(port: str) -> None:
    loaded = load_settings([], {"PORT": port})
    assert (loaded.settings.bind, loaded.sources["bind"]) == ((f"0.0.0.0:{port.strip()}",), "PORT")
    assert loaded.is_platform_default("bind")
    assert not loaded.is_default("bind")


@pytest.mark.parametrize("said", ["option", "variable", "file"])
def test_everything_else_goes_over_port_even_if_port_is_bad(tmp_path: Path, said: str) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("bind = '127.0.0.1:1'\n" if said == "file" else "")
    arguments = ["-c", str(path), *(["-b", "127.0.0.1:1"] if said == "option" else [])]
    environ = {"PORT": "no port"} | ({"ROPEWALK_BIND": "127.0.0.1:1"} if said == "variable" else {})
    loaded = load_settings(arguments, environ)
    assert loaded.settings.bind == ("127.0.0.1:1",)
    assert not loaded.is_platform_default("bind")


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "tcp://10.0.0.1:80", "127.0.0.1:80"])
def test_a_bad_port_is_reported_with_its_name(port: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings([], {"PORT": port})
    allowed = "must be an integer from 1 to 65535, or set --bind, which takes precedence"
    assert str(caught.value) == f"PORT={port!r}: {allowed}"


def test_an_empty_port_is_not_set() -> None:
    assert load_settings([], {"PORT": ""}).is_default("bind")


ENV = ["-e", "SCRIPT_NAME=/env"]


@pytest.mark.parametrize(
    ("arguments", "environ", "file", "expected"),
    [
        ([], {}, "", ("", "default")),
        ([], {"SCRIPT_NAME": "/variable"}, "", ("/variable", "SCRIPT_NAME")),
        (ENV, {}, "", ("/env", "SCRIPT_NAME")),
        (["-e", "SCRIPT_NAME=/first", *ENV], {"SCRIPT_NAME": "/variable"}, "", ("/env", "SCRIPT_NAME")),
        ([], {"SCRIPT_NAME": "/variable"}, "env = ['SCRIPT_NAME=/env']", ("/env", "SCRIPT_NAME")),
        (ENV, {"ROPEWALK_SCRIPT_NAME": "/ours"}, "", ("/ours", "ROPEWALK_SCRIPT_NAME")),
        (ENV, {}, "script-name = '/file'", ("/env", "SCRIPT_NAME")),
        (["--script-name", "/option", *ENV], {"SCRIPT_NAME": "/variable"}, "", ("/option", "--script-name")),
        (["-e", "SCRIPT_NAME="], {"SCRIPT_NAME": "/variable"}, "", ("", "SCRIPT_NAME")),
    ],
)
def test_script_name_is_also_read_from_env_as_gunicorn_does(
    tmp_path: Path, arguments: list[str], environ: dict[str, str], file: str, expected: tuple[str, str]
) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(file)
    loaded = load_settings([*(["-c", str(path)] if file else []), *arguments], environ)
    source = loaded.sources["script_name"]
    assert (loaded.settings.script_name, source) == expected


def test_other_variables_of_env_are_the_applications_alone() -> None:
    loaded = load_settings(["-e", "WEB_CONCURRENCY=7", "-e", "PORT=7"], {})
    assert (loaded.settings.workers, loaded.settings.bind) == (1, ("127.0.0.1:8000",))


def test_an_empty_variable_is_not_set_unless_empty_means_something() -> None:
    settings = load_settings([], {"ROPEWALK_WORKERS": "", "ROPEWALK_BIND": "", "ROPEWALK_SERVER_HEADER": ""}).settings
    assert (settings.workers, settings.bind, settings.server_header) == (1, ("127.0.0.1:8000",), "")


def test_a_repeated_option_adds_and_the_last_of_the_others_wins() -> None:
    arguments = ["-b", ":1", "-b", ":2,:3", "-e", "A=1,2", "-e", "B=3", "-w", "2", "-w", "3", "shop.wsgi"]
    settings = load_settings(arguments, {}).settings
    assert settings.bind == (":1", ":2", ":3")
    assert settings.env == ("A=1,2", "B=3")
    assert (settings.workers, settings.wsgi_app) == (3, "shop.wsgi")


def test_gunicorns_spelling_with_an_underscore_is_known() -> None:
    assert load_settings(["--limit-request-field_size", "100"], {}).settings.limit_request_field_size == 100
    assert load_settings(["--limit-request-field-size", "101"], {}).settings.limit_request_field_size == 101


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--worker", "2"], "--worker: no such option; did you mean --workers?"),
        (["--port", "80"], "--port: no such option; use --bind HOST:PORT"),
        (["--host=::"], "--host: no such option; use --bind HOST:PORT"),
        (["--uds", "/run/a"], "--uds: no such option; use --bind unix:PATH"),
        (["--xyzzy"], "--xyzzy: no such option; see ropewalk --help-all"),
        (["--workers"], "-w/--workers: expected one argument"),
        (["a:b", "c:d"], "argument='c:d': only one MODULE:CALLABLE can be served"),
    ],
)
def test_a_command_line_that_cannot_be_read_is_reported_in_one_line(arguments: list[str], line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(arguments, {})
    assert str(caught.value) == line


def test_a_mistyped_variable_is_warned_of_and_a_platforms_is_not() -> None:
    environ = {"ROPEWALK_WORKER": "2", "ROPEWALK_SERVICE_HOST": "10.0.0.1", "ROPEWALK_PORT": "tcp://10.0.0.1:80"}
    assert load_settings([], environ).warnings == ("ROPEWALK_WORKER is not a setting; did you mean ROPEWALK_WORKERS?",)


def test_the_effective_values_are_printed_with_their_origins_and_without_secrets() -> None:
    loaded = load_settings(["-w", "4", "-e", "SECRET_KEY=hush", "x:y"], {"ROPEWALK_KEEP_ALIVE": "5"})
    lines = {line.split()[0]: " ".join(line.split()[2:]) for line in loaded.lines()}
    assert lines["workers"] == "4 # --workers"
    assert lines["keep-alive"] == "5 # ROPEWALK_KEEP_ALIVE"
    assert lines["threads"] == "16 # default"
    assert lines["env"] == '["SECRET_KEY=..."] # --env'
    assert set(lines) == {setting.key for setting in SAID}
