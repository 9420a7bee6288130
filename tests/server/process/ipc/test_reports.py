from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from ropewalk.process.ipc.reports import BootFailed, Ready, ReplaceMe, Report, ReportReader, send_report

REPORTS: list[Report] = [Ready(), BootFailed("no module 'x'", "Traceback\n  line\n"), ReplaceMe("GET /\\x0a")]


@pytest.fixture
def pipe() -> Iterator[tuple[ReportReader, int]]:
    reading_end, writing_end = os.pipe()
    reader = ReportReader(reading_end)
    yield reader, writing_end
    reader.close()


def test_reports_arrive_as_they_were_sent(pipe: tuple[ReportReader, int]) -> None:
    reader, writing_end = pipe
    assert all(send_report(writing_end, report) for report in REPORTS)
    assert reader.read() == REPORTS
    assert reader.is_open
    os.close(writing_end)


def test_report_in_pieces_arrives_once_it_is_complete(pipe: tuple[ReportReader, int]) -> None:
    reader, writing_end = pipe
    through_end, through = os.pipe()
    send_report(through, REPORTS[1])
    octets = os.read(through_end, 4096)
    arrived = []
    for position in range(len(octets)):
        os.write(writing_end, octets[position : position + 1])
        arrived += reader.read()
        assert len(arrived) == (position == len(octets) - 1)
    assert arrived == [REPORTS[1]]
    for descriptor in (through_end, through, writing_end):
        os.close(descriptor)


def test_end_of_the_pipe_is_noticed(pipe: tuple[ReportReader, int]) -> None:
    reader, writing_end = pipe
    os.close(writing_end)
    assert reader.read() == []
    assert not reader.is_open


def test_report_to_a_master_that_is_gone_is_not_an_error() -> None:
    reading_end, writing_end = os.pipe()
    os.close(reading_end)
    assert not send_report(writing_end, Ready())
    os.close(writing_end)
