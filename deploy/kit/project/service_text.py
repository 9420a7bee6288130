"""How the databases, queues and workers of a project are described: what each is, and what to do."""

from collections.abc import Iterator

from kit.project.services import LOCAL, SQLITE, Service, Services


def lines(services: Services) -> Iterator[tuple[str, str]]:
    """A row of the table for each: what it is, and what to do."""
    if services.database:
        yield "database", _with_alternatives(describe(services.database), services)
    for service in services.others:
        yield "uses", describe(service)
    for worker in services.workers:
        text = f"a worker of {worker.name} ({worker.origin}): worker in COMPOSE_PROFILES of .env runs it"
        yield "uses", f"{text}, with WORKER_COMMAND={worker.command}"
    if one := services.scheduler:
        text = f"{one.name} (Procfile:{one.line}): scheduler in COMPOSE_PROFILES of .env runs it"
        yield "uses", f"{text}, with SCHEDULER_COMMAND={one.command}"


def _with_alternatives(text: str, services: Services) -> str:
    """Other databases are chosen by variables, so they are said only where these are known."""
    others = [one for one in services.alternatives if one.place]
    if not others or services.database is None or services.database.name != SQLITE:
        return text
    kinds = ", ".join(one.name for one in others if one.name)
    variables = ", ".join(dict.fromkeys(name for one in others for name in one.variables))
    return f"{text}; for {kinds or 'another one'} on a server elsewhere: {variables} in .env.project"


def describe(service: Service) -> str:
    if service.name == SQLITE:
        unless = f", unless {', '.join(service.place)} names another one" if service.place else ""
        return f"{SQLITE} ({service.origin}){unless}"
    name = service.name or "another server's"
    if service.is_fixed:
        where = service.host or "localhost"
        reason = "there is none in the container" if where in LOCAL else "the kit has no such machine"
        return f"{name} on {where} ({service.origin}): {reason}, and no variable names another"
    if not service.place:
        return f"{name} ({service.origin}): on a server that the settings have to name"
    listed = ", ".join(service.place)
    if not service.name:
        return f"what {listed} names ({service.origin})"
    own = f"; or the kit's own: COMPOSE_PROFILES={service.profile} in .env" if service.profile else ""
    return f"{name} ({service.origin}): {listed} in .env.project, for a server elsewhere{own}"
