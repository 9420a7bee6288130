"""deploy/kit/assets.py: NODE_BUILD, with a small fake of npm."""

import os
import shutil

import pytest

from kit import assets
from kit.errors import KitError
from kit.project import node
from kit.project.node import NodeBuild

ROOT, FRONTEND = NodeBuild(".", "vite build", "package-lock.json"), NodeBuild("frontend", "make", "")


@pytest.fixture
def project(tmp_path):
    """A project whose build writes a new file, changes one, and leaves a package where npm has it."""
    folder = tmp_path / "shop"
    (folder / "static").mkdir(parents=True)
    (folder / "package.json").write_text('{"scripts": {"build": "x"}, "dependencies": {"a": "1"}}')
    (folder / "package-lock.json").write_text("{}")
    (folder / "app.py").touch()
    (folder / "static/old.css").write_text("old")
    return folder


@pytest.fixture
def npm(tmp_path):
    """An environment with an `npm` that notes its arguments in the file `calls`."""
    script = tmp_path / "bin/npm"
    script.parent.mkdir()
    calls = tmp_path / "calls"
    script.write_text(
        f"""#!/bin/sh
        echo "$NODE_ENV $*" >>{calls}
        case "$1" in
        ci | install) mkdir -p node_modules && touch node_modules/package.js ;;
        run) echo new >static/old.css && mkdir -p dist && touch dist/app.js node_modules/cache.js ;;
        esac
        """
    )
    script.chmod(0o755)
    return {"PATH": f"{script.parent}:{os.environ['PATH']}", "CALLS": str(calls)}


def calls(environment):
    with open(environment["CALLS"]) as file:
        return [line.strip() for line in file]


@pytest.mark.parametrize(
    ("value", "found", "chosen"),
    [
        ("", [ROOT], None),
        ("off", [ROOT], None),
        ("0", [], None),
        ("on", [ROOT], ROOT),
        ("1", [FRONTEND], FRONTEND),
        ("frontend/", [ROOT, FRONTEND], FRONTEND),
        ("./frontend", [ROOT, FRONTEND], FRONTEND),
        (".", [ROOT, FRONTEND], ROOT),
    ],
)
def test_build_is_chosen_by_a_switch_or_a_folder(value, found, chosen, tmp_path):
    assert assets.choose(value, found, tmp_path) == chosen


@pytest.mark.parametrize(
    ("value", "found", "said"),
    [
        ("on", [], "there is none that the image gets"),
        ("assets", [FRONTEND], "those with one are frontend"),
        ("on", [ROOT, FRONTEND], "several folders have a build script: must be . or frontend"),
        ("assets: make css", [], "assets must be a folder of the project with a package.json"),
        ("on", [NodeBuild("web", "x", "yarn.lock")], "web/yarn.lock is not npm's, and the kit builds with npm alone"),
        ("on", [NodeBuild(".", "x", "pnpm-lock.yaml")], "pnpm-lock.yaml is not npm's"),
    ],
)
def test_wrong_choice_is_one_line(value, found, said, tmp_path):
    with pytest.raises(KitError) as raised:
        assets.choose(value, found, tmp_path)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_build_that_nobody_has_decided_about_is_said_once(tmp_path):
    assert "package.json (vite build)" in assets.note("", [ROOT], tmp_path)
    assert "put NODE_BUILD=on into .env" in assets.note("", [ROOT], tmp_path)
    assert "frontend/package.json (make)" in assets.note("", [ROOT, FRONTEND], tmp_path)
    assert {assets.note(*each, tmp_path) for each in (("off", [ROOT]), ("on", [ROOT]), ("", []))} == {""}


STAGE = """
FROM node:24-slim AS assets
WORKDIR /app/assets
RUN apt-get update && apt-get install -y build-essential
RUN yarn install
RUN --mount=type=cache,target=/tmp/x if [ "$NODE_ENV" != development ]; then \\
  # a comment
  ../run build:css; fi
FROM python:3.13-slim
RUN python build.py
"""
COMMAND = 'if [ "$NODE_ENV" != development ]; then ../run build:css; fi'


@pytest.fixture
def elsewhere(tmp_path):
    """A project that builds its stylesheet by a command of its own, in its Dockerfile."""
    files = {
        "Dockerfile": STAGE,
        "assets/package.json": '{"dependencies": {"esbuild": "1"}}',
        "assets/yarn.lock": "",
        "assets/esbuild.config.mjs": "esbuild.build({outfile: '../public/app.css'})",
        "shop/templates/base.html": "{% static 'app.css' %}",
    }
    for name, text in files.items():
        (tmp_path / "shop" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "shop" / name).write_text(text)
    return tmp_path / "shop"


def test_command_of_the_project_s_dockerfile_is_found(elsewhere):
    assert assets.propose(node.find(elsewhere), elsewhere) == assets.Proposal(
        f"assets: {COMMAND}",
        "The command of Dockerfile:6 makes app.css (shop/templates/base.html:1), which is not there. Runs it in the"
        " image's build",
        is_needed=True,
    )
    (elsewhere / "Dockerfile").unlink()
    assert assets.propose(node.find(elsewhere), elsewhere) is None
    said = assets.note("", [], elsewhere)
    assert said.startswith("Nothing makes app.css (shop/templates/base.html:1), which is not there, and assets/package")
    assert "put NODE_BUILD='assets: COMMAND' into .env" in said


def test_command_of_one_s_own_runs_with_the_packages(elsewhere, npm, tmp_path):
    value = "assets: mkdir ../public && bundle >../public/app.css"
    build = assets.choose(value, [], elsewhere)
    assert (build.folder, build.lock, build.is_npms) == ("assets", "", True)
    assets.install(build, elsewhere, npm)
    tools = elsewhere / "assets/node_modules/.bin"
    tools.mkdir()
    (tools / "bundle").write_text('#!/bin/sh\necho "$NODE_ENV"\n')
    (tools / "bundle").chmod(0o755)
    target = tmp_path / "built"
    assets.run_and_copy(build, elsewhere, npm, target)
    assert [path.relative_to(target).as_posix() for path in target.rglob("*.*")] == ["public/app.css"]
    assert (target / "public/app.css").read_text() == "production\n"


def test_only_what_was_built_is_copied_and_no_package(project, npm, tmp_path):
    (build,) = node.find(project)
    assets.install(build, project, npm)
    assets.run_and_copy(build, project, npm, tmp_path / "built")
    copied = sorted(str(path.relative_to(tmp_path / "built")) for path in (tmp_path / "built").rglob("*.*"))
    assert copied == ["dist/app.js", "static/old.css"]
    assert (tmp_path / "built/static/old.css").read_text() == "new\n"
    assert calls(npm) == ["ci --include=dev", "production run build"]


def test_layer_of_the_packages_has_the_manifests_alone(project, npm, tmp_path):
    (project / "packages/a").mkdir(parents=True)
    (project / "packages/a/package.json").write_text("{}")
    (project / "node_modules/b").mkdir(parents=True)
    (project / "node_modules/b/package.json").write_text("{}")
    (build,) = node.find(project)
    assets.copy_manifests(build, project, tmp_path / "app")
    copied = sorted(str(path.relative_to(tmp_path / "app")) for path in (tmp_path / "app").rglob("*.json"))
    assert copied == ["package-lock.json", "package.json", "packages/a/package.json"]


def test_scripts_of_the_project_itself_run_when_its_code_is_there(project, npm, tmp_path):
    (project / "package.json").write_text('{"scripts": {"build": "x", "postinstall": "patch"}}')
    (project / "package-lock.json").unlink()
    (build,) = node.find(project)
    assets.install(build, project, npm)
    assets.run(build, project, npm)
    assert calls(npm) == ["install --include=dev --ignore-scripts", "rebuild", "production run build"]


def test_build_that_writes_nothing_is_an_error(project, npm, tmp_path):
    (tmp_path / "bin/npm").write_text("#!/bin/sh\n")
    with pytest.raises(KitError, match="has written nothing into the project"):
        assets.run_and_copy(ROOT, project, npm, tmp_path / "built")


def test_make_run_keeps_packages_that_are_there(project, npm):
    (build,) = node.find(project)
    for _ in range(2):
        assets.build_locally(build, project, npm)
    assert calls(npm) == ["ci --include=dev", "production run build", "production run build"]


def test_make_run_without_npm_says_so(project, tmp_path):
    shutil.rmtree(tmp_path / "bin", ignore_errors=True)
    with pytest.raises(KitError, match=r"NODE_BUILD asks for package.json, but npm is not installed"):
        assets.build_locally(ROOT, project, {"PATH": str(tmp_path)})
