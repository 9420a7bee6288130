"""docker-compose.yml and its companions, read as data: no engine needed."""

import re

import pytest
import yaml

SERVICES = ["nginx", "app", "migrate"]


def test_services_are_the_three_of_the_kit(compose_file):
    assert list(compose_file["services"]) == SERVICES


@pytest.mark.parametrize("name", SERVICES)
def test_service_is_hardened_and_bounded(compose_file, name):
    service = compose_file["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] == "10001:10001"
    assert all(service[limit] for limit in ("cpus", "mem_limit", "pids_limit"))
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert service["tmpfs"]
    for mount in service["tmpfs"]:
        assert {"noexec", "nosuid", "nodev"} <= set(mount.partition(":")[2].split(","))
        assert "size=" in mount
    assert "container_name" not in service
    assert "privileged" not in service


def test_only_nginx_is_published_and_by_default_only_to_this_machine(compose_file):
    services = compose_file["services"]
    assert [name for name in SERVICES if "ports" in services[name]] == ["nginx"]
    assert services["nginx"]["ports"] == ["${HTTP_ADDRESS:-127.0.0.1}:${HTTP_PORT:-8080}:8080"]


def test_application_is_on_the_internal_network_alone(compose_file):
    assert compose_file["networks"]["back"] == {"internal": True}
    assert compose_file["services"]["app"]["networks"] == ["back"]
    assert compose_file["services"]["migrate"]["networks"] == ["back"]
    assert compose_file["services"]["nginx"]["networks"] == ["front", "back"]


def test_start_goes_from_migrations_to_application_to_nginx(compose_file):
    services = compose_file["services"]
    assert services["app"]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
    assert services["nginx"]["depends_on"] == {"app": {"condition": "service_healthy"}}
    assert services["migrate"]["restart"] == "no"


def test_migrations_run_in_the_application_s_own_image(compose_file):
    services = compose_file["services"]
    assert services["migrate"]["image"] == services["app"]["image"]
    assert [name for name in SERVICES if "build" in services[name]] == ["nginx", "app"]


@pytest.mark.parametrize("name", ["nginx", "app"])
def test_health_check_is_in_exec_form(compose_file, name):
    check = compose_file["services"][name]["healthcheck"]
    assert check["test"][:2] == ["CMD", "/kit/bin/probe"]
    assert check["start_period"]
    assert check["timeout"]


def test_nginx_reads_volumes_and_writes_none(compose_file):
    assert all(volume.endswith(":ro") for volume in compose_file["services"]["nginx"]["volumes"])


def test_no_docker_socket_and_no_syntax_line(repository):
    for path in ("docker-compose.yml", "Dockerfile", "nginx/Dockerfile"):
        text = (repository / path).read_text()
        assert "docker.sock" not in text
        assert not re.search(r"^#\s*syntax\s*=", text, re.M)


def test_images_start_from_the_same_base(repository):
    for path in ("Dockerfile", "nginx/Dockerfile"):
        text = (repository / path).read_text()
        assert re.search(r"^ARG BASE_IMAGE=debian:trixie-slim$", text, re.M)
        assert not re.search(r"^FROM (?!\$\{BASE_IMAGE\}|scratch|base|runtime)", text, re.M)
        assert re.search(r"^USER 10001:10001$", text, re.M)
        # exec form all the way: a shell in front would swallow TERM
        assert not re.search(r"^(ENTRYPOINT|CMD) (?!\[)", text, re.M)


def compose_variables(repository):
    text = "".join((repository / path).read_text() for path in ("docker-compose.yml", "deploy/compose/project.yml"))
    environment = yaml.safe_load(text.partition("# A project that lies")[0])["services"]["app"]["environment"]
    passed_on = {name for name, value in environment.items() if value is None}
    return set(re.findall(r"\$\{([A-Z_]+)", text)) | passed_on


def test_env_example_lists_every_variable_of_the_compose_file_and_sets_none(repository):
    lines = (repository / ".env.example").read_text().splitlines()
    listed = {found[1] for line in lines if (found := re.match(r"#\s?([A-Z_]+)=", line))}
    assert listed == compose_variables(repository)
    assert not [line for line in lines if line and not line.startswith("#")]


def test_env_example_shows_the_defaults_of_the_compose_file(repository):
    defaults = dict(re.findall(r"\$\{([A-Z_]+):-([^}]+)\}", (repository / "docker-compose.yml").read_text()))
    shown = dict(re.findall(r"^#\s?([A-Z_]+)=(.+)$", (repository / ".env.example").read_text(), re.M))
    assert {name: shown[name] for name in defaults} == defaults


def test_project_outside_the_checkout_is_a_build_context_of_its_own(repository):
    override = yaml.safe_load((repository / "deploy/compose/project.yml").read_text())
    assert override["services"]["app"]["build"]["additional_contexts"].keys() == {"project"}
    assert re.search(r"^FROM scratch AS project$", (repository / "Dockerfile").read_text(), re.M)


def test_unprivileged_nginx_writes_only_below_tmp(repository):
    template = (repository / "nginx/nginx.conf.template").read_text()
    paths = re.findall(r"^\s*(?:pid|\w+_temp_path) (\S+);", template, re.M)
    assert len(paths) == 6
    assert all(path.startswith("/tmp/") for path in paths)
