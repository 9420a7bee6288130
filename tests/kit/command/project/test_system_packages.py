"""deploy/kit/project/system_packages.py: with what uv and the builds print."""

import pytest

from kit.project import system_packages

FAILED = "  × Failed to build `{name}`\n  ├─▶ The build backend returned an error\n  ╰─▶ Call to `build_wheel` failed\n"


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        (
            "psycopg2==2.9.10",
            "Error: pg_config executable not found.",
            'BUILD_PACKAGES="gcc python3-dev libpq-dev"\nRUNTIME_PACKAGES="libpq5"',
        ),
        (
            "mysqlclient==2.2.7",
            "Exception: Can not find valid pkg-config name.",
            'BUILD_PACKAGES="gcc python3-dev pkg-config libmariadb-dev"\nRUNTIME_PACKAGES="libmariadb3"',
        ),
        ("ours==1", "error: command 'gcc' failed: No such file or directory", 'BUILD_PACKAGES="gcc python3-dev"'),
        (
            "ours==1",
            "error: [Errno 2] No such file or directory: 'x86_64-linux-gnu-gcc'",
            'BUILD_PACKAGES="gcc python3-dev"',
        ),
        (
            "greenlet==3.2",
            "error: [Errno 2] No such file or directory: 'x86_64-linux-gnu-g++'",
            'BUILD_PACKAGES="gcc python3-dev g++"',
        ),
        (
            "psycopg-c==3.2.3",
            "couldn't run 'pg_config' --includedir: [Errno 2] No such file or directory: 'pg_config'",
            'BUILD_PACKAGES="gcc python3-dev libpq-dev"\nRUNTIME_PACKAGES="libpq5"',
        ),
        ("uwsgi==2.0.28", "Exception: you need a C compiler to build uWSGI", 'BUILD_PACKAGES="gcc python3-dev"'),
        ("ours==1", "ours.c:1:10: fatal error: Python.h: No such file", 'BUILD_PACKAGES="gcc python3-dev"'),
        (
            "python-ldap==3.4",
            "Modules/common.h:15:10: fatal error: lber.h: No such file or directory",
            'BUILD_PACKAGES="gcc python3-dev libldap-dev libsasl2-dev"\nRUNTIME_PACKAGES="libldap2 libsasl2-2"',
        ),
    ],
)
def test_lack_of_packages_is_recognized(name, text, lines):
    found, missing = system_packages.diagnose(FAILED.format(name=name) + text)
    assert found == name.partition("==")[0]
    assert missing.lines() == lines


def test_other_failure_is_not():
    name, missing = system_packages.diagnose(FAILED.format(name="ours==1") + "SyntaxError: invalid syntax")
    assert (name, bool(missing)) == ("ours", False)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "  cause: Git operation failed\n fatal: unable to access 'https://x/': Could not resolve host: x\n",
            "fatal: unable to access 'https://x/': Could not resolve host: x",
        ),
        (
            "  cause: error sending request for url (https://packages.example/x.tar.gz)\n  cause: dns error\n",
            "dns error",
        ),
        ("urllib.error.URLError: <urlopen error timed out>\n", "something could not be fetched"),
    ],
)
def test_what_cannot_be_fetched_is_no_old_version(text, reason):
    output = FAILED.format(name="click @ git+https://git.example/x.git@1") + text
    assert system_packages.diagnose(output) == ("", system_packages.SystemPackages())
    assert system_packages.not_fetched(output) == reason


NOT_FOUND = "  cause: Because {0} was not found in the package registry and you require {0}, we can conclude that"
NO_PASSWORD = (
    "  hint: An index URL (https://packages.example/simple) could not be queried due to a lack of valid authentication"
    " credentials (401 Unauthorized)"
)


def test_private_index_is_named_with_the_lines_that_it_needs():
    assert system_packages.of_index(f"{NOT_FOUND.format('flask')}\n{NO_PASSWORD}\n") == (
        "the index https://packages.example/simple wants a user and a password (401): NETRC=./netrc in .env, a file"
        " with the line: machine packages.example login ... password ..."
    )
    assert system_packages.of_index(NOT_FOUND.format("shop-core")) == (
        "no index has shop-core. A private one needs PIP_EXTRA_INDEX_URL in .env, and NETRC for its password"
    )
    assert system_packages.of_index("error: failed") == ""


def test_git_that_is_missing_is_recognized():
    assert system_packages.diagnose("error: Git executable not found.")[1].build == ("git",)


def test_library_that_no_wheel_brings_along():
    assert system_packages.needed(["psycopg>=3", "flask"]).runtime == ("libpq5",)
    assert not system_packages.needed(["psycopg[binary]>=3", "psycopg2-binary==2.9"])


def test_extra_that_is_a_distribution_of_its_own():
    lines = 'BUILD_PACKAGES="gcc python3-dev libpq-dev"\nRUNTIME_PACKAGES="libpq5"'
    assert system_packages.needed(["psycopg[c]==3.2.3"]).lines() == lines
    assert system_packages.needed(["psycopg [pool, C]"]).lines() == lines


def test_distributions_without_wheels_need_a_compiler_in_any_case():
    found = system_packages.needed(["psycopg2==2.9.10", "uWSGI>=2", "lxml"])
    assert found.build == ("gcc", "python3-dev", "libpq-dev")
    assert found.runtime == ("libpq5",)
