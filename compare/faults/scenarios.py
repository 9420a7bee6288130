"""The scenarios: what is done, how the server is started for it, and what may become of a request."""

from __future__ import annotations

from faults import acts
from faults.load import Crowd
from faults.outcomes import Outcome
from faults.processes import memory_cgroup, missing_for_forks
from faults.servers import Start
from faults.stage import Scenario

ABORTED = frozenset({Outcome.ABORTED})
REFUSED = frozenset({Outcome.REFUSED})
UNREACHED = frozenset({Outcome.UNREACHED})

SCENARIOS = [
    Scenario("nothing", "nothing goes wrong", "The load alone, for comparison.", acts.nothing),
    Scenario("reload", "20 reloads", "HUP every 0.3 s. Every request is answered.", acts.reload),
    Scenario(
        "deploy",
        "a deploy of broken code",
        "The application cannot be imported any more, HUP; three seconds later it is mended, HUP. The workers from "
        "before serve on.",
        acts.deploy_broken_code,
    ),
    Scenario(
        "upgrade",
        "an upgrade",
        "USR2, and when the new master's workers are there, TERM to the old one. Every request is answered.",
        acts.upgrade,
    ),
    Scenario(
        "upgrade-back",
        "an upgrade that is taken back",
        "USR2, and when the new master's workers are there, TERM to the new one. Every request is answered.",
        acts.take_upgrade_back,
    ),
    Scenario(
        "upgrade-broken",
        "an upgrade to broken code",
        "USR2, when the application cannot be imported any more. The old master serves on.",
        acts.upgrade_to_broken_code,
    ),
    Scenario(
        "scale",
        "workers more and less",
        "Three times TTIN, three times TTOU, all that three times. Every request is answered.",
        acts.scale,
    ),
    Scenario(
        "stop",
        "a graceful stop",
        "TERM while 12 requests run and 60 more, half of them on connections that are kept, wait in the backlog. All "
        "are answered; the exit status is 0.",
        acts.stop,
        crowd=Crowd(0, 0),
    ),
    Scenario(
        "stop-load",
        "a graceful stop under load",
        "TERM while the load goes on: until it is refused, every request that was accepted is answered.",
        acts.stop_under_load,
        crowd=Crowd(leaves=True),
        allowed=UNREACHED,
    ),
    Scenario(
        "kill",
        "workers killed",
        "`kill -9` to six workers, one after another. Only what a killed worker held is aborted.",
        acts.kill_workers,
        allowed=ABORTED,
    ),
    Scenario(
        "log-full",
        "the disk of the logs is full",
        "Both logs are `/dev/full`: every line fails with ENOSPC. Every request is answered.",
        acts.nothing,
        start=Start(access_log="/dev/full", error_log="/dev/full"),
    ),
    Scenario(
        "log-gone",
        "the reader of the logs goes",
        "Both logs go to a pipe, whose reader ends. Every request is answered.",
        acts.lose_reader_of_logs,
        start=Start(access_log="-", error_log="-"),
    ),
    Scenario(
        "descriptors",
        "no descriptors left",
        "64 descriptors for each process; 200 clients beside the load keep their connections for a second after each "
        "answer. Who finds no room waits, or is refused with an answer.",
        acts.exhaust_descriptors,
        start=Start(descriptors=64),
        allowed=REFUSED,
        allowed_special=REFUSED,
    ),
    Scenario(
        "fork",
        "no fork",
        "The master's `fork` fails (RLIMIT_NPROC) while two of three workers are killed; 2.5 s later it works again. "
        "The third serves alone, and then there are three.",
        acts.fail_forks,
        start=Start(is_nobody=True),
        allowed=ABORTED,
        missing=missing_for_forks,
    ),
    Scenario(
        "memory",
        "no memory left in a worker",
        "One worker has 40 MiB of address space left (RLIMIT_AS) and gets requests that take everything, which fail "
        "with a 500. So may others of that worker; none is dropped.",
        acts.exhaust_memory,
        allowed=REFUSED,
        allowed_special=REFUSED,
    ),
    Scenario(
        "oom",
        "a worker killed for its memory",
        "A request takes more than the memory cgroup of its worker has, and the kernel kills it. Only what it held is "
        "aborted.",
        acts.be_killed_for_memory,
        allowed=ABORTED,
        allowed_special=ABORTED,
        missing=lambda: "" if memory_cgroup() else "no memory cgroup can be made here",
    ),
    Scenario(
        "suspend",
        "a worker suspended",
        "SIGSTOP, and three seconds later SIGCONT. What it held waits; the others serve. Every request is answered.",
        acts.suspend_worker,
    ),
    Scenario(
        "suspend-ever",
        "a worker suspended for ever",
        "SIGSTOP, with `--timeout 2`. It is killed and replaced; only what it held is aborted.",
        acts.suspend_for_ever,
        start=Start(timeout=2),
        allowed=ABORTED,
    ),
    Scenario(
        "frozen",
        "everything suspended",
        "SIGSTOP to all processes for four seconds, as a paused container or machine has it, with `--timeout 2`. "
        "Nothing is dropped; what ran meanwhile may be refused.",
        acts.freeze,
        start=Start(timeout=2),
        allowed=REFUSED,
    ),
    Scenario(
        "gil",
        "a request that holds the interpreter",
        "A regular expression that never ends lets no other thread of its worker run, with `--timeout 2`. The worker "
        "is killed and replaced; only what it held is aborted.",
        acts.hold_interpreter,
        start=Start(timeout=2),
        allowed=ABORTED,
        allowed_special=ABORTED,
    ),
    Scenario(
        "clock",
        "the clock moves",
        "The wall clock of the server and the application jumps an hour ahead, two back, a day ahead, and back. Every "
        "request is answered.",
        acts.move_clock,
        start=Start(has_movable_clock=True),
    ),
    Scenario(
        "stuck",
        "requests that never return",
        "Two requests hold their threads for ever, with `--timeout 2`. They end with a 504; all others are answered.",
        acts.get_stuck,
        start=Start(timeout=2),
        allowed_special=REFUSED,
    ),
]
