"""docker-compose.yml and its companions, read as data: no engine needed."""

import re

import pytest
import yaml

from kit.variables import declared
from ropewalk.config.settings import Settings

SERVICES = [
    *("nginx", "app", "release", "worker", "scheduler", "cron"),
    *("acme", "postgres", "redis", "backup", "monitor"),
]
DOCKERFILES = (
    "Dockerfile",
    "nginx/Dockerfile",
    *(f"deploy/{name}/Dockerfile" for name in ("acme", "postgres", "redis", "backup", "monitor")),
)


def test_services_are_the_three_of_the_kit_and_those_that_are_asked_for(compose_file):
    assert list(compose_file["services"]) == SERVICES
    profiles = {
        name: service["profiles"] for name, service in compose_file["services"].items() if "profiles" in service
    }
    assert profiles == {name: [name] for name in SERVICES[3:]}


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


def test_only_nginx_is_published_and_by_default_only_to_this_machine(compose_file, repository):
    services = compose_file["services"]
    assert [name for name in SERVICES if "ports" in services[name]] == ["nginx", "monitor"]
    assert services["monitor"]["ports"] == ["${MONITOR_ADDRESS:-127.0.0.1}:${MONITOR_PORT:-9090}:9090"]
    both = ("${HTTP_ADDRESS:-127.0.0.1}", "${HTTP_ADDRESS_IPV6:-${HTTP_ADDRESS:-127.0.0.1}}")
    assert services["nginx"]["ports"] == [f"{address}:${{HTTP_PORT:-8080}}:8080" for address in both]
    for name, published in {
        "https-on": [f"{address}:${{HTTPS_PORT:-8443}}:8443" for address in both],
        "http3-on": [f"{address}:${{HTTPS_PORT:-8443}}:8443/udp" for address in both],
        "https-off": [],
        "http3-off": [],
    }.items():
        added = yaml.safe_load((repository / f"deploy/compose/{name}.yml").read_text())["services"]["nginx"]
        assert added.get("ports", []) == published


def test_nginx_meets_the_application_on_an_internal_network_alone(compose_file):
    assert compose_file["networks"]["back"] == {"internal": True}
    services = compose_file["services"]
    assert services["nginx"]["networks"] == ["front", "back"]
    # its proxies are found by its name on `back`, which it has on no other network
    assert services["app"]["networks"] == {"back": {"aliases": ["back"]}, "outbound": None}
    assert services["release"]["networks"] == ["back", "outbound"]


def test_way_out_is_open_unless_it_is_closed(compose_file, repository):
    assert "deploy/compose/outbound-${OUTBOUND:-on}.yml" in compose_file["include"]
    networks = {
        value: yaml.safe_load((repository / f"deploy/compose/outbound-{value}.yml").read_text())
        for value in ("on", "off")
    }
    assert networks["on"] == {"networks": {"outbound": None}}
    for name in ("app", "release", "monitor"):
        assert compose_file["services"][name]["labels"] == {"ropewalk.outbound": "${OUTBOUND:-on}"}
    # compose does not change a network that exists, so each has its own name; and the label has the containers replaced
    name = "${COMPOSE_PROJECT_NAME}_outbound-off"
    assert networks["off"] == {"networks": {"outbound": {"name": name, "internal": True}}}


def test_start_goes_from_migrations_to_application(compose_file):
    services = compose_file["services"]
    assert services["app"]["depends_on"] == {"release": {"condition": "service_completed_successfully"}}
    assert services["release"]["restart"] == "no"


def test_nginx_depends_on_nobody_so_that_compose_never_replaces_it_for_another_s_sake(compose_file):
    assert "depends_on" not in compose_file["services"]["nginx"]


def test_variables_of_the_sample_project_reach_it(compose_file, repository):
    rows = re.findall(r"^\| (`.+?) \|", (repository / "sample_project/README.md").read_text(), re.M)
    variables = {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row)}
    assert len(variables) >= 15
    # folders: the image has them
    variables -= {"DATA_DIR", "STATIC_ROOT", "MEDIA_ROOT"}
    passed = passed_on(repository)
    for name in ("app", "release"):
        assert compose_file["services"][name]["env_file"][0] == "deploy/compose/passed.env"
        assert variables <= passed | compose_file["services"][name]["environment"].keys()


def passed_on(repository):
    lines = (repository / "deploy/compose/passed.env").read_text().splitlines()
    return {line for line in lines if line and not line.startswith("#")}


def test_variable_of_the_project_s_own_file_is_not_replaced_by_one_of_the_kit(compose_file, repository):
    """Under `environment` a name takes precedence over the same name in .env.project, even without a value."""
    own = {"PROJECT_ID", "REQUEST_TIMEOUT", "DRAIN_DELAY", "STOP_GRACE_PERIOD", "MAX_BODY_SIZE", "UPLOAD_SIZE"}
    more = {"app": {"FORWARDED_ALLOW_IPS"}, "release": {"ASSETS_DIR", "CRON"}}
    for name, names in more.items():
        service = compose_file["services"][name]
        assert service["environment"].keys() == own | names
        assert service["env_file"][-1] == {"path": ".env.project", "required": False}
    assert not own & passed_on(repository)


def size(text):
    return int(text[:-1]) << {"k": 10, "m": 20, "g": 30}[text[-1]]


def test_an_upload_that_the_project_takes_passes_the_proxy_and_the_server(compose_file, repository):
    settings = (repository / "sample_project/sample_project/settings.py").read_text()
    upload = re.search(r'environment\.size\("MAX_UPLOAD_SIZE", "(\w+)"\)', settings)[1]
    for name in ("nginx", "app"):
        assert compose_file["services"][name]["environment"]["MAX_BODY_SIZE"] == "${MAX_BODY_SIZE:-}"
        assert compose_file["services"][name]["environment"]["UPLOAD_SIZE"] == "${UPLOAD_SIZE:-}"
    # the form around it is small, and never more than this
    assert size(upload) + size("1m") < size(declared()["UPLOAD_SIZE"].default)
    form = re.search(r'environment\.size\("DATA_UPLOAD_MAX_MEMORY_SIZE", "(\w+)"\)', settings)[1]
    assert size(form) + size("512k") < size(declared()["MAX_BODY_SIZE"].default)


def rooms(service):
    """Where the service has a tmpfs, and the octets that fit into it by default."""
    mounts = (mount.partition(":")[::2] for mount in service["tmpfs"])
    return {path: size(re.search(r"size=(?:\$\{\w+:-)?(\w+)", options)[1]) for path, options in mounts}


def test_what_a_client_can_fill_is_not_what_nginx_needs_and_fits_into_its_memory(compose_file, repository):
    nginx = compose_file["services"]["nginx"]
    sizes = rooms(nginx)
    assert sizes.keys() == {"/tmp", "/srv/bodies", "/srv/responses"}
    memory = size(re.search(r":-(\w+)", nginx["mem_limit"])[1])
    # the least that nginx/entrypoint accepts
    own = re.search(r"nginx_memory=\$\(\((\d+) << 20\)\)", (repository / "nginx/entrypoint").read_text())[1]
    assert sum(sizes.values()) + size(f"{own}m") <= memory
    # one client has a half of it, and one upload more fits beside its three quarters
    assert sizes["/srv/bodies"] >= 4 * size(declared()["UPLOAD_SIZE"].default)


def test_application_has_room_for_what_nginx_passes_on(compose_file):
    services = compose_file["services"]
    for name in ("app", "release"):
        assert rooms(services[name])["/tmp"] == rooms(services["nginx"])["/srv/bodies"]
        assert rooms(services[name])["/tmp"] < size(re.search(r":-(\w+)", services[name]["mem_limit"])[1])


def test_forwarded_fields_that_the_server_believes_are_written_by_nginx_and_all_others_cleared(repository):
    script = (repository / "deploy/backends/ropewalk/command").read_text()
    believed = re.search(r"--forwarded-fields (\S+)", script)[1].split(",")
    proxy = (repository / "nginx/snippets/proxy.conf").read_text()
    written = {name.lower(): value for name, value in re.findall(r"^proxy_set_header (\S+) (\S+);", proxy, re.M)}
    assert all(written[name] != '""' for name in believed)
    others = {name for name in written if name.startswith(("x-forwarded-", "forwarded"))} - set(believed)
    assert others >= {"forwarded", "x-forwarded-prefix", "x-forwarded-protocol", "x-forwarded-ssl"}
    assert {written[name] for name in others} == {'""'}


def test_backends_have_the_same_limits(repository):
    settings = Settings()
    script = (repository / "deploy/backends/gunicorn/command").read_text()
    assert f"--limit-request-line {settings.limit_request_line}\n" in script
    assert f"--limit-request-fields {settings.limit_request_fields}\n" in script
    assert f"--limit-request-field_size {settings.limit_request_field_size}\n" in script


def test_migrations_run_in_the_application_s_own_image(compose_file):
    services = compose_file["services"]
    assert services["release"]["image"] == services["app"]["image"]
    assert [name for name in SERVICES if "build" in services[name]] == [
        "nginx",
        "app",
        "acme",
        "postgres",
        "redis",
        "backup",
        "monitor",
    ]


@pytest.mark.parametrize("name", ["nginx", "app", "acme", "postgres", "redis", "backup", "monitor"])
def test_health_check_is_in_exec_form_and_has_time_to_stay(compose_file, name, repository):
    check = compose_file["services"][name]["healthcheck"]
    assert check["test"][:2] in (["CMD", "/kit/bin/probe"], ["CMD", "/kit/bin/health-check"])
    assert check["test"][1].endswith("health-check") or check["test"][-1] == "stay"
    assert check["start_period"]
    script = (repository / "deploy/app/health-check").read_text()
    stay, pause, limit = map(int, re.search(r"stay=(\d+) pause=(\d+) limit=(\d+)", script).groups())
    assert stay + pause + limit < int(check["timeout"].removesuffix("s"))


def test_nginx_writes_only_the_certificate_that_it_makes_and_the_state_of_a_maintenance(compose_file):
    written = [volume for volume in compose_file["services"]["nginx"]["volumes"] if not volume.endswith(":ro")]
    assert written == ["self-signed:/srv/self-signed", "state:/srv/state"]


def test_no_docker_socket_and_no_syntax_line(repository):
    for path in ("docker-compose.yml", "Dockerfile", "nginx/Dockerfile", "deploy/acme/Dockerfile"):
        text = (repository / path).read_text()
        assert "docker.sock" not in text
        assert not re.search(r"^#\s*syntax\s*=", text, re.M)


def test_images_start_from_the_same_base(repository):
    for path in DOCKERFILES:
        text = (repository / path).read_text()
        assert re.search(r"^ARG BASE_IMAGE=debian:trixie-slim$", text, re.M)
        assert re.search(r"^USER 10001:10001$", text, re.M)
        # exec form all the way: a shell in front would swallow TERM
        assert not re.search(r"^(ENTRYPOINT|CMD) (?!\[)", text, re.M)


def compose_text(repository):
    """docker-compose.yml, and what it includes and extends, without the backends."""
    added = sorted((repository / "deploy/compose").glob("*.yml"))
    return "".join(path.read_text() for path in (repository / "docker-compose.yml", *added))


def compose_variables(repository):
    text = compose_text(repository)
    # a build argument without a value has the Dockerfile's default
    found = set(re.findall(r"\$\{([A-Z0-9_]+)", text)) | passed_on(repository) | {"BASE_IMAGE"}
    return found - {"BACKUP_KEY_PLACE", "TLS_DIR_GIVEN"}  # the kit's command alone sets these


def test_env_example_lists_every_variable_of_the_compose_file_and_sets_none(repository):
    lines = (repository / ".env.example").read_text().splitlines()
    listed = {found[1] for line in lines if (found := re.match(r"#\s?([A-Z0-9_]+)=", line))}
    # compose's own: which services there are; and the kit's command's: where the engine is, and the ports of make dev
    others = {"COMPOSE_PROFILES", "HOST", "SSH_OPTIONS", "BUILD", "REGISTRY", "DEV_PORT", "DEV_MAIL_PORT"}
    others |= {"TARGET", "SWARM_NODES", "APP_CONSTRAINTS", "EDGE_NODES"}  # for a swarm
    others |= {"KUBERNETES_OVERLAY", "KUBERNETES_CONTEXT", "KUBERNETES_LOAD"}
    assert listed == compose_variables(repository) | others
    assert not [line for line in lines if line and not line.startswith("#")]


def compose_defaults(repository):
    return dict(re.findall(r"\$\{([A-Z0-9_]+):-([^}$]+)\}", compose_text(repository)))


def test_env_example_shows_the_defaults(repository):
    kit = {variable.name: variable.default for variable in declared().values() if variable.default}
    defaults = kit | compose_defaults(repository) | {"BASE_IMAGE": "debian:trixie-slim"}
    shown = dict(re.findall(r"^#\s?([A-Z0-9_]+)=(.+)$", (repository / ".env.example").read_text(), re.M))
    assert {name: shown[name] for name in defaults if name in compose_variables(repository)} == {
        name: value for name, value in defaults.items() if name in compose_variables(repository)
    }


def test_default_is_stated_once(repository):
    """In deploy/app/variables. Compose repeats those that it needs itself, and has three of its own."""
    repeated = {name: value for name, value in compose_defaults(repository).items() if name in declared()}
    own = {"APP_REPLICAS": "1", "DRAIN_DELAY": "0", "FORWARDED_ALLOW_IPS": "back"}
    assert {name: repeated.pop(name) for name in own} == own
    assert repeated == {
        name: declared()[name].default for name in ("BACKEND", "HTTP3", "HTTPS", "HTTPS_PORT", "OUTBOUND", "TLS_DIR")
    }
    scripts = [*(repository / "deploy").rglob("*"), *(repository / "nginx").rglob("*"), repository / "Dockerfile"]
    for path in scripts:
        if path.is_file() and path.suffix not in (".yml", ".pyc"):
            code = re.sub(r"^\s*#.*", "", path.read_text(), flags=re.M)
            found = re.findall(r"\b([A-Z_]+)(?::[=-]|=)([^\s\"'}$]+)", code)
            assert not [name for name, value in found if name in declared() and value == declared()[name].default], path


def test_project_outside_the_checkout_is_a_build_context_of_its_own(repository):
    outside = yaml.safe_load((repository / "deploy/compose/project-outside.yml").read_text())
    assert outside["services"]["app"]["extends"] == {"file": "project-inside.yml", "service": "app"}
    assert outside["services"]["app"]["build"]["additional_contexts"].keys() == {"project"}
    assert re.search(r"^FROM scratch AS project$", (repository / "Dockerfile").read_text(), re.M)


def test_unprivileged_nginx_writes_only_to_its_tmpfs(compose_file, repository):
    template = (repository / "nginx/nginx.conf.template").read_text()
    paths = re.findall(r"^\s*(?:pid|\w+_temp_path) (\S+);", template, re.M)
    assert len(paths) == 6
    mounts = tuple(mount.partition(":")[0] for mount in compose_file["services"]["nginx"]["tmpfs"])
    assert all(path.startswith(mounts) for path in paths)


def test_every_image_starts_from_the_base_image_alone(repository):
    """So that BASE_IMAGE with a digest pins all of them."""
    for name in DOCKERFILES:
        dockerfile = (repository / name).read_text()
        assert re.findall(r"^ARG (BASE_IMAGE=.*)$", dockerfile, re.M) == ["BASE_IMAGE=debian:trixie-slim"]
        stages = {"scratch", "${BASE_IMAGE}", *re.findall(r"^FROM \S+ AS (\S+)$", dockerfile, re.M)}
        # one that NODE_BUILD selects
        text = re.sub(r"^FROM (\S+)\$\{\w+:\+(\S+)\}", r"FROM \1\nFROM \1\2", dockerfile, flags=re.M)
        assert set(re.findall(r"^FROM (\S+)", text, re.M)) <= stages
        assert set(re.findall(r"--(?:from|mount=\S*from)=([a-z-]+)", dockerfile)) <= stages


def test_base_image_reaches_every_build(compose_file):
    built = [service for service in compose_file["services"].values() if "build" in service]
    assert len(built) == 7
    assert all("BASE_IMAGE" in service["build"]["args"] for service in built)
