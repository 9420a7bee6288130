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
    assert node.find(project(files)) == (NodeBuild("frontend", "vite build", "package-lock.json"),)
