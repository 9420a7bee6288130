"""What does not go together with --reload and --debug, and what a worker for development does."""

import importlib.util
import subprocess
import sys

import pytest

from ropewalk.config.settings import Settings
from ropewalk.errors import ConfigError
from ropewalk.process.ipc.reports import FilesChanged
from ropewalk.runtime.development import Development, check_development
from ropewalk.runtime.worker_spec import make_development


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"debug": True, "workers": 2}, "--debug='on': needs one worker, and --workers is 2: it is for development"),
        ({"reload": True, "preload": True}, "--reload='on': loads the application in each new worker: leave out"),
        ({"reload": True, "reload_engine": "inotify"}, "--reload-engine='inotify': needs the package watchfiles"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings, said, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError) as caught:
        check_development(Settings(**settings))
    assert str(caught.value).startswith(said)


def test_production_has_none_of_it():
    assert make_development(Settings()) is None
    assert make_development(Settings(workers=8)) is None


def test_stand_in_is_tried_once_until_a_file_changes():
    development = Development(Settings(reload=True))
    assert development.stand_in("a worker exited with status 1")
    assert not development.stand_in("the stand-in exited, too")
    development.changed(FilesChanged(["shop.py"]))
    assert development.stand_in("again")


def test_without_reload_what_cannot_be_loaded_ends_the_start():
    def load():
        raise ConfigError("MODULE:CALLABLE", "shop", "no module named 'shop'")

    with pytest.raises(ConfigError):
        Development(Settings(debug=True)).load(load, "1")


def test_production_loads_none_of_it(tmp_path):
    """Neither its modules nor what they import; and `--reload` does not load the package watchfiles as a whole."""
    (tmp_path / "shop.py").write_text(
        "import sys\n"
        "def app(environ, start_response):\n    start_response('200 OK', [])\n    return []\n"
        "names = ('ropewalk.debugging', 'ropewalk.reloading', 'ropewalk.runtime.development', 'watchfiles')\n"
        "found = [name for name in names if any(f'{each}.'.startswith(f'{name}.') for each in sys.modules)]\n"
        "print('found', found)\n"
    )
    command = [sys.executable, "-m", "ropewalk", "--check-config", "shop:app"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert run.stdout == "found []\nconfiguration ok\n"
