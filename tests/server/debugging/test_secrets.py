"""What is masked, and what is not."""

import pytest

from ropewalk.debugging.secrets import MASK, Scrubber, is_secret, shown_environ, shown_value


@pytest.mark.parametrize(
    "name",
    [
        *("PASSWORD", "password", "db_password", "passwd", "pwd", "passphrase", "SECRET_KEY", "client_secret", "token"),
        *("csrftoken", "API_KEY", "apikey", "X-Api-Key", "key", "AWS_SECRET_ACCESS_KEY", "private_key", "credentials"),
        *("HTTP_AUTHORIZATION", "authorization", "HTTP_COOKIE", "sessionid", "session_id", "SENTRY_DSN", "signature"),
    ],
)
def test_name_is_secret(name):
    assert is_secret(name)


@pytest.mark.parametrize(
    "name", ["author", "authors", "passenger", "compasses", "PWD", "keyboard", "monkeys", "user", "rows", "saltwater"]
)
def test_name_is_harmless(name):
    assert not is_secret(name)


def test_values_are_masked_in_what_contains_them():
    value = {"user": "ann", "password": "hunter2", "more": [{"token": "abc"}]}
    assert shown_value("row", value) == f"{{'user': 'ann', 'password': '{MASK}', 'more': [{{'token': '{MASK}'}}]}}"
    assert shown_value("password", value) == MASK


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PASSWORD = 'hunter2'", f"PASSWORD = '{MASK}'"),
        ('config["api_key"] = "abc"', f'config["api_key"] = "{MASK}"'),
        ("Config(user='ann', password='hunter2')", f"Config(user='ann', password='{MASK}')"),
        ("{'token': 'abc', 'id': 3}", f"{{'token': '{MASK}', 'id': 3}}"),
        ("/reset?token=abc123.x&next=/", f"/reset?token={MASK}&next=/"),
        ("postgres://ann:hunter2@db/shop", f"postgres://ann:{MASK}@db/shop"),
        ("password: str = 'hunter2'", f"password: str = '{MASK}'"),
        ("password = ask_for_it()", "password = ask_for_it()"),
        ("token = None", "token = None"),
        ("author = 'Ann'", "author = 'Ann'"),
    ],
)
def test_text_is_cleaned(text, expected):
    assert Scrubber().clean(text) == expected


def test_known_values_are_removed_from_any_text(monkeypatch):
    monkeypatch.setenv("SHOP_SECRET", "from-the-environment")
    scrubber = Scrubber([("password", "hunter2"), ("key", "username"), ("pin_token", "123")])
    assert scrubber.clean("no row for hunter2 of username, from-the-environment") == (
        f"no row for {MASK} of username, {MASK}"
    )


class Application:
    def __init__(self):
        self.config = {"SECRET_KEY": "of-the-configuration", "NAME": "harmless"}
        self.api_token = "of-an-attribute"


class Proxy:
    __slots__ = ()

    def __getattribute__(self, name):
        raise RuntimeError("outside of a request")


def test_values_inside_of_objects_are_removed_too():
    scrubber = Scrubber([("self", Application()), ("proxy", Proxy()), ("options", {"client_secret": "of-a-mapping"})])
    assert scrubber.clean("of-the-configuration of-an-attribute of-a-mapping harmless") == (
        f"{MASK} {MASK} {MASK} harmless"
    )


def test_environ_shows_names_of_cookies_and_no_credentials():
    rows = dict(shown_environ({"HTTP_COOKIE": "a=1; sessionid=2", "HTTP_AUTHORIZATION": "Basic x", "PATH_INFO": "/"}))
    assert rows == {"HTTP_COOKIE": f"a={MASK}; sessionid={MASK}", "HTTP_AUTHORIZATION": MASK, "PATH_INFO": "/"}


class Hostile:
    def __repr__(self):
        raise RuntimeError("no")


class Huge:
    def __repr__(self):
        return "x" * 10**6


def test_repr_that_fails_or_is_huge_is_harmless():
    assert "Hostile" in shown_value("it", Hostile())
    assert len(shown_value("it", Huge())) < 5000
    assert len(shown_value("it", list(range(10**5)))) < 5000
    loop = []
    loop.append(loop)
    assert len(shown_value("it", loop)) < 100
