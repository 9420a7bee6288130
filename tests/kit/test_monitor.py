"""The profile monitor: what the image's build does not check itself (deploy/monitor/Dockerfile)."""

import json
import os
import re
import subprocess
import sys
import urllib.request

import pytest
import yaml

from kit.variables import declared

EXPORTERS = re.compile(r"(nginx|node|probe)_\w+|up|ALERTS|time|(site|machine|replica):\S+")
FUNCTIONS = re.compile(
    r"\b(rate|increase|resets|sum|avg|min|count|by|le|and|or|on|vector|scalar|time|histogram_quantile|avg_over_time)\b"
)


@pytest.fixture
def folder(repository):
    return repository / "deploy/monitor"


@pytest.fixture
def rules(folder):
    groups = yaml.safe_load((folder / "rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.fixture
def dashboard(folder):
    return json.loads((folder / "grafana/dashboards/ropewalk.json").read_text())


def metrics(expression):
    """The names in an expression, without labels, texts and functions."""
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]|\b(by|on) \([^)]*\)|\"[^\"]*\"|'[^']*'", "", expression)
    return set(re.findall(r"[a-zA-Z_:][\w:]*", FUNCTIONS.sub("", bare)))


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """Those that a server has which runs and has served a request."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "shop.py").write_text("def app(environ, respond):\n    respond('200 OK', [])\n    return [b'ok']\n")
    command = [sys.executable, "-m", "ropewalk", "--bind=127.0.0.1:0", "--admin-bind=127.0.0.1:0", "shop:app"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as process:
        try:
            addresses = {}
            for line in process.stderr:
                addresses |= dict(re.findall(r"(Listening|Admin|Ready)\b.*?(http://\S+|$)", line))
                if "Ready" in addresses:
                    break
            urllib.request.urlopen(addresses["Listening"], timeout=30).close()
            with urllib.request.urlopen(f"{addresses['Admin']}/metrics", timeout=30) as response:
                families = re.findall(r"^# TYPE (\w+) (\w+)", response.read().decode(), re.M)
        finally:
            process.terminate()
    return {name if kind != "histogram" else f"{name}_bucket" for name, kind in families}


def test_rules_and_dashboard_use_metrics_that_exist(rules, dashboard, folder, known):
    expressions = [rule["expr"] for rule in rules]
    expressions += [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    console = (folder / "consoles/index.html").read_text()
    expressions += [text.replace("%s", "x") for text in re.findall(r'(?:query|printf) "([^"]*[a-z]_[^"]*)"', console)]
    assert len(expressions) > 60
    for expression in expressions:
        unknown = {name for name in metrics(expression) - known if not EXPORTERS.fullmatch(name)}
        assert not unknown, expression


def test_every_alert_has_a_test_a_severity_and_a_mend(rules, folder):
    alerts = {rule["alert"]: rule for rule in rules if "alert" in rule}
    assert len(alerts) > 15
    for rule in alerts.values():
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"].keys() == {"summary", "mend"}
    tests = yaml.safe_load((folder / "tests/rules.yml").read_text())["tests"]
    fired = {case["alertname"] for test in tests for case in test["alert_rule_test"] if case["exp_alerts"]}
    assert fired == alerts.keys()


def test_alerts_name_targets_that_exist(rules, repository):
    targets = set(re.findall(r"^\.PHONY: (\S+)$", (repository / "Makefile").read_text(), re.M))
    mends = [rule["annotations"]["mend"] for rule in rules if "alert" in rule]
    assert {name for mend in mends for name in re.findall(r"\bmake ([a-z-]+)", mend)} <= targets


def test_server_is_scraped_where_it_listens(folder):
    job = yaml.safe_load((folder / "jobs/compose.yml").read_text())["scrape_configs"][0]
    assert job["dns_sd_configs"][0]["port"] == int(declared()["ADMIN_BIND"].default.rpartition(":")[2])


def test_dashboard_is_complete(dashboard, folder):
    source = yaml.safe_load((folder / "grafana/provisioning/datasources/ropewalk.yml").read_text())["datasources"][0]
    identifiers = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(identifiers)) == len(identifiers)
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]}
    assert len(places) == len(identifiers)
    for panel in dashboard["panels"]:
        assert panel["title"]
        assert {each["datasource"]["uid"] for each in [panel, *panel["targets"]]} == {source["uid"]}
        assert [target["refId"] for target in panel["targets"]] == sorted({t["refId"] for t in panel["targets"]})
    provider = yaml.safe_load((folder / "grafana/provisioning/dashboards/ropewalk.yml").read_text())["providers"][0]
    assert provider["type"] == "file"


@pytest.fixture
def render(repository, tmp_path):
    """render(VARIABLE=...): what the entrypoint writes, with the folders of the image in another place."""
    (tmp_path / "kit/bin").mkdir(parents=True)
    for name in ("kit.sh", "times", "variables"):
        (tmp_path / "kit/bin" / name).symlink_to(repository / "deploy/app" / name)
    (tmp_path / "kit/monitor").symlink_to(repository / "deploy/monitor")
    script = (repository / "deploy/monitor/entrypoint").read_text()
    for place in ("/kit/", "/srv/monitor"):
        script = script.replace(place, f"{tmp_path}{place}")
    script = script.replace("out=/tmp/monitor", f"out={tmp_path}/out")
    (tmp_path / "srv/monitor").mkdir(parents=True)

    def call(**variables):
        environment = {"PATH": os.environ["PATH"], **variables}
        return subprocess.run(
            ["bash", "-c", script, "entrypoint", "render"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    call.out = tmp_path / "out"
    return call


def targets(path):
    return [target for entry in json.loads(path.read_text()) for target in entry["targets"]]


def test_defaults(render):
    assert render(COMPOSE_PROFILES="monitor").stderr == ""
    assert targets(render.out / "site.json") == ["http://nginx:8080/", "https://nginx:8443/"]
    assert targets(render.out / "alertmanagers.json") == []
    assert "names: [app]" in (render.out / "jobs/app.yml").read_text()
    modules = yaml.safe_load((render.out / "blackbox.yml").read_text())["modules"]
    assert modules["page"]["http"]["headers"]["Host"] == "localhost"


def test_variables(render):
    render(
        SERVER_NAME="*.shop.example www.shop.example",
        HTTPS="off",
        ADMIN_BIND="0.0.0.0:9000",
        ALERTMANAGER_URL="https://alerts.example:9093/am/",
    )
    assert targets(render.out / "site.json") == ["http://nginx:8080/"]
    assert json.loads((render.out / "alertmanagers.json").read_text()) == [
        {
            "targets": ["alerts.example:9093"],
            "labels": {"__scheme__": "https", "__alerts_path__": "/am/api/v2/alerts"},
        }
    ]
    page = yaml.safe_load((render.out / "blackbox.yml").read_text())["modules"]["page"]["http"]
    assert page["headers"]["Host"] == page["tls_config"]["server_name"] == "www.shop.example"
    assert "port: 9000\n" in (render.out / "jobs/app.yml").read_text()


def test_swarm_is_asked_where_that_is_chosen(render, folder):
    render(MONITOR_DISCOVERY="swarm")
    assert (render.out / "jobs/app.yml").read_text() == (folder / "jobs/swarm.yml").read_text()


@pytest.mark.parametrize("variables", [{"BACKEND": "gunicorn"}, {"ADMIN_BIND": "off"}])
def test_server_without_metrics_is_not_asked(render, variables):
    render()
    render(**variables)
    assert not (render.out / "jobs/app.yml").exists()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ALERTMANAGER_URL", "alerts.example", "must be a URL such as http://alerts.example:9093"),
        ("ALERTMANAGER_URL", 'http://a/"}', "must be a URL such as http://alerts.example:9093"),
        ("MONITOR_SIZE", "1000000", "must be a size with a unit, such as 1g"),
        ("MONITOR_DISCOVERY", "consul", "must be one of compose, swarm"),
        ("MONITOR_DAYS", "0", "must be an integer from 1 to 3650"),
    ],
)
def test_value_that_is_not_allowed_is_refused(render, name, value, said):
    done = render(**{name: value})
    assert (done.returncode, done.stderr) == (2, f"monitor/entrypoint: {name}='{value}': {said}\n")


HASTY = """
FROM {image}
USER 0
RUN cd /kit/monitor && sed -i 's/_interval: 15s/_interval: 5s/' prometheus.yml && sed -i 's/for: 1m$/for: 5s/' rules.yml
USER {user}
"""
"""What is the same but that it waits less before an alert: that it waits so long, promtool tests (tests/rules.yml)."""


@pytest.fixture
def hasty_image(service_images, execute):
    image = service_images["MONITOR_IMAGE"]
    user = execute("docker", "image", "inspect", "--format", "{{.Config.User}}", image).stdout.strip()
    name = f"{image}-hasty"
    execute("docker", "build", "--quiet", "--tag", name, "-", input=HASTY.format(image=image, user=user).encode())
    yield name
    execute("docker", "image", "rm", "--force", name, check=False)


@pytest.fixture
def watched(new_stack, service_images, hasty_image):
    variables = service_images | {"MONITOR_IMAGE": hasty_image}
    stack = new_stack("plain", COMPOSE_PROFILES="monitor", MONITOR_PORT="0", **variables)
    stack.up()
    return stack


@pytest.mark.docker
def test_site_is_watched_and_an_alert_fires_when_it_does_not_serve(watched, rules, wait):
    place = watched.compose("port", "monitor", "9090").stdout.strip()

    def ask(path):
        with urllib.request.urlopen(f"http://{place}/api/v1/{path}", timeout=30) as response:
            return json.load(response)["data"]

    def health():
        return {(target["labels"]["job"], target["health"]) for target in ask("targets")["activeTargets"]}

    def firing():
        return {each["labels"]["alertname"] for each in ask("alerts")["alerts"] if each["state"] == "firing"}

    wait(lambda: health() == {(job, "up") for job in ("app", "machine", "nginx", "site")}, "all targets are up", 120)
    wait(lambda: {each["health"] for group in ask("rules")["groups"] for each in group["rules"]} == {"ok"}, "rules run")
    loaded = [each["name"] for group in ask("rules")["groups"] for each in group["rules"]]
    assert sorted(loaded) == sorted(rule.get("alert") or rule["record"] for rule in rules)
    assert "SiteDown" not in firing()
    watched.compose("stop", "--timeout", "5", "app")
    wait(lambda: "SiteDown" in firing(), "SiteDown fires", 180)
