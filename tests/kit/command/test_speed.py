"""deploy/kit/prove/speed.py: the table of `make bench-deploy`."""

import pytest

from kit.errors import KitError
from kit.prove import speed

TIMES = {
    speed.DEPLOY: [9.0, 11.0, 10.0],
    f"{speed.DEPLOY}: build": [3.0, 3.5, 4.0],
    speed.ROLLBACK: [4.0],
    speed.COMPOSE: [10.04],
}


def test_table_has_the_whole_and_its_steps():
    assert speed.table(TIMES) == [
        "| | median | fastest | slowest |",
        "| --- | --- | --- | --- |",
        "| `make deploy` | 10.0 s | 9.0 s | 11.0 s |",
        "| &nbsp;&nbsp;build | 3.5 s | 3.0 s | 4.0 s |",
        "| `make rollback` | 4.0 s | 4.0 s | 4.0 s |",
        "| `docker compose up --build` | 10.0 s | 10.0 s | 10.0 s |",
    ]


@pytest.mark.parametrize("rounds", ["0", "-1", "many", "100"])
def test_wrong_number_of_rounds(rounds):
    with pytest.raises(KitError, match="must be 1 to 99"):
        speed.measure({"ROUNDS": rounds})
