"""deploy/kit/kubernetes: what .env adds to an overlay, and what is refused. Rendered by kubectl."""

import subprocess
import sys

import pytest
import yaml

from kit.errors import KitError
from kit.kubernetes import command, overlay
from kit.kubernetes.overlay import Wanted
from tests.helpers.kubernetes import container, kubectl, the
from tests.helpers.paths import REPOSITORY

IMAGES = ("registry.example/shop-app:20261129-080000", "registry.example/shop-nginx:72")
SECRET = {"SECRET_KEY": "a'b\nc", "DATABASE_URL": "postgresql://of/env", "STRIPE_KEY": "$x"}


@pytest.fixture
def render(tmp_path):
    def rendered(public, secret, name="production", **values):
        folder = overlay.copy(Wanted(name, public, secret, *IMAGES, values), tmp_path / "copy")
        done = subprocess.run([kubectl(), "kustomize", str(folder)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return rendered


def loaded(text):
    return [each for each in yaml.safe_load_all(text) if each]


def test_variables_secrets_and_images_come_from_env(render):
    text = render({"SERVER_NAME": "my.example", "THREADS": "8"}, SECRET)
    manifests = loaded(text)
    site = the(manifests, "ConfigMap", "site")["data"]
    assert (site["SERVER_NAME"], site["THREADS"], site["HTTPS_ONLY"]) == ("my.example", "8", "1")
    secret = the(manifests, "Secret", "project")
    assert set(secret["data"]) == set(SECRET)
    for kind, name in (("Deployment", "app"), ("Job", "release")):
        pod = the(manifests, kind, name)["spec"]["template"]["spec"]
        assert container(pod, name)["image"] == IMAGES[0]
        assert {"secretName": secret["metadata"]["name"], "optional": True, "defaultMode": 288} in [
            each.get("secret") for each in pod["volumes"]
        ]
    assert container(the(manifests, "Deployment", "app")["spec"]["template"]["spec"], "nginx")["image"] == IMAGES[1]


def test_secrets_are_masked(render):
    shown = command.masked(text := render({}, SECRET))
    hidden = [the(loaded(text), "Secret", name)["data"] for name in ("site", "project")]
    assert all(value not in shown for data in hidden for value in data.values())
    before, after = loaded(text), loaded(shown)
    assert len(before) == len(after)
    assert [each for each in before if each["kind"] != "Secret"] == [each for each in after if each["kind"] != "Secret"]
    assert {*the(after, "Secret", "project")["data"].values()} == {"***"}


def test_another_request_timeout_changes_the_times_of_the_pod(render):
    manifests = loaded(render({"REQUEST_TIMEOUT": "60"}, SECRET, REQUEST_TIMEOUT="60"))
    pod = the(manifests, "Deployment", "app")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == 90
    for name in ("app", "nginx"):
        assert {"name": "STOP_GRACE_PERIOD", "value": "90s"} in container(pod, name)["env"]


def test_checkout_is_not_changed(render):
    render({"THREADS": "8"}, SECRET, name="development")
    assert "THREADS" not in (REPOSITORY / "deploy/kubernetes/base/site.env").read_text()


def test_variables_are_split_by_who_may_read_them():
    app = {
        "environment": {
            "THREADS": "8",
            "STRIPE_KEY": "a$$b",
            "EMPTY": None,
            "FORWARDED_ALLOW_IPS": "back",
            "DRAIN_DELAY": "0",
        }
    }
    nginx = {"environment": {"SERVER_NAME": "my.example", "HTTPS_PORT": "8443", "HTTPS": ""}}
    values = {"THREADS": "8", "SERVER_NAME": "my.example", "HTTPS_PORT": "8443"}
    assert overlay.split(values, nginx, app) == (
        {"THREADS": "8", "SERVER_NAME": "my.example"},
        {"STRIPE_KEY": "a$b"},
    )


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"APP_REPLICAS": "3"}, "APP_REPLICAS='3': is not for TARGET=kubernetes. Instead: minReplicas"),
        (
            {"COMPOSE_PROFILES": "postgres"},
            "COMPOSE_PROFILES: postgres is not for TARGET=kubernetes. Instead: DATABASE_URL=",
        ),
        ({"OUTBOUND": "off"}, "OUTBOUND=off: is not for TARGET=kubernetes"),
    ],
)
def test_what_belongs_to_one_machine_is_refused(values, said):
    with pytest.raises(KitError, match=said):
        overlay.check(values, ("app", "nginx"))
    overlay.check({}, ("app", "nginx", "release"))


def test_service_of_the_users_own_is_refused():
    with pytest.raises(KitError, match="the service search is not the kit's"):
        overlay.check({}, ("app", "search"))


def test_overlay_is_one_that_is_there():
    assert overlay.name_of({}) == "production"
    with pytest.raises(KitError, match="KUBERNETES_OVERLAY='prod': must be one of development, production"):
        overlay.name_of({"KUBERNETES_OVERLAY": "prod"})


def test_line_break_in_a_public_variable_is_refused(render):
    with pytest.raises(KitError, match="ALLOWED_HOSTS: has a line break"):
        render({"ALLOWED_HOSTS": "a\nb"}, {})


@pytest.fixture
def deploy(tmp_path):
    """`deploy/kubernetes/deploy`, with a cluster that is not there."""
    config = tmp_path / "config"
    config.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: shop\n"
        "contexts: [{name: shop, context: {cluster: shop, user: u}}]\n"
        "clusters: [{name: shop, cluster: {server: 'http://127.0.0.1:1'}}]\nusers: [{name: u, user: {token: x}}]\n"
    )

    def call(*words, **variables):
        environment = {"PATH": f"{kubectl().rpartition('/')[0]}:/usr/bin:/bin", "KUBECONFIG": str(config), **variables}
        environment["PATH"] = f"{sys.executable.rpartition('/')[0]}:{environment['PATH']}"
        words = (str(REPOSITORY / "deploy/kubernetes/deploy"), *words)
        return subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=120)

    return call


def test_cluster_that_does_not_respond_is_one_line(deploy):
    done = deploy(str(REPOSITORY / "deploy/kubernetes/overlays/development"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("deploy: the cluster of the context 'shop' does not respond: ")
    assert done.stderr.count("\n") == 1


def test_wrong_calls_are_one_line(deploy, tmp_path):
    done = deploy("/nowhere")
    assert (done.returncode, done.stderr) == (
        2,
        "apply: '/nowhere': must be the folder of an overlay, such as overlays/production\n",
    )
    (tmp_path / "kustomization.yaml").write_text("resources: [nowhere.yaml]\n")
    done = deploy(str(tmp_path))
    assert done.returncode == 1
    assert "nowhere.yaml" in done.stderr
    assert done.stderr.count("\n") == 1
