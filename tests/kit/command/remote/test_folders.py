"""deploy/kit/remote/folders.py: what docker-compose.yml mounts of this machine reaches an engine elsewhere."""

import io
import os
import subprocess
import tarfile

import pytest
import trustme

from kit.errors import KitError
from kit.remote import folders
from kit.remote.server import Server

SHOP = Server("me", "shop.example")
CHECK_CERTIFICATE = folders.check_certificate


@pytest.fixture
def root(tmp_path):
    (tmp_path / "deploy/compose").mkdir(parents=True)
    (tmp_path / "deploy/compose/no-netrc").touch()
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs/privkey.pem").write_text("key")
    (tmp_path / "certs/privkey.pem").chmod(0o600)
    (tmp_path / "certs/fullchain.pem").symlink_to("privkey.pem")
    return tmp_path


@pytest.fixture(autouse=True)
def there(monkeypatch):
    """The folders that the server has."""
    found = []
    monkeypatch.setattr(folders, "check_certificate", lambda *_: None)
    monkeypatch.setattr(folders.connection, "call", lambda _s, words, _e: (words[-1].strip("'") not in found, ""))
    return found


def prepare(root, **values):
    return folders.prepare(SHOP, values, {}, root)


def test_folder_of_the_checkout_becomes_a_volume_that_is_filled(root):
    prepared = prepare(root, TLS_DIR="./certs")
    assert prepared["TLS_DIR_GIVEN"] == "./certs"  # for nginx's errors
    assert prepared["TLS_DIR"] == "tls"
    found = dict(folders.copies(prepared))
    assert found == {"tls": root / "certs", "keys": root / "deploy/compose/no-netrc"}


def test_certificate_that_nginx_could_not_use_is_not_copied(root, monkeypatch):
    monkeypatch.setattr(folders, "check_certificate", CHECK_CERTIFICATE)
    chain, key = root / "certs/fullchain.pem", root / "certs/privkey.pem"
    chain.unlink()

    def refusal():
        with pytest.raises(KitError) as raised:
            prepare(root, TLS_DIR="./certs")
        return str(raised.value)

    assert refusal() == "TLS_DIR='./certs': must have fullchain.pem and privkey.pem, or neither"
    chain.write_text("rubbish")
    assert refusal().endswith("in privkey.pem: one of them is not in PEM format")
    mine, other = (trustme.CA().issue_cert("shop.example") for _ in range(2))
    mine.cert_chain_pems[0].write_to_path(str(chain))
    other.private_key_pem.write_to_path(str(key))
    assert refusal().endswith("in privkey.pem: key values mismatch")
    mine.private_key_pem.write_to_path(str(key))
    assert prepare(root, TLS_DIR="./certs")["TLS_DIR"] == "tls"
    chain.unlink()
    key.unlink()
    assert prepare(root, TLS_DIR="./certs")["TLS_DIR"] == "tls", "another client may fill the folder later"


def test_volume_and_blank_stay_as_they_are(root):
    assert set(prepare(root, TLS_DIR="tls", ERROR_PAGES="")) == {"ROPEWALK_COPY_keys", "BACKUP_KEY_PLACE"}


def test_whole_path_is_the_server_s(root, there):
    there.append("/etc/site")
    assert "TLS_DIR" not in prepare(root, TLS_DIR="/etc/site")
    with pytest.raises(KitError, match=r"TLS_DIR='/etc/other': there is no such folder on shop.example"):
        prepare(root, TLS_DIR="/etc/other")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"ERROR_PAGES": "./nowhere"}, "ERROR_PAGES='./nowhere': must be an existing folder"),
        ({"TLS_DIR": "./certs", "COMPOSE_PROFILES": "postgres,acme"}, "TLS_DIR: the profile acme keeps"),
        ({"BACKUP_DIR": "./saved"}, "BACKUP_DIR='./saved': the schedule writes on shop.example"),
        ({"BACKUP_KEY": "./nokey"}, "BACKUP_KEY='./nokey': must be a file with a public key"),
    ],
)
def test_what_cannot_work_there_is_refused(root, values, said):
    with pytest.raises(KitError) as raised:
        prepare(root, **values)
    assert str(raised.value).startswith(said)


def test_files_are_the_containers_user_s_and_links_are_followed(root):
    with tarfile.open(fileobj=io.BytesIO(folders.archive(root / "certs"))) as tar:
        found = {member.name: (member.uid, member.mode, member.isfile()) for member in tar}
    assert found["./privkey.pem"] == found["./fullchain.pem"] == (10001, 0o600, True)
    with tarfile.open(fileobj=io.BytesIO(folders.archive(root / "deploy/compose/no-netrc"))) as tar:
        assert tar.getnames() == ["backup_key"]


def test_folder_that_is_too_large_is_refused(root, monkeypatch):
    monkeypatch.setattr(folders, "MOST", 5)
    with pytest.raises(KitError, match="larger than"):
        folders.archive(root / "certs")


@pytest.mark.parametrize(
    "service",
    [
        {"volumes": [{"type": "bind", "source": "/checkout/etc", "target": "/etc/x"}]},
        {"secrets": [{"source": "token"}]},
    ],
)
def test_mount_of_an_override_file_is_refused(root, service):
    model = {"services": {"app": service}, "secrets": {"token": {"file": "/checkout/token"}}}
    with pytest.raises(KitError, match=r"which shop\.example does not have"):
        folders.check(model, SHOP, folders.Path("/checkout"))
    volume = {"type": "volume", "source": "data", "target": "/data"}
    other = {"type": "bind", "source": "/etc/localtime", "target": "/etc/localtime"}
    folders.check({"services": {"app": {"volumes": [volume, other]}}}, SHOP, folders.Path("/checkout"))


def test_files_are_exchanged_one_by_one(root, tmp_path):
    target = tmp_path / "target"
    (target / "old").mkdir(parents=True)
    for name in ("old/gone.html", "fullchain.pem", "same.pem"):
        (target / name).write_text("same")
    (root / "certs/same.pem").write_text("same")
    (root / "certs/deep").mkdir()
    (root / "certs/deep/502.html").write_text("page")
    inode = (target / "same.pem").stat().st_ino
    script = folders.EXCHANGE.replace("/target", str(target)).replace("tar -x", "tar -x --no-same-owner")
    script = script.replace("chown", "true")
    environment = {"PATH": os.environ["PATH"]}
    archive = folders.archive(root / "certs")
    subprocess.run(["sh", "-c", script], input=archive, env=environment, check=True, timeout=20)
    found = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
    assert found == {"privkey.pem", "fullchain.pem", "same.pem", "deep/502.html"}
    assert (target / "fullchain.pem").read_text() == "key"
    assert (target / "same.pem").stat().st_ino == inode, "what is the same is not written again"
