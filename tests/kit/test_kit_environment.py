"""deploy/app/kit_environment.py: what `docker compose exec` gives to the project's programs."""

import os
import subprocess
import sys

import kit_environment


def run(tmp_path, *options, lines="", **variables):
    """What an interpreter prints that loads the module at its start, as in the image."""
    (tmp_path / "project.env").write_text(lines)
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); source = open({kit_environment.__file__!r}).read();"
        f"exec(source.replace('/kit/project.env', {str(tmp_path / 'project.env')!r}));"
        "import os; print([os.environ.get(n) for n in ('A', 'SECRET_KEY', 'SECRET_KEY_FILE')], '/srv/code' in sys.path)"
    )
    environment = {"PATH": os.environ["PATH"], **variables}
    done = subprocess.run(
        [sys.executable, *options, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()


def test_variables_and_paths_of_the_project_are_there(tmp_path):
    said = run(tmp_path, lines="A=b=c\nPYTHONPATH=/srv/code:/srv/more\n")
    assert said == "['b=c', None, None] True"


def test_variable_that_is_set_stays(tmp_path):
    assert run(tmp_path, lines="A=1\n", A="2") == "['2', None, None] False"


def test_secret_comes_from_its_file(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("a$b\n")
    assert run(tmp_path, SECRET_KEY_FILE=str(secret)) == "[None, 'a$b', None] False"


def test_missing_secret_file_is_left_to_the_entrypoint(tmp_path):
    assert run(tmp_path, SECRET_KEY_FILE="/nowhere") == "[None, None, '/nowhere'] False"


def test_isolated_interpreter_is_left_alone(tmp_path):
    assert run(tmp_path, "-I", lines="A=1\nPYTHONPATH=/srv/code\n") == "[None, None, None] False"
