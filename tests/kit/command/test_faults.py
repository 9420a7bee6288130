"""deploy/kit/prove/faults.py: which faults `make prove FAULTS=...` chooses."""

import pytest

from kit.errors import KitError
from kit.prove import command, faults
from kit.release import steps


def chosen(wanted):
    return command.choose({"FAULTS": wanted}, command.STEPS, faults.STEPS)


def test_every_step_of_a_deployment_is_interrupted_by_every_signal():
    always = {step.name for step in steps.DEPLOY} - {"nginx", "others"}
    assert always == set(faults.PLACES)
    names = {step.name for step in chosen("1")}
    assert {f"{number.name} in {place}" for place in always for number in faults.SIGNALS} <= names


def test_faults_are_chosen_by_a_word():
    assert {step.name for step in chosen("switch")} == {
        "a release that fails in switch",
        *(f"{number.name} in switch" for number in faults.SIGNALS),
    }


def test_word_that_names_no_fault_lists_them():
    with pytest.raises(KitError, match=r"FAULTS='nothing': must be 1, or a word in one of these: .*SIGKILL in build"):
        command.prove({"FAULTS": "nothing"})
