"""`python -m faults.soak`: a server under load, hostile clients and operations for minutes; `make soak` runs it.

Two servers run at once. The *steady* one is left alone, so that its workers live from the first minute to the last:
nothing of what they hold may grow. The *operated* one is reloaded, has its logs opened again and its workers killed,
and its master may not grow. Every request of the load is accounted for on both. Between rounds the load pauses until
the servers are idle, and what they hold is measured.

Exits with status 1 if anything grew or a request was lost.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
from contextlib import ExitStack, suppress

from bench.console import progress, usage_error
from faults.run.load import Clients, Load
from faults.run.outcomes import MAX_EXAMPLES, Outcome, tally
from faults.run.processes import kill
from faults.run.server_process import StartError, running
from faults.run.servers import SERVERS, Start
from faults.soak.footprint import drift
from faults.soak.hostile import HostileClients
from faults.soak.soaked import Soaked

CLIENTS = Clients(keep_alive=6, new_connection=3)
OPERATION_SECONDS = 5.0  # between two reloads, kills and reopened logs
WARM_UP_ROUNDS = 2
MIN_ROUNDS = WARM_UP_ROUNDS + 2
ROUND_SECONDS = 30.0

# A worker that is killed takes the requests with it that it was working on.
ALLOWED = {"steady": frozenset[Outcome](), "operated": frozenset({Outcome.ABORTED})}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="soak", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0, help="length of the whole run [10]")
    parser.add_argument("--server", choices=SERVERS, default="ropewalk")
    options = parser.parse_args()
    if not 0 < options.minutes <= 24 * 60:
        usage_error(f"--minutes={options.minutes:g}: must be more than 0 and at most {24 * 60}", "soak")
    return options


def main() -> int:
    options = arguments()
    rounds = max(MIN_ROUNDS, round(options.minutes * 60 / ROUND_SECONDS))
    seconds = options.minutes * 60 / rounds
    try:
        with ExitStack() as stack:
            servers = [
                Soaked(name, stack.enter_context(running(SERVERS[options.server], Start(workers=2))), replaces)
                for name, replaces in (("steady", False), ("operated", True))
            ]
            for number in range(rounds):
                progress(f"round {number + 1} of {rounds}, {seconds:.0f} s\n")
                run_round(servers, seconds, number)
                if number in (WARM_UP_ROUNDS, rounds - 1):
                    for server in servers:
                        server.sample_in_use(f"round {number + 1}")
            for server in servers:
                server.process.stop()
            return report(servers)
    except StartError as error:
        usage_error(f"the server did not start: {error}", "soak")


def run_round(servers: list[Soaked], seconds: float, number: int) -> None:
    """Load, hostile clients and operations for that time; then wait until the servers are idle, and measure."""
    loads = [Load(server.process.address, CLIENTS) for server in servers]
    hostile = [HostileClients(server.process.address, number) for server in servers]
    for load, clients in zip(loads, hostile, strict=True):
        load.start()
        clients.start()
    try:
        operate(servers[-1], time.monotonic() + seconds, random.Random(number))
    finally:
        for server, clients in zip(servers, hostile, strict=True):
            clients.stop()
            server.hostile_connections += clients.connections
        for server, load in zip(servers, loads, strict=True):
            server.attempts += load.stop()
    for server in servers:
        server.sample(f"round {number + 1}")


def operate(server: Soaked, until: float, choose: random.Random) -> None:
    """Reload, open the logs again and kill workers, in turn, until that moment."""
    while (remaining := until - time.monotonic()) > 0:
        time.sleep(min(remaining, OPERATION_SECONDS))
        if time.monotonic() >= until:
            return
        server.operations += 1
        match server.operations % 3:
            case 0:
                server.process.signal(signal.SIGHUP)
            case 1:
                server.process.signal(signal.SIGUSR1)
            case _:
                workers = server.process.workers()
                with suppress(ProcessLookupError):  # it was drained, and has exited
                    if workers:
                        server.deaths.append(kill(choose.choice(workers), server.process.port))


def report(servers: list[Soaked]) -> int:
    """Print what became of the requests and of the footprint; return the exit status."""
    status = 0
    for server in servers:
        tokens = {attempt.token for attempt in server.attempts}
        journal = {token: pids for token, pids in server.process.journal().items() if token in tokens}
        found = tally(server.attempts, journal, server.deaths)
        unexpected = found.unexpected(ALLOWED[server.name], frozenset())
        first, last, in_use = server.samples[WARM_UP_ROUNDS], server.samples[-1], server.in_use
        rounds = " ".join(str(each.resident_kib // 1024) for each in server.samples)
        faults = [
            *server.failures,
            *drift(server.samples[WARM_UP_ROUNDS:], in_use),
            *internal_errors(server.process.log()),
            *(f"{count} requests: {outcome}" for outcome, count in unexpected.items()),
            *(found.examples if unexpected else ()),
        ]
        counts = ", ".join(f"{count} {outcome.value}" for outcome, count in found.counts.items() if count)
        sys.stdout.write(
            f"{server.name}: {found.sent} requests ({counts}), {server.hostile_connections} hostile connections, "
            f"{server.operations} operations\n"
            f"  descriptors {first.descriptors} to {last.descriptors}, threads {first.threads} to {last.threads}, "
            f"spool files {last.spool_files}\n"
            f"  memory in use {in_use[0].malloc_kib} to {in_use[-1].malloc_kib} KiB, and {in_use[0].python_blocks} to "
            f"{in_use[-1].python_blocks} small objects\n"
            f"  resident memory after each round: {rounds} MiB\n"
        )
        sys.stdout.writelines(f"  FAILED: {fault}\n" for fault in faults)
        status |= bool(faults)
    sys.stdout.write("soak: failed\n" if status else "soak: passed\n")
    return status


def internal_errors(log: str) -> list[str]:
    """How many exceptions are in the log, and the last line of each of the first; the application raises none."""
    lines = log.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("Traceback ")]
    found = [next((line for line in lines[start + 1 :] if not line.startswith(" ")), "") for start in starts]
    return [f"{len(found)} exceptions in the log", *found[:MAX_EXAMPLES]] if found else []


if __name__ == "__main__":
    sys.exit(main())
