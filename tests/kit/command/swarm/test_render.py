"""deploy/kit/render.py with TARGET=swarm: the containers of the stack, and the stack file."""

from tests.kit.command.swarm.conftest import contained


def test_what_a_container_of_the_stack_has(kit):
    # the image of both has compose's label of the service app
    kit.here = [contained("worker"), contained("app"), contained("nginx")]
    kit.script = "'exec id-of-app'*) echo ropewalk --bind 0.0.0.0:8000 ;;"
    assert kit("render", WHAT="server") == (0, "ropewalk --bind 0.0.0.0:8000\n", "")


def test_the_file_of_compose_is_not_what_swarm_gets(kit):
    said = "render: WHAT='compose': must be one of variables, nginx, server, supervisor, stack\n"
    assert kit("render", WHAT="compose") == (2, "", said)
