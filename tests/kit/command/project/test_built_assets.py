"""kit/project/built_assets.py: files that templates name, and that only npm's build makes."""

import json

import pytest

from kit.project import built_assets, node


def missing(folder, files, script="esbuild --outfile=shop/static/js/bundle.js src/main.js"):
    everything = {"package.json": json.dumps({"scripts": {"build": script}}), **files}
    for name, text in everything.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (build,) = node.find(folder)
    return built_assets.missing(build, folder)


@pytest.mark.parametrize(
    "template",
    [
        "<script src=\"{% static 'js/bundle.js' %}\">",
        '<script src="{%- static "js/bundle.js" -%}">',
        "<script src=\"{{ static('js/bundle.js') }}\">",
        "<script src=\"{{ url_for('static', filename='js/bundle.js') }}\">",
    ],
)
def test_file_that_a_template_names(tmp_path, template):
    assert (
        missing(tmp_path, {"shop/templates/base.html": f"<p>\n{template}"})
        == "js/bundle.js (shop/templates/base.html:2)"
    )


def test_file_that_is_there(tmp_path):
    files = {"base.html": "{% static 'js/bundle.js' %}", "shop/static/js/bundle.js": "1"}
    assert missing(tmp_path, files) == ""


def test_source_of_the_same_name_is_not_the_file(tmp_path):
    files = {"base.html": "{% static 'theme.css' %}", "styles/theme.css": "p {}"}
    assert missing(tmp_path, files, "postcss -o shop/static/theme.css styles/theme.css") == "theme.css (base.html:1)"


def test_file_of_a_package_is_not_the_build_s(tmp_path):
    assert missing(tmp_path, {"base.html": "{% static 'admin/css/base.css' %}"}) == ""


def test_word_of_the_manifest_is_no_file(tmp_path):
    assert missing(tmp_path, {"base.html": "{% static 'build.css' %}"}, "npm run all") == ""


def test_configuration_beside_the_manifest_says_what_is_made(tmp_path):
    files = {
        "frontend/rollup.config.mjs": "export default { output: { file: '../static/app.js' } }",
        "frontend/package.json": '{"scripts": {"build": "rollup -c"}}',
        "base.html": "{% static 'app.js' %}",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (build,) = node.find(tmp_path)
    assert built_assets.missing(build, tmp_path) == "app.js (base.html:1)"
