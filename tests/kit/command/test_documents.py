"""deploy/kit/documents.py: tables that commands write into the documentation."""

import pytest

from kit import documents
from kit.errors import KitError
from kit.paths import ROOT


def test_new_lines_replace_those_before(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "ROOT", tmp_path)
    document = tmp_path / "running.md"
    document.write_text("before\n<!-- make it -->\nold\n<!-- end of make it -->\nafter\n")
    documents.replace("running.md", "make it", ["a table", "with a row"])
    assert document.read_text() == "before\n<!-- make it -->\na table\nwith a row\n<!-- end of make it -->\nafter\n"
    document.write_text("no place for it\n")
    with pytest.raises(KitError, match="are missing"):
        documents.replace("running.md", "make it", [])


@pytest.mark.parametrize("command", ["make bench-deploy", "make sizes"])
def test_document_has_the_place_for_the_table(command):
    text = (ROOT / "docs/running.md").read_text()
    assert 0 < text.index(f"<!-- {command} -->") < text.index(f"<!-- end of {command} -->")
