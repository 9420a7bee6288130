"""deploy/kit/project/old_versions.py."""

import pytest

from kit.project import manifests, old_versions


@pytest.mark.parametrize(
    ("line", "python"),
    [
        ("psycopg2-binary==2.9.9", (3, 12)),
        ("psycopg2_binary == 2.9.9 --hash=sha256:00", (3, 12)),
        ("psycopg2-binary==2.9.10", (3, 13)),
        ("psycopg2-binary>=2.8", (3, 13)),
        ("Django==3.2.25", (3, 12)),
        ("Django>=3.2,<4", (3, 12)),
        ("Django~=3.2.0", (3, 12)),
        ("Django==3.2.*", (3, 12)),
        ("Django<5", (3, 13)),
        ("django[argon2]==2.2", (3, 11)),
        ("Django==1.11.29", None),
        ("SQLAlchemy==2.0.23", (3, 12)),
        ("SQLAlchemy==1.4.54", (3, 13)),
        ("SQLAlchemy<2", (3, 13)),
        ("bottle<0.13", (3, 12)),
        ("bottle==0.11.6", None),
        ("cffi==1.15.1 ; python_version < '3.12'", (3, 13)),
        ("cffi==1.15.1 ; python_version >= '3.8'", (3, 11)),
        ("flask==0.1", (3, 13)),
        ("https://packages.example/django-1.0.tar.gz", (3, 13)),
    ],
)
def test_newest_python_that_a_requirement_fits(project, line, python):
    found = manifests.find(project({"requirements.txt": f"{line}\n"}), {})
    fitting = [one for one in ((3, 13), (3, 12), (3, 11)) if not old_versions.too_old(found, one)]
    assert (fitting or [None])[0] == python


def test_what_is_unpinned_is_not_too_old(project):
    found = manifests.find(project({"requirements.txt": "cffi==1.15.1\nsix==1.15\n"}), {"UNPIN": "cffi"})
    assert old_versions.too_old(found, (3, 13)) == {"six": "six==1.15"}
