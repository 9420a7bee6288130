"""The grammar of RFC 9110 and RFC 9112 as compiled patterns, one per rule.

A head is decoded once as ISO-8859-1, in which every octet is one character, and matched as text: the strings
that come out are the ones PEP 3333 asks for, so no field is decoded a second time. All quantifiers that could
overlap are possessive, so that no input makes a pattern take more than linear time.
"""

from __future__ import annotations

import re

# RFC 9110 section 5.6.2: tchar; section 5.5: field-vchar with obs-text; RFC 9112 section 3: one space each.
TCHAR = r"!#$%&'*+\-.^_`|~0-9A-Za-z"
FIELD_CHAR = r"\t -~\x80-\xff"

TOKEN = re.compile(rf"[{TCHAR}]++")

# RFC 9112 section 3.2 and RFC 3986 sections 3.3 and 3.4: pchar and "/" in a path, the same and "?" in a query. Browsers
# leave more characters bare, by the percent-encode sets of the URL Standard: "[", "]" and "|" in a path, and these and
# "\", "^", "`", "{" and "}" in a query. They split nothing, and nginx passes them on. No browser sends a bare '"', "<"
# or ">", or a fragment.
_PATH_CHAR = r"!$-;=@-\[\]_a-z|~"
_QUERY_CHAR = r"!$-;=?-~"

REQUEST_LINE = re.compile(rf"([{TCHAR}]++) ([{_PATH_CHAR}]++(?:\?[{_QUERY_CHAR}]*+)?+) HTTP/([0-9])\.([0-9])\r\n")

# What most heads are: a target in origin-form, its path and query apart, HTTP/1, and the field lines, unparsed.
PLAIN_HEAD = re.compile(
    rf"([{TCHAR}]++) ((/[{_PATH_CHAR}]*+)(?:\?([{_QUERY_CHAR}]*+))?+) HTTP/1\.([0-9])\r\n(.*+)", re.DOTALL
)

# One field line, anchored to the start of its line: as many matches as there are line feeds means that every
# line is a field. RFC 9112 section 5: no space before the colon, no continuation line (obs-fold), no bare CR or LF.
FIELD_LINE = re.compile(rf"^([{TCHAR}]++):[\t ]*+([{FIELD_CHAR}]*+)\r\n", re.MULTILINE)

FIELD_VALUE = re.compile(rf"[{FIELD_CHAR}]*+")

# RFC 3986 section 3.2.2 and 3.2.3, as RFC 9110 section 7.2 uses them: uri-host [ ":" port ], not empty.
_REG_NAME = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})++"
_H16 = r"[0-9A-Fa-f]{1,4}"
_DEC_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rf"{_DEC_OCTET}(?:\.{_DEC_OCTET}){{3}}"
_LS32 = rf"(?:{_H16}:{_H16}|{_IPV4})"
# The nine alternatives of RFC 3986's IPv6address: `after` groups and a last part after "::", and up to so many before
# it that at least one is left out.
_IPV6 = "|".join(
    [rf"(?:{_H16}:){{6}}{_LS32}"]
    + [rf"(?:(?:{_H16}:){{0,{5 - after - 1}}}{_H16})?::(?:{_H16}:){{{after}}}{_LS32}" for after in range(5)]
    + [rf"::(?:{_H16}:){{5}}{_LS32}", rf"(?:(?:{_H16}:){{0,5}}{_H16})?::{_H16}", rf"(?:(?:{_H16}:){{0,6}}{_H16})?::"]
)
_IP_LITERAL = rf"\[(?:{_IPV6}|v[0-9A-Fa-f]++\.[A-Za-z0-9\-._~!$&'()*+,;=:]++)\]"
HOST = re.compile(rf"(?:{_REG_NAME}|{_IP_LITERAL})(?::[0-9]{{0,5}})?")

# RFC 9112 section 3.2.2; only the schemes of RFC 9110 section 4.2, and no userinfo (section 4.2.4).
ABSOLUTE_FORM = re.compile(r"(https?)://([^/?@]++)((?:/[^?]*+)?+)(?:\?(.*+))?", re.IGNORECASE | re.DOTALL)

BAD_PERCENT_ENCODING = re.compile(r"%(?![0-9A-Fa-f]{2})")

# RFC 9110 section 8.6: digits alone: no sign, no space, no list, no underscore. 19 digits hold any 63-bit number.
CONTENT_LENGTH = re.compile(r"[0-9]{1,19}")

# RFC 9112 section 7.1 and 7.1.1. Sixteen digits hold any 64-bit size.
_QUOTED_STRING = r'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*+"'
_CHUNK_EXTENSION = rf"[\t ]*+;[\t ]*+[{TCHAR}]++(?:[\t ]*+=[\t ]*+(?:[{TCHAR}]++|{_QUOTED_STRING}))?+"
CHUNK_LINE = re.compile(rf"([0-9A-Fa-f]{{1,16}})((?:{_CHUNK_EXTENSION})*+)\r\n".encode("latin-1"))
CHUNK_LINE_START = re.compile(rb"[0-9A-Fa-f]{1,16}(?:[\t ]*+(?:;[\t -~\x80-\xff]*+)?)?\r?")

# RFC 9110 section 15: a final status code, and a reason phrase that may be empty (RFC 9112 section 4). 600 to
# 999 are not valid, but in use between programs that agree on them; to clients they mean an error, as 5xx do.
STATUS = re.compile(rf"[2-9][0-9][0-9](?: [{FIELD_CHAR}]*+)?")
