"""deploy/kit/project/unpin.py: newest versions instead of those that the project's files list."""

import pytest

from kit.errors import KitError
from kit.project import manifests, unpin


def test_named_packages_become_overrides_and_no_hash_is_checked(project):
    text = "flask==1.0 --hash=sha256:aa\nMarkupSafe[x]==1.1.1 \\\n    --hash=sha256:bb\n-c limits.txt\n"
    folder = project({"requirements.txt": text, "limits.txt": "markupsafe==1.1.1\nclick==7.0\n"})
    found = manifests.find(folder, {"UNPIN": "markupsafe"})
    assert found.overrides == ("markupsafe[x]",)
    assert found.constraints == ("click==7.0",)
    assert not found.is_hashed
    assert found.listed == "what requirements.txt lists, with the newest markupsafe[x]"


def test_lock_of_pipenv_keeps_the_other_versions(project):
    lock = '{"default": {"flask": {"version": "==1.0"}, "markupsafe": {"version": "==1.1.1"}}}'
    found = manifests.find(project({"Pipfile.lock": lock}), {"UNPIN": "MarkupSafe, jinja2"})
    assert [line for line in found.requirements if line.startswith("flask")] == ["flask==1.0"]
    assert found.overrides == ("markupsafe", "jinja2")
    assert not found.is_complete


def test_nothing_changes_without_names(project):
    folder = project({"requirements.txt": "flask==1.0 --hash=sha256:aa\n"})
    assert manifests.find(folder, {"UNPIN": " "}) == manifests.find(folder, {})


def test_lock_that_uv_reads_is_not_changed(project):
    with pytest.raises(KitError, match="run `uv lock --upgrade-package flask` in the project"):
        manifests.find(project({"uv.lock": "version = 1\n", "pyproject.toml": "[project]\n"}), {"UNPIN": "flask"})


def test_names_are_checked():
    with pytest.raises(KitError, match="UNPIN: 'flask==1'"):
        unpin.names({"UNPIN": "flask==1"})


def test_package_with_a_minus_is_left_out(project):
    folder = project({"requirements.txt": "flask==1.0\nTyped_AST==1.4\n"})
    found = manifests.find(folder, {"UNPIN": "flask -typed-ast"})
    assert found.overrides == ("flask", "typed-ast ; python_version < '0'")
    assert found.listed == "what requirements.txt lists, with the newest flask, without typed-ast"
    assert unpin.line(unpin.spelled(found)) == 'UNPIN="flask -typed-ast"'
