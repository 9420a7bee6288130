"""deploy/kit/project/procfile.py."""

import pytest

from kit.project import procfile


@pytest.mark.parametrize(
    ("command", "application", "folder"),
    [
        ("gunicorn shop.wsgi --log-file -", "shop.wsgi", "."),
        ("gunicorn -w 4 -b 0.0.0.0:$PORT --preload shop.wsgi:application", "shop.wsgi:application", "."),
        ("gunicorn --chdir src --timeout 30 shop.wsgi:application", "shop.wsgi:application", "src"),
        ("gunicorn --chdir=src shop.wsgi", "shop.wsgi", "src"),
        ("cd backend && gunicorn shop.wsgi", "shop.wsgi", "backend"),
        ('gunicorn "app:create_app()"', "app:create_app()", "."),
        ("gunicorn 'app:create_app(\"production\")' -w1", 'app:create_app("production")', "."),
        ("python -m gunicorn app:app", "app:app", "."),
        ("bin/start-nginx newrelic-admin run-program gunicorn -c gunicorn.conf.py app:app", "app:app", "."),
        ("python manage.py migrate && gunicorn shop.wsgi", "shop.wsgi", "."),
        ("sh -c 'cd src && gunicorn shop.wsgi'", "shop.wsgi", "src"),
        ("waitress-serve --port=$PORT shop.wsgi:application", "shop.wsgi:application", "."),
        ("waitress-serve --port=$PORT --call flaskr:create_app", "flaskr:create_app()", "."),
        ("uwsgi --http-socket=:$PORT --module=shop.wsgi:application", "shop.wsgi:application", "."),
        ("uwsgi --http :$PORT --wsgi-file app.py --callable app", "app:app", "."),
        ("flask --app flaskr run --host 0.0.0.0", "flaskr", "."),
        ("uwsgi uwsgi.ini", "", "."),
        ("python app.py", "", "."),
        ("gunicorn 'unbalanced", "", "."),
    ],
)
def test_application_of_a_command(command, application, folder):
    found = procfile.read_command(command)
    assert (found.application, found.folder) == (application, folder)


def test_variables_in_front_of_the_command(project):
    folder = project(
        {"Procfile": "web: DJANGO_SETTINGS_MODULE=shop.settings.live gunicorn shop.wsgi\nworker: rq worker\n"}
    )
    found = procfile.web(folder)
    assert found.environment == {"DJANGO_SETTINGS_MODULE": "shop.settings.live"}
    assert [(one.name, one.command, one.line) for one in procfile.processes(folder)][1] == ("worker", "rq worker", 2)
