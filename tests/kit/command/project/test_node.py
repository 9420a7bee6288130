"""deploy/kit/project/node.py."""

from kit.project import node
from kit.project.node import NodeBuild


def test_only_a_build_script_is_a_build(project):
    files = {
        "package.json": '{"scripts": {"test": "jest"}}',
        "frontend/package.json": '{"scripts": {"build": "vite build"}}',
        "frontend/package-lock.json": "{}",
        "node_modules/x/package.json": '{"scripts": {"build": "no"}}',
    }
    assert node.find(project(files)) == (NodeBuild("frontend", "vite build", "package-lock.json", False, False),)


def test_lock_of_another_program_is_found_if_npm_has_none(project):
    script = '{"scripts": {"build": "a\\n  b", "prepare": "c"}, "devDependencies": {"d": "1"}}'
    files = {
        "a/package.json": script,
        "a/yarn.lock": "",
        "b/package.json": script,
        "b/yarn.lock": "",
        "b/package-lock.json": "",
    }
    first, second = node.find(project(files))
    assert (first.lock, first.is_npms, first.command) == ("yarn.lock", False, "a b")
    assert (second.lock, second.is_npms) == ("package-lock.json", True)
    assert (first.has_own_scripts, first.has_packages) == (True, True)
