"""deploy/kit/project/first_start.py and migrations.py: what creates a project's database."""

import shlex

import pytest

from kit import dotenv
from kit.project import first_start, migrations

CLICK = """
import click
@click.command("init-db")
def init_db_command():
    init_db()
def init_app(app):
    app.cli.add_command(init_db_command)
"""


def command(folder, application="shop:create_app()"):
    found = first_start.find(folder, folder, application)
    return found.command if found else ""


def test_command_of_click_that_the_application_has(project):
    folder = project({"shop/db.py": CLICK})
    found = first_start.find(folder, folder, "shop:create_app()")
    assert found.command == "env FLASK_APP='shop:create_app()' flask init-db"
    assert found.origin == "shop/db.py:3"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@app.cli.command()\ndef initdb(): ...", "initdb"),
        ("@app.cli.command\ndef create_tables(): ...", "create-tables"),
        ('@app.cli.command(name="create-db")\ndef x(): ...', "create-db"),
        ('bp = Blueprint("shop", __name__)\n@bp.cli.command("init-db")\ndef x(): ...', "shop init-db"),
        ('bp = Blueprint("s", __name__, cli_group=None)\n@bp.cli.command("init-db")\ndef x(): ...', "init-db"),
        ('data = AppGroup("data")\n@data.command("create-tables")\ndef x(): ...', "data create-tables"),
        ('@app.cli.command("init-db")\n@click.option("--echo", default=False)\ndef x(): ...', "init-db"),
    ],
)
def test_commands_of_flask(project, text, expected):
    assert command(project({"app.py": text}), "app:app") == f"env FLASK_APP=app:app flask {expected}"


@pytest.mark.parametrize(
    "text",
    [
        '@app.cli.command("drop-db")\ndef x(): ...',
        '@app.cli.command("reset-db")\ndef x(): ...',
        '@app.cli.command("seed")\ndef x(): ...',
        '@click.command("init-db")\ndef not_added_to_anything(): ...',
        "def init_db(): ...",
        'import sys\nif __name__ == "__main__":\n    drop_db()',
    ],
)
def test_others_are_left_alone(project, text):
    assert command(project({"app.py": text}), "app:app") == ""


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ('@click.argument("name")', "needs arguments"),
        ('@click.option("--name", required=True)', "needs arguments"),
        ('@click.option("--sure", prompt="Really?")', "asks a question"),
        ("@click.confirmation_option()", "asks a question"),
    ],
)
def test_command_that_wants_an_answer_is_named_and_not_run(project, option, reason):
    folder = project({"app.py": f'@app.cli.command("init-db")\n{option}\ndef x(name): ...\n'})
    found = first_start.find(folder, folder, "app:app")
    assert found.command == ""
    assert found.note == f"`env FLASK_APP=app:app flask init-db` creates the database, and {reason}: not run"


def test_call_that_only_python_app_py_makes(project):
    folder = project(
        {
            "todo.py": """
            from models import init_db
            app = Flask(__name__)
            if __name__ == "__main__":
                with app.app_context():
                    init_db()
                app.run()
            """
        }
    )
    expected = "python -c 'from todo import init_db, app; app.app_context().push(); init_db()'"
    assert command(folder, "todo:app") == expected


def test_call_with_names_of_the_block_itself_cannot_be_made_elsewhere(project):
    text = 'app = 1\nif __name__ == "__main__":\n    path = "x"\n    init_db(path)\n'
    assert command(project({"todo.py": text}), "todo:app") == ""


def test_script_beside_the_application(project):
    folder = project({"init_db.py": "import sqlite3\nconnection = sqlite3.connect('x')\nconnection.close()\n"})
    assert command(folder, "app:app") == "python init_db.py"


def test_module_with_definitions_alone_is_no_script(project):
    assert command(project({"init_db.py": "def init_db(): ...\n"}), "app:app") == ""


def test_alembic_of_a_project_and_of_pyramid(project):
    folder = project({"alembic.ini": "[alembic]\nscript_location = %(here)s/changes\n", "changes/env.py": ""})
    assert migrations.find(folder, folder).command == "alembic upgrade head"
    (folder / "alembic.ini").rename(folder / "production.ini")
    assert migrations.find(folder, folder).command == "alembic -c production.ini upgrade head"


def test_alembic_in_a_package_and_without_its_scripts(project):
    folder = project({"alembic.ini": "[alembic]\nscript_location = shop:changes\n", "shop/changes/env.py": ""})
    assert migrations.find(folder, folder).command == "alembic upgrade head"
    (folder / "shop/changes/env.py").unlink()
    assert migrations.find(folder, folder) is None


def test_flask_migrate_is_the_releases(project):
    files = {"migrations/env.py": "", "migrations/alembic.ini": "[alembic]\n", "alembic.ini": "[alembic]\n"}
    folder = project(files)
    assert migrations.find(folder, folder) is None
    assert migrations.is_flask_migrate(folder)


def test_command_of_pyramid_adds_the_first_rows_after_the_migrations(project):
    pyproject = '[project.scripts]\ninitialize_shop_db = "shop.scripts.initialize_db:main"\n'
    folder = project({"production.ini": "[app:main]\nuse = egg:shop\n", "pyproject.toml": pyproject})
    found = first_start.find(folder, folder, "shop:main({})", has_migrations=True)
    assert (found.command, found.origin) == ("initialize_shop_db production.ini", "pyproject.toml:2")


def test_file_of_tables_that_no_module_names_is_reported(project):
    folder = project({"app.py": "", "scripts/ddl.sql": "-- x\ncreate table note (id);\n", "q.sql": "SELECT 1"})
    found = first_start.find(folder, folder, "app:app")
    assert (found.command, found.origin) == ("", "scripts/ddl.sql")
    assert found.note.startswith("ddl.sql creates tables, and nothing runs it.")
    line = found.note.partition("with the path: ")[2]
    (folder / "line.env").write_text(line)
    words = shlex.split(dotenv.read(folder / "line.env", {})["INIT_COMMAND"])
    expected = 'import sqlite3; sqlite3.connect("PATH").executescript(open("scripts/ddl.sql").read())'
    assert words == ["python", "-c", expected]
    (folder / "app.py").write_text("open('scripts/ddl.sql')")
    assert first_start.find(folder, folder, "app:app") is None
