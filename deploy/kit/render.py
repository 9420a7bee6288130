"""`make render`: the configuration as the containers have it, and where each value comes from. Secrets are masked."""

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from kit import compose, containers, origins, targets
from kit.containers import Container
from kit.errors import KitError
from kit.swarm import command, tasks

SECTIONS = ("variables", "nginx", "server", "supervisor", "compose")
STACKS = tuple(each for each in targets.TARGETS if each != targets.COMPOSE)
NGINX = ("nginx", "-T", "-q", "-c", "/tmp/nginx/nginx.conf")
RENDER_NGINX = "/kit/bin/entrypoint check && nginx -T -q -c /tmp/nginx/nginx.conf"
SUPERVISOR = """\
import sys
sys.path.insert(0, "/kit/bin")
import supervise
supervise.merge(supervise.KIT_CONFIG.read_text(), supervise.PROJECT_CONFIG).write(sys.stdout)
"""
SERVER = """tr '\\0' ' ' <"/proc/$(cat /tmp/backend.pid)/cmdline\""""


class Renderer:
    """Asks a running container, or a new one of the image if none runs."""

    def __init__(self, environment: Mapping[str, str], *, shows_secrets: bool) -> None:
        self._given = environment
        self._shows_secrets = shows_secrets
        self._prepared = compose.prepare(environment)
        said = containers.output(["compose", "config", "--format", "json"], self._prepared)
        self._model: dict[str, Any] = json.loads(said)
        self._containers = self._found()

    def _found(self) -> list[Container]:
        """Containers of the site on this node."""
        return containers.of_project(self._model["name"], self._prepared)

    def variables(self) -> str:
        rows = list(origins.find(self._given, self._prepared))
        width = max(len(row.name) for row in rows)
        values = {row.name: self._value(row.name, row.value) for row in rows}
        room = max(len(value) for value in values.values() if len(value) < 40)
        return "\n".join(f"{row.name:<{width}}  {values[row.name]:<{room}}  {row.origin}" for row in rows)

    def _value(self, name: str, value: str) -> str:
        return value if self._shows_secrets else origins.mask(name, value)

    def nginx(self) -> str:
        return self._ask("nginx", NGINX, ("bash", "-c", RENDER_NGINX))

    def supervisor(self) -> str:
        words = ("python", "-I", "-c", SUPERVISOR)
        return self._ask("app", ("/kit/bin/entrypoint", *words), words)

    def server(self) -> str:
        """The command of the running server; another one is known only when it runs."""
        try:
            return self._ask("app", ("bash", "-c", SERVER), None).strip()
        except KitError as error:
            return f"# not known: {error}"

    def compose(self) -> str:
        parts = {name: part for name, part in self._model.items() if not name.startswith("x-")}
        return json.dumps(self._masked(parts), indent=2)

    def _masked(self, value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {key: self._masked(each, key) for key, each in value.items()}
        if isinstance(value, list):
            return [self._masked(each) for each in value]
        return self._value(name, value) if isinstance(value, str) else value

    def _ask(self, service: str, words: tuple[str, ...], in_new: tuple[str, ...] | None) -> str:
        """What the command prints in a running container, or else, `in_new`, in a new one of the image."""
        running = [each for each in self._containers if each.service == service and each.is_running]
        if running:
            said = containers.output(["exec", running[0].identifier, *words], self._prepared)
        elif in_new is None:
            raise KitError(f"no container of {service} runs")
        else:
            said = containers.output(new_container(service, self._model, in_new), self._prepared)
        return said if self._shows_secrets else origins.mask_text(said)


class StackRenderer(Renderer):
    """With TARGET=swarm: the containers of the stack on this node, and the stack file instead of compose's."""

    def _found(self) -> list[Container]:
        return tasks.on_this_node(self._model["name"], self._prepared)

    def stack(self) -> str:
        return json.dumps(self._masked(command.stack_of(self._given)), indent=2)


def new_container(service: str, model: Mapping[str, Any], words: tuple[str, ...]) -> list[str]:
    """Arguments of docker: not of compose, whose `run` would leave networks. nginx's values hold no secret."""
    described = model["services"][service]
    options = [f"--tmpfs={folder}" for folder in described.get("tmpfs", ())]
    # nginx's workers, and the room that it gives to bodies, follow from these
    for option, name in (("--cpus", "cpus"), ("--memory", "mem_limit")):
        options += [f"{option}={described[name]}"] if described.get(name) else []
    if service == "nginx":
        options += [f"--env={name}={value}" for name, value in described["environment"].items() if value is not None]
    image = described.get("image") or f"{model['name']}-{service}"
    return ["run", "--rm", "--pull=never", "--network=none", "--read-only", *options, image, *words]


def render(environment: Mapping[str, str]) -> int:
    """Exit status 1 if a section cannot be shown; the others are. With STACK, prints a file for that instead."""
    if stack := environment.get("STACK"):
        if stack not in STACKS:
            raise KitError(f"STACK={stack!r}: must be one of {', '.join(STACKS)}")
        printed: int = targets.module(stack).print_stack(environment)
        return printed
    is_swarm = targets.chosen(environment) == targets.SWARM
    known = (*SECTIONS[:-1], "stack") if is_swarm else SECTIONS
    chosen = origins.check_what(environment.get("WHAT", ""), known)
    kind = StackRenderer if is_swarm else Renderer
    renderer = kind(environment, shows_secrets=environment.get("SHOW_SECRETS") == "1")
    sections: dict[str, Callable[[], str]] = {name: getattr(renderer, name) for name in known}
    status = 0
    for name in chosen:
        try:
            text = sections[name]().rstrip("\n")
        except KitError as error:
            sys.stderr.write(f"render: {name}: {error}\n")
            status = 1
            continue
        sys.stdout.write(f"{text}\n" if len(chosen) == 1 else f"# ---- {name}\n{text}\n\n")
    return status
