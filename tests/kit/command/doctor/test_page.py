"""deploy/kit/doctor/page.py: a site whose pages fail is not well, although its health checks pass."""

import json

import pytest

from kit.doctor import command, page
from kit.doctor.probes import Site
from kit.release.page import ASK

LOG = "Traceback (most recent call last):\nValueError: no such column\n"


def said(statuses, *, log=LOG, is_maintained=False):
    found = page.check_page(statuses, log, {"SERVER_NAME": "_ shop.example"}, is_maintained=is_maintained)
    return [(it.severity.value, it.what, it.mend) for it in found]


@pytest.mark.parametrize(("status", "text"), [(200, "200"), (302, "302"), (404, "404")])
def test_page_without_an_error_is_fine(status, text):
    assert said({"app-1": status}) == [("ok", f"the page / is answered with {text}", "")]


def test_page_that_fails_is_an_error_with_its_reason():
    assert said({"app-1": 500, "app-2": 200}) == [
        ("error", "app-1 answers the page / with 500: ValueError: no such column", "make logs, or make rollback")
    ]
    assert said({"app-1": 503}, log="")[0][1] == "app-1 answers the page / with 503"


def test_name_that_the_application_does_not_accept_is_an_error():
    ((severity, what, mend),) = said({"app-1": 400})
    assert severity == "error"
    assert what.startswith("app-1 answers the page / with 400: the application does not accept the name shop.example")
    assert "Domain names" in mend


def test_page_without_a_response_is_a_warning():
    assert said({"app-1": 0}) == [
        ("warning", "app-1 does not answer the page / within 10 s", "make logs SERVICE=app"),
    ]


def test_maintenance_is_a_note_beside_the_application_s_own_page():
    note = ("note", "the maintenance is on: visitors get its page", "make maintenance OFF")
    assert said({"app-1": 200}, is_maintained=True) == [note, ("ok", "the page / is answered with 200", "")]
    assert said({"app-1": 500}, is_maintained=True)[0] == note


def inspected(service):
    return {
        "Id": service,
        "Name": f"/shop-{service}-1",
        "Config": {"Labels": {"com.docker.compose.service": service}},
        "State": {"Status": "running", "Health": {"Status": "healthy"}},
        "NetworkSettings": {"Networks": {"back": {"NetworkID": "back", "IPAddress": "10.0.0.1"}}},
    }


@pytest.mark.parametrize(("status", "maintained", "severities"), [(200, 1, ["ok"]), (500, 0, ["note", "error"])])
def test_engine_is_asked_in_nginx_s_container(tmp_path, status, maintained, severities):
    rows = json.dumps([inspected("app"), inspected("nginx")])
    (tmp_path / "docker").write_text(
        f"""#!/bin/sh
case "$*" in
'compose version --short') echo 2.26.1 ;;
'compose config --format json') echo '{{"name": "shop"}}' ;;
version*) echo 26.1.5 ;;
ps*) echo app nginx ;;
inspect*) echo '{rows}' ;;
'exec nginx /kit/bin/maintenance status') exit {maintained} ;;
'exec nginx timeout 10 bash -c '*'{ASK.name} 10.0.0.1 http /') printf 'Host: x\nHTTP/1.1 {status} x\n' ;;
logs*) echo 'ValueError: no such column' ;;
*) exit 9 ;;
esac
"""
    )
    (tmp_path / "docker").chmod(0o755)
    site = Site({"PATH": f"{tmp_path}:/usr/bin:/bin", "COMPOSE_ENV_FILES": "/dev/null"})
    assert [each.severity.value for each in command.guarded("page", command.CHECKS["page"], site)] == severities


def test_upload_that_nginx_refuses_names_its_path_and_the_variable():
    assert [each.severity.value for each in page.check_uploads([], {})] == ["ok"]
    (found,) = page.check_uploads(["/photos/add?x=1", "/photos/add", "/a", "/b", "/c"], {"UPLOAD_SIZE": "200m"})
    assert found.what == "nginx has refused a body as too large (413) 5 times, at /photos/add, /a, /b, ..."
    assert found.mend.startswith("UPLOAD_PATHS in .env: the paths that take 200m instead of 3m, ")
