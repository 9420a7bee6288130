"""deploy/kit/project/requirements_files.py."""

import pytest

from kit.errors import KitError
from kit.project import requirements_files
from kit.project.installation import Local


def read(folder, name="requirements.txt"):
    return requirements_files.read(folder / name, folder)


def test_included_files_are_followed_and_listed(project):
    folder = project(
        {
            "requirements/prod.txt": "-r base.txt\n--requirement=more.txt\ngunicorn==23.0.0  # the server\n",
            "requirements/base.txt": "-c limits.txt\nflask\n\n# nothing\n",
            "requirements/more.txt": "-r base.txt\nredis>=5 ; python_version >= '3.11'\n",
            "requirements/limits.txt": "werkzeug<4\n",
        }
    )
    found = read(folder, "requirements/prod.txt")
    assert found.files == [f"requirements/{name}.txt" for name in ("prod", "base", "limits", "more")]
    assert found.requirements == ["flask", "redis>=5 ; python_version >= '3.11'", "gunicorn==23.0.0"]
    assert found.constraints == ["werkzeug<4"]


def test_path_in_a_file_of_a_folder_may_start_at_the_project(project):
    folder = project({"requirements/prod.txt": "-r requirements/base.txt\n-e .\n", "requirements/base.txt": "flask\n"})
    found = read(folder, "requirements/prod.txt")
    assert found.requirements == ["flask"]
    assert found.local == [Local(".", has_dependencies=True)]


def test_hashes_on_continued_lines_stay_with_their_requirement(project):
    folder = project(
        {"requirements.txt": "click==8.1.8 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n    # via flask\n"}
    )
    assert read(folder).requirements == ["click==8.1.8 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb"]


def test_folders_of_the_project_are_set_apart_and_archives_are_read(project):
    text = "-e .[web]\n./libs/x\n-e libs/y\n./wheels/z-1-py3-none-any.whl ; python_version > '3'\n--find-links wheels\n"
    files = {"libs/x/setup.py": "", "libs/y/setup.py": "", "wheels/z-1-py3-none-any.whl": "", "wheels/README": ""}
    found = read(project({"requirements.txt": text, **files}))
    assert found.local == [
        Local(".", "web", has_dependencies=True),
        Local("libs/x", is_editable=False, has_dependencies=True),
        Local("libs/y", has_dependencies=True),
    ]
    assert found.requirements == ["${PROJECT_ROOT}/wheels/z-1-py3-none-any.whl ; python_version > '3'"]
    assert found.options == ["--find-links ${PROJECT_ROOT}/wheels"]
    assert set(found.files) == {"requirements.txt", "wheels/z-1-py3-none-any.whl"}


def test_options_are_passed_on_or_become_arguments(project):
    text = "-i https://index.example/simple\n--extra-index-url https://${TOKEN}@more.example\n--no-binary lxml\n--pre\n"
    found = read(project({"requirements.txt": f"{text}--trusted-host index.example\n--prefer-binary\n"}))
    assert found.options == [
        "--index-url https://index.example/simple",
        "--extra-index-url https://${TOKEN}@more.example",
        "--no-binary lxml",
    ]
    assert found.arguments == ["--prerelease", "allow", "--allow-insecure-host", "index.example"]


@pytest.mark.parametrize(
    ("line", "requirement"),
    [
        ("-e git+https://git.example/x.git@v1#egg=x", "x @ git+https://git.example/x.git@v1"),
        ("git+https://git.example/x.git#egg=x&subdirectory=a", "x @ git+https://git.example/x.git#subdirectory=a"),
        ("x @ git+https://git.example/x.git", "x @ git+https://git.example/x.git"),
        ("https://files.example/x-1.tar.gz", "https://files.example/x-1.tar.gz"),
        ("django [argon2] >= 5 ; sys_platform == 'linux'", "django [argon2] >= 5 ; sys_platform == 'linux'"),
    ],
)
def test_requirement_is_one_that_uv_accepts(project, line, requirement):
    assert read(project({"requirements.txt": line})).requirements == [requirement]


def test_file_of_powershell_is_read(project):
    folder = project({})
    (folder / "requirements.txt").write_bytes("flask\r\nredis\r\n".encode("utf-16"))
    assert read(folder).requirements == ["flask", "redis"]


def test_what_no_linux_can_install_is_left_out_and_said(project):
    found = read(project({"requirements.txt": "flask\npkg-resources==0.0.0\npywin32==306\n"}))
    assert found.requirements == ["flask"]
    assert found.notes == [
        "requirements.txt:2: pkg-resources is left out: it is no distribution (a fault of Debian's old pip freeze)",
        "requirements.txt:3: pywin32 is left out: it exists for Windows alone",
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-r missing.txt", "requirements.txt:2: names missing.txt, which does not exist"),
        ("-e ./missing", "requirements.txt:2: names ./missing, which does not exist"),
        ("../other", "requirements.txt:2: ../other is outside of the project, of which alone an image can be made"),
        ("--no-such-option", "requirements.txt:2: the option --no-such-option is not supported"),
        (
            "certifi @ file:///croot/work",
            (
                "requirements.txt:2: 'certifi @ file:///croot/work' is a path of the machine that wrote the file;"
                " write certifi==VERSION instead"
            ),
        ),
    ],
)
def test_line_that_cannot_work_is_named(project, line, said):
    folder = project({"requirements.txt": f"flask\n{line}\n"})
    (folder.parent / "other").mkdir()
    with pytest.raises(KitError) as raised:
        read(folder)
    assert str(raised.value) == said
