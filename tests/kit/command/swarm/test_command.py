"""deploy/kit/swarm/command.py: what ends a deployment before it builds, and what is removed."""

import json

import pytest

UNKNOWN = "no service has workerr; must be one of cron, worker"
SECRET = "/run/secrets/shop_key"


@pytest.fixture
def swarm(kit, tmp_path, model):
    model = json.loads(json.dumps(model))
    model["services"]["app"]["environment"]["SECRET_KEY_FILE"] = SECRET
    (tmp_path / "model").write_text(json.dumps(model))
    kit.script = f"""'compose config --format json') cat {tmp_path}/model ;;
'compose --profile * config --profiles') printf '%s\\n' worker cron ;;
'info --format {{{{.Swarm.NodeID}}}}') echo id-two ;;
'image ls'*|images*) : ;;
'image inspect'*|'network inspect'*|'service inspect'*|'container inspect'*) exit 1 ;;
'secret ls'*) echo another ;;
'service rm'*) : ;;"""
    return kit


GIVEN = {"HTTP_ADDRESS": "0.0.0.0", "SECRET_KEY_FILE": SECRET, "SWARM_NODES": "unix:///two.sock"}


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "the swarm has no secret shop_key: docker secret create shop_key FILE"),
        (
            {"COMPOSE_PROFILES": "workerr"},
            "COMPOSE_PROFILES='workerr': no service has workerr; must be one of cron, worker",
        ),
        ({"TLS_DIR": "/nowhere"}, "TLS_DIR: /nowhere/fullchain.pem: No such file or directory"),
    ],
)
def test_what_is_missing_ends_a_deployment_before_it_builds(swarm, variables, said):
    status, _, err = swarm("deploy", **GIVEN, **variables)
    assert (status, err.splitlines()[0]) == (1 if not variables else 2, f"deploy: {said}")
    assert not any("build" in call for call in swarm.calls)


def test_down_without_a_stack_removes_nothing(swarm):
    swarm.script = f"'service ls'*) : ;;\n{swarm.script}"
    status, out, err = swarm("down")
    assert (status, err) == (0, "")
    assert "There is no stack shop" in out
    assert not any(" rm " in call for call in swarm.calls)


def test_down_is_refused_while_somebody_deploys(swarm):
    held = "id\\n2026-11-30T02:00:00Z\\nada\\telsewhere\\tm\\tb\\t7\\t1\\n"
    swarm.script = f"'container inspect'*shop-deployment) printf '{held}' ;;\n{swarm.script}"
    status, _, err = swarm("down")
    assert status == 2
    assert err.startswith("down: a deployment of shop is in progress: ada@elsewhere, process 7,")
    assert not any("stack rm" in call for call in swarm.calls)


def test_a_dry_run_checks_a_move_while_compose_has_the_site(swarm):
    labels = '{"com.docker.compose.service": "app"}'
    inspected = f'[{{"Id": "1", "Config": {{"Labels": {labels}}}, "State": {{"Status": "running"}}}}]'
    swarm.script = f"""'ps --all'*compose*) echo 1 ;;
'inspect 1') echo '{inspected}' ;;
'secret ls'*) echo shop_key ;;
{swarm.script}"""
    status, out, _ = swarm("deploy", "--dry-run", **GIVEN)
    assert (status, out.splitlines()[-1][:23]) == (0, "==> Nothing was changed")
    assert swarm("deploy", **GIVEN)[2].startswith("deploy: shop runs by docker compose on this machine: make down")
