"""The scenarios: what is injected, how the server is started, and which outcomes are allowed."""

from __future__ import annotations

from faults.injections import deployments, resources, slow_clients, streams, uploads, workers
from faults.run.limits import missing_for_cgroups, missing_for_forks
from faults.run.load import Clients
from faults.run.outcomes import Outcome
from faults.run.scenario import Scenario
from faults.run.servers import Start

ABORTED = frozenset({Outcome.ABORTED})
ERROR_RESPONSE = frozenset({Outcome.ERROR_RESPONSE})
NOT_CONNECTED = frozenset({Outcome.NOT_CONNECTED})

SCENARIOS = [
    Scenario("baseline", "No fault", "Only the load, for comparison.", deployments.no_fault),
    Scenario("reload", "20 reloads", "SIGHUP every 0.3 s. Every request completes.", deployments.reload),
    Scenario(
        "broken-deploy",
        "Deploy of broken code",
        "The application no longer imports, SIGHUP; three seconds later it is repaired, SIGHUP. The old workers keep "
        "serving.",
        deployments.deploy_broken_code,
    ),
    Scenario(
        "upgrade",
        "Upgrade",
        "SIGUSR2, and SIGTERM to the old master once the workers of the new one are up. Every request completes.",
        deployments.upgrade,
    ),
    Scenario(
        "upgrade-rollback",
        "Upgrade, rolled back",
        "SIGUSR2, and SIGTERM to the new master once its workers are up. Every request completes.",
        deployments.roll_back_upgrade,
    ),
    Scenario(
        "upgrade-broken",
        "Upgrade to broken code",
        "SIGUSR2 while the application does not import. The old master keeps serving.",
        deployments.upgrade_to_broken_code,
    ),
    Scenario(
        "scale",
        "Workers added and removed",
        "Three times SIGTTIN and three times SIGTTOU, in three rounds. Every request completes.",
        deployments.scale,
    ),
    Scenario(
        "stop",
        "Graceful stop",
        "SIGTERM while 12 requests run and 60 more, half of them on keep-alive connections, wait in the backlog. All "
        "complete, and the exit status is 0.",
        deployments.stop,
        clients=Clients(0, 0),
    ),
    Scenario(
        "stop-under-load",
        "Graceful stop under load",
        "SIGTERM while the load continues: every request completes that was accepted before connections are refused.",
        deployments.stop_under_load,
        clients=Clients(leave=True),
        allowed=NOT_CONNECTED,
    ),
    Scenario(
        "kill",
        "Workers killed",
        "SIGKILL to six workers, one after the other. Only requests of a killed worker are aborted.",
        workers.kill_workers,
        allowed=ABORTED,
    ),
    Scenario(
        "disk-full",
        "Log disk full",
        "Both logs are `/dev/full`, so every write fails with ENOSPC. Every request completes.",
        deployments.no_fault,
        start=Start(access_log="/dev/full", error_log="/dev/full"),
    ),
    Scenario(
        "log-reader-closed",
        "Log reader closed",
        "Both logs go to a pipe whose reader closes it. Every request completes.",
        resources.close_log_reader,
        start=Start(access_log="-", error_log="-"),
    ),
    Scenario(
        "descriptors",
        "Out of descriptors",
        "64 descriptors per process, while 200 clients in addition to the load keep their connections for a second "
        "after each response. A request without a descriptor waits or gets an error response.",
        resources.exhaust_descriptors,
        start=Start(descriptors=64),
        allowed=ERROR_RESPONSE,
        allowed_for_probes=ERROR_RESPONSE,
    ),
    Scenario(
        "fork",
        "Fork fails",
        "The master's `fork` fails (RLIMIT_NPROC) while two of three workers are killed, and works again 2.5 s later. "
        "The third worker serves alone until there are three again.",
        resources.fail_forks,
        start=Start(is_nobody=True),
        allowed=ABORTED,
        missing=missing_for_forks,
    ),
    Scenario(
        "memory",
        "Worker out of memory",
        "One worker has 40 MiB of address space left (RLIMIT_AS) and gets requests that take all of it, which fail "
        "with 500. Other requests of that worker may, too; none is dropped.",
        resources.exhaust_memory,
        allowed=ERROR_RESPONSE,
        allowed_for_probes=ERROR_RESPONSE,
    ),
    Scenario(
        "oom",
        "Worker killed by the OOM killer",
        "A request takes more than its worker's memory cgroup allows, and the kernel kills the worker. Only its "
        "requests are aborted.",
        resources.exceed_memory_cgroup,
        allowed=ABORTED,
        allowed_for_probes=ABORTED,
        missing=missing_for_cgroups,
    ),
    Scenario(
        "suspend",
        "Worker suspended",
        "SIGSTOP, and SIGCONT three seconds later. Its requests wait while the others serve. Every request completes.",
        workers.suspend_worker,
    ),
    Scenario(
        "suspend-forever",
        "Worker suspended forever",
        "SIGSTOP, with `--timeout 2`. The worker is killed and replaced; only its requests are aborted.",
        workers.suspend_worker_forever,
        start=Start(timeout=2),
        allowed=ABORTED,
    ),
    Scenario(
        "suspend-all",
        "All processes suspended",
        "SIGSTOP to all processes for four seconds, like a paused container or machine, with `--timeout 2`. Nothing is "
        "dropped; requests that ran meanwhile may get an error response.",
        workers.suspend_all,
        start=Start(timeout=2),
        allowed=ERROR_RESPONSE,
    ),
    Scenario(
        "gil",
        "Request that holds the GIL",
        "A regular expression that never ends lets no other thread of its worker run, with `--timeout 2`. The worker "
        "is killed and replaced; only its requests are aborted.",
        workers.hold_gil,
        start=Start(timeout=2),
        allowed=ABORTED,
        allowed_for_probes=ABORTED,
    ),
    Scenario(
        "clock",
        "Wall clock jumps",
        "The wall clock of the server and the application jumps an hour ahead, two back, a day ahead, and back. Every "
        "request completes.",
        resources.move_clock,
        start=Start(has_movable_clock=True),
    ),
    Scenario(
        "streams",
        "More streams than threads",
        f"{streams.STREAMS} responses stream for {streams.MILLISECONDS // 1000} seconds, with 12 threads. Ropewalk has "
        "`--stream-threads 40`; gunicorn has no such setting. Every stream and every other request completes.",
        streams.open_streams,
        start=Start(own_options=("--stream-threads", str(streams.STREAMS))),
    ),
    Scenario(
        "stuck",
        "Requests that never return",
        "Two requests block their threads forever, with `--timeout 2`. They get a 504; all others complete.",
        workers.block_threads,
        start=Start(timeout=2),
        allowed_for_probes=ERROR_RESPONSE,
    ),
    Scenario(
        "stuck-reload",
        "Hung requests during a reload",
        "Two requests block their threads forever, with `--timeout 2`, and SIGHUP. They get a 504 from the worker that "
        "drains; all others complete.",
        workers.hang_while_reloading,
        start=Start(timeout=2),
        allowed_for_probes=ERROR_RESPONSE,
    ),
    Scenario(
        "interrupted-logging",
        "Requests interrupted while they log",
        "Requests write to `wsgi.errors`, a pipe, for four seconds, with `--timeout 2`; a server may interrupt them "
        "with a 504. Later requests log a hundred lines each: all complete, and every line is in the log.",
        workers.interrupt_logging,
        start=Start(timeout=2, error_log="-"),
        allowed_for_probes=ERROR_RESPONSE,
    ),
    Scenario(
        "fork-exit",
        "Application forks",
        "Requests fork a child that ends with `sys.exit`. The child exits and serves nothing; every request completes "
        "once.",
        workers.exit_in_fork,
    ),
    Scenario(
        "idle-connections",
        "Idle connections at the limit",
        f"64 descriptors per process, and {slow_clients.IDLE} clients that keep their connections after a response. "
        "Visitors on new connections are served meanwhile.",
        slow_clients.hold_idle_connections,
        start=Start(descriptors=64),
        clients=Clients(keep_alive=0),
    ),
    Scenario(
        "slow-streams",
        "Slow reader and quiet stream",
        f"One worker has a stream of {slow_clients.STREAM // slow_clients.MIB} MiB that is read slowly, one that is "
        f"silent for {slow_clients.QUIET_SECONDS} seconds, and {slow_clients.NEIGHBOURS} that send something each "
        "second, with `--timeout 2` and `--graceful-timeout 2`. The worker is not replaced; all streams and all other "
        "requests complete.",
        slow_clients.read_streams_slowly,
        start=Start(threads=8, timeout=2, graceful_timeout=2),
    ),
    Scenario(
        "unfinished-bodies",
        "Unfinished request bodies",
        f"{uploads.UPLOADS} clients announce a body of {uploads.BODY // uploads.MIB} MiB, send "
        f"{uploads.BEGINNING // uploads.MIB} MiB of it at once, and then a little at a time. Ropewalk has "
        f"`--limit-request-bodies {uploads.LIMIT // uploads.MIB}MiB`; gunicorn has no such setting. The workers hold "
        "no more of the bodies than that, in memory and temporary files. Meanwhile a request with a body may be "
        "refused with an error response; all others complete, also on new connections.",
        uploads.leave_bodies_unfinished,
        start=Start(own_options=uploads.OPTIONS),
        allowed=ERROR_RESPONSE,
    ),
    Scenario(
        "slow-readers",
        "Many slow readers",
        f"{slow_clients.READERS} clients take a response of {slow_clients.RESPONSE // slow_clients.MIB} MiB slowly. "
        f"Visitors on new connections are served meanwhile, and the workers grow by at most "
        f"{slow_clients.MAX_GROWTH // slow_clients.MIB} MiB together.",
        slow_clients.read_responses_slowly,
    ),
]
