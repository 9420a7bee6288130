"""deploy/app/dev.py and dev_settings.py: a project for development, in its container."""

import os
import socket
import subprocess
import sys
import threading

import pytest

import dev


def test_change_of_a_file_is_seen(tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "shop/a.py").touch()
    before = dict(dev.files(tmp_path))
    assert dev.changed(before, dict(dev.files(tmp_path))) == ""
    for other in ("node_modules/b.py", "shop/db.sqlite3", ".hidden.py~"):
        (tmp_path / other).touch()
    assert dev.changed(before, dict(dev.files(tmp_path))) == ""
    (tmp_path / "shop/b.html").touch()
    assert dev.changed(before, dict(dev.files(tmp_path))) == str(tmp_path / "shop/b.html")
    os.utime(tmp_path / "shop/a.py", ns=(1, 1))
    assert dev.changed(before, dict(dev.files(tmp_path))) == str(tmp_path / "shop/a.py")


SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
import dev_settings
dev_settings.MAIL = ("127.0.0.1", {port})
dev_settings.install()
import settings
print(settings.DEBUG, settings.EMAIL_BACKEND, settings.SECURE_SSL_REDIRECT, settings.NAME)
import smtplib
with smtplib.SMTP_SSL("smtp.example.org", 465) as server:
    server.login("ada", "secret")
    server.sendmail("a@example.org", ["b@example.org"], "Subject: hello\\r\\n\\r\\nyou")
"""


@pytest.fixture
def server():
    """A mail server that takes one mail: its port, and the list of its lines."""
    listener = socket.create_server(("127.0.0.1", 0))
    lines = []

    def serve():
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb") as stream:
            for answer in (b"220 hello", b"250 hello", b"250 ok", b"250 ok", b"354 go"):
                stream.write(answer + b"\r\n")
                stream.flush()
                lines.append(stream.readline().decode().strip())
            while (line := stream.readline()) not in (b".\r\n", b""):
                lines.append(line.decode().strip())
            stream.write(b"250 kept\r\n")
            stream.flush()
            stream.readline()

    thread = threading.Thread(target=serve)
    thread.start()
    yield listener.getsockname()[1], lines
    thread.join(30)
    listener.close()


def test_settings_are_changed_and_no_mail_leaves(repository, tmp_path, server):
    port, lines = server
    (tmp_path / "settings.py").write_text("DEBUG = False\nNAME = 'shop'\nEMAIL_HOST = 'smtp.example.org'\n")
    script = SCRIPT.format(folder=str(repository / "deploy/app"), port=port)
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={"DJANGO_SETTINGS_MODULE": "settings", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == "True django.core.mail.backends.smtp.EmailBackend False shop\n"
    assert "Subject: hello" in lines
