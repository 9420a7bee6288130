"""Listening sockets, on real sockets of 127.0.0.1, ::1 and temporary directories."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from ropewalk.errors import ConfigError
from ropewalk.net.listeners import inherited, unix
from ropewalk.net.listeners.open import close_listeners, describe, inherited_listeners, open_listeners


def ipv6_is_there() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


HAS_IPV6 = ipv6_is_there()
BOTH_FAMILIES = [socket.AF_INET, socket.AF_INET6] if HAS_IPV6 else [socket.AF_INET]


@contextmanager
def listening(*binds: str, **options: int) -> Iterator[list[socket.socket]]:
    listeners = open_listeners(binds, backlog=8, **options)
    try:
        yield listeners
    finally:
        close_listeners(listeners)


def refusal(*binds: str) -> str:
    with pytest.raises(ConfigError) as caught:
        close_listeners(open_listeners(binds, backlog=8))
    assert caught.value.setting == "bind"
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    return text


def can_connect(listener: socket.socket) -> bool:
    with socket.socket(listener.family) as client:
        client.connect(listener.getsockname())
        return True


def in_child(action: Callable[[], None]) -> int:
    """Run `action` in a forked process; its exit status (1: it raised)."""
    with warnings.catch_warnings():
        # The runner of the tests may have threads. This child takes none of their locks.
        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            action()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


# TCP


def test_port_zero_is_described_with_the_port_that_was_given() -> None:
    with listening("127.0.0.1:0") as [listener]:
        port = listener.getsockname()[1]
        assert port != 0
        assert describe(listener) == f"http://127.0.0.1:{port}"
        assert describe(listener, scheme="https") == f"https://127.0.0.1:{port}"
        assert can_connect(listener)


def test_listeners_are_non_blocking_and_not_inheritable() -> None:
    with listening("127.0.0.1:0") as [listener]:
        assert not listener.getblocking()
        assert not listener.get_inheritable()
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        assert listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)


def test_ipv6_address_is_described_in_brackets() -> None:
    if HAS_IPV6:
        with listening("[::1]:0") as [listener]:
            assert describe(listener) == f"http://[::1]:{listener.getsockname()[1]}"
            assert listener.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
            assert can_connect(listener)
    else:
        assert "::1" in refusal("[::1]:0")


@pytest.mark.parametrize("bind", [":0", "[::]:0"])
def test_every_interface_means_both_families_on_one_port(bind: str) -> None:
    with listening(bind) as listeners:
        assert [listener.family for listener in listeners] == BOTH_FAMILIES
        assert len({listener.getsockname()[1] for listener in listeners}) == 1


def test_every_interface_of_each_family_can_be_named_side_by_side() -> None:
    if not HAS_IPV6:
        assert "[::]" in refusal("0.0.0.0:0", "[::]:0")
        return
    with listening("127.0.0.1:0") as [listener]:
        port = listener.getsockname()[1]
    with listening(f"[::]:{port}", f"127.0.0.1:{port}") as listeners:
        assert [listener.family for listener in listeners] == [socket.AF_INET6, socket.AF_INET]


def addresses_of_a_name(*hosts: str) -> Callable[..., list[object]]:
    def getaddrinfo(host: str, port: int, **_: object) -> list[object]:
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (host, port, 0, 0))
            if ":" in host
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))
            for host in hosts
        ]

    return getaddrinfo


def test_name_with_both_families_is_listened_on_with_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", addresses_of_a_name("::1", "127.0.0.1", "127.0.0.2"))
    with listening("localhost:0") as listeners:
        assert [listener.family for listener in listeners] == BOTH_FAMILIES
        assert listeners[0].getsockname()[0] == "127.0.0.1"
        assert len({listener.getsockname()[1] for listener in listeners}) == 1


def test_family_that_is_not_on_this_machine_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    # RFC 3849 and RFC 5737 keep these addresses for documentation: no machine has them.
    monkeypatch.setattr(socket, "getaddrinfo", addresses_of_a_name("2001:db8::1", "127.0.0.1"))
    with listening("name:0") as [listener]:
        assert listener.family == socket.AF_INET
    monkeypatch.setattr(socket, "getaddrinfo", addresses_of_a_name("192.0.2.1"))
    assert refusal("name:0") == "bind='name:0': not an address of this machine"


def test_name_that_does_not_resolve_is_named() -> None:
    assert "does not resolve" in refusal("nowhere.invalid:80")
    assert "does not resolve" in refusal(f"{'x' * 64}.example:80")


def test_port_in_use_is_named() -> None:
    with listening("127.0.0.1:0") as [listener]:
        bind = f"127.0.0.1:{listener.getsockname()[1]}"
        assert refusal(bind) == f"bind='{bind}': already in use by this process"


def test_port_of_a_server_that_has_just_ended_is_taken_again() -> None:
    with listening("127.0.0.1:0") as [listener]:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            listener.setblocking(True)
            accepted, _ = listener.accept()
            accepted.close()  # the server closes first: its side goes to TIME_WAIT
            assert client.recv(1) == b""
    with listening(f"127.0.0.1:{port}") as [listener]:
        assert can_connect(listener)


def test_when_one_address_fails_none_stays_open(tmp_path: Path) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    path = tmp_path / "x.sock"
    with listening("127.0.0.1:0") as [listener]:
        refusal(f"unix:{path}", "127.0.0.1:0", f"127.0.0.1:{listener.getsockname()[1]}")
    assert not path.exists()
    refusal(f"unix:{path}", "127.0.0.1:x")
    assert not path.exists()
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_bad_text_is_a_config_error() -> None:
    assert refusal("127.0.0.1:65536") == "bind='127.0.0.1:65536': the port must be an integer from 0 to 65535"


# Unix sockets


def test_unix_socket_is_connectable_and_removed_when_closed(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    with listening(f"unix:{path}") as [listener]:
        assert describe(listener) == f"unix:{path}"
        assert not listener.getblocking()
        assert can_connect(listener)
    assert not path.exists()


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_unix_socket_has_its_mode_whatever_the_umask(tmp_path: Path, mode: int, umask: int) -> None:
    path = tmp_path / "x.sock"
    previous = os.umask(umask)
    try:
        with listening(f"unix:{path}", unix_mode=mode):
            assert stat.S_IMODE(path.stat().st_mode) == mode
    finally:
        os.umask(previous)


def test_relative_unix_path_is_removed_after_the_directory_was_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with listening("unix:x.sock") as [listener]:
        assert describe(listener) == f"unix:{tmp_path}/x.sock"
        monkeypatch.chdir("/")
    assert not (tmp_path / "x.sock").exists()


def leave_stale(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()


def test_stale_socket_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    leave_stale(path)
    with listening(f"unix:{path}") as [listener]:
        assert can_connect(listener)
    assert not path.exists()


def test_socket_file_that_is_answered_stays(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    with listening(f"unix:{path}") as [listener]:
        assert "already in use" in refusal(f"unix:{path}")
        assert can_connect(listener)


def test_socket_file_with_a_full_backlog_counts_as_answered(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(str(path))
        busy.listen(0)
        waiting.connect(str(path))
        assert "already in use" in refusal(f"unix:{path}")
    assert path.exists()


def test_datagram_socket_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(path))
        assert "already in use" in refusal(f"unix:{path}")
    assert path.exists()


@pytest.mark.parametrize("kind", ["file", "directory", "link to a stale socket", "dangling link"])
def test_what_is_not_a_socket_is_never_removed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.sock"
    match kind:
        case "file":
            path.write_text("precious")
        case "directory":
            path.mkdir()
        case "link to a stale socket":
            leave_stale(tmp_path / "y.sock")
            path.symlink_to("y.sock")
        case _:
            path.symlink_to("nowhere")
    before = path.lstat()
    assert "a file that is not a socket" in refusal(f"unix:{path}")
    assert path.lstat() == before


def test_directory_of_a_unix_socket_must_exist(tmp_path: Path) -> None:
    assert "its directory does not exist" in refusal(f"unix:{tmp_path}/none/x.sock")
    (tmp_path / "file").touch()
    assert "its directory does not exist" in refusal(f"unix:{tmp_path}/file/x.sock")


def test_unix_socket_is_not_removed_by_a_forked_worker(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    with listening(f"unix:{path}") as listeners:
        assert in_child(lambda: close_listeners(listeners)) == 0
        assert can_connect(listeners[0])
    assert not path.exists()


def test_first_of_two_servers_leaves_the_file_of_the_second(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    first = open_listeners([f"unix:{path}"], backlog=1)
    path.unlink()
    second = open_listeners([f"unix:{path}"], backlog=1)
    close_listeners(first)
    assert can_connect(second[0])
    close_listeners(second)
    assert not path.exists()


def test_file_that_was_removed_meanwhile_is_no_error_at_close(tmp_path: Path) -> None:
    with listening(f"unix:{tmp_path}/x.sock"):
        (tmp_path / "x.sock").unlink()


def test_of_servers_that_start_at_once_one_has_the_unix_socket(tmp_path: Path) -> None:
    """A stale file, many starts: exactly one wins, and its socket accepts at the end."""
    path = tmp_path / "x.sock"
    script = (
        "import sys\n"
        "from ropewalk.errors import ConfigError\n"
        "from ropewalk.net.listeners.open import open_listeners, close_listeners\n"
        "for line in sys.stdin:\n"
        "    try: listeners = open_listeners(['unix:' + sys.argv[1]], backlog=64)\n"
        "    except ConfigError: listeners = []\n"
        "    print(len(listeners), flush=True)\n"
        "    sys.stdin.readline()\n"
        "    close_listeners(listeners)\n"
        "    print('closed', flush=True)\n"
    )
    command = [sys.executable, "-c", script, str(path)]
    with ExitStack() as stack:
        servers = [
            stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            for _ in range(4)
        ]

        def ask_all(line: str) -> list[str]:
            for server in servers:
                assert server.stdin is not None
                server.stdin.write(line)
                server.stdin.flush()
            return sorted(server.stdout.readline().strip() for server in servers if server.stdout is not None)

        for _ in range(20):
            leave_stale(path)
            assert ask_all("open\n") == ["0", "0", "0", "1"]
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
            assert ask_all("close\n") == ["closed"] * 4
            assert not path.exists()


def test_lock_of_somebody_else_does_not_keep_a_server_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unix, "LOCK_TIMEOUT", 0)
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with listening(f"unix:{tmp_path}/x.sock") as [listener]:
            assert can_connect(listener)
    finally:
        os.close(descriptor)


# Descriptors of the parent


@contextmanager
def descriptors(*sockets: socket.socket) -> Iterator[list[int]]:
    """Copies of the sockets' descriptors, as a parent would leave them; closed if they still are open."""
    copies = [os.dup(each.fileno()) for each in sockets]
    try:
        yield copies
    finally:
        for copy in copies:
            try:
                os.close(copy)
            except OSError:
                continue


def test_inherited_listener_is_adopted(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, descriptors(server) as [fd]:
        with listening(f"fd://{fd}") as [listener]:
            assert listener.fileno() == fd
            assert not listener.getblocking()
            assert not listener.get_inheritable()
            assert describe(listener) == f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


def test_file_of_an_inherited_unix_socket_is_the_parents(tmp_path: Path) -> None:
    path = tmp_path / "x.sock"
    with listening(f"unix:{path}") as [server], descriptors(server) as [fd]:
        with listening(f"fd://{fd}") as [listener]:
            assert describe(listener) == f"unix:{path}"
        assert path.exists()


def test_abstract_unix_socket_is_described_as_systemd_writes_it() -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0ropewalk-test-{os.getpid()}")
        assert describe(server) == f"unix:@ropewalk-test-{os.getpid()}"


def test_descriptor_that_is_no_listening_stream_socket_is_refused_and_left_open(tmp_path: Path) -> None:
    with (
        socket.socket() as unbound,
        socket.socket(type=socket.SOCK_DGRAM) as datagram,
        (tmp_path / "file").open("wb") as file,
    ):
        assert "not listening" in refusal(f"fd://{unbound.fileno()}")
        assert "stream socket" in refusal(f"fd://{datagram.fileno()}")
        assert "not a socket" in refusal(f"fd://{file.fileno()}")
        for each in (unbound, datagram, file):
            os.fstat(each.fileno())
        with descriptors(unbound) as [closed]:
            os.close(closed)
            assert "no such descriptor" in refusal(f"fd://{closed}")


def test_descriptor_named_twice_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert "given twice" in refusal(f"fd://{server.fileno()}", f"fd://{server.fileno()}")
        assert can_connect(server)


# systemd


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, []),
        ({"LISTEN_FDS": "2"}, []),
        ({"LISTEN_PID": "7"}, []),
        ({"LISTEN_FDS": "2", "LISTEN_PID": "7"}, [3, 4]),
        ({"LISTEN_FDS": "2", "LISTEN_PID": "8"}, []),
        ({"LISTEN_FDS": "0", "LISTEN_PID": "7"}, []),
        ({"LISTEN_FDS": "x", "LISTEN_PID": "8"}, []),
    ],
)
def test_descriptors_of_systemd(environ: dict[str, str], expected: Sequence[int]) -> None:
    assert list(inherited.inherited_descriptors(environ, 7)) == expected


@pytest.mark.parametrize("number", ["x", "-1", "+1", "1 ", "1_0", "²", "1025", "99999999999999999999"])
def test_number_of_descriptors_must_be_one(number: str) -> None:
    with pytest.raises(ConfigError, match="LISTEN_FDS"):
        inherited.inherited_descriptors({"LISTEN_FDS": number, "LISTEN_PID": "7"}, 7)


def test_number_of_descriptors_is_bounded() -> None:
    environ = {"LISTEN_FDS": str(inherited.MAX_DESCRIPTORS), "LISTEN_PID": "7"}
    assert len(inherited.inherited_descriptors(environ, 7)) == inherited.MAX_DESCRIPTORS


def started_by_systemd(*sockets: socket.socket) -> Callable[[], None]:
    """What systemd leaves of a process: its sockets from 3 on, and LISTEN_PID with the pid after the fork."""

    def arrange() -> None:
        copies = [os.dup(each.fileno()) for each in sockets]
        os.closerange(3, min(copies))
        for target, copy in enumerate(copies, start=3):
            os.dup2(copy, target)
        os.environ["LISTEN_FDS"] = str(len(sockets))
        os.environ["LISTEN_PID"] = str(os.getpid())

    return arrange


def test_listeners_of_systemd_are_adopted_in_order(tmp_path: Path) -> None:
    with listening("127.0.0.1:0", f"unix:{tmp_path}/x.sock") as sockets:
        expected = [describe(each) for each in sockets]

        def child() -> None:
            started_by_systemd(*sockets)()
            found = inherited_listeners(os.environ)
            assert [listener.fileno() for listener in found] == [3, 4]
            assert [describe(listener) for listener in found] == expected

        assert in_child(child) == 0


def test_wrong_descriptor_of_systemd_is_named() -> None:
    with listening("127.0.0.1:0") as [server], socket.socket() as unbound:

        def child() -> None:
            started_by_systemd(server, unbound)()
            with pytest.raises(ConfigError, match="descriptor 4: "):
                inherited_listeners(os.environ)
            os.fstat(3)
            os.fstat(4)

        assert in_child(child) == 0


def test_without_systemd_there_is_none() -> None:
    assert inherited_listeners({}) == []
