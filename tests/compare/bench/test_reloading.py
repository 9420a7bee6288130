"""The measurement of reloaders: an edit is measured until the new code responds, and failed requests are counted."""

from contextlib import ExitStack

import pytest

from bench.reloading import RELOADERS, Running, Sample, results_region


@pytest.mark.parametrize("name", ["ropewalk", "ropewalk, polling", "werkzeug"])
def test_edit_is_measured_until_the_new_code_responds(name, tmp_path):
    with ExitStack() as on_exit:
        server = Running(name, tmp_path, on_exit)
        for _ in range(2):
            sample = server.edit()
            assert sample.milliseconds > 0
            if name.startswith("ropewalk"):
                assert sample.failed == 0


def test_results_have_the_median_the_worst_and_the_failures():
    samples = {name: [Sample(100.0, 0), Sample(20.0, 1), Sample(400.0, 2)] for name in RELOADERS}
    lines = results_region(samples).splitlines()
    assert [cell.strip() for cell in lines[2].split("|")][3:6] == ["100 ms", "400 ms", "3"]
    assert lines[-1] == "3 edits each. Target for ropewalk, below 300 ms: **✓ met**."
    samples["ropewalk"] = [Sample(301.0, 0)]
    assert results_region(samples).endswith("**✗ missed**.")
