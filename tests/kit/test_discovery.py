"""Where Prometheus finds the replicas: deploy/monitor/jobs, with what Docker and Kubernetes respond."""

import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
import yaml

from tests.helpers.containers import image_builder

pytestmark = pytest.mark.docker

NETWORKS = [
    {"Id": "1", "Name": "ingress", "Scope": "swarm", "Ingress": True, "Labels": None},
    {"Id": "2", "Name": "shop_back", "Scope": "swarm", "Ingress": False, "Labels": None},
    {"Id": "3", "Name": "shop_outbound", "Scope": "swarm", "Ingress": False, "Labels": None},
]
NODES = [
    {"ID": f"node-{number}", "Description": {"Hostname": f"host-{number}"}, "Spec": {}, "Status": {}}
    for number in (1, 2)
]
LABELS = {"prometheus.io/scrape": "true", "prometheus.io/port": "9180"}


def service(name, labels):
    return {"ID": name, "Spec": {"Name": f"shop_{name}", "Labels": labels, "Mode": {"Replicated": {"Replicas": 2}}}}


def task(name, slot, node, address, state="running", desired="running"):
    attached = [
        {"Network": {"ID": network["Id"]}, "Addresses": [f"10.0.{network['Id']}.{address}/24"]} for network in NETWORKS
    ]
    task = {
        "ID": f"{name}-{slot}-{address}",
        "ServiceID": name,
        "NodeID": f"node-{node}",
        "DesiredState": desired,
        "Spec": {"ContainerSpec": {"Labels": {}}, "Networks": []},
        "Status": {"State": state, "ContainerStatus": {"ContainerID": "c"}, "PortStatus": {}},
        "NetworksAttachments": attached,
    }
    return {**task, **({"Slot": slot} if slot else {})}


ENGINE = {
    "/networks": NETWORKS,
    "/nodes": NODES,
    "/services": [
        service("app", LABELS | {"prometheus.io/network": "shop_outbound"}),
        service("nodes", {**LABELS, "prometheus.io/port": "9100", "prometheus.io/job": "nodes"}),
        service("postgres", {}),
    ],
    "/tasks": [
        task("app", 1, 1, 11),
        task("app", 2, 2, 12),
        task("app", 1, 1, 13, state="shutdown", desired="shutdown"),
        # an update has started it beside the other
        task("app", 2, 2, 14, state="starting"),
        task("nodes", 0, 1, 15),
        task("postgres", 1, 1, 16),
    ],
}


def pod(name, address, annotations, phase="Running"):
    ports = [{"name": "http", "containerPort": 8080}, {"name": "admin", "containerPort": 9180}]
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": name, "annotations": annotations},
        "spec": {
            "nodeName": "host-1",
            "initContainers": [{"name": "app", "ports": ports[1:]}],
            "containers": [{"name": "nginx", "ports": ports[:1]}],
        },
        "status": {"phase": phase, "podIP": address},
    }


PODS = {
    "kind": "PodList",
    "apiVersion": "v1",
    "metadata": {"resourceVersion": "1"},
    "items": [
        pod("app-1", "10.1.0.7", LABELS),
        pod("app-2", "fd00::7", LABELS),
        pod("release", "10.1.0.8", LABELS, phase="Succeeded"),
        pod("postgres", "10.1.0.9", {}),
    ],
}


@contextmanager
def answering(find):
    """Serve what `find` returns for a path, as JSON. A watch is open and silent."""
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            parts = urlsplit(self.path)
            content = json.dumps(find(parts.path)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Api-Version", "1.44")
            if "watch=" in parts.query:
                self.end_headers()
                ended.wait(60)
                return
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_HEAD = do_GET  # noqa: N815

        def address_string(self):
            return "client"

        def log_message(self, format, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, args=(0.05,)).start()
        yield "{}:{}".format(*listening.server_address)
        ended.set()
        listening.shutdown()


@pytest.fixture(scope="module")
def promtool():
    with image_builder() as build:
        yield build("monitor-tools", dockerfile="deploy/monitor/Dockerfile", target="tools")


@pytest.fixture
def discover(repository, promtool, execute, tmp_path):
    """discover(name, key, url): the labels of the targets that Prometheus would scrape, with the API at `url`."""

    def call(name, key, url):
        jobs = yaml.safe_load((repository / f"deploy/monitor/jobs/{name}.yml").read_text())
        configuration = jobs["scrape_configs"][0][f"{name.replace('swarm', 'dockerswarm')}_sd_configs"][0]
        configuration[key] = url
        (tmp_path / "jobs.yml").write_text(yaml.safe_dump(jobs))
        command = ["promtool", "check", "service-discovery", "--timeout=20s", "/jobs.yml", "app"]
        mount = f"type=bind,source={tmp_path}/jobs.yml,target=/jobs.yml,readonly"
        done = execute("docker", "run", "--rm", "--network", "host", "--mount", mount, promtool, *command)
        targets = [each["labels"] for each in json.loads(done.stdout) if each["labels"]]
        kept = ("__address__", "job", "node", "replica")
        return {tuple(target.get(label, "") for label in kept) for target in targets}

    return call


def test_swarm_s_services_are_found_by_their_labels(discover):
    def find(path):
        return ENGINE.get(re.sub(r"^/v[\d.]+", "", path), [])

    with answering(find) as place:
        assert discover("swarm", "host", f"tcp://{place}") == {
            ("10.0.3.11:9180", "app", "host-1", "shop_app.1"),
            ("10.0.3.12:9180", "app", "host-2", "shop_app.2"),
            ("10.0.3.14:9180", "app", "host-2", "shop_app.2"),
            ("10.0.2.15:9100", "nodes", "host-1", ""),
            ("10.0.3.15:9100", "nodes", "host-1", ""),
        }


def test_pods_are_found_by_their_annotations(discover):
    with answering(lambda path: PODS) as place:
        assert discover("kubernetes", "api_server", f"http://{place}") == {
            ("10.1.0.7:9180", "app", "host-1", "app-1"),
            ("[fd00::7]:9180", "app", "host-1", "app-2"),
        }
