"""deploy/kit/remote/images.py: with a fake of `docker` for both engines, which keeps what it is given."""

import gzip
import io
import json
import os
import tarfile

import pytest

from kit.errors import KitError
from kit.remote import images, server

BASE, CODE, OTHER = ("sha256:base", "sha256:code", "sha256:other")


def save(path, *chains):
    """An archive as `docker save` writes it: a file for each layer, and who consists of which."""
    files, manifest = {}, []
    for at, chain in enumerate(chains):
        files[f"config{at}.json"] = json.dumps({"rootfs": {"diff_ids": chain}})
        names = [f"{digest.partition(':')[2]}/layer.tar" for digest in chain]
        files |= dict.fromkeys(names, "content of a layer " * 100)
        manifest.append({"Config": f"config{at}.json", "Layers": names})
    files["manifest.json"] = json.dumps(manifest)
    with tarfile.open(path, "w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))


def packed(tmp_path, known, *chains):
    save(tmp_path / "saved.tar", *chains)
    images.pack(tmp_path / "saved.tar", tmp_path / "sent", known)
    return names_in(tmp_path / "sent")


def names_in(path):
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(path.read_bytes()))) as tar:
        return {member.name for member in tar if member.name.endswith("layer.tar")}


def test_layers_that_the_server_has_are_left_out(tmp_path):
    assert packed(tmp_path, set(), (BASE, CODE)) == {"base/layer.tar", "code/layer.tar"}
    assert packed(tmp_path, {(BASE,)}, (BASE, CODE)) == {"code/layer.tar"}
    assert packed(tmp_path, {(BASE,), (BASE, CODE)}, (BASE, CODE)) == set()


def test_layer_on_another_one_is_another_layer(tmp_path):
    known = {(BASE,), (BASE, CODE), (OTHER,)}
    assert packed(tmp_path, known, (BASE, CODE), (OTHER, CODE)) == {"code/layer.tar"}


@pytest.fixture
def docker(tmp_path):
    """Variables for here and there; there, `docker load` fails as often as docker.failures says."""
    save(tmp_path / "archive.tar", (BASE, CODE))
    program = tmp_path / "bin/docker"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho "$DOCKER_HOST $*" >>{tmp_path}/called\ncase "$*" in\n'
        f"save*) cp {tmp_path}/archive.tar $3 ;;\n"
        'info*) echo "[[Backing Filesystem extfs]]" ;;\n'
        "images*) echo sha256:1 ;;\n"
        f"'image inspect'*) cat {tmp_path}/layers ;;\n"
        f"load*) cat >{tmp_path}/sent\n"
        f"  if [ -e {tmp_path}/fails ]; then rm {tmp_path}/fails; echo no layer; exit 1; fi ;;\n"
        "'context inspect'*) echo unix:///run/engine.sock ;;\n"
        "esac\n"
    )
    program.chmod(0o755)
    (tmp_path / "layers").write_text(f'["{BASE}"]\nnull\n')
    path = f"{program.parent}:{os.environ['PATH']}"
    return {"PATH": path}, {"PATH": path, "DOCKER_HOST": "ssh://me@shop"}


def test_images_are_sent_with_what_is_missing_there(docker, tmp_path):
    steps = []
    sent = images.transfer(["shop-app:1"], *docker, lambda sent, total: steps.append((sent, total)))
    assert names_in(tmp_path / "sent") == {"code/layer.tar"}
    assert steps[-1] == (sent, sent)


def test_release_of_before_is_not_sent_too(docker, tmp_path):
    images.transfer(["shop-nginx", "registry:5000/shop", "shop-app:1"], *docker, lambda *_: None)
    (saved,) = [line for line in (tmp_path / "called").read_text().splitlines() if " save " in line]
    assert saved.endswith(" shop-nginx:latest registry:5000/shop:latest shop-app:1")


def test_layer_that_has_gone_meanwhile_is_sent_after_all(docker, tmp_path):
    (tmp_path / "fails").touch()
    images.transfer(["shop-app:1"], *docker, lambda *_: None)
    assert names_in(tmp_path / "sent") == {"base/layer.tar", "code/layer.tar"}


def test_load_that_fails_is_reported(docker, tmp_path):
    (tmp_path / "fails").touch()
    (tmp_path / "layers").write_text("null\n")
    with pytest.raises(KitError, match="docker load: no layer"):
        images.transfer(["shop-app:1"], *docker, lambda *_: None)


def test_transfer_that_is_interrupted_ends_docker(docker):
    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        images.transfer(["shop-app:1"], *docker, interrupt)


def test_store_of_containerd_gets_every_layer(docker, tmp_path):
    program = tmp_path / "bin/docker"
    program.write_text(
        program.read_text().replace("Backing Filesystem extfs", "driver-type io.containerd.snapshotter.v1")
    )
    assert images.layers_of(docker[1]) == set()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("no basic auth credentials", "it refuses the login: docker login registry.example"),
        ("unauthorized: authentication required", "it refuses the login: docker login registry.example"),
        ("dial tcp 10.0.0.1:443: connect: connection refused", "it does not answer: is it on"),
        ("http: server gave HTTP response to HTTPS client", "it speaks plain HTTP"),
        ("no space left on device", None),
    ],
)
def test_registry_that_cannot_be_used_is_named_with_what_mends_it(monkeypatch, said, reason):
    def fail(words, _environment, **_):
        if words[0] == "push":
            raise KitError(f"docker push: {said}")
        return ""

    monkeypatch.setattr(images, "_docker", fail)
    with pytest.raises(KitError) as raised:
        images.by_registry(["shop-app:1"], "registry.example/shop", {}, {}, "1", lambda _: None)
    found = str(raised.value)
    assert found.startswith(f"REGISTRY='registry.example/shop': {reason}" if reason else "docker push: ")
    assert said in found


def test_registry_is_on_the_way_alone(docker, tmp_path):
    said = []
    images.by_registry(["shop-app:1", "shop-nginx"], "registry.example/shop", *docker, "1", said.append)
    called = (tmp_path / "called").read_text().splitlines()
    assert " push --quiet registry.example/shop/shop-nginx:1" in called
    assert "ssh://me@shop pull --quiet registry.example/shop/shop-app:1" in called
    assert "ssh://me@shop tag registry.example/shop/shop-app:1 shop-app:1" in called
    assert len(said) == 4


def test_names_for_the_registry_are_removed_also_if_it_takes_nothing(monkeypatch):
    called = []

    def docker(words, _, **__):
        called.append(" ".join(words))
        if words[0] == "push":
            raise KitError("docker push: no basic auth credentials")

    monkeypatch.setattr(images, "_docker", docker)
    with pytest.raises(KitError, match="refuses the login"):
        images.by_registry(["shop-app:1"], "registry.example/shop", {}, {}, "1", lambda _: None)
    assert called[-2:] == ["image rm registry.example/shop/shop-app:1"] * 2


def site(docker, **values):
    return values, docker[1] | {"HOST": "me@shop", server.SOCKET: "x"}


def test_server_builds_unless_it_is_asked_otherwise(docker):
    assert images.builder(*site(docker)) is None
    assert images.builder({"BUILD": "here"}, docker[0]) is None, "without HOST there is one engine"
    for values in ({"BUILD": "here"}, {"REGISTRY": "registry.example"}):
        here = images.builder(*site(docker, **values))
        assert here["DOCKER_HOST"] == "unix:///run/engine.sock"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"BUILD": "both"}, "BUILD='both': must be there or here"),
        ({"REGISTRY": "https://x"}, "REGISTRY='https://x': must be a registry and a path"),
    ],
)
def test_wrong_values_are_refused(docker, values, said):
    with pytest.raises(KitError, match=said):
        images.builder(*site(docker, **values))


def test_missing_engine_here_is_reported(docker, tmp_path):
    program = tmp_path / "bin/docker"
    program.write_text("#!/bin/sh\necho Cannot connect >&2\nexit 1\n")
    with pytest.raises(KitError, match="Cannot connect"):
        images.builder(*site(docker, BUILD="here"))


def test_images_that_compose_builds():
    services = {"app": {"build": {}, "image": "a"}, "release": {"image": "a"}, "nginx": {"build": {}, "image": "n"}}
    assert images.built(services) == ["a", "n"]
    assert images.built(services, "a:1") == ["a:1", "n"]
