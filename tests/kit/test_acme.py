"""The profile "acme", with a real issuer: pebble, in the stack's network, asks the kit's nginx for the challenge."""

import json
import socket
import ssl

import pytest
import trustme
import yaml
from cryptography import x509

pytestmark = pytest.mark.docker

NAMES = ["shop.example", "www.shop.example"]
MORE_NAMES = [*NAMES, "blog.shop.example"]
LIFETIME = 40  # seconds
UP = ("up", "--no-build", "--detach")


def certificate_at(stack):
    """The one that nginx sends; None while it does not answer yet."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection(("127.0.0.1", stack.tls_port), timeout=20) as plain,
            context.wrap_socket(plain, server_hostname=NAMES[0]) as secured,
        ):
            return x509.load_der_x509_certificate(secured.getpeercert(binary_form=True))
    except OSError:
        return None


def names_of(certificate):
    if certificate is None:
        return set()
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(names.get_values_for_type(x509.DNSName))


def issuer_of(certificate):
    return certificate.issuer.rfc4514_string() if certificate else "nobody"


@pytest.fixture
def new_site(new_stack, acme_images, tmp_path):
    """nginx and the client are up, in a network where the names are nginx's; the service "pebble" is not yet."""

    def start(lifetime, **variables):
        authority = trustme.CA()
        own = authority.issue_cert("pebble")
        settings = {
            "listenAddress": "0.0.0.0:14000",
            "managementListenAddress": "0.0.0.0:15000",
            "certificate": "/srv/pebble/cert.pem",
            "privateKey": "/srv/pebble/key.pem",
            "httpPort": 8080,  # where the kit's nginx listens in its container
            "tlsPort": 8443,
            "ocspResponderURL": "",
            "certificateValidityPeriod": lifetime,
        }
        folder = tmp_path / "pebble"
        folder.mkdir()
        (folder / "pebble.json").write_text(json.dumps({"pebble": settings}))
        own.private_key_pem.write_to_path(folder / "key.pem")
        own.cert_chain_pems[0].write_to_path(folder / "cert.pem")
        for path in (folder, *folder.iterdir()):
            path.chmod(0o755)
        override = tmp_path / "override.yml"
        pebble = {
            "image": acme_images["pebble"],
            "networks": ["front"],
            "volumes": [f"{folder}:/srv/pebble:ro"],
            "environment": {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0"},
        }
        nginx = {"environment": {"CERTIFICATE_INTERVAL": "1"}, "networks": {"front": {"aliases": MORE_NAMES}}}
        client = {"environment": {"ACME_INTERVAL": "1", "ACME_RETRY": "1"}}
        override.write_text(yaml.safe_dump({"services": {"pebble": pebble, "nginx": nginx, "acme": client}}))
        stack = new_stack(
            "plain",
            COMPOSE_FILE=f"docker-compose.yml:{override}",
            COMPOSE_PROFILES="acme",
            ACME_IMAGE=acme_images["acme"],
            ACME_DIRECTORY="https://pebble:14000/dir",
            ACME_EMAIL="keeper@shop.example",
            **({"SERVER_NAME": " ".join(NAMES)} | variables),
        )
        root = authority.cert_pem.bytes().decode()
        in_volume = ("run", "--rm", "--no-deps", "-T", "--entrypoint", "bash", "acme", "-c")
        stack.compose(*in_volume, f"echo '{root}' >/srv/tls/acme-ca.pem")
        stack.compose(*UP, "nginx", "acme")
        return stack

    return start


def test_certificate_is_issued_once_there_is_an_issuer_and_renewed_before_it_ends(new_site, execute, wait):
    stack = new_site(LIFETIME)
    refusal = "acme/entrypoint: no certificate from https://pebble:14000/dir; next attempt in 1 s"
    wait(lambda: refusal in stack.logs("acme"), "the log tells of the failure")
    wait(lambda: issuer_of(certificate_at(stack)) == "CN=self-signed,O=Ropewalk", "nginx has one of its own until then")
    stack.compose(*UP, "pebble")
    wait(lambda: "Pebble" in issuer_of(certificate_at(stack)), "nginx has the certificate that was issued")
    first = certificate_at(stack)
    assert names_of(first) == set(NAMES)
    health = ("docker", "inspect", "--format", "{{.State.Health.Status}}", stack.container("acme"))
    wait(lambda: execute(*health).stdout == "healthy\n", "the containers that wait for the certificate start")
    issued = "acme/entrypoint: new certificate for shop.example www.shop.example: notAfter="
    assert stack.logs("acme").count(issued) == 1
    # nobody asks for another one before a third of its life is left
    wait(lambda: certificate_at(stack) not in (first, None), "nginx has the next one", timeout=90)
    second = certificate_at(stack)
    between = (second.not_valid_before_utc - first.not_valid_before_utc).total_seconds()
    assert LIFETIME * 2 // 3 - 1 <= between < LIFETIME


def test_challenge_that_fails_is_reported_with_the_reason(new_site, wait):
    stack = new_site(LIFETIME, SERVER_NAME="nowhere.example")
    stack.compose(*UP, "pebble")
    wait(lambda: "Domain: nowhere.example" in stack.logs("acme"), "the log tells of it")
    wait(lambda: "no such host" in stack.logs("acme"), "and why")


def test_new_container_keeps_the_certificate_and_other_names_get_another(new_site, wait):
    stack = new_site(90 * 86400)
    stack.compose(*UP, "pebble")
    wait(lambda: "Pebble" in issuer_of(certificate_at(stack)), "nginx has the certificate that was issued")
    first = certificate_at(stack)
    stack.compose(*UP, "--force-recreate", "nginx", "acme")
    added = {"REDIRECT_HOSTS": " ".join(sorted(set(MORE_NAMES) - set(NAMES)))}
    more = type(stack)(stack.name, {**stack.environment, **added})
    wait(lambda: certificate_at(stack) == first, "nginx has it still")
    more.compose(*UP, "nginx", "acme")
    wait(lambda: names_of(certificate_at(more)) == set(MORE_NAMES), "nginx has another one")
    assert more.logs("acme").count(": new certificate for ") == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SERVER_NAME", "_"),
        ("SERVER_NAME", "*.shop.example"),
        ("SERVER_NAME", "10.0.0.1"),
        ("REDIRECT_HOSTS", "www.shop.example *.shop.example"),
        ("ACME_EMAIL", "keeper"),
        ("ACME_DIRECTORY", "http://issuer.example/directory"),
    ],
)
def test_value_that_is_not_allowed_stops_the_client_and_is_named(acme_images, execute, name, value):
    options = [f"--env={each}" for each in ("SERVER_NAME=shop.example", f"{name}={value}")]
    done = execute("docker", "run", "--rm", "--read-only", *options, acme_images["acme"], check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"acme/entrypoint: {name}='{value}': ")
    assert done.stderr.count("\n") == 1
