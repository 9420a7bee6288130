"""A release whose page `/` fails is not switched to, unless the one before failed as well, or by force."""

import pytest

from kit.release import steps
from kit.release.engine import Done
from kit.release.errors import ReleaseError
from kit.release.run import Options
from tests.kit.command.release.deploying import FIRST, SECOND, assert_deployed, deploy, state


@pytest.fixture
def broken_page(engine):
    """The next release answers the page `/` with 500, or another status."""
    build = engine._compose
    engine.new_page = 500

    def record(arguments, environment):
        done = build(arguments, environment)
        if arguments[0] == "build":
            engine.pages[engine.tags[environment["APP_IMAGE"]]] = engine.new_page
        return done

    engine._compose = record
    engine.failing["logs"] = lambda: Done(0, "Traceback (most recent call last):\nValueError: no such column\n", "")
    engine.failing["compose port"] = lambda: Done(0, "nowhere", "")
    return engine


def test_release_whose_page_fails_where_it_did_not_is_undone(broken_page):
    before = state(broken_page)
    with pytest.raises(ReleaseError) as raised:
        deploy(broken_page)
    assert str(raised.value) == (
        "shop-app-2: the page / is answered with 500, and with 200 by the release that serves:"
        " ValueError: no such column. To go on all the same: make deploy FORCE=1"
    )
    assert "ValueError" in raised.value.log
    assert state(broken_page) == before
    assert broken_page.broken == []


def test_release_that_does_not_accept_the_site_s_name_is_undone(broken_page):
    engine = broken_page
    engine.new_page = 400
    before = state(engine)
    with pytest.raises(ReleaseError, match=r"answered with 400, .* the name localhost, which ALLOWED_HOSTS"):
        deploy(engine)
    assert state(engine) == before


def test_undoing_that_fails_hides_no_reason(broken_page, capsys):
    def hang():
        raise ReleaseError("docker rm has not ended in time")

    broken_page.failing["rm"] = hang
    with pytest.raises(ReleaseError, match=r"the page / is answered with"):
        deploy(broken_page)
    said = capsys.readouterr().out
    assert "It could not be undone: docker rm has not ended in time. The next call does that: make deploy" in said


def test_release_whose_page_fails_is_deployed_by_force(broken_page):
    assert deploy(broken_page, options=Options(is_forced=True)) == 0
    assert_deployed(broken_page)


@pytest.mark.parametrize("before", [500, 503, 0])
def test_release_whose_page_fails_as_before_is_deployed(broken_page, before):
    broken_page.pages["sha256:1"] = before
    assert deploy(broken_page) == 0
    assert_deployed(broken_page)


def test_rollback_from_a_page_that_fails_needs_no_force_and_one_to_it_does(broken_page):
    deploy(broken_page, options=Options(is_forced=True))
    deploy(broken_page, FIRST, plan=steps.ROLLBACK, is_new=False)
    assert_deployed(broken_page, FIRST)
    with pytest.raises(ReleaseError, match="the page / is answered with 500"):
        deploy(broken_page, SECOND, plan=steps.ROLLBACK, is_new=False)
    assert_deployed(broken_page, FIRST)


def test_maintenance_is_named_instead_of_its_page(broken_page, capsys):
    broken_page.is_maintained = True
    broken_page.failing["compose port"] = lambda: Done(0, "127.0.0.1:1", "")
    deploy(broken_page, options=Options(is_forced=True))
    said = capsys.readouterr().out
    assert "the maintenance is on (make maintenance OFF)" in said
    assert "Warning: the page / is answered with 500: ValueError: no such column" in said
    broken_page.pages.clear()
    deploy(broken_page, FIRST, plan=steps.ROLLBACK, is_new=False)
    assert "Warning" not in capsys.readouterr().out
