"""deploy/kit/project/poetry.py."""

import pytest

from kit.errors import KitError
from kit.project import poetry


@pytest.mark.parametrize(
    ("constraint", "specifiers"),
    [
        ("^1.2.3", [">=1.2.3,<2"]),
        ("^0.2.3", [">=0.2.3,<0.3"]),
        ("^0.0.3", [">=0.0.3,<0.0.4"]),
        ("^0.0", [">=0.0,<0.1"]),
        ("^0", [">=0,<1"]),
        ("^3", [">=3,<4"]),
        ("~1.2.3", [">=1.2.3,<1.3"]),
        ("~1.2", [">=1.2,<1.3"]),
        ("~1", [">=1,<2"]),
        ("~=1.4", ["~=1.4"]),
        ("*", [""]),
        ("1.2.*", ["==1.2.*"]),
        ("1.2.3", ["==1.2.3"]),
        ("=1.2", ["==1.2"]),
        (">=2,<3", [">=2,<3"]),
        (">=2 <3", [">=2,<3"]),
        (">= 2.0, != 2.1", [">=2.0,!=2.1"]),
        ("^3.9 || ^4.0", [">=3.9,<4", ">=4.0,<5"]),
    ],
)
def test_constraint_as_pep_440_has_it(constraint, specifiers):
    assert poetry.specifiers(constraint) == specifiers


def test_dependencies_as_requirements():
    table = {
        "python": "^3.11",
        "flask": "^3.0",
        "celery": {"version": "^5", "extras": ["redis"], "python": "<3.14"},
        "psycopg2": {"version": "*", "optional": True},
        "ours": {"git": "git@git.example:us/ours.git", "tag": "v1"},
        "other": {"url": "https://files.example/other-1.tar.gz", "markers": "sys_platform == 'linux'"},
        "numpy": [{"version": "<2", "python": "<3.12"}, {"version": ">=2", "python": ">=3.12"}],
    }
    assert list(poetry.dependencies(table)) == [
        "flask>=3.0,<4",
        'celery[redis]>=5,<6 ; (python_version < "3.14")',
        "ours @ git+ssh://git@git.example/us/ours.git@v1",
        "other @ https://files.example/other-1.tar.gz ; (sys_platform == 'linux')",
        'numpy<2 ; (python_version < "3.12")',
        'numpy>=2 ; (python_version >= "3.12")',
    ]


def test_alternatives_need_a_lock():
    with pytest.raises(KitError, match="run `poetry lock`"):
        list(poetry.dependencies({"x": "^1 || ^3"}))
