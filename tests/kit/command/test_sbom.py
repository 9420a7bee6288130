"""deploy/kit/sbom.py: what an image says of its packages, as a bill of materials."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit import sbom
from tests.helpers.bills import faults

SAID = """debian\t13
== packages
bash\t5.2.37-2+b10\tamd64\thttp://tiswww.case.edu/php/chet/bash/bashtop.html
libexpat1\t2.9.0-1~deb13u1\tamd64\t
adduser\t1:3.152\tall\tnot an address
== licences
/usr/share/doc/bash/copyright:License: GPL-3+
/usr/share/doc/bash/copyright:License: GPL-3+
/usr/share/doc/libexpat1/copyright:License: Expat
/usr/share/doc/libexpat1/copyright:License: permissive
== python
Metadata-Version: 2.4
Name: Zope.Interface
Version: 8.0
License-Expression: ZPL-2.1

Metadata-Version: 2.1
Name: supervisor
Version: 4.3.0
License: BSD-derived (http://www.repoze.org/LICENSE.txt)
Home-page: http://supervisord.org/

Metadata-Version: 2.1
Name: Django
Version: 5.2
Classifier: License :: OSI Approved :: BSD License

Metadata-Version: 2.1
Name: Django
Version: 5.2
"""


@pytest.fixture
def bill():
    return sbom.describe("shop-app", "sha256:1f2e", SAID)


def test_bill_names_its_image(bill):
    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.6", 1)
    assert bill["metadata"]["component"] == {
        "type": "container",
        "bom-ref": "sha256:1f2e",
        "name": "shop-app",
        "version": "sha256:1f2e",
    }


def test_each_package_is_there_once_with_its_licences(bill):
    found = {component["purl"]: component.get("licenses") for component in bill["components"]}
    assert found == {
        "pkg:deb/debian/adduser@1%3A3.152?arch=all&distro=debian-13": None,
        "pkg:deb/debian/bash@5.2.37-2%2Bb10?arch=amd64&distro=debian-13": [{"license": {"id": "GPL-3.0-or-later"}}],
        "pkg:deb/debian/libexpat1@2.9.0-1~deb13u1?arch=amd64&distro=debian-13": [
            {"license": {"id": "MIT"}},
            {"license": {"name": "permissive"}},
        ],
        "pkg:pypi/django@5.2": [{"license": {"name": "BSD License"}}],
        "pkg:pypi/supervisor@4.3.0": [{"license": {"name": "BSD-derived (http://www.repoze.org/LICENSE.txt)"}}],
        "pkg:pypi/zope-interface@8.0": [{"expression": "ZPL-2.1"}],
    }
    assert len(bill["components"]) == len({component["bom-ref"] for component in bill["components"]})


def test_address_that_is_none_is_left_out(bill):
    addresses = {
        component["name"]: component["externalReferences"][0]["url"]
        for component in bill["components"]
        if "externalReferences" in component
    }
    assert addresses == {
        "bash": "http://tiswww.case.edu/php/chet/bash/bashtop.html",
        "supervisor": "http://supervisord.org/",
    }


def test_bill_is_what_the_schema_allows(bill):
    assert faults(bill) == []
    del bill["components"][0]["name"]
    assert faults(bill)


LINES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1)


@given(
    LINES,
    LINES,
    st.one_of(LINES, st.text("abz019:/?#[]@!%{}|\\^`~.").map("http://{}".format)),
    st.lists(LINES | st.sampled_from(sorted(sbom.SPDX))),
)
def test_bill_is_valid_whatever_a_package_says_of_itself(name, version, homepage, licences):
    said = f"debian\t13\n== packages\n{name}\t{version}\tall\t{homepage}\n== licences\n"
    said += "".join(f"/usr/share/doc/{name}/copyright:License: {each}\n" for each in licences)
    said += f"== python\nName: {name}\nVersion: {version}\nHome-page: {homepage}\n"
    said += f"License: {licences[0]}\n\n" if licences else "\n"
    assert faults(sbom.describe("shop-app", "sha256:1f2e", said)) == []
