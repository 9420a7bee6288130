"""The kit's nginx over TLS: its certificate, who gets a handshake, who is sent there, what the application sees."""

import contextlib
import datetime
import http.client
import json
import re
import secrets
import socket
import ssl
import urllib.parse
import urllib.request

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.helpers.containers import NGINX_ROOMS
from tests.helpers.ports import free_port

pytestmark = pytest.mark.docker

NAME = "shop.example"
LONG_AGO, YESTERDAY = (
    datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
    datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1),
)


def anybody():
    """A client that takes any certificate, as a user who clicked the warning away."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def client_of(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def handshake(port, context=None, name="localhost"):
    """A socket that has spoken TLS to the port, for the given name; the caller closes it."""
    with contextlib.ExitStack() as failed:
        plain = failed.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
        secured = (context or anybody()).wrap_socket(plain, server_hostname=name)
        failed.pop_all()
        return secured


def certificate_at(port, name="localhost"):
    with handshake(port, name=name) as secured:
        return x509.load_der_x509_certificate(secured.getpeercert(binary_form=True))


def names_of(certificate):
    alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(name.value) for name in alternatives}


def ask(sock, target="/", name="localhost", **headers):
    """One request over the socket, which is then closed: (status, headers, content)."""
    fields = {"Host": name, "Connection": "close"} | {key.replace("_", "-"): value for key, value in headers.items()}
    head = "".join(f"{key}: {value}\r\n" for key, value in fields.items())
    with sock:
        sock.sendall(f"GET {target} HTTP/1.1\r\n{head}\r\n".encode())
        return answer_on(sock)


def answer_on(sock):
    response = http.client.HTTPResponse(sock)
    with response:
        response.begin()
        return response.status, response.msg, response.read()


def plainly(port):
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def write_pair(folder, certificate):
    """As a client of an issuer writes them: each file beside the old one, and then in its place."""
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    for name, content in (("fullchain.pem", chain), ("privkey.pem", certificate.private_key_pem.bytes())):
        replace(folder / name, content)


def replace(path, content):
    new = path.with_suffix(".new")
    new.write_bytes(content)
    new.chmod(0o644)
    new.rename(path)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def folder(tmp_path):
    """A TLS_DIR that uid 10001 can read."""
    tmp_path.chmod(0o755)
    return tmp_path


@pytest.fixture
def nginx(container, execute, wait):
    """nginx without an application: nginx(folder, NAME=VALUE, ...) returns its container, and its two ports."""

    def start(folder=None, *options, **variables):
        variables = {"CERTIFICATE_INTERVAL": "1"} | variables
        if folder is not None:
            options += ("--volume", f"{folder}:/srv/tls:ro", "--env", f"TLS_DIR={folder}")
        options += tuple(f"--env={name}={value}" for name, value in variables.items())
        name = container("nginx", options=(*options, "--publish=127.0.0.1::8080", "--publish=127.0.0.1::8443"))

        def is_up():
            return execute("docker", "exec", name, "test", "-s", "/tmp/nginx.pid", check=False).returncode == 0

        wait(is_up, "nginx has started")
        http_port, https_port = (
            int(execute("docker", "port", name, port).stdout.split()[0].rpartition(":")[2]) for port in ("8080", "8443")
        )
        return name, http_port, https_port

    return start


def refused_start(execute, images, folder, **variables):
    """The one line with which nginx does not start."""
    options = [f"--env={name}={value}" for name, value in variables.items()]
    mount = () if folder is None else ("--volume", f"{folder}:/srv/tls:ro", "--env", "TLS_DIR=./certs")
    command = ["docker", "run", "--rm", "--read-only", *NGINX_ROOMS, *mount, *options, images["nginx"]]
    done = execute(*command, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    return done.stderr.strip()


# --- Who gets a handshake


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_of_tls_are_spoken_and_http_2_is_agreed_upon(nginx, version):
    _, _, port = nginx()
    context = anybody()
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    with handshake(port, context) as secured:
        assert secured.version() == version.name.replace("_", ".")
        assert secured.selected_alpn_protocol() == "h2"
        assert "GCM" in secured.cipher()[0] or "CHACHA20" in secured.cipher()[0]


def test_the_key_is_agreed_upon_so_that_a_quantum_computer_does_not_find_it(nginx, execute):
    name, _, _ = nginx()
    client = ("openssl", "s_client", "-connect", "127.0.0.1:8443")
    done = execute("docker", "exec", name, "bash", "-c", f"{' '.join(client)} </dev/null")
    assert "Negotiated TLS1.3 group: X25519MLKEM768\n" in done.stdout


@pytest.mark.parametrize(
    ("options", "alert"),
    [
        (("-tls1",), "protocol version"),
        (("-tls1_1",), "protocol version"),
        # without forward secrecy, and with CBC, which has been attacked more than once
        (("-tls1_2", "-cipher", "AES256-GCM-SHA384:AES128-SHA:@SECLEVEL=0"), "handshake failure"),
        (("-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-SHA:ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0"), "handshake failure"),
        (("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"), None),
    ],
)
def test_old_versions_and_weak_ciphers_are_refused(nginx, execute, options, alert):
    name, _, _ = nginx()
    weak = () if "-cipher" in options else ("-cipher", "ALL:@SECLEVEL=0")
    client = ("openssl", "s_client", "-connect", "127.0.0.1:8443", *options, *weak)
    done = execute("docker", "exec", name, *client, check=False)
    found = re.findall(r" alert ([a-z ]+):", done.stderr)
    assert found[:1] == ([alert] if alert else [])
    assert (done.returncode == 0) is (alert is None)


def test_unknown_name_gets_no_handshake_when_names_are_set(nginx):
    _, _, port = nginx(SERVER_NAME=f"{NAME} *.shop.example")
    for known in (NAME, "www.shop.example"):
        assert names_of(certificate_at(port, known)) == {NAME, "*.shop.example"}
    for unknown in ("other.example", None):
        with pytest.raises(ssl.SSLError, match=r"UNRECOGNIZED_NAME"):
            handshake(port, name=unknown)
    # one name in the handshake, another in the request
    with handshake(port, name=NAME) as secured:
        secured.sendall(b"GET / HTTP/1.1\r\nHost: other.example\r\n\r\n")
        assert secured.recv(1000) == b""


def test_any_name_is_served_when_none_is_set(nginx):
    _, _, port = nginx()
    assert ask(handshake(port, name="other.example"), name="other.example")[0] == 502  # there is no application


def test_http_that_is_typed_before_the_port_of_https_is_sent_there(nginx):
    _, _, port = nginx()
    status, headers, _ = ask(plainly(port), "/a?b=c", name=f"localhost:{port}")
    assert (status, headers["Location"]) == (308, f"https://localhost:{port}/a?b=c")


def test_https_can_be_left_to_a_balancer(nginx, execute):
    name, http_port, _ = nginx(HTTPS="off", HTTPS_ONLY="1")
    listening = execute("docker", "exec", name, "cat", "/proc/net/tcp", "/proc/net/tcp6").stdout
    assert f":{8080:04X} " in listening
    assert f":{8443:04X} " not in listening
    assert ask(plainly(http_port))[0] == 502  # not sent anywhere: that is the application's to decide
    assert execute("docker", "exec", name, "ls", "/srv/self-signed").stdout == ""


# --- The certificate that nginx makes


def test_self_signed_certificate_is_for_this_machine_and_kept_over_containers(nginx, execute):
    volume = f"ropewalk-test-{secrets.token_hex(4)}"
    try:
        name, _, port = nginx(None, "--volume", f"{volume}:/srv/self-signed")
        first = certificate_at(port)
        assert names_of(first) == {"localhost", "127.0.0.1", "::1"}
        days = (first.not_valid_after_utc - first.not_valid_before_utc).days
        assert 365 < days < 398  # more is refused by some browsers
        files = ("/srv/self-signed/self-signed.pem", "/tmp/nginx/tls.pem")
        assert execute("docker", "exec", name, "stat", "-c", "%a", *files).stdout.split() == ["600", "600"]
        execute("docker", "rm", "--force", name)
        name, _, port = nginx(None, "--volume", f"{volume}:/srv/self-signed")
        assert certificate_at(port) == first
        execute("docker", "rm", "--force", name)
        # other names
        name, _, port = nginx(None, "--volume", f"{volume}:/srv/self-signed", SERVER_NAME=f".{NAME} 10.1.2.3 mail.*")
        assert names_of(certificate_at(port, NAME)) == {NAME, f"*.{NAME}", "10.1.2.3"}
        execute("docker", "rm", "--force", name)
    finally:
        execute("docker", "volume", "rm", "--force", volume, check=False)


def test_self_signed_certificate_is_made_again_before_it_ends_while_nginx_runs(nginx, execute, wait):
    name, _, port = nginx()
    first = certificate_at(port)
    path = "/tmp/nginx/self-signed.pem"  # there is no volume
    soon = (
        f"cd /tmp && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 20 -subj /CN=soon"
        f" -keyout k -out c 2>/dev/null && (head -n 1 {path} && cat c k) >n && mv n {path}"
    )
    execute("docker", "exec", name, "bash", "-c", soon)

    def is_new():
        # nginx may load the one that ends soon, before the watcher has looked at it
        served = certificate_at(port)
        return served != first and served.subject.rfc4514_string() != "CN=soon"

    wait(is_new, "there is another certificate")
    assert names_of(certificate_at(port)) == {"localhost", "127.0.0.1", "::1"}


# --- Files of one's own


def looked_at(execute, name):
    """When the watcher gathered last what to use."""
    return execute("docker", "exec", name, "bash", "-c", "stat -c %y /tmp/nginx/tls.pem.new || true").stdout


def test_own_certificate_is_used_and_its_whole_chain_sent(nginx, authority, folder):
    write_pair(folder, authority.create_child_ca().issue_cert(NAME))
    _, _, port = nginx(folder, SERVER_NAME=NAME)
    assert ask(handshake(port, client_of(authority), NAME), name=NAME)[0] == 502


def test_renewed_files_are_noticed_and_nobody_is_cut_off(nginx, authority, folder, execute, wait):
    write_pair(folder, authority.issue_cert(NAME))
    name, _, port = nginx(folder)
    first = certificate_at(port)
    with handshake(port, name=NAME) as in_flight:
        in_flight.sendall(b"GET /healthz HTTP/1.1\r\n")
        write_pair(folder, authority.issue_cert(NAME))
        wait(lambda: certificate_at(port) != first, "the new certificate is sent")
        in_flight.sendall(b"Host: shop.example\r\n\r\n")
        assert answer_on(in_flight)[0] == 502
    assert "nginx uses a new certificate: notAfter=" in execute("docker", "logs", name).stderr


def test_half_of_a_renewal_is_reported_and_the_old_one_kept_until_the_other_half_comes(
    nginx, authority, folder, execute, wait
):
    write_pair(folder, authority.issue_cert(NAME))
    name, _, port = nginx(folder)
    first = certificate_at(port)
    renewed = authority.issue_cert(NAME)
    replace(folder / "privkey.pem", renewed.private_key_pem.bytes())
    message = "privkey.pem is not the key of the first certificate in fullchain.pem; nginx keeps its certificate"
    wait(lambda: message in execute("docker", "logs", name).stderr, "the log tells of it")
    assert certificate_at(port) == first
    write_pair(folder, renewed)
    wait(lambda: certificate_at(port) != first, "the new certificate is sent")
    assert execute("docker", "logs", name).stderr.count(message) == 1


def test_certificate_that_comes_later_takes_the_place_of_the_self_signed_one(nginx, authority, folder, execute, wait):
    name, _, port = nginx(folder)
    assert names_of(certificate_at(port)) == {"localhost", "127.0.0.1", "::1"}
    warning = f"TLS_DIR='{folder}': warning: no fullchain.pem and privkey.pem yet"
    assert warning in execute("docker", "logs", name).stderr
    write_pair(folder, authority.issue_cert(NAME))
    wait(lambda: names_of(certificate_at(port)) == {NAME}, "the new certificate is sent")
    # taken away, they leave nginx with what it has
    for path in folder.iterdir():
        path.unlink()
    looked = [looked_at(execute, name)]
    for _ in range(2):
        wait(lambda: looked_at(execute, name) != looked[-1], "the watcher has looked again")
        looked.append(looked_at(execute, name))
    assert names_of(certificate_at(port)) == {NAME}


def test_expired_certificate_or_one_for_other_names_is_a_warning(nginx, authority, folder, execute):
    write_pair(folder, authority.issue_cert(NAME, not_before=LONG_AGO, not_after=YESTERDAY))
    name, _, port = nginx(folder, SERVER_NAME=f"{NAME} www.{NAME}")
    log = execute("docker", "logs", name).stderr
    assert "nginx/certificate: TLS_DIR: warning: the certificate has expired: " in log
    assert f"nginx/certificate: TLS_DIR: warning: the certificate does not match www.{NAME}\n" in log
    assert names_of(certificate_at(port, NAME)) == {NAME}


def encrypted(certificate):
    key = serialization.load_pem_private_key(certificate.private_key_pem.bytes(), None)
    secret = serialization.BestAvailableEncryption(b"secret")
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret)


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda at, _: (at / "privkey.pem").unlink(), "privkey.pem is missing"),
        (lambda at, _: (at / "fullchain.pem").unlink(), "fullchain.pem is missing"),
        (lambda at, _: (at / "privkey.pem").chmod(0o600), "privkey.pem: must be a file that uid 10001 can read"),
        (lambda at, _: at.chmod(0o700), "must be a folder that uid 10001 can read"),
        (lambda at, _: replace(at / "fullchain.pem", b"hello"), "fullchain.pem: must be a certificate in PEM format"),
        (
            lambda at, ca: replace(at / "privkey.pem", encrypted(ca.issue_cert(NAME))),
            "privkey.pem: must be a key in PEM format, without a passphrase",
        ),
        (
            lambda at, ca: replace(at / "privkey.pem", ca.issue_cert(NAME).private_key_pem.bytes()),
            "privkey.pem is not the key of the first certificate in fullchain.pem",
        ),
        (
            # a link that leads out of what the container sees, as in /etc/letsencrypt/live
            lambda at, _: (
                (at / "privkey.pem").unlink() or (at / "privkey.pem").symlink_to("../../archive/privkey1.pem")
            ),
            "privkey.pem: must be a file that uid 10001 can read",
        ),
    ],
)
def test_files_that_cannot_be_used_stop_the_start_and_are_named(execute, images, authority, folder, spoil, fault):
    write_pair(folder, authority.issue_cert(NAME))
    spoil(folder, authority)
    assert refused_start(execute, images, folder) == f"nginx/certificate: TLS_DIR='./certs': {fault}"


# --- Who is sent there


def test_visitor_without_tls_is_sent_to_it_when_https_only_is_set(nginx):
    _, http_port, _ = nginx(HTTPS_ONLY="1", HTTPS_PORT="8443", HSTS_SECONDS="300")
    for host in ("localhost", "localhost:8080"):
        status, headers, _ = ask(plainly(http_port), "/a%20b?c=d%0d%0ae", name=host)
        assert (status, headers["Location"]) == (308, "https://localhost:8443/a%20b?c=d%0d%0ae")
        assert headers["Strict-Transport-Security"] is None  # means nothing without TLS
    assert ask(plainly(http_port), "/", name="[::1]:8080")[1]["Location"] == "https://[::1]:8443/"
    # health checks, and an issuer's challenge, are answered here
    for target in ("/healthz", "/.well-known/acme-challenge/token"):
        assert ask(plainly(http_port), target)[0] == 502
    for target in ("/healthz2", "/xhealthz", "/.well-known/acme-challenge", "/.well-known/acme-challenge/../../"):
        assert ask(plainly(http_port), target)[0] == 308


def test_redirect_names_no_port_where_it_is_the_usual_one(nginx):
    _, http_port, _ = nginx(HTTPS_ONLY="yes", HTTPS_PORT="443", HEALTH_PATH="/")
    status, headers, _ = ask(plainly(http_port), "/", name="shop.example:80")
    # the health path is a page of the site
    assert (status, headers["Location"]) == (308, "https://shop.example/")


def test_other_names_of_the_site_lead_to_the_first_one(nginx):
    hosts = {"SERVER_NAME": NAME, "REDIRECT_HOSTS": f"www.{NAME}"}
    _, http_port, https_port = nginx(**hosts)
    assert names_of(certificate_at(https_port, name=f"www.{NAME}")) == {NAME, f"www.{NAME}"}
    for host, port in ((f"www.{NAME}", ""), (f"www.{NAME}:{https_port}", f":{https_port}")):
        status, headers, _ = ask(handshake(https_port, name=f"www.{NAME}"), "/a?b=c", name=host)
        assert (status, headers["Location"]) == (308, f"https://{NAME}{port}/a?b=c")
        assert ask(plainly(http_port), "/a?b=c", name=host)[1]["Location"] == f"http://{NAME}{port}/a?b=c"
        # http:// with the port of https
        assert ask(plainly(https_port), "/a?b=c", name=host)[1]["Location"] == f"https://{NAME}{port}/a?b=c"
    assert ask(handshake(https_port, name=NAME), name=NAME)[0] == 502


def test_other_name_leads_to_the_first_one_over_https_in_one_step(nginx):
    hosts = {"SERVER_NAME": NAME, "REDIRECT_HOSTS": f"www.{NAME}", "HTTPS_ONLY": "1", "HTTPS_PORT": "443"}
    _, http_port, https_port = nginx(**hosts, HSTS_SECONDS="300")
    status, headers, _ = ask(plainly(http_port), "/a?b=c", name=f"www.{NAME}:80")
    assert (status, headers["Location"]) == (308, f"https://{NAME}/a?b=c")
    # includeSubDomains is not said, so each name says it for itself
    headers = ask(handshake(https_port, name=f"www.{NAME}"), name=f"www.{NAME}")[1]
    assert (headers["Location"], headers["Strict-Transport-Security"]) == (f"https://{NAME}/", "max-age=300")


def test_trusted_proxy_is_sent_nowhere(nginx):
    _, http_port, https_port = nginx(HTTPS_ONLY="1", HSTS_SECONDS="300", TRUSTED_PROXIES="0.0.0.0/1,128.0.0.0/1")
    for scheme in ("http", "https"):
        status, headers, _ = ask(plainly(http_port), X_Forwarded_Proto=scheme)
        assert status == 502
        assert headers["Strict-Transport-Security"] == ("max-age=300" if scheme == "https" else None)
    assert ask(handshake(https_port))[0] == 502


def test_redirect_needs_a_port_to_name(execute, images):
    line = refused_start(execute, images, None, HTTPS_ONLY="1", HTTPS_PORT="0")
    assert line.startswith("nginx/entrypoint: HTTPS_PORT='0': ")


def test_hsts_is_sent_only_when_asked_for_and_only_over_tls(nginx):
    _, http_port, https_port = nginx()
    assert "Strict-Transport-Security" not in ask(handshake(https_port))[1]
    _, http_port, https_port = nginx(HSTS_SECONDS="31536000")
    for target in ("/", "/static/nothing"):
        assert ask(handshake(https_port), target)[1].get_all("Strict-Transport-Security") == ["max-age=31536000"]
    assert "Strict-Transport-Security" not in ask(plainly(http_port))[1]


def test_challenge_of_an_issuer_is_answered_from_the_folder_and_nothing_else_of_it(nginx, authority, folder):
    write_pair(folder, authority.issue_cert(NAME))
    challenges = folder / "webroot/.well-known/acme-challenge"
    challenges.mkdir(parents=True)
    (challenges / "token").write_text("token.thumbprint")
    _, http_port, _ = nginx(folder, HTTPS_ONLY="1", SERVER_NAME=NAME)
    at = "/.well-known/acme-challenge"
    status, headers, content = ask(plainly(http_port), f"{at}/token", name=NAME)
    assert (status, headers.get_content_type(), content) == (200, "text/plain", b"token.thumbprint")
    for target in (f"{at}/../../../privkey.pem", f"{at}/..%2f..%2f..%2fprivkey.pem", f"{at}/%2e%2e/%2e%2e/privkey.pem"):
        assert b"PRIVATE KEY" not in ask(plainly(http_port), target, name=NAME)[2]


# --- What the application sees


def over_http_2(sock, target, authority):
    """The content of a page, asked for in HTTP/2 by hand (RFC 9113, RFC 7541): one request, no table, no padding."""

    def literal(index, value):
        return bytes([0x40 | index, len(value)]) + value.encode()

    def frame(kind, flags, stream, payload=b""):
        return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload

    fields = b"\x82\x87" + literal(4, target) + literal(1, authority)  # GET, https, :path, :authority
    sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + frame(1, 0x5, 1, fields))
    content = b""
    with sock.makefile("rb") as reader:
        while True:
            head = reader.read(9)
            payload = reader.read(int.from_bytes(head[:3]))
            if head[3] == 0:
                content += payload
            if head[3] in (0, 1) and head[4] & 1:
                return content


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/2"])
def test_application_sees_https_its_host_and_port(plain, version):
    host = f"localhost:{plain.tls_port}"
    if version == "HTTP/2":
        context = anybody()
        context.set_alpn_protocols(["h2"])
        with handshake(plain.tls_port, context) as secured:
            content = over_http_2(secured, "/environ", host)
    else:
        lies = {"X_Forwarded_Proto": "http", "X_Forwarded_Port": "1", "X_Forwarded_Host": "evil.example"}
        content = ask(handshake(plain.tls_port), "/environ", host, **lies)[2]
    environ = json.loads(content)
    assert environ["wsgi.url_scheme"] == environ["HTTP_X_FORWARDED_PROTO"] == "https"
    assert environ["HTTP_HOST"] == environ["HTTP_X_FORWARDED_HOST"] == host
    assert environ["HTTP_X_FORWARDED_PORT"] == str(plain.tls_port)


@pytest.mark.parametrize("backend", ["gunicorn", "ropewalk"])
def test_form_of_a_django_project_is_taken_over_https(new_stack, backend):
    """Django compares the form's origin with the scheme and host it was asked for, and its cookies are secure alone."""
    port = free_port()
    stack = new_stack("sample", BACKEND=backend, HTTPS_PORT=str(port), HTTPS_ONLY="1", HSTS_SECONDS="60")
    stack.up()
    site = f"https://localhost:{port}"
    handlers = urllib.request.HTTPSHandler(context=anybody()), urllib.request.HTTPCookieProcessor()
    browser = urllib.request.build_opener(*handlers)
    with browser.open(f"http://localhost:{stack.port}/sign-up", timeout=20) as page:
        assert page.url == f"{site}/sign-up"  # sent there
        assert page.headers.get_all("Strict-Transport-Security") == ["max-age=60"]
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.read().decode())[1]
    password = secrets.token_urlsafe()
    fields = {"csrfmiddlewaretoken": token, "username": "keeper", "password1": password, "password2": password}
    form = urllib.request.Request(f"{site}/sign-up", urllib.parse.urlencode(fields).encode(), {"Origin": site})
    with browser.open(form, timeout=20) as page:
        assert (page.status, page.url) == (200, f"{site}/")
        assert b"keeper" in page.read()
