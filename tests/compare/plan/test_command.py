"""`make plan`: what it answers, and what it says about values that cannot be right."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from bench.paths import COMPARE, ROOT, SERVER
from plan import calibrate
from plan.__main__ import database_connections, limit, lines, settings
from plan.inputs import InputError, question
from plan.planner import Fleet, ImpossibleError, Plan, Planner
from plan.simulation import Prediction
from plan.workload import Distribution

ASKED = {"RATE": "40", "SERVICE_TIME": "20ms", "P99": "200ms", "CORES": "2"}


def run(**variables: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in {*ASKED, "CPU_SHARE", "DISTRIBUTION"}}
    environ = clean | {"PYTHONPATH": str(SERVER)} | variables
    return subprocess.run(
        [sys.executable, "-m", "plan"], cwd=COMPARE, env=environ, capture_output=True, text=True, check=False
    )


def test_the_answer_is_a_few_lines() -> None:
    done = run(**ASKED | {"RATE": "1000", "SERVICE_TIME": "1ms"})  # little to simulate
    assert done.returncode == 0, done.stderr
    words = [line.split()[0] for line in done.stdout.splitlines()]
    assert words == ["asked", "needed", "settings", "predicted", "in", "limit", "database", "costs"]
    assert "needed     1 machine of 2 cores" in done.stdout
    assert "settings   APP_CPUS=1 WEB_CONCURRENCY=1 THREADS=" in done.stdout


def test_an_error_is_one_line_and_exit_status_2() -> None:
    done = run(**ASKED | {"RATE": "many"})
    assert done.returncode == 2
    assert done.stderr == ("plan: RATE='many': must be requests a second, from 0.01 to 1000000, such as RATE=5000\n")
    assert not done.stdout


def test_what_cannot_be_is_said_with_exit_status_1() -> None:
    done = run(**ASKED | {"P99": "21ms"})
    assert done.returncode == 1
    assert done.stderr.startswith("plan: no number of machines: one request in a hundred takes ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("RATE", value) for value in ("", "0", "-5", "1e3", "nan", "inf", "5000/s", "1000001", "٣")),
        *(("SERVICE_TIME", value) for value in ("", "40", "40 min", "-4ms", "0ms", "99us", "61s", "1e1ms")),
        *(("P99", value) for value in ("", "200", "0s")),
        *(("CPU_SHARE", value) for value in ("-0.1", "1.01", "30%", "half")),
        *(("DISTRIBUTION", value) for value in ("normal", "Constant")),
        *(("CORES", value) for value in ("0", "257", "1.5", "two")),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(name: str, value: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"{name}={value!r}: must be ")) as caught:
        question(ASKED | {name: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "seconds"), [("100us", 100e-6), ("40ms", 0.040), ("40 ms", 0.040), (".5s", 0.5), ("60s", 60.0)]
)
def test_times_have_units(text: str, seconds: float) -> None:
    assert question(ASKED | {"SERVICE_TIME": text}).workload.service_seconds == pytest.approx(seconds)


def test_defaults() -> None:
    found = question({"RATE": "1", "SERVICE_TIME": "1s", "P99": "9s"})
    assert found.workload.cpu_share == 0.3
    assert found.workload.distribution is Distribution.EXPONENTIAL
    assert found.cores == min(os.cpu_count() or 1, 256)


def plan(**variables: str):
    return Planner(question(ASKED | variables), calibrate.USUAL, search_requests=500, proof_requests=1500).plan()


def test_the_plan_keeps_its_p99_with_no_more_machines_than_it_takes() -> None:
    found = plan(RATE="150", CPU_SHARE="1", DISTRIBUTION="constant")
    # three processors are always busy: one machine of two cannot do, and two of two are three quarters used
    assert (found.fleet.machines, found.fleet.workers) == (2, 2)
    assert 0.7 < found.prediction.cores < 0.85
    assert found.prediction.percentile(0.99) <= 0.200


@pytest.mark.parametrize(
    ("rate", "service", "cores"), [("1000000", "1ms", "256"), ("600", "2s", "64"), ("5", "50s", "8")]
)
def test_what_is_in_use_is_what_the_load_takes(rate: str, service: str, cores: str) -> None:
    """Requests that are few beside those in flight would find the servers empty."""
    asked = question({"RATE": rate, "SERVICE_TIME": service, "P99": "60s", "CORES": cores, "DISTRIBUTION": "constant"})
    workload, costs = asked.workload, calibrate.USUAL
    found = Planner(asked, costs, search_requests=100, proof_requests=400).plan()
    busy = workload.rate * (workload.service_seconds * workload.cpu_share + costs.server + costs.nginx)
    assert found.prediction.cores * found.fleet.machines * found.fleet.cores == pytest.approx(busy, rel=0.15)


def test_a_stricter_p99_takes_more_machines() -> None:
    loose, strict = (plan(RATE="150", CPU_SHARE="1", P99=p99) for p99 in ("400ms", "150ms"))
    assert strict.fleet.machines > loose.fleet.machines


def test_requests_that_only_wait_need_threads_not_workers() -> None:
    found = plan(RATE="400", CPU_SHARE="0", DISTRIBUTION="constant")
    assert (found.fleet.machines, found.fleet.workers) == (1, 1)
    assert found.fleet.threads in (8, 16)  # 8 are in use on average
    assert limit(found).startswith("the threads")


def test_what_limits_is_what_is_used_most() -> None:
    def limited(cores: float, interpreter: float, threads: float, workers: int = 4) -> str:
        return limit(Plan(Fleet(1, 4, workers, 8), Prediction(cores=cores, interpreter=interpreter, threads=threads)))

    assert limited(0.2, 0.3, 0.9).startswith("the threads:")
    assert limited(0.3, 0.6, 0.2, workers=2).startswith("the GIL:")
    assert limited(0.7, 0.6, 0.2).startswith("the cores:")
    assert limited(0.6, 0.6, 0.2).startswith("the GIL and the cores:")
    assert limited(0.9, 0.85, 0.95).startswith("the cores:")  # a thread is in use, too, while it waits for them
    assert limited(0.2, 0.2, 0.1).startswith("the p99:")
    idle = Prediction(cores=0.1, interpreter=0.1, threads=0.1)
    assert limit(Plan(Fleet(1, 4, 1, 4), idle)).startswith("nothing:")


def test_settings_are_variables_of_the_kit() -> None:
    names = (ROOT / ".env.example").read_text()
    found = settings(question(ASKED | {"RATE": "40000"}), Fleet(2, 16, 8, 4), nginx_seconds=100e-6)
    assert found == "APP_CPUS=8 WEB_CONCURRENCY=8 THREADS=4 NGINX_CPUS=4"  # 20000/s take 2 processors, to 65%
    assert all(f"#{pair.partition('=')[0]}=" in names for pair in found.split())


def test_connections_are_those_of_all_threads_with_a_worker_that_is_replaced() -> None:
    assert database_connections(Fleet(12, 8, 8, 16)).startswith("up to 1,836 connections, if each thread keeps one; ")
    assert database_connections(Fleet(1, 8, 1, 4)) == "up to 10 connections, if each thread keeps one"


def test_large_figures_are_readable() -> None:
    asked = question(ASKED | {"RATE": "1000000", "P99": "60s"})
    text = "\n".join(lines(asked, Plan(Fleet(2000, 2, 2, 4), Prediction([0.5])), "x", 0.0))
    assert "1,000,000 requests/s of 20 ms" in text
    assert "p99 within 60 s" in text
    assert "2,000 machines" in text


def test_requests_that_share_an_interpreter_may_take_too_long_on_any_number_of_machines() -> None:
    asked = question(ASKED | {"RATE": "50", "CPU_SHARE": "1", "DISTRIBUTION": "constant", "P99": "20.5ms"})
    with pytest.raises(ImpossibleError, match="also nearly idle ones"):
        Planner(asked, calibrate.USUAL, search_requests=500).plan()


def test_costs_are_kept_and_those_of_another_version_are_not_used(tmp_path) -> None:
    path = tmp_path / "plan" / "costs.json"
    assert calibrate.kept(path) is None
    calibrate.keep(calibrate.USUAL, path)
    assert calibrate.kept(path) == calibrate.USUAL
    path.write_text('{"server": 1}')
    assert calibrate.kept(path) is None
