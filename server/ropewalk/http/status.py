"""Status codes (RFC 9110 section 15): their reason phrases, and the one short answer that we give of our own."""

from __future__ import annotations

from http import HTTPStatus

# RFC 9110 names for the codes that http.HTTPStatus of older Pythons still calls by their former names.
_NEWER_PHRASES = {413: "Content Too Large", 414: "URI Too Long", 431: "Request Header Fields Too Large"}


def reason_phrase(status_code: int) -> str:
    """Return RFC 9110's phrase, or an empty string for a code that has none."""
    phrase = _NEWER_PHRASES.get(status_code)
    if phrase is not None:
        return phrase
    try:
        return HTTPStatus(status_code).phrase
    except ValueError:
        return ""


def has_content(method: str, status_code: int) -> bool:
    """Tell whether an answer may carry content (RFC 9110 section 6.4.1)."""
    return not (method == "HEAD" or status_code in (204, 304) or status_code < 200)
