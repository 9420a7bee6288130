"""The simulation, without the machine's costs, against what queueing theory knows; and what it knows of the GIL.

Seeds are fixed, so a test gives the same figures each time; the bounds are some standard errors of a mean.
"""

from __future__ import annotations

import heapq
from math import exp, factorial, log
from statistics import fmean

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from plan.processors import Cores, Interpreter
from plan.simulation import Host, Prediction, percentile, simulate
from plan.worker import Costs
from plan.workload import Distribution, Request, Workload

FREE = Costs(server=0.0, tick=0.0, busy_tick=0.0, nginx=0.0, transport=0.0, oversleep=0.0)
COUNT = 5_000
WARM_UP = 300


def host(threads: int, workers: int = 1, cores: int = 4) -> Host:
    return Host(cores, workers, threads, connections=[number % workers for number in range(64)])


def predicted(workload: Workload, on: Host, seed: int = 1) -> Prediction:
    return simulate(on, workload.requests(COUNT, seed), FREE, warm_up=WARM_UP)


def erlang_c(servers: int, load: float) -> float:
    """The probability that a request has to wait, with `load` busy servers on average."""
    terms = [load**number / factorial(number) for number in range(servers)]
    last = load**servers / factorial(servers) * servers / (servers - load)
    return last / (sum(terms) + last)


@pytest.mark.parametrize("utilisation", [0.3, 0.6])
def test_one_thread_that_computes_is_the_queue_m_m_1(utilisation: float) -> None:
    service = 0.010
    found = predicted(Workload(utilisation / service, service, 1.0, Distribution.EXPONENTIAL), host(threads=1))
    expected = service / (1 - utilisation)  # exponential, too
    assert fmean(found.times) == pytest.approx(expected, rel=0.08)
    assert found.percentile(0.5) == pytest.approx(expected * log(2), rel=0.08)
    assert found.percentile(0.99) == pytest.approx(expected * log(100), rel=0.12)
    assert found.interpreter == pytest.approx(utilisation, rel=0.05)


@pytest.mark.parametrize("utilisation", [0.3, 0.6, 0.8])
def test_constant_times_are_the_queue_m_d_1(utilisation: float) -> None:
    service = 0.010
    found = predicted(Workload(utilisation / service, service, 1.0, Distribution.CONSTANT), host(threads=1))
    assert fmean(found.times) == pytest.approx(service * (1 + utilisation / 2 / (1 - utilisation)), rel=0.08)


@pytest.mark.parametrize("threads", [2, 8])
def test_threads_that_wait_are_the_queue_m_m_c(threads: int) -> None:
    service, utilisation = 0.050, 0.7  # long, compared to the milliseconds after which a thread is added
    workload = Workload(utilisation * threads / service, service, 0.0, Distribution.EXPONENTIAL)
    found = predicted(workload, host(threads))
    wait = erlang_c(threads, utilisation * threads) * service / threads / (1 - utilisation)
    assert fmean(found.times) == pytest.approx(service + wait, rel=0.08)
    assert found.threads == pytest.approx(utilisation, rel=0.05)


def first_come_first_served(requests: list[Request], servers: int) -> list[float]:
    """The exact times of a queue in front of some servers."""
    free = [0.0] * servers
    found = []
    for request in requests:
        start = max(request.due, heapq.heappop(free))
        end = start + request.computes + request.waits
        heapq.heappush(free, end)
        found.append(end - request.due)
    return found


@pytest.mark.parametrize("distribution", Distribution)
@pytest.mark.parametrize(("threads", "share"), [(1, 1.0), (3, 0.0)])
def test_each_time_is_that_of_the_same_queue_with_the_same_requests(
    distribution: Distribution, threads: int, share: float
) -> None:
    requests = Workload(0.8 * threads / 0.050, 0.050, share, distribution).requests(400, seed=3)
    found = simulate(host(threads), requests, FREE)
    expected = first_come_first_served(requests, threads)
    # up to the milliseconds after which the controller adds a thread
    assert sorted(found.times) == pytest.approx(sorted(expected), abs=0.012)
    assert fmean(found.times) == pytest.approx(fmean(expected), abs=0.004)


def test_requests_that_compute_in_several_threads_take_as_long_on_average_as_in_one() -> None:
    """Sharing an interpreter changes who waits, not how much is done."""
    workload = Workload(60, 0.010, 1.0, Distribution.EXPONENTIAL)
    assert fmean(predicted(workload, host(threads=8)).times) == pytest.approx(0.010 / 0.4, rel=0.1)


def test_a_second_worker_computes_at_the_same_time_if_there_is_a_core_for_it() -> None:
    requests = [Request(0.0, 0.1, 0.0)] * 2
    assert max(simulate(host(4, workers=1), requests, FREE).times) == pytest.approx(0.2)
    assert max(simulate(host(4, workers=2), requests, FREE).times) == pytest.approx(0.1)
    assert max(simulate(host(4, workers=2, cores=1), requests, FREE).times) == pytest.approx(0.2)


def test_waits_overlap_as_far_as_there_are_threads() -> None:
    requests = [Request(0.0, 0.0, 0.1)] * 4
    assert max(simulate(host(threads=4), requests, FREE).times) == pytest.approx(0.1, abs=0.01)
    assert max(simulate(host(threads=2), requests, FREE).times) == pytest.approx(0.2, abs=0.01)


@given(
    seed=st.integers(0, 1000),
    share=st.sampled_from([0.0, 0.4, 1.0]),
    distribution=st.sampled_from(Distribution),
    threads=st.integers(1, 6),
    workers=st.integers(1, 3),
    nginx=st.booleans(),
)
@settings(max_examples=30)
def test_littles_law(
    seed: int, share: float, distribution: Distribution, threads: int, workers: int, nginx: bool
) -> None:
    """What is in the system on average is the rate times the mean time, from the first arrival to the last response."""
    on = Host(2, workers, threads, [] if nginx else [number % workers for number in range(8)])
    requests = Workload(60, 0.030, share, distribution).requests(60, seed)
    found = simulate(on, requests, Costs(0.001, 0.0001, 0.0001, 0.001, 0.0, 0.0001), seed=seed)
    assert len(found.times) == len(requests)
    assert found.in_flight == pytest.approx(found.rate * fmean(found.times))
    assert all(0 <= share <= 1 + 1e-9 for share in (found.cores, found.interpreter, found.threads))


@given(seed=st.integers(0, 1000), distribution=st.sampled_from(Distribution), slowdown=st.floats(1.1, 3.0))
@settings(max_examples=20)
def test_the_same_requests_sent_faster_take_no_less_time(
    seed: int, distribution: Distribution, slowdown: float
) -> None:
    requests = Workload(80, 0.010, 1.0, distribution).requests(80, seed)
    slower = [request._replace(due=request.due * slowdown) for request in requests]
    fast, slow = (simulate(host(threads=1), each, FREE).times for each in (requests, slower))
    assert all(one >= other - 1e-9 for one, other in zip(fast, slow, strict=True))


@given(
    seed=st.integers(0, 1000),
    share=st.sampled_from([0.0, 0.4, 1.0]),
    threads=st.integers(1, 6),
    workers=st.integers(1, 3),
    cores=st.integers(1, 3),
)
@settings(max_examples=20)
def test_all_that_was_asked_is_computed_and_nothing_else(
    seed: int, share: float, threads: int, workers: int, cores: int
) -> None:
    """No time is lost or made up where threads share processors and interpreters."""
    requests = Workload(60, 0.030, share, Distribution.EXPONENTIAL).requests(60, seed)
    marker = Request(1e4, 0.0, 0.0)  # by then, all others are done: shares are counted up to the last arrival
    found = simulate(host(threads, workers, cores), [*requests, marker], FREE)
    counted = marker.due - requests[0].due
    assert found.cores * cores * counted == pytest.approx(sum(each.computes for each in requests), abs=1e-6)
    assert found.interpreter * workers * counted == pytest.approx(found.cores * cores * counted, abs=1e-6)
    least = min(each.computes + each.waits for each in requests)
    assert min(found.times[:-1]) >= least - 1e-9
    inside = found.threads * workers * threads * counted
    assert inside >= sum(each.computes + each.waits for each in requests) - 1e-6


def test_the_same_seed_gives_the_same_times() -> None:
    requests = Workload(100, 0.030, 0.5, Distribution.BIMODAL).requests(300, seed=4)
    on = Host(cores=2, workers=2, threads=4)
    assert simulate(on, requests, FREE, seed=3).times == simulate(on, requests, FREE, seed=3).times


def test_a_thread_that_returns_from_waiting_gets_the_interpreter_after_the_switch_interval() -> None:
    env = simpy.Environment()
    interpreter = Interpreter(env, Cores(env, 2), switch_interval=0.005)
    got = []

    def compute():
        yield from interpreter.acquire()
        yield from interpreter.run(0.050)
        got.append(("computed", env.now))
        interpreter.release()

    def return_from_waiting():
        yield env.timeout(0.002)
        yield from interpreter.acquire()
        got.append(("returned", env.now))
        interpreter.release()

    env.process(compute())
    env.process(return_from_waiting())
    env.run()
    assert [name for name, _ in got] == ["returned", "computed"]
    assert [moment for _, moment in got] == pytest.approx([0.007, 0.050])


@pytest.mark.parametrize("distribution", Distribution)
def test_service_times_have_the_mean_that_was_asked_for(distribution: Distribution) -> None:
    requests = Workload(100, 0.050, 0.2, distribution).requests(40_000, seed=2)
    assert fmean(each.computes + each.waits for each in requests) == pytest.approx(0.050, rel=0.03)
    assert all(each.waits == pytest.approx(4 * each.computes) for each in requests)
    assert requests[-1].due == pytest.approx(400, rel=0.03)


def test_percentile_is_one_of_the_times() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile([1.0, 2.0], 0.99) == 2.0
    assert percentile([5.0], 0.01) == 5.0


def test_exponential_tail_is_exponential() -> None:
    requests = Workload(1, 1.0, 0.0, Distribution.EXPONENTIAL).requests(20_000, seed=1)
    assert sum(each.waits > 2 for each in requests) / 20_000 == pytest.approx(exp(-2), rel=0.05)
