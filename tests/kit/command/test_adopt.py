"""deploy/kit/adopt.py: the files that keep the choice of a project."""

import os
import stat
import textwrap

import pytest

from kit import adopt, clashes, compose, dotenv, identity
from kit.errors import KitError
from tests.kit.command.project.test_application import startproject

APP = """
import os
from flask import Flask
app = Flask(__name__)
app.secret_key = os.environ["SECRET_KEY"]
URL = os.environ["DATABASE_URL"]
MAIL = os.environ["MAIL_HOST"]
STRIPE = os.environ["STRIPE_SECRET_KEY"]
PAGE = int(os.environ.get("PAGE_SIZE", "20"))
"""


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    root = tmp_path / "ropewalk"
    root.mkdir()
    (root / "docker-compose.yml").touch()
    monkeypatch.setattr(adopt, "_containers", lambda environment: [])
    monkeypatch.setattr(adopt, "_can_build_outside", lambda environment: True)
    monkeypatch.setattr(clashes, "is_in_use", lambda address, port: False)
    monkeypatch.setattr(compose, "owner_of", lambda image, environment: "")
    return root


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "My Shop"
    folder.mkdir()
    (folder / "app.py").write_text(APP)
    (folder / "requirements.txt").write_text("flask\n")
    return folder


def values(path):
    return dotenv.read(path, {})


def test_choice_is_written_so_that_no_command_needs_variables(checkout, project, capsys):
    assert adopt.adopt(str(project), {}, checkout) == 0
    assert values(checkout / ".env") == {
        "PROJECT_DIR": str(project),
        "COMPOSE_PROJECT_NAME": "my-shop",
        "PROJECT_ID": identity.project_id(project, checkout),
        "PROJECT_PLACE": "outside",
        "WSGI_APP": "app:app",
        "HTTP_PORT": "8080",
        "HTTPS_PORT": "8443",
    }
    said = capsys.readouterr().out
    assert "app:app (app.py:4)" in said
    assert "Fill in MAIL_HOST, STRIPE_SECRET_KEY in .env.project; then: make up" in said
    address = "The site will be at http://localhost:8080 and https://localhost:8443 (HTTP_PORT, HTTPS_PORT in .env)"
    assert address in said


def test_address_is_that_of_the_lines_that_are_there(checkout, project, capsys):
    (checkout / ".env").write_text("HTTP_PORT=80\nHTTPS=off\nSERVER_NAME='shop.example.net www.shop.example.net'\n")
    adopt.adopt(str(project), {}, checkout)
    assert "The site will be at http://shop.example.net:80 (HTTP_PORT in .env)" in capsys.readouterr().out


def test_name_of_a_checkout_beside_this_one_is_not_taken(checkout, project):
    adopt.adopt(str(project), {}, checkout)
    name = values(checkout / ".env")["COMPOSE_PROJECT_NAME"]
    second = checkout.parent / "second"
    (second / "deploy/kit").mkdir(parents=True)
    (checkout / "deploy/kit").mkdir(parents=True)
    adopt.adopt(str(project), {}, second)
    assert values(second / ".env")["COMPOSE_PROJECT_NAME"] == f"{name}-2"
    # once it is chosen, it stays
    adopt.adopt(str(project), {}, checkout)
    adopt.adopt(str(project), {}, second)
    assert values(checkout / ".env")["COMPOSE_PROJECT_NAME"] == name
    assert values(second / ".env")["COMPOSE_PROJECT_NAME"] == f"{name}-2"


def test_address_has_the_name_that_the_settings_allow(checkout, tmp_path, capsys):
    folder = tmp_path / "django"
    for name, text in startproject().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(textwrap.dedent(text).lstrip())
    (folder / "shop/settings.py").write_text("DEBUG = False\nALLOWED_HOSTS = ['127.0.0.1']\n")
    adopt.adopt(str(folder), {}, checkout)
    assert "The site will be at http://127.0.0.1:8080 and https://127.0.0.1:8443" in capsys.readouterr().out


def test_variables_that_the_project_insists_on_are_made_or_asked_for(checkout, project):
    adopt.adopt(str(project), {}, checkout)
    path = checkout / ".env.project"
    own = values(path)
    assert own.keys() == {"SECRET_KEY", "DATABASE_URL"}
    assert len(own["SECRET_KEY"]) >= 50
    assert own["DATABASE_URL"] == "sqlite:////data/db.sqlite3"
    assert "# Read in app.py:7; without a default\n#MAIL_HOST=\n" in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_mode_of_a_file_that_is_there_is_kept(checkout, project):
    path = checkout / ".env"
    path.write_text("BACKEND=gunicorn\n")
    path.chmod(0o600)
    (checkout / ".env.new").touch(0o666)
    adopt.adopt(str(project), {}, checkout)
    assert values(path)["WSGI_APP"] == "app:app"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not (checkout / ".env.new").exists()


def test_variables_that_only_the_project_s_own_file_sets_are_said(checkout, project, capsys):
    (project / ".env").write_text("PAGE_SIZE=50\nMAIL_HOST=mail.example.org\nPS1=x\n")
    adopt.adopt(str(project), {}, checkout)
    said = capsys.readouterr().out
    assert (
        ".env of the project sets PAGE_SIZE, and is for development: no image gets it. What the site needs of" in said
    )
    (checkout / ".env.project").write_text("PAGE_SIZE=10\n")
    adopt.adopt(str(project), {}, checkout)
    assert "is for development" not in capsys.readouterr().out


def test_link_to_a_file_elsewhere_stays_one(checkout, project, tmp_path):
    (tmp_path / "kept.env").touch(0o600)
    (checkout / ".env").symlink_to(tmp_path / "kept.env")
    adopt.adopt(str(project), {}, checkout)
    assert (checkout / ".env").is_symlink()
    assert values(tmp_path / "kept.env")["WSGI_APP"] == "app:app"


def test_debug_that_is_on_by_default_is_switched_off_and_said(checkout, project, capsys):
    text = 'import os\nfrom flask import Flask\napp = Flask(__name__)\napp.secret_key = "dev"\n'
    (project / "app.py").write_text(f'{text}app.debug = os.environ.get("APP_DEBUG", "1") == "1"\n')
    adopt.adopt(str(project), {}, checkout)
    assert values(checkout / ".env.project") == {"APP_DEBUG": "False"}
    said = capsys.readouterr().out
    assert "APP_DEBUG=False in .env.project: read in app.py:5: DEBUG would be on without it" in said
    assert "secret key    in the code (app.py:4): who can read it can forge sessions" in said


def test_database_that_is_read_without_a_default_is_a_file_in_the_data_volume(checkout, project, capsys):
    read = "app.config['DATABASE'] = os.environ.get('APP_DATABASE')\n"
    (project / "app.py").write_text(f"import os\nfrom flask import Flask\napp = Flask(__name__)\n{read}")
    adopt.adopt(str(project), {}, checkout)
    assert values(checkout / ".env.project") == {"APP_DATABASE": "/data/db.sqlite3"}
    assert "APP_DATABASE: has no default (app.py:4)" in capsys.readouterr().out


def test_secret_key_with_a_default_in_the_code_is_made_and_keys_of_others_are_not(checkout, project, capsys):
    text = 'import os\nSECRET_KEY = os.environ.get("SHOP_SECRET", "dev")\n'
    text += 'S3 = os.environ.get("S3_SECRET_KEY")\nCAPTCHA = os.environ.get("RECAPTCHA_SECRET_KEY", "")\n'
    (project / "app.py").write_text(f"{text}from flask import Flask\napp = Flask(__name__)\n")
    adopt.adopt(str(project), {}, checkout)
    own = values(checkout / ".env.project")
    assert own.keys() == {"SHOP_SECRET"}
    assert len(own["SHOP_SECRET"]) >= 50
    assert "Next: make up" in capsys.readouterr().out


def test_variables_that_nginx_needs_too_go_into_env(checkout, project, capsys):
    text = 'import os\nfrom flask import Flask\napp = Flask(__name__)\nNAME = os.environ["SERVER_NAME"]\n'
    (project / "app.py").write_text(text)
    adopt.adopt(str(project), {}, checkout)
    assert values(checkout / ".env")["SERVER_NAME"] == "localhost"
    assert "SERVER_NAME" not in (checkout / ".env.project").read_text()
    assert "Next: make up" in capsys.readouterr().out


def test_values_of_the_project_s_example_are_used_unless_they_are_secrets(checkout, project):
    (project / ".env.example").write_text("MAIL_HOST=mail.shop.net\nSTRIPE_SECRET_KEY=changeme\nSECRET_KEY=changeme\n")
    adopt.adopt(str(project), {}, checkout)
    own = values(checkout / ".env.project")
    assert own["MAIL_HOST"] == "mail.shop.net"
    assert "STRIPE_SECRET_KEY" not in own
    assert own["SECRET_KEY"] != "changeme"


PLACEHOLDERS = (
    *(
        "your.domain.here",
        "mail@your.domain.here",
        "your-name",
        "changeme",
        "change_me",
        "xxx",
        "XXXXX",
        "<name>",
        "[name]",
    ),
    *("example.com", "www.example.org", "shop.example", "TODO", "replace-me", "sk_...", "{{ host }}"),
)


@pytest.mark.parametrize("value", PLACEHOLDERS)
def test_placeholder_of_an_example_is_asked_for(checkout, project, value, capsys):
    (project / ".env.example").write_text(f"MAIL_HOST='{value}'\n")
    adopt.adopt(str(project), {}, checkout)
    assert f"in the project's example: {value}\n#MAIL_HOST=\n" in (checkout / ".env.project").read_text()
    assert "Fill in MAIL_HOST" in capsys.readouterr().out


@pytest.mark.parametrize("value", ["mail.shop.net", "10.1.2.3", "smtp.gmail.com:587", "yours.net", "exxon.com"])
def test_value_of_an_example_that_can_be_meant_is_used(checkout, project, value):
    (project / ".env.example").write_text(f"MAIL_HOST={value}\n")
    adopt.adopt(str(project), {}, checkout)
    assert values(checkout / ".env.project")["MAIL_HOST"] == value


@pytest.mark.parametrize(
    ("name", "value"),
    [("DB_HOST", "db"), ("REDIS_URL", "redis://redis:6379/0"), ("MAIL_HOST", "localhost"), ("PGHOST", "127.0.0.1")],
)
def test_server_that_only_the_project_s_own_containers_have_is_asked_for(checkout, project, name, value):
    (project / "app.py").write_text(APP + f"{name} = os.environ['{name}']\n")
    (project / ".env.example").write_text(f"{name}={value}\nALLOWED_HOSTS=localhost\n")
    adopt.adopt(str(project), {}, checkout)
    assert name not in values(checkout / ".env.project")


DJANGO = """
import os
WSGI_APPLICATION = "shop.wsgi.application"
SECRET_KEY = os.environ["SECRET_KEY"]
DATABASES = {{"default": {{"ENGINE": "django.db.backends.postgresql", "HOST": {host}}}}}
CELERY_BROKER_URL = os.environ.get("BROKER_URL", "redis://localhost")
"""


@pytest.fixture
def adopt_django(checkout, project, capsys):
    """The last line that `make adopt` prints for a Django project whose settings have such a HOST."""

    def run(host):
        for name, text in startproject().items():
            (project / name).parent.mkdir(exist_ok=True)
            (project / name).write_text(textwrap.dedent(text).lstrip())
        (project / "app.py").unlink()
        (project / "shop/settings.py").write_text(DJANGO.format(host=host))
        adopt.adopt(str(project), {}, checkout)
        return capsys.readouterr().out.splitlines()[-1]

    return run


@pytest.mark.parametrize(("value", "is_said"), [("True", True), ("False", False), ("bool(os.environ.get('D'))", False)])
def test_debug_that_is_on_in_the_code_is_said(adopt_django, checkout, project, capsys, value, is_said):
    adopt_django("'localhost'")
    with (project / "shop/settings.py").open("a") as settings:
        settings.write(f"DEBUG = {value}\n")
    adopt.adopt(str(project), {}, checkout)
    assert ("DEBUG         on in the code (shop/settings.py:" in capsys.readouterr().out) is is_said


def test_database_server_that_the_settings_fix_on_localhost_is_said_before_make_up(adopt_django):
    assert adopt_django("'localhost'") == (
        "==> Before make up, change shop/settings.py:5: let the settings read where the server is, as in"
        " os.environ.get('POSTGRESQL_HOST', 'localhost'). Then put POSTGRESQL_HOST=... into .env.project. (make run"
        " uses the servers of this machine.)"
    )


def test_servers_that_variables_name_are_those_of_the_kit(adopt_django, checkout, capsys):
    assert adopt_django("os.environ['DB_HOST']") == "==> Next: make up (or without Docker: make run)"
    assert values(checkout / ".env")["COMPOSE_PROFILES"] == "postgres,redis"
    assert "DB_HOST" not in (checkout / ".env.project").read_text()


def test_choice_of_servers_is_said_in_one_line(adopt_django, checkout, project, capsys, monkeypatch):
    said = []
    monkeypatch.setattr(adopt, "step", said.append)
    adopt_django("os.environ.get('DB_HOST', 'localhost')")
    assert said[0] == (
        "COMPOSE_PROFILES=postgres,redis in .env: PostgreSQL and Redis of the kit's own, which give the project its"
        " BROKER_URL, DB_HOST. For a server elsewhere, remove that line and set DB_HOST, BROKER_URL in .env.project"
    )


@pytest.mark.parametrize(
    ("file", "line"),
    [(".env", "COMPOSE_PROFILES="), (".env.project", "DB_HOST=db.shop.net\nBROKER_URL=redis://q.shop.net")],
)
def test_servers_that_somebody_has_decided_about_are_left_alone(adopt_django, checkout, file, line):
    (checkout / file).write_text(f"{line}\n")
    adopt_django("os.environ.get('DB_HOST', 'localhost')")
    assert not values(checkout / ".env").get("COMPOSE_PROFILES")


def test_redis_has_no_password_if_the_project_has_no_variable_for_one(checkout, project):
    text = "import os\nfrom flask import Flask\napp = Flask(__name__)\n"
    (project / "app.py").write_text(text + "URL = 'redis://%s:6379/0' % os.environ['REDIS_HOST']\n")
    adopt.adopt(str(project), {}, checkout)
    assert values(checkout / ".env")["REDIS_AUTH"] == "off"
    assert "REDIS" not in (checkout / ".env.project").read_text()


def test_database_server_that_a_variable_names_is_asked_for_if_it_is_elsewhere(adopt_django, checkout):
    (checkout / ".env").write_text("COMPOSE_PROFILES=\n")
    last = adopt_django("os.environ.get('DB_HOST', 'localhost')")
    assert last == (
        "==> Fill in DB_HOST, and BROKER_URL for Redis, in .env.project (or, for the kit's own,"
        " COMPOSE_PROFILES=postgres,redis in .env); then: make up"
    )
    text = (checkout / ".env.project").read_text()
    assert "# PostgreSQL (shop/settings.py:5), on a server that a container can reach\n#DB_HOST=\n" in text
    assert "# Redis (shop/settings.py:6), on a server that a container can reach\n#BROKER_URL=\n" in text


def test_server_that_the_kit_can_run_is_asked_for_until_its_profile_is_on(checkout, project, capsys):
    text = "import os\nfrom flask import Flask\napp = Flask(__name__)\n"
    text += "SQLALCHEMY_DATABASE_URI = os.environ.get('DATABASE_URL', 'postgresql://localhost/shop')\n"
    (project / "app.py").write_text(text)
    (checkout / ".env").write_text("COMPOSE_PROFILES=acme\n")
    adopt.adopt(str(project), {}, checkout)
    own = "(or, for the kit's own, COMPOSE_PROFILES=acme,postgres in .env)"
    assert f"Fill in DATABASE_URL in .env.project {own}; then: make up" in capsys.readouterr().out
    (checkout / ".env").write_text((checkout / ".env").read_text().replace("=acme", "=acme,postgres"))
    adopt.adopt(str(project), {}, checkout)
    assert "Next: make up" in capsys.readouterr().out


def test_profile_that_adopt_has_written_is_not_offered_again(checkout, project, capsys):
    text = "import os\nfrom flask import Flask\napp = Flask(__name__)\n"
    text += "SQLALCHEMY_DATABASE_URI = os.environ.get('DATABASE_URL', 'postgresql://localhost/shop')\n"
    (project / "app.py").write_text(f"{text}MAIL = os.environ['MAIL_HOST']\n")
    (checkout / ".env").write_text("COMPOSE_PROFILES=postgres\n")
    adopt.adopt(str(project), {}, checkout)
    assert "==> Fill in MAIL_HOST in .env.project; then: make up" in capsys.readouterr().out


def test_database_server_that_only_the_settings_know_is_asked_for(adopt_django):
    last = adopt_django("SECRETS['host']")
    assert last == "==> Have the settings name a PostgreSQL server that a container can reach; then: make up"


def test_second_run_changes_nothing_that_is_set(checkout, project, capsys):
    adopt.adopt(str(project), {}, checkout)
    (checkout / ".env").write_text((checkout / ".env").read_text().replace("HTTP_PORT=8080", "HTTP_PORT=80"))
    before = [(checkout / name).read_text() for name in (".env", ".env.project")]
    adopt.adopt(str(project), {}, checkout)
    assert [(checkout / name).read_text() for name in (".env", ".env.project")] == before
    (project / "more.py").write_text("import os\nos.environ['QUEUE_HOST']\n")
    adopt.adopt("", {}, checkout)  # the project is that of .env
    assert (checkout / ".env.project").read_text().startswith(before[1])
    assert "#QUEUE_HOST=" in (checkout / ".env.project").read_text()


def test_build_script_is_a_line_to_decide_about(checkout, project):
    (project / "package.json").write_text('{"scripts": {"build": "vite build"}}')
    for _ in range(2):
        adopt.adopt(str(project), {}, checkout)
    text = (checkout / ".env").read_text()
    comment = "# package.json has a build script (vite build). Builds its assets in the image\n#NODE_BUILD=on\n"
    assert text.count(comment) == text.count("NODE_BUILD") == 1


def test_build_whose_file_a_template_names_is_run(checkout, project, capsys):
    (project / "package.json").write_text('{"scripts": {"build": "postcss -o shop/static/theme.css styles/theme.css"}}')
    for name, text in (
        ("styles/theme.css", "p { color: red }"),
        ("templates/base.html", "{% load static %}\n<link rel=stylesheet href=\"{% static 'theme.css' %}\">"),
    ):
        (project / name).parent.mkdir()
        (project / name).write_text(text)
    adopt.adopt(str(project), {}, checkout)
    assert values(checkout / ".env")["NODE_BUILD"] == "on"
    file = "theme.css (templates/base.html:2)"
    said = f"==> NODE_BUILD=on in .env: npm run build in . makes {file}, which is not there. Builds it in the image\n"
    assert said in capsys.readouterr().out


def test_build_script_that_npm_cannot_run_is_no_line(checkout, project, capsys):
    (project / "package.json").write_text('{"scripts": {"build": "vite build"}}')
    (project / "yarn.lock").touch()
    adopt.adopt(str(project), {}, checkout)
    assert "NODE_BUILD" not in (checkout / ".env").read_text()
    assert "npm run build (vite build); yarn.lock is not npm's" in capsys.readouterr().out


def test_checkout_of_another_project_is_left_alone(checkout, project, tmp_path):
    (checkout / ".env").write_text(f"PROJECT_DIR={tmp_path}\n")
    with pytest.raises(KitError, match=r"serves .* already"):
        adopt.adopt(str(project), {}, checkout)
    assert not (checkout / ".env.project").exists()


def test_project_that_cannot_be_understood_writes_nothing(checkout, tmp_path):
    (tmp_path / "empty").mkdir()
    for given in (str(tmp_path / "empty"), str(tmp_path / "nowhere"), ""):
        with pytest.raises(KitError):
            adopt.adopt(given, {}, checkout)
    assert sorted(os.listdir(checkout)) == ["docker-compose.yml"]


def test_name_and_ports_of_other_projects_are_avoided(checkout, project, monkeypatch):
    others = [clashes.Container("my-shop", "/srv/other", "127.0.0.1:8080->8080/tcp")]
    monkeypatch.setattr(adopt, "_containers", lambda environment: others)
    monkeypatch.setattr(clashes, "is_in_use", lambda address, port: port in (8443, 8081))
    adopt.adopt(str(project), {}, checkout)
    found = values(checkout / ".env")
    assert (found["COMPOSE_PROJECT_NAME"], found["HTTP_PORT"], found["HTTPS_PORT"]) == ("my-shop-2", "8082", "8083")


def test_name_of_another_project_that_is_down_is_avoided(checkout, project, monkeypatch):
    owners = {"my-shop-app": "My Shop@0a1b2c3d", "my-shop-2-app": identity.project_id(project, checkout)}
    monkeypatch.setattr(compose, "owner_of", lambda image, environment: owners.get(image, ""))
    adopt.adopt(str(project), {}, checkout)
    assert values(checkout / ".env")["COMPOSE_PROJECT_NAME"] == "my-shop-2"


def test_own_running_containers_keep_their_ports(checkout, project, monkeypatch):
    own = [clashes.Container("my-shop", str(checkout), "127.0.0.1:8080->8080/tcp, 127.0.0.1:8443->8443/tcp")]
    monkeypatch.setattr(adopt, "_containers", lambda environment: own)
    monkeypatch.setattr(clashes, "is_in_use", lambda address, port: True)
    adopt.adopt(str(project), {}, checkout)
    found = values(checkout / ".env")
    assert (found["COMPOSE_PROJECT_NAME"], found["HTTP_PORT"], found["HTTPS_PORT"]) == ("my-shop", "8080", "8443")


@pytest.mark.parametrize(
    ("wanted", "image"),
    [
        (">=3.11", None),
        (">=3.9,<4", None),
        ("<3.12", "python:3.11-slim-trixie"),
        ("==3.12.*", "python:3.12-slim-trixie"),
        (">=3.14", "python:3.14-slim-trixie"),
    ],
)
def test_image_with_a_python_that_the_project_allows_is_chosen(checkout, project, wanted, image):
    (project / "pyproject.toml").write_text(f'[project]\nname = "shop"\nversion = "1"\nrequires-python = "{wanted}"\n')
    adopt.adopt(str(project), {}, checkout)
    assert values(checkout / ".env").get("BASE_IMAGE") == image


def test_python_that_the_kit_does_not_have_is_said_before_anything_is_written(checkout, project):
    (project / "pyproject.toml").write_text('[project]\nname = "shop"\nversion = "1"\nrequires-python = "<3.10"\n')
    with pytest.raises(KitError, match=r"wants Python <3\.10 \(pyproject.toml\); the kit has 3\.11 to 3\.14"):
        adopt.adopt(str(project), {}, checkout)
    assert not (checkout / ".env").exists()


def test_image_with_a_python_that_fits_the_pinned_versions_is_chosen_and_explained(checkout, project, capsys):
    (project / "requirements.txt").write_text("flask\npsycopg2-binary==2.9.9\n")
    adopt.adopt(str(project), {}, checkout)
    assert values(checkout / ".env")["BASE_IMAGE"] == "python:3.12-slim-trixie"
    assert "\n#UNPIN=psycopg2-binary\n" in (checkout / ".env").read_text()
    (said,) = (line for line in capsys.readouterr().out.splitlines() if "BASE_IMAGE=" in line)
    assert "psycopg2-binary==2.9.9 (requirements.txt) is older than Debian's Python 3.13" in said
    assert said.endswith('UNPIN="psycopg2-binary"')
    before = (checkout / ".env").read_text()
    adopt.adopt(str(project), {}, checkout)
    assert (checkout / ".env").read_text() == before
    assert "BASE_IMAGE=" not in capsys.readouterr().out


def test_image_is_not_chosen_for_versions_that_env_unpins(checkout, project):
    (project / "requirements.txt").write_text("flask\npsycopg2-binary==2.9.9\n")
    (checkout / ".env").write_text("UNPIN=psycopg2-binary\n")
    adopt.adopt(str(project), {}, checkout)
    assert "BASE_IMAGE" not in values(checkout / ".env")


def test_version_that_is_too_old_for_every_python_is_said(checkout, project, capsys):
    (project / "requirements.txt").write_text("flask\nbottle==0.11.6\n")
    adopt.adopt(str(project), {}, checkout)
    assert "BASE_IMAGE" not in values(checkout / ".env")
    assert "bottle==0.11.6: older than Python 3.13, and may not work with it" in capsys.readouterr().out
    assert "\n#UNPIN=bottle\n" in (checkout / ".env").read_text()


def test_files_that_would_be_kept_beside_the_code_go_into_the_data_volume(checkout, project):
    with (project / "app.py").open("a") as file:
        file.write("KEPT = os.environ.get('SHOP_STORAGE_PATH', '.')\nCODE = os.environ.get('CONFIG_DIR', '.')\n")
        file.write("NAMED = os.environ.get('UPLOAD_DIR', 'uploads')\nMEDIA = os.getenv('MEDIA_ROOT', './')\n")
    adopt.adopt(str(project), {}, checkout)
    own = values(checkout / ".env.project")
    assert {name for name, value in own.items() if value == "/data"} == {"SHOP_STORAGE_PATH", "MEDIA_ROOT"}


def test_commands_of_the_procfile_are_there_for_their_profiles(checkout, project):
    (project / "requirements.txt").write_text("flask\ncelery[redis]\n")
    (project / "Procfile").write_text(
        "web: x app:app\nworker: celery -A app worker\nbeat: celery -A app beat -s /tmp/x\n"
    )
    (project / "app.py").write_text(APP + "BROKER = os.environ['BROKER_URL']\n")
    adopt.adopt(str(project), {}, checkout)
    text = (checkout / ".env").read_text()
    assert "COMPOSE_PROFILES" not in values(checkout / ".env")
    assert values(checkout / ".env")["SCHEDULER_COMMAND"] == "celery -A app beat -s /tmp/x"
    assert "with COMPOSE_PROFILES=worker (docs/workers.md)\nWORKER_COMMAND=" in text


def test_command_that_only_the_owner_knows_is_a_line_to_decide_about(checkout, project):
    (project / "requirements.txt").write_text("flask\nhuey\n")
    adopt.adopt(str(project), {}, checkout)
    assert "#WORKER_COMMAND='huey_consumer PACKAGE.huey --graceful-signal TERM'" in (checkout / ".env").read_text()
