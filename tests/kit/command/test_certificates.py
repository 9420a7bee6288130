"""deploy/kit/certificates.py: why there is no certificate, from what certbot prints."""

import pytest

from kit.certificates import problem

URL = "https://acme.example/directory"
FAILED = f"acme/entrypoint: no certificate from {URL}; next attempt in 900 s\n"
UNREACHABLE = """Saving debug log to /tmp/certbot/letsencrypt.log
An unexpected error occurred:
requests.exceptions.ConnectionError: HTTPSConnectionPool(host='acme.example', port=443): Max retries exceeded with \
url: /directory (Caused by NameResolutionError("<urllib3.connection.HTTPSConnection object at 0x7f5a>: Failed to \
resolve 'acme.example' ([Errno -2] Name or service not known)"))
Ask for help or search for solutions at https://community.example.
"""
REFUSED = """Certbot failed to authenticate some domains (authenticator: webroot). The Certificate Authority reported:
  Domain: shop.example
  Type:   dns
  Detail: DNS problem: NXDOMAIN looking up A for shop.example

"""
LIMITED = """An unexpected error occurred:
acme.messages.Error: urn:ietf:params:acme:error:rateLimited :: too many certificates
"""
ISSUED = "acme/entrypoint: new certificate for shop.example: notAfter=Dec 31 08:29:35 2027 GMT\n"


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("", ""),
        ("Saving debug log\n", ""),
        (UNREACHABLE + FAILED, f"no certificate from {URL}: Failed to resolve 'acme.example'"),
        (
            UNREACHABLE + FAILED + REFUSED + FAILED,
            f"no certificate from {URL}: shop.example: DNS problem: NXDOMAIN looking up A for shop.example",
        ),
        (
            LIMITED + FAILED,
            f"no certificate from {URL}: urn:ietf:params:acme:error:rateLimited :: too many certificates",
        ),
        ("something else\n" + FAILED, f"no certificate from {URL}: its log says why"),
        (UNREACHABLE + FAILED + ISSUED, ""),
    ],
    ids=["empty", "first attempt", "unreachable", "the last counts", "limited", "unknown", "issued since"],
)
def test_reason(log, said):
    assert problem(log) == said
