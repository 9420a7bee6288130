"""deploy/kit/swarm/consoles.py and one_off.py: in a container on this node, or as a job."""

import json

from kit.swarm import consoles
from tests.kit.command.swarm.conftest import contained

TASK = json.dumps({"ID": "t1", "Node": "two", "CurrentState": "Failed 1 second ago", "Error": ""})
SERVICE = json.dumps(
    [
        {
            "Spec": {
                "Labels": {"ropewalk.release": "20261130-021955"},
                "TaskTemplate": {
                    "ContainerSpec": {
                        "Image": "sha256:1",
                        "Env": ["THREADS=4", "PRICE=5$", "NODE_NAME={{.Node.Hostname}}"],
                        "Secrets": [{"SecretName": "shop_environment-1", "File": {"Name": "environment"}}],
                    }
                },
            }
        }
    ]
)


def test_a_container_on_this_node_runs_it(kit):
    kit.here = [contained("worker"), contained("app")]
    kit.script = "exec*) printf 'it says: %s\\n' \"$*\"; exit 3 ;;"
    said = "exec --interactive id-of-app /kit/bin/entrypoint /kit/bin/project_console.py manage check --deploy"
    assert kit("manage", CMD="check --deploy") == (3, f"it says: {said}\n", "")


def as_a_job(kit, tmp_path, model, status="7"):
    (tmp_path / "model").write_text(json.dumps(model))
    (tmp_path / "service").write_text(SERVICE)
    said = "echo out; echo bad >&2"
    kit.script = f"""'compose --profile=* config'*) cat {tmp_path}/model ;;
'service inspect shop_app') cat {tmp_path}/service ;;
'network inspect'*) exit 1 ;;
'stack deploy'*) cp "$7" {tmp_path}/stack ;;
'service ps'*) echo '{TASK}' ;;
'inspect --type task'*) echo '{{"ContainerID": "c1", "ExitCode": {status}}}' ;;
'service logs --raw --follow'*) {said}; exec sleep 60 ;;
'service logs --raw'*) {said}; echo last ;;
'service rm'*) : ;;"""


def test_without_one_a_job_runs_it_with_its_output_and_its_exit_status(kit, tmp_path, model):
    as_a_job(kit, tmp_path, model)
    status, out, err = kit("manage", CMD="check --fail-level $x", HTTP_ADDRESS="0.0.0.0")
    assert (status, out) == (7, "out\nlast\n")
    assert err.splitlines() == [f"manage: {consoles.NONE}: by a job, without a terminal", "bad"]
    content = json.loads((tmp_path / "stack").read_text())
    ((name, service),) = content["services"].items()
    assert service["command"] == ["/kit/bin/project_console.py", "manage", "check", "--fail-level", "$$x"]
    # as the application that serves, whatever .env has now
    assert service["image"] == "sha256:1"
    assert service["environment"] == {"THREADS": "4", "PRICE": "5$$", "NODE_NAME": "{{.Node.Hostname}}"}
    assert [each["source"] for each in service["secrets"]] == ["shop_environment-1"]
    assert service["deploy"]["mode"] == "replicated-job"
    assert kit.calls[-1] == f"service rm shop_{name}"


def test_a_job_that_does_not_start_is_one_line_and_removed(kit, tmp_path, model):
    as_a_job(kit, tmp_path, model)
    kit.script = "'inspect --type task'*) echo null ;;\n" + kit.script
    status, out, err = kit("manage", CMD="check", HTTP_ADDRESS="0.0.0.0")
    assert (status, out) == (2, "out\n")
    assert err.splitlines()[-1].endswith(": Failed")
    assert kit.calls[-1].startswith("service rm shop_command-")


def test_a_shell_needs_a_container_here(kit):
    status, out, err = kit("shell")
    assert (status, out) == (2, "")
    assert err.startswith(
        "shell: no container of the application runs on this node, or on one of SWARM_NODES, and a job"
    )
    assert err.count("\n") == 1


def test_a_status_page_needs_one_too(kit):
    assert kit("status-page") == (2, "", f"status-page: {consoles.NONE}\n")


def test_a_stack_that_is_not_there_is_one_line(kit):
    kit.script = "'service ls'*) : ;;"
    for command in ("manage", "logs", "maintenance"):
        assert kit(command) == (2, "", f"{command}: the swarm has no stack shop: make deploy\n")
