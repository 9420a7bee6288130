"""Findings about settings: what they are, without asking an engine."""

import ipaddress
import re
from collections.abc import Container, Mapping, Sequence
from typing import Any

from kit import env_files, publishing, times
from kit.doctor.findings import Findings, Topic
from kit.errors import KitError
from kit.project.debug_switch import DebugSwitch
from kit.variables import read

SHORT_KEY = 32
"""Characters: below it, Django's SECRET_KEY is easier to guess than to steal (Django's own check wants 50)."""
SHORT_PASSWORD = 12
HERE_TOO = "and a server of your own, such as manage.py runserver, needs SECRET_KEY=dev before it"


def is_public(values: Mapping[str, str]) -> bool:
    """Whether other machines reach the published ports."""
    return any(not _is_loopback(address) for address in publishing.addresses(values))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def check_times(values: Mapping[str, str], stop_timeouts: Mapping[str, int | None]) -> Findings:
    """`stop_timeouts`: by service, the seconds after which the engine kills its container; None: its default, 10."""
    topic = Topic("times")
    try:
        chain = times.chain(values)
        times.stop_grace_period(values)
    except KitError as error:
        yield topic.error(str(error), "correct it in .env, then make up")
        return
    short = [
        name for name, seconds in stop_timeouts.items() if (10 if seconds is None else seconds) < chain["STOP_GRACE"]
    ]
    for service in short:
        yield topic.error(
            f"{service} is killed after {stop_timeouts[service] or 10} s when it stops: requests are aborted",
            f"make up, which gives it {chain['STOP_GRACE']} s",
        )
    if not short:
        text = f"a request may take {chain['REQUEST_TIMEOUT']} s, nginx waits {chain['PROXY_TIMEOUT']} s"
        yield topic.ok(f"{text}, a stop {chain['STOP_GRACE']} s")


def check_proxies(
    values: Mapping[str, str], project: Mapping[str, Any], hints: Sequence[str], variables: Mapping[str, str]
) -> Findings:
    """`hints`: what nginx has logged about requests that came through a proxy; `variables`: the application's."""
    topic = Topic("proxies")
    found = list(_proxies(topic, values, project, hints, variables))
    yield from found
    if not found:
        trusted = values.get("TRUSTED_PROXIES")
        yield topic.ok(
            f"X-Forwarded-* are trusted from {trusted}" if trusted else "X-Forwarded-* are trusted from nobody"
        )


def _proxies(
    topic: Topic,
    values: Mapping[str, str],
    project: Mapping[str, Any],
    hints: Sequence[str],
    variables: Mapping[str, str],
) -> Findings:
    trusted = values.get("TRUSTED_PROXIES", "").replace(",", " ").split()
    for entry in trusted:
        if re.fullmatch(r"(0\.0\.0\.0|::)/0", entry):
            yield topic.error(
                f"TRUSTED_PROXIES={entry}: every client may claim any address and scheme",
                "name the addresses of the load balancers alone",
            )
    ends_tls_here = _switch("HTTPS", values)
    redirects = _switch("HTTPS_ONLY", values) or bool(project.get("https_redirect"))
    if not trusted and not ends_tls_here and redirects:
        yield topic.error(
            "HTTPS=off and no TRUSTED_PROXIES, but the site redirects to https: an endless redirect",
            "set TRUSTED_PROXIES in .env to the addresses of the load balancer that ends TLS, then make up",
        )
    for hint in dict.fromkeys(hints):
        yield topic.warning(
            f"nginx has logged: {hint}", "set TRUSTED_PROXIES in .env to that proxy's address, then make up"
        )
    if "*" in variables.get("FORWARDED_ALLOW_IPS", ""):
        yield topic.warning(
            "FORWARDED_ALLOW_IPS=*: the server trusts X-Forwarded-* from every container", "remove it from .env"
        )
    if variables.get("BEHIND_PROXY", "0").lower() in ("1", "true", "yes", "on"):
        yield topic.warning("BEHIND_PROXY=1: X-Forwarded-Proto is trusted from anyone", "remove it: nginx decides")


def _switch(name: str, values: Mapping[str, str]) -> bool:
    try:
        return read(name, values) == "1"
    except KitError:
        return False


def check_secrets(
    secrets: Sequence[Mapping[str, Any]], fixed_key: str = "", *, public: bool = False, own: Container[str] = ()
) -> Findings:
    """`secrets`: of the application's environment, as inside.describe has them; `fixed_key`: file and line of a secret
    key in the code; `own`: the names in .env.project."""
    topic = Topic("secrets")
    found = [finding for secret in secrets for finding in _secret(topic, secret, own)]
    if fixed_key:
        text = f"the secret key is in the code ({fixed_key}): who has the code can forge sessions"
        mend = f'read it there: os.environ["SECRET_KEY"]; make adopt then adds one to .env.project, {HERE_TOO}'
        found.append(topic.error(text, mend) if public else topic.warning(text, mend))
    yield from found
    if not found:
        names = ", ".join(sorted(secret["name"] for secret in secrets))
        yield topic.ok(f"none is blank, short or from an example ({names or 'no variable holds one'})")


def _secret(topic: Topic, secret: Mapping[str, Any], own: Container[str]) -> Findings:
    name, length = secret["name"], secret["length"]
    file = env_files.decider(name, own)
    new = 'python3 -c "import secrets; print(secrets.token_urlsafe(50))"'
    if secret["blank"]:
        yield topic.warning(f"{name} is set but blank", f"set it in {file}, or remove the line: {new}")
    elif secret["known"]:
        yield topic.error(f"{name} has a value from an example or for development", f"replace it in {file}: {new}")
    elif "SECRET_KEY" in name and length < SHORT_KEY:
        yield topic.warning(f"{name} has {length} characters", f"replace it in {file}, existing sessions end: {new}")
    elif "PASSW" in name and length < SHORT_PASSWORD:
        yield topic.warning(f"{name} has {length} characters", f"choose a longer one in {file}")


def codes_of_secrets(found: Findings) -> list[str]:
    """Django's own warnings that the findings of check_secrets are about too."""
    about_key = [each for each in found if each.mend and re.search("SECRET_KEY|secret key", each.what)]
    return ["W009"] if about_key else []


READS = {
    "ALLOWED_HOSTS": 'ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "localhost").split(",")',
    "DEBUG": 'DEBUG = os.environ.get("DEBUG") == "1"',
    "SECRET_KEY": 'SECRET_KEY = os.environ["SECRET_KEY"]',
}
"""What a setting of Django's has to be, for its variable to have an effect."""


def read_variable(name: str, fixed: Mapping[str, str]) -> str:
    """The line to write where the code has a literal, which no line in .env changes; empty if it has none."""
    return f"write {READS[name]} in the code ({fixed[name]}, with import os)" if fixed.get(name) else ""


def check_debugging(
    variables: Mapping[str, str],
    fixed: Mapping[str, str],
    django_says: bool | None,
    *,
    public: bool,
    switches: Sequence[DebugSwitch] = (),
    own: Container[str] = (),
) -> Findings:
    """`fixed`: file and line of the settings that are literals in the code; `django_says`: whether Django's own check
    found DEBUG on, None: not asked; `switches`: variables, set or not, with which DEBUG is on; `own`: the names in
    .env.project."""
    topic = Topic("debug")
    is_set = variables.get("DEBUG", "").lower() in ("1", "true", "yes", "on")
    on = is_set or bool(switches) if django_says is None else django_says
    switch, off = (switches[0].name, switches[0].off) if switches else ("DEBUG", "0")
    line = f"{switch}={off} in {env_files.decider(switch, own, is_project=bool(switches))}"
    in_code = read_variable("DEBUG", fixed)
    if on and public:
        mend = f"{in_code}, then make deploy" if in_code else f"set {line}, then make up"
        yield topic.error("DEBUG is on, and others reach the site: pages show code and settings", mend)
    elif on:
        mend = f"before others use the site: {in_code}, then make deploy" if in_code else ""
        yield topic.warning("DEBUG is on", mend or f"set {line} before others use the site, then make up")
    else:
        yield topic.ok("DEBUG is off")
    if variables.get("DIAGNOSTICS", "0").lower() in ("1", "true", "yes", "on") and public:
        yield topic.error(
            "DIAGNOSTICS=1: strangers reach the pages for tests",
            f"set DIAGNOSTICS=0 in {env_files.decider('DIAGNOSTICS', own)}, then make up",
        )


OF_KIT = {
    "W004": "HSTS_SECONDS=3600 in .env (later more), then make up",
    "W008": "HTTPS_ONLY=1 in .env, then make up",
    "W012": "SESSION_COOKIE_SECURE = True where the site has https; HTTPS_ONLY=1 sets it for the sample project",
    "W016": "CSRF_COOKIE_SECURE = True where the site has https; HTTPS_ONLY=1 sets it for the sample project",
    "W009": 'a new SECRET_KEY in {file}: python3 -c "import secrets; print(secrets.token_urlsafe(50))"',
    "W018": "DEBUG = False in the settings",
    "W020": "SERVER_NAME in .env, or ALLOWED_HOSTS in the settings",
}
"""What mends a warning of Django's here. The others say it themselves."""

ABOUT_HTTPS = ("W004", "W008", "W012", "W016", "W021")
OF_VARIABLE = {"W009": "SECRET_KEY", "W020": "ALLOWED_HOSTS"}
"""What these are about, which has no effect as long as the code has a literal."""
BY_NGINX = {"W004": "HSTS_SECONDS", "W008": "HTTPS_ONLY"}
"""nginx does these if the kit's variable is set."""


def check_django(
    output: str,
    values: Mapping[str, str],
    fixed: Mapping[str, str],
    *,
    public: bool,
    own: Container[str] = (),
    has_said: Container[str] = (),
) -> Findings:
    """`output`: of `manage.py check --deploy`; `fixed` and `own`: as in check_debugging; `has_said`: the codes of
    Django's warnings that another finding is about."""
    topic = Topic("check --deploy")
    found = re.findall(r"^\S*: \((?:[\w.]*\.)?([EW]\d{3})\) (.+)$", output, re.MULTILINE)
    count = 0
    for code, text in found:
        variable = BY_NGINX.get(code)
        if code == "W018" or code in has_said or (variable and read_quietly(variable, values) not in ("", "0")):
            continue  # DEBUG has a topic of its own
        count += 1
        first = text.partition(". ")[0].rstrip(".")
        mend = OF_KIT.get(code, f"docs.djangoproject.com, System check framework, {code}")
        mend = mend.replace("{file}", env_files.decider(OF_VARIABLE.get(code, ""), own))
        if in_code := read_variable(OF_VARIABLE.get(code, ""), fixed):
            mend = f"{in_code}; then {mend}"
        if code.startswith("E"):
            yield topic.error(first, mend)
        elif code in ABOUT_HTTPS and not public:
            yield topic.note(first, mend)
        else:
            yield topic.warning(first, mend)
    if not count:
        yield topic.ok("Django has nothing to say")


def read_quietly(name: str, values: Mapping[str, str]) -> str:
    try:
        return read(name, values)
    except KitError:
        return ""
