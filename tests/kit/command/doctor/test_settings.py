"""deploy/kit/doctor/settings.py: findings about settings, from plain values."""

import pytest

from kit.doctor import inside, probes, settings
from kit.doctor.findings import Severity
from kit.project.debug_switch import DebugSwitch


def said(findings):
    """Severity and text of each, which both have to be there; whatever is no ok or note has a mend."""
    found = list(findings)
    assert found
    assert all(each.mend for each in found if each.severity in (Severity.WARNING, Severity.ERROR))
    return [(each.severity.value, each.what) for each in found]


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("", False),
        ("127.0.0.1", False),
        ("::1", False),
        ("[::1]", False),
        ("0.0.0.0", True),
        ("10.0.0.5", True),
        ("x", True),
    ],
)
def test_public_is_what_others_reach(address, public):
    assert settings.is_public({"HTTP_ADDRESS": address}) is public


@pytest.mark.parametrize(("address", "public"), [("[::]", True), ("[::1]", False)])
def test_address_of_ipv6_counts_too(address, public):
    assert settings.is_public({"HTTP_ADDRESS_IPV6": address}) is public


def test_times_hold_together():
    assert said(settings.check_times({}, {"app": 45, "nginx": 45})) == [
        ("ok", "a request may take 30 s, nginx waits 35 s, a stop 45 s")
    ]


def test_container_that_is_killed_too_early():
    assert said(settings.check_times({"REQUEST_TIMEOUT": "60"}, {"app": 45, "nginx": None})) == [
        ("error", "app is killed after 45 s when it stops: requests are aborted"),
        ("error", "nginx is killed after 10 s when it stops: requests are aborted"),
    ]


def test_times_that_are_refused():
    assert said(settings.check_times({"STOP_GRACE_PERIOD": "9s"}, {}))[0][0] == "error"


def proxies(values=None, hints=(), variables=None, **project):
    return said(settings.check_proxies(values or {}, project, hints, variables or {}))


def test_no_proxy_is_fine():
    assert proxies() == [("ok", "X-Forwarded-* are trusted from nobody")]
    assert proxies({"TRUSTED_PROXIES": "10.0.0.0/8"}) == [("ok", "X-Forwarded-* are trusted from 10.0.0.0/8")]


@pytest.mark.parametrize("everybody", ["0.0.0.0/0", "10.0.0.1, ::/0"])
def test_trusting_everybody_is_an_error(everybody):
    assert proxies({"TRUSTED_PROXIES": everybody})[0][0] == "error"


@pytest.mark.parametrize(("values", "project"), [({"HTTPS_ONLY": "1"}, {}), ({}, {"https_redirect": True})])
def test_endless_redirect_is_an_error(values, project):
    assert "an endless redirect" in proxies({"HTTPS": "off"} | values, **project)[0][1]
    assert proxies({"HTTPS": "off", "TRUSTED_PROXIES": "10.0.0.1"} | values, **project)[0][0] == "ok"
    assert proxies(values, **project)[0][0] == "ok"


def test_hint_of_nginx_is_said_once():
    hint = "the peer sends X-Forwarded-For, but is not in TRUSTED_PROXIES"
    assert proxies(hints=[hint, hint]) == [("warning", f"nginx has logged: {hint}")]


def test_server_that_trusts_anyone():
    variables = {"FORWARDED_ALLOW_IPS": "*", "BEHIND_PROXY": "1"}
    assert [severity for severity, _ in proxies(variables=variables)] == ["warning", "warning"]


def secrets(**values):
    return said(settings.check_secrets([inside.describe(name, value) for name, value in values.items()]))


def test_good_secrets_are_named_without_their_values():
    assert secrets(SECRET_KEY="x" * 50) == [("ok", "none is blank, short or from an example (SECRET_KEY)")]
    assert secrets() == [("ok", "none is blank, short or from an example (no variable holds one)")]


@pytest.mark.parametrize(
    ("name", "value", "severity", "text"),
    [
        ("SECRET_KEY", " ", "warning", "SECRET_KEY is set but blank"),
        ("SECRET_KEY", "django-insecure-" + "x" * 60, "error", "SECRET_KEY has a value from an example"),
        ("API_TOKEN", "changeme", "error", "API_TOKEN has a value from an example"),
        ("SECRET_KEY", "x" * 20, "warning", "SECRET_KEY has 20 characters"),
        ("DB_PASSWORD", "abc", "warning", "DB_PASSWORD has 3 characters"),
    ],
)
def test_bad_secrets(name, value, severity, text):
    ((found, what),) = secrets(**{name: value})
    assert (found, what.startswith(text)) == (severity, True)
    assert value.strip() == "" or value not in what


@pytest.mark.parametrize(
    ("variables", "django", "public", "severities"),
    [
        ({}, False, True, ["ok"]),
        ({"DEBUG": "0"}, None, True, ["ok"]),
        ({"DEBUG": "1"}, None, False, ["warning"]),
        ({"DEBUG": "1"}, False, True, ["ok"]),
        ({}, True, True, ["error"]),
        ({"DIAGNOSTICS": "1"}, False, True, ["ok", "error"]),
        ({"DIAGNOSTICS": "1"}, False, False, ["ok"]),
    ],
)
def test_debugging(variables, django, public, severities):
    found = said(settings.check_debugging(variables, {}, django, public=public))
    assert [severity for severity, _ in found] == severities


def test_settings_in_the_code_are_mended_there(tmp_path):
    file = tmp_path / "shop" / "settings.py"
    file.parent.mkdir()
    file.write_text("SECRET_KEY = 'django-insecure-x'\nDEBUG = True\nALLOWED_HOSTS = []\n")
    fixed = probes.fixed_in(tmp_path, [file])
    assert fixed == {
        name: f"shop/settings.py:{at}" for name, at in (("SECRET_KEY", 1), ("DEBUG", 2), ("ALLOWED_HOSTS", 3))
    }
    (debug,) = settings.check_debugging({}, fixed, True, public=True)
    place = "in the code (shop/settings.py:{}, with import os)"
    assert debug.mend == f'write DEBUG = os.environ.get("DEBUG") == "1" {place.format(2)}, then make deploy'
    found = {each.what: each.mend for each in settings.check_django(CHECK, {}, fixed, public=True)}
    mend = found["Your SECRET_KEY has less than 50 characters"]
    assert mend.startswith(f'write SECRET_KEY = os.environ["SECRET_KEY"] {place.format(1)}; then a new SECRET_KEY')


def test_settings_that_read_variables_are_mended_in_the_environment(tmp_path):
    file = tmp_path / "settings.py"
    file.write_text("DEBUG = env('DEBUG')\nALLOWED_HOSTS = [env('HOST')]\n")
    assert probes.fixed_in(tmp_path, [file]) == {}
    (debug,) = settings.check_debugging({}, {}, True, public=False)
    assert debug.mend == "set DEBUG=0 in .env before others use the site, then make up"


CHECK = """\
System check identified some issues:

WARNINGS:
?: (security.W004) You have not set a value for the SECURE_HSTS_SECONDS setting. If your site ...
?: (security.W009) Your SECRET_KEY has less than 50 characters. Please generate a long and random value.
?: (security.W018) You should not have DEBUG set to True in deployment.
shop.Order.total: (models.W042) Auto-created primary key used. Configure the DEFAULT_AUTO_FIELD setting.

System check identified 4 issues (0 silenced).
"""


def test_warnings_of_django_are_findings():
    found = said(settings.check_django(CHECK, {}, {}, public=True))
    assert found == [
        ("warning", "You have not set a value for the SECURE_HSTS_SECONDS setting"),
        ("warning", "Your SECRET_KEY has less than 50 characters"),
        ("warning", "Auto-created primary key used"),
    ]


@pytest.mark.parametrize(
    ("secrets", "fixed_key", "count"),
    [
        ([], "", 3),
        ([], "settings.py:3", 2),
        ([inside.describe("SECRET_KEY", "short")], "", 2),
        ([inside.describe("SECRET_KEY", "s" * 40)], "", 3),
        ([inside.describe("API_TOKEN", "")], "", 3),
    ],
)
def test_key_has_one_mend(secrets, fixed_key, count):
    has_said = settings.codes_of_secrets(settings.check_secrets(secrets, fixed_key))
    assert len(said(settings.check_django(CHECK, {}, {}, public=True, has_said=has_said))) == count


def test_what_nginx_does_is_no_finding_and_https_matters_only_for_others():
    assert len(said(settings.check_django(CHECK, {"HSTS_SECONDS": "3600"}, {}, public=True))) == 2
    assert said(settings.check_django(CHECK, {}, {}, public=False))[0][0] == "note"


def test_errors_of_django_are_errors():
    check = "?: (urls.E007) The custom handler404 view does not take the correct number of arguments."
    assert said(settings.check_django(check, {}, {}, public=False))[0][0] == "error"


def test_nothing_to_say():
    assert said(settings.check_django("System check identified no issues (0 silenced).", {}, {}, public=True)) == [
        ("ok", "Django has nothing to say")
    ]


def test_key_in_the_code_is_an_error_where_others_reach_the_site():
    (found,) = settings.check_secrets([], "app.py:4", public=True)
    assert (found.severity.value, found.what) == (
        "error",
        "the secret key is in the code (app.py:4): who has the code can forge sessions",
    )
    assert settings.check_secrets([], "app.py:4").__next__().severity.value == "warning"


def test_debug_that_a_variable_has_on_by_default_is_reported_with_its_line():
    switches = [DebugSwitch("APP_DEBUG", "False", "app.py:5")]
    (found,) = settings.check_debugging({}, {}, None, public=True, switches=switches)
    assert (found.severity.value, found.mend) == ("error", "set APP_DEBUG=False in .env.project, then make up")


def test_mends_name_the_file_that_decides():
    own = {"DEBUG", "SECRET_KEY", "DIAGNOSTICS"}
    variables = {"DEBUG": "1", "DIAGNOSTICS": "1"}
    found = settings.check_debugging(variables, {}, None, public=True, own=own)
    assert [each.mend for each in found] == [
        "set DEBUG=0 in .env.project, then make up",
        "set DIAGNOSTICS=0 in .env.project, then make up",
    ]
    (secret,) = settings.check_secrets([inside.describe("SECRET_KEY", "")], own=own)
    assert secret.mend.startswith("set it in .env.project, or remove the line: ")
    (other,) = settings.check_secrets([inside.describe("API_TOKEN", "")], own=own)
    assert other.mend.startswith("set it in .env, or remove the line: ")
    found = settings.check_django(CHECK, {}, {}, public=True, own=own)
    assert next(each.mend for each in found if "SECRET_KEY" in each.what).startswith(
        "a new SECRET_KEY in .env.project: "
    )
