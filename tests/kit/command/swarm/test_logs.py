"""deploy/kit/swarm/logs.py: lines of all tasks, as records; and the whole command with a small fake of docker."""

from datetime import datetime

from kit.swarm import logs

ONE, TWO = "a" * 25, "b" * 25
AT = "2026-11-30T02:05:1"


def line(task, second, text, slot=1, node="one", service="app"):
    return f"{AT}{second}.5Z shop_{service}.{slot}.{task}@{node}    | {text}"


def test_a_line_says_which_container_of_which_node_it_is_of():
    reader = logs.Reader("shop")
    task, record = reader.read(line(ONE, 1, "hello", slot=2, node="node-1.example"))
    assert (task, record.container, record.line) == (ONE, "app-2@node-1.example", "hello")
    # of a global service
    assert reader.read(line(TWO, 1, "", slot=0, service="nginx"))[1].container == "nginx@one"


def test_lines_of_several_tasks_are_mixed_and_their_tracebacks_are_not():
    reader = logs.Reader("shop")
    lines = [
        line(ONE, 1, "Traceback (most recent call last):"),
        line(TWO, 1, "INFO all is well", slot=2),
        line(ONE, 1, '  File "x.py", line 1'),
    ]
    records = [reader.read(each)[1] for each in lines]
    assert [record.message.level for record in records] == ["error", "info", "error"]


def test_lines_that_are_known_come_once():
    reader = logs.Reader("shop", {ONE: datetime.fromisoformat(f"{AT}3.5+00:00")})
    lines = [line(ONE, 3, "known"), line(ONE, 4, "new"), line(TWO, 2, "of another one")]
    assert [bool(reader.read(each)) for each in lines] == [False, True, True]


def test_what_docker_says_itself_is_printed_once(capsys):
    reader = logs.Reader("shop")
    for _ in range(2):
        assert reader.read("error from daemon in stream: warning: incomplete log stream: node two is away") is None
    assert reader.read("no such service: shop_release") is None
    assert capsys.readouterr().err == "logs: warning: incomplete log stream: node two is away\n"


def script(app="", nginx=""):
    asked = "'service logs --timestamps --no-trunc"
    return f"""{asked} --tail 100 shop_app') echo '{app}' ;;
{asked} --tail 100 shop_nginx') echo '{nginx}' ;;
{asked} --tail 100 shop_release') echo 'no such service: shop_release' >&2; exit 1 ;;"""


def test_services_are_merged_by_time(kit):
    kit.script = script(line(ONE, 2, "second"), line(TWO, 1, "first", 0, "two", "nginx"))
    assert kit("logs", FOLLOW="0") == (0, "nginx@two | first\napp-1@one | second\n", "")


def test_one_service_is_passed_through_as_it_is(kit):
    kit.script = script(line(ONE, 2, "second"))
    assert kit("logs", FOLLOW="0", SERVICE="app") == (0, "second\n", "")


def test_an_unknown_service_is_one_line(kit):
    said = "logs: SERVICE='ngnx': must be one of app, nginx, release\n"
    assert kit("logs", SERVICE="ngnx") == (2, "", said)


def test_following_begins_where_the_history_ends(kit):
    again, more = line(ONE, 2, "second"), line(ONE, 4, "fourth")
    kit.script = f"""{script(line(ONE, 2, "second"))}
*--follow*shop_app) printf '%s\\n' '{again}' '{more}'; exec sleep 60 ;;
*--follow*|events*) exec sleep 60 ;;"""
    with kit.start("logs", SERVICE="app") as process:
        lines = [process.stdout.readline() for _ in range(2)]
        process.send_signal(2)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, lines, err) == (0, ["second\n", "fourth\n"], "")


def test_a_service_that_is_created_later_is_followed_too(kit):
    late = line(TWO, 5, "migrated", 0, "two", "release")
    kit.script = f"""{script()}
*--follow*shop_release) echo '{late}'; exec sleep 60 ;;
*--follow*) exec sleep 60 ;;
events*) echo 1796000000000000000 other_release; echo 1796000000000000000 shop_release; exec sleep 60 ;;"""
    with kit.start("logs") as process:
        assert process.stdout.readline() == "release@two | migrated\n"
        process.send_signal(2)
        process.communicate(timeout=60)
    assert not any("other_release" in call for call in kit.calls)


def test_why_finds_the_lines_of_a_request_on_every_node(kit):
    request = "0c8bfa1e9d972aa1ad30a07c449f2c8c"
    said = line(ONE, 2, f"ERROR shop [{request}] no such vessel")
    kit.script = f"'service logs --timestamps --no-trunc shop_app') echo '{said}' ;;\n'service logs'*) : ;;"
    status, out, err = kit("why", ID=request)
    assert (status, err) == (0, "")
    assert "app-1@one error:" in out
    assert "no such vessel" in out
    assert kit("why", ID="x")[0] == 1
    assert kit("why") == (2, "", "why: ID is missing: make why ID=<the X-Request-ID of a response>\n")
