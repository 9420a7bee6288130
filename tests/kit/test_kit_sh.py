"""deploy/app/kit.sh, function by function, in a bash of the test's own."""

import os
import re
import sqlite3
import subprocess

import pytest

from kit import origins
from kit import variables as variables_of_kit
from kit.errors import KitError


@pytest.fixture
def bash(repository):
    def call(script, **variables):
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"source deploy/app/kit.sh; {script}"],
            cwd=repository,
            env={"PATH": os.environ["PATH"], **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )

    return call


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "16 3m 1"),
        ({"THREADS": "", "MAX_BODY_SIZE": "", "HTTPS": ""}, "16 3m 1"),
        ({"THREADS": "008", "MAX_BODY_SIZE": "1G", "HTTPS": "Off"}, "8 1G 0"),
        ({"THREADS": "1", "MAX_BODY_SIZE": "0", "HTTPS": "no"}, "1 0 0"),
        ({"THREADS": "1024", "MAX_BODY_SIZE": "512k", "HTTPS": "yes"}, "1024 512k 1"),
    ],
)
def test_variable_has_its_value_or_its_default_and_is_exported(bash, variables, expected):
    shown = 'env echo "$THREADS $MAX_BODY_SIZE $HTTPS"; bash -c \'echo "$THREADS $MAX_BODY_SIZE $HTTPS"\''
    done = bash(f"kit_variables MAX_BODY_SIZE THREADS HTTPS; {shown}", **variables)
    assert (done.stdout, done.stderr) == (f"{expected}\n{expected}\n", "")


def test_variable_without_a_default_stays_blank(bash):
    assert bash('kit_variables WEB_CONCURRENCY; echo "<$WEB_CONCURRENCY>"').stdout == "<>\n"


POLICIES = (
    "must be one of noeviction, allkeys-lru, allkeys-lfu, allkeys-random, volatile-lru, volatile-lfu, volatile-random,"
    " volatile-ttl"
)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("THREADS", "many", "must be an integer from 1 to 1024"),
        ("THREADS", "0", "must be an integer from 1 to 1024"),
        ("THREADS", "1025", "must be an integer from 1 to 1024"),
        ("THREADS", "99999999999999999999", "must be an integer from 1 to 1024"),
        ("HTTPS_PORT", "-1", "must be an integer from 0 to 65535"),
        ("MAX_BODY_SIZE", "lots", "must be a size such as 80m"),
        ("MAX_BODY_SIZE", "80 m", "must be a size such as 80m"),
        ("UPLOAD_SIZE", "1000000000g", "must be a size such as 80m"),
        ("UPLOAD_SIZE", "-1", "must be a size such as 80m"),
        ("CONNECTION_LIMIT", "65536", "must be an integer from 0 to 65535"),
        ("HTTPS", "maybe", "must be 1 or 0 (or true, yes, on; false, no, off)"),
        ("REDIS_POLICY", "lru", POLICIES),
        ("REDIS_POLICY", "noeviction|allkeys-lru", POLICIES),
    ],
)
def test_value_that_is_not_allowed_is_refused_in_one_line(bash, name, value, said):
    done = bash(f"kit_variables {name}", **{name: value})
    assert (done.returncode, done.stderr) == (2, f"kit: {name}='{value}': {said}\n")
    # the host's command says the same
    with pytest.raises(KitError, match=re.escape(f"{name}='{value}': {said}")):
        variables_of_kit.read(name, {name: value})


@pytest.mark.parametrize("name", variables_of_kit.declared())
def test_images_and_the_host_s_command_have_the_same_defaults(bash, name):
    assert bash(f'kit_variables {name}; printf %s "${name}"').stdout == variables_of_kit.read(name, {})


@pytest.mark.parametrize(
    ("size", "octets"),
    [
        ("0", 0),
        ("010", 10),
        ("3k", 3 << 10),
        ("80m", 80 << 20),
        ("2G", 2 << 30),
        ("0M", 0),
        ("999999999999", 999999999999),
        ("999999999g", 999999999 << 30),
    ],
)
def test_size_in_octets(bash, size, octets):
    assert bash(f"kit_octets {size}").stdout == f"{octets}\n"


ROOM = "kit_room() { echo $((64 << 20)); }; kit_body_sizes /room; echo $MAX_BODY_SIZE $UPLOAD_SIZE"


@pytest.mark.parametrize(
    ("variables", "sizes"),
    [
        ({"UPLOAD_SIZE": "64m"}, f"{3 << 20} {64 << 20}"),
        ({"MAX_BODY_SIZE": "1", "UPLOAD_SIZE": "2k"}, "1 2048"),
        # uploads are never less than what every path takes
        ({"MAX_BODY_SIZE": "64m", "UPLOAD_SIZE": "8m"}, f"{64 << 20} {64 << 20}"),
    ],
)
def test_body_that_fits_into_its_folder_is_allowed(bash, variables, sizes):
    done = bash(ROOM, **variables)
    assert (done.stdout, done.stderr) == (f"{sizes}\n", "")


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({}, "UPLOAD_SIZE='80m'"),
        ({"UPLOAD_SIZE": "67108865"}, "UPLOAD_SIZE='67108865'"),
        ({"UPLOAD_SIZE": "0"}, "UPLOAD_SIZE='0'"),
        ({"MAX_BODY_SIZE": "65m", "UPLOAD_SIZE": "1m"}, "MAX_BODY_SIZE='65m'"),
        ({"MAX_BODY_SIZE": "0k", "UPLOAD_SIZE": "1m"}, "MAX_BODY_SIZE='0k'"),
    ],
)
def test_body_that_could_never_be_gathered_is_refused_in_one_line(bash, variables, named):
    done = bash(ROOM, **variables)
    said = "must be from 1 to 64m, the size of /room (BODY_ROOM in docker-compose.yml)"
    assert (done.returncode, done.stderr) == (2, f"kit: {named}: {said}\n")


def test_room_is_that_of_the_file_system(bash, tmp_path):
    size = os.statvfs(tmp_path)
    assert int(bash(f"kit_room {tmp_path}").stdout) == size.f_blocks * size.f_frsize


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("memory.max", "536870912\n", 536870912),
        ("memory.max", "max\n", 0),
        ("memory/memory.limit_in_bytes", "536870912\n", 536870912),
        ("memory/memory.limit_in_bytes", "9223372036854771712\n", 0),
        ("nothing", "", 0),
    ],
)
def test_memory_limit_is_the_cgroup_s(bash, tmp_path, name, content, expected):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content)
    assert int(bash(f"kit_memory {tmp_path}").stdout) == expected


@pytest.fixture
def machine(tmp_path, bash):
    """cpus(files, nproc): what kit_cpus says on a machine with such cgroup files and so many CPUs."""

    def cpus(files, nproc):
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return int(bash(f"nproc() {{ echo {nproc}; }}; kit_cpus {tmp_path}").stdout)

    return cpus


@pytest.mark.parametrize(
    ("cpu_max", "nproc", "expected"),
    [
        ("max 100000\n", 8, 8),
        ("50000 100000\n", 8, 1),
        ("100000 100000\n", 8, 1),
        ("100001 100000\n", 8, 2),
        ("400000 100000\n", 8, 4),
        ("400000 100000\n", 2, 2),
        ("25000 50000\n", 1, 1),
    ],
)
def test_cpus_of_a_cgroup_2_are_its_quota_rounded_up(machine, cpu_max, nproc, expected):
    assert machine({"cpu.max": cpu_max}, nproc) == expected


ROUTES = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"


def route(interface, destination, gateway, mask):
    return f"{interface}\t{destination}\t{gateway}\t0001\t0\t0\t0\t{mask}\t0\t0\t0\n"


@pytest.fixture
def routes(tmp_path):
    path = tmp_path / "route"
    path.write_text(
        ROUTES
        + route("eth1", "00000000", "010013AC", "00000000")
        + route("eth1", "000013AC", "00000000", "0000FFFF")
        + route("eth0", "40A8C0C0", "00000000", "F0FFFFFF")
        + route("eth0", "00000A0A", "40A8C0C0", "0000FFFF")
        + route("eth2", "00000B0A", "00000000", "0000FFFF")
    )
    return path


@pytest.mark.parametrize(
    ("address", "network"),
    [("172.19.255.9", "172.19.0.0/16"), ("192.192.168.79", "192.192.168.64/28"), ("10.11.0.1", "10.11.0.0/16")],
)
def test_network_of_a_name_is_the_one_that_has_its_address(bash, routes, address, network):
    assert bash(f"kit_network_of {address} {routes}").stdout == f"{network}\n"


@pytest.mark.parametrize("address", ["172.20.0.1", "192.192.168.80", "8.8.8.8", "10.10.0.1"])
def test_address_behind_a_gateway_is_in_no_network_of_this_container(bash, routes, address):
    done = bash(f"kit_network_of {address} {routes}")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


def test_name_without_an_address_is_in_no_network(bash, routes):
    done = bash(f"getent() {{ return 2; }}; kit_network_of nobody {routes}")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


@pytest.mark.parametrize(("quota", "expected"), [("-1", 8), ("150000", 2), ("1000", 1)])
def test_cpus_of_a_cgroup_1_are_its_quota_rounded_up(machine, quota, expected):
    files = {"cpu/cpu.cfs_quota_us": f"{quota}\n", "cpu/cpu.cfs_period_us": "100000\n"}
    assert machine(files, 8) == expected


def test_cpus_without_a_cgroup_are_the_machine_s(machine):
    assert machine({}, 3) == 3


def test_secret_is_read_from_its_file(bash, tmp_path):
    path = tmp_path / "secret"
    path.write_text("a$b 'c'\n")
    done = bash('kit_secret KEY; printf %s "$KEY"; [[ ! -v KEY_FILE ]]', KEY_FILE=str(path))
    assert (done.returncode, done.stdout) == (0, "a$b 'c'")


def test_variables_of_a_secret_are_exported_unless_they_are_set(bash, tmp_path):
    (tmp_path / "environment").write_bytes(b"ONE=a $b\nc\0TWO=2\0")
    call = f"kit_given {tmp_path}; env --null | grep -z -E '^(ONE|TWO)=' | sort -z | tr '\\0' ';'"
    assert bash(call, TWO="set").stdout == "ONE=a $b\nc;TWO=set;"
    assert bash(f"kit_given {tmp_path}/nowhere; echo ok").stdout == "ok\n"


def test_secrets_in_a_file_each_are_exported_unless_they_are_set(bash, tmp_path):
    """As the kubelet lays them: links into a hidden folder. `project` comes before `site`."""
    for folder, files in (("project", {"ONE": "a $b\nc\n"}), ("site", {"ONE": "1", "TWO": "2", "x.pem": ""})):
        (tmp_path / folder / "..data").mkdir(parents=True)
        for name, text in files.items():
            (tmp_path / folder / "..data" / name).write_text(text)
            (tmp_path / folder / name).symlink_to(f"..data/{name}")
    call = f"kit_given {tmp_path}; env --null | grep -z -E '^(ONE|TWO)=' | sort -z | tr '\\0' ';'"
    assert bash(call).stdout == "ONE=a $b\nc;TWO=2;"
    assert bash(call, TWO="set").stdout == "ONE=a $b\nc;TWO=set;"


def test_secret_that_is_not_set_stays_so(bash):
    assert bash("kit_secret KEY; [[ ! -v KEY ]]").returncode == 0


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"KEY": ""}, "KEY is set but blank: set a value or unset it"),
        ({"KEY": " \t"}, "KEY is set but blank: set a value or unset it"),
        ({"KEY": "a", "KEY_FILE": "/etc/hostname"}, "KEY and KEY_FILE are both set: set only one of them"),
        ({"KEY_FILE": "/dev/null"}, "KEY_FILE='/dev/null': the file is blank"),
        ({"KEY_FILE": "/nowhere"}, f"KEY_FILE='/nowhere': must be a file that uid {os.getuid()} can read"),
    ],
)
def test_secret_that_is_no_secret_is_refused_in_one_line(bash, variables, said):
    done = bash("kit_secret KEY", **variables)
    assert (done.returncode, done.stderr) == (2, f"kit: {said}\n")


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        ("", "localhost"),
        ("*", "localhost"),
        ("*,shop.example", "shop.example"),
        (".shop.example,b", "shop.example"),
        ("[::1],b", "[::1]"),
    ],
)
def test_health_checks_ask_for_a_name_that_is_allowed(bash, tmp_path, allowed, expected):
    done = bash("kit_health_host", ALLOWED_HOSTS=allowed)
    assert done.stdout.strip() == expected


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "localhost,127.0.0.1,[::1]"),
        ({"SERVER_NAME": "_"}, "localhost,127.0.0.1,[::1]"),
        ({"SERVER_NAME": "shop.example *.shop.example"}, "localhost,127.0.0.1,[::1],shop.example,.shop.example"),
        ({"SERVER_NAME": "~^www shop.*"}, "localhost,127.0.0.1,[::1]"),
        ({"SERVER_NAME": "shop.example", "ALLOWED_HOSTS": "a,b"}, "a,b"),
    ],
)
def test_allowed_hosts_are_the_local_names_and_those_of_the_site(bash, variables, expected):
    if "ALLOWED_HOSTS" not in variables:  # `make render` shows the same
        added = origins.hosts_of(variables.get("SERVER_NAME", ""))
        assert ",".join([variables_of_kit.read("ALLOWED_HOSTS", {}), *added]) == expected
    done = bash("kit_allowed_hosts; bash -c 'printf %s \"$ALLOWED_HOSTS\"'", **variables)
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")


@pytest.fixture
def kit(tmp_path):
    """A folder as prepare.py writes it."""
    (tmp_path / "app").mkdir()
    (tmp_path / "project.env").write_text(
        f"PROJECT_FOLDER={tmp_path}/app\nWSGI_APP=shop.wsgi:application\nOTHER=a=b c\n"
    )
    (tmp_path / "initial/media").mkdir(parents=True)
    (tmp_path / "initial/media/logo.png").write_text("logo")
    (tmp_path / "initial/db.sqlite3").write_text("rows")
    data = tmp_path / "data"
    (tmp_path / "links").write_text(f"media\t{data}/media/\ndb.sqlite3\t{data}/db.sqlite3\nlogs\t{data}/logs/\n")
    return tmp_path


def test_variables_of_the_project_are_set_unless_they_are(bash, kit):
    done = bash(f'kit_project {kit}; printf "%s|" "$PWD" "$WSGI_APP" "$OTHER"', WSGI_APP="", OTHER="mine")
    assert done.stdout == f"{kit}/app|shop.wsgi:application|mine|"


def test_places_in_the_volume_start_with_the_image_s_files(bash, kit):
    assert bash(f"kit_places {kit}").returncode == 0
    assert (kit / "data/media/logo.png").read_text() == "logo"
    assert (kit / "data/db.sqlite3").read_text() == "rows"
    assert (kit / "data/logs").is_dir()


def test_places_that_are_there_are_not_touched(bash, kit):
    bash(f"kit_places {kit}")
    (kit / "data/media/logo.png").unlink()
    (kit / "data/media/own.png").touch()
    (kit / "data/db.sqlite3").write_text("more rows")
    assert bash(f"kit_places {kit}").returncode == 0
    assert not (kit / "data/media/logo.png").exists()
    assert (kit / "data/db.sqlite3").read_text() == "more rows"


@pytest.fixture
def nested(kit):
    """Media in a folder that is written as a whole."""
    (kit / "initial/.media/var/media").mkdir(parents=True)
    (kit / "initial/.media/var/media/logo.png").write_text("logo")
    (kit / "links").write_text(f"var\t{kit}/data/var/\n.media/var/media\t{kit}/media/\t{kit}/data/var/media\n")
    return kit


def test_media_in_a_folder_that_is_written_are_in_their_own_volume(bash, nested):
    for _ in range(2):
        done = bash(f"kit_places {nested}")
        assert done.returncode == 0, done.stderr
    (nested / "data/var/media/new.png").touch()
    assert os.readlink(nested / "data/var/media") == f"{nested}/media"
    assert sorted(path.name for path in (nested / "media").iterdir()) == ["logo.png", "new.png"]


def test_file_elsewhere_becomes_a_link_into_the_volume(bash, kit):
    (kit / "links").write_text(f".outside/tmp/shop.db\t{kit}/data/.outside/tmp/shop.db\t{kit}/tmp/shop.db\n")
    for _ in range(2):
        done = bash(f"kit_places {kit}")
        assert done.returncode == 0, done.stderr
    with sqlite3.connect(kit / "tmp/shop.db") as database:
        database.execute("create table notes (text)")
    assert (kit / "data/.outside/tmp/shop.db").stat().st_size > 0


def test_media_that_are_in_the_wrong_volume_are_moved(bash, nested):
    (nested / "data/var/media/2026").mkdir(parents=True)
    (nested / "data/var/media/2026/old.png").write_text("old")
    assert bash(f"kit_places {nested}").returncode == 0
    assert (nested / "data/var/media").is_symlink()
    assert (nested / "media/2026/old.png").read_text() == "old"


@pytest.mark.parametrize(
    ("folder", "volume"),
    [("/data/project/photos/", "/data"), ("/srv/media", "/srv/media"), ("/srv/assets/one/two", "/srv/assets")],
)
def test_folder_of_another_owner_is_reported_with_the_command_that_mends_it(bash, folder, volume):
    done = bash(f"kit_writable {folder} worker")
    assert done.returncode == 2
    assert done.stderr.startswith(f"kit: {folder}: uid {os.getuid()} cannot write there. If it belongs to another user")
    assert done.stderr.endswith(f" --entrypoint chown worker -R 10001:10001 {volume}\n")
    assert bash(f"kit_writable {os.getcwd()} worker; echo fine").stdout == "fine\n"


def test_place_that_cannot_be_written_is_reported(bash, kit):
    (kit / "links").write_text("media\t/proc/nowhere/media/\n")
    done = bash(f"kit_places {kit}")
    assert done.returncode == 2
    assert f"kit: /proc/nowhere/media/: uid {os.getuid()} cannot write there" in done.stderr


@pytest.fixture
def services(tmp_path):
    (tmp_path / "postgres.env").write_text("DATABASE_URL=postgres://a:b=@c/d\nPGHOST=c\n")
    (tmp_path / "redis.env").write_text("REDIS_URL=redis://e\n")
    return tmp_path


SHOW = 'printf "%s|" "${DATABASE_URL:-}" "${PGHOST:-}" "${REDIS_URL:-}"'


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "postgres://a:b=@c/d|c|redis://e|"),
        ({"COMPOSE_PROFILES": "redis,postgres"}, "postgres://a:b=@c/d|c|redis://e|"),
        ({"PGHOST": "mine"}, "postgres://a:b=@c/d|mine|redis://e|"),
        # another server's: nothing of this one's may be mixed with it
        ({"DATABASE_URL": "mysql://f"}, "mysql://f||redis://e|"),
    ],
)
def test_services_say_where_they_are_unless_the_project_uses_another(bash, services, variables, expected):
    assert bash(f"kit_services {services}; {SHOW}", **variables).stdout == expected


NAMES = """postgres DB_ENGINE==django.db.backends.postgresql
postgres DB_HOST=PGHOST
postgres DB_NAME=PGDATABASE
redis BROKER_URL=REDIS_URL
"""


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "django.db.backends.postgresql|c||redis://e|c|"),
        ({"BROKER_URL": "redis://mine", "DB_ENGINE": "mine"}, "mine|c||redis://mine|c|"),
        # a server elsewhere
        ({"DB_HOST": "d"}, "|d||redis://e||"),
        ({"DATABASE_URL": "sqlite://"}, "|||redis://e||"),
    ],
)
def test_services_have_the_names_that_the_project_reads(bash, services, variables, expected):
    (services / "names").write_text(NAMES)
    show = 'printf "%s|" "${DB_ENGINE:-}" "${DB_HOST:-}" "${DB_NAME:-}" "${BROKER_URL:-}" "${PGHOST:-}"'
    assert bash(f"kit_services {services} {services}/names; {show}", **variables).stdout == expected


def test_url_of_a_service_names_the_driver_that_the_project_has(bash, services):
    (services / "names").write_text("postgres scheme=postgresql+psycopg\npostgres MY_URL=DATABASE_URL\n")
    done = bash(f'kit_services {services} {services}/names; {SHOW}; printf "%s|" "$MY_URL" "${{scheme-unset}}"')
    assert done.stdout == ("postgresql+psycopg://a:b=@c/d|c|redis://e|postgresql+psycopg://a:b=@c/d|unset|")


def test_without_services_nothing_is_set(bash, tmp_path):
    assert bash(f"kit_services {tmp_path}/none; {SHOW}").stdout == "|||"


def test_service_whose_profile_is_on_is_waited_for(bash, services):
    (services / "redis.env").unlink()
    script = f"sleep() {{ printf 'REDIS_URL=late\n' >{services}/redis.env; }}; kit_services {services}; {SHOW}"
    assert bash(script, COMPOSE_PROFILES="redis").stdout == "postgres://a:b=@c/d|c|late|"


def test_service_that_never_starts_is_named(bash, services):
    (services / "redis.env").unlink()
    done = bash(f"sleep() {{ :; }}; kit_services {services}", COMPOSE_PROFILES="acme,redis")
    said = "kit: the profile redis is on, and its container has not started: docker compose logs redis\n"
    assert (done.returncode, done.stderr) == (2, said)


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({}, "127.0.0.1:9180"),
        ({"COMPOSE_PROFILES": "acme,monitor"}, "0.0.0.0:9180"),
        ({"COMPOSE_PROFILES": "monitors"}, "127.0.0.1:9180"),
        ({"COMPOSE_PROFILES": "monitor", "ADMIN_BIND": "127.0.0.1:9000"}, "127.0.0.1:9000"),
        ({"ADMIN_BIND": "[::]:9000"}, "[::]:9000"),
        ({"ADMIN_BIND": "off"}, "off"),
    ],
)
def test_metrics_are_on_the_container_s_networks_only_if_asked_for(bash, variables, address):
    assert bash('kit_admin_bind; echo "$ADMIN_BIND"', **variables).stdout == f"{address}\n"


@pytest.mark.parametrize("value", ["9180", "no", "host:port", "127.0.0.1:9180 --debug", "unix:/tmp/admin"])
def test_address_of_the_metrics_that_is_none_is_refused(bash, value):
    done = bash("kit_admin_bind", ADMIN_BIND=value)
    said = f"kit: ADMIN_BIND='{value}': must be ADDRESS:PORT, such as 127.0.0.1:9180, or off\n"
    assert (done.returncode, done.stderr) == (2, said)


def test_file_is_read_whole_or_as_nothing(bash, tmp_path):
    (tmp_path / "a").write_text(" one\n\ntwo \\n\n")
    done = bash(f'kit_read text "{tmp_path}/a"; printf "<%s>" "$text"; kit_read text "{tmp_path}/b"; echo "<$text>"')
    assert (done.stdout, done.stderr) == ("< one\n\ntwo \\n\n><>\n", "")


def test_pause_needs_no_program(bash):
    done = bash("PATH=; kit_pause 0.05; kit_pause 0.05; echo waited")
    assert (done.stdout, done.stderr) == ("waited\n", "")
