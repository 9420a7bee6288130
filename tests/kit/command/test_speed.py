"""deploy/kit/prove/speed.py: the table of `make bench-deploy`, and its place in the documentation."""

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


def test_table_replaces_the_one_before_in_the_document(tmp_path, monkeypatch):
    document = tmp_path / "running.md"
    monkeypatch.setattr(speed, "DOCUMENT", document)
    monkeypatch.setattr(speed, "ROOT", tmp_path)
    document.write_text(f"before\n{speed.BEGIN}\nold\n{speed.END}\nafter\n")
    speed.put_into_document(["a table"], "2 CPUs")
    text = document.read_text()
    assert text == f"before\n{speed.BEGIN}\nMeasured with 2 CPUs:\n\na table\n{speed.END}\nafter\n"
    document.write_text("no place for it\n")
    with pytest.raises(KitError, match="are missing"):
        speed.put_into_document([], "")


def test_document_has_the_place_for_the_table():
    text = speed.DOCUMENT.read_text()
    assert 0 < text.index(speed.BEGIN) < text.index(speed.END)


@pytest.mark.parametrize("rounds", ["0", "-1", "many", "100"])
def test_wrong_number_of_rounds(rounds):
    with pytest.raises(KitError, match="must be 1 to 99"):
        speed.measure({"ROUNDS": rounds})
