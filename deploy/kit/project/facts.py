"""What is known about a project by looking at its folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kit.project import (
    application,
    asgi,
    database_names,
    debug_switch,
    django,
    environment_names,
    first_start,
    fixed_keys,
    manifests,
    migrations,
    node,
    procfile,
    python_version,
    services,
    upload_fields,
    upload_folders,
)
from kit.project import settings_examples as examples
from kit.project import system_packages as packages
from kit.project.application import Application
from kit.project.debug_switch import DebugSwitch
from kit.project.django import Django
from kit.project.environment_names import EnvironmentName
from kit.project.first_start import FirstStart
from kit.project.installation import Installation
from kit.project.migrations import Migrations
from kit.project.names import name_of
from kit.project.node import NodeBuild
from kit.project.procfile import Process
from kit.project.python_version import PythonVersion
from kit.project.reading import modules, relative
from kit.project.services import Services
from kit.project.system_packages import SystemPackages


@dataclass(frozen=True, slots=True)
class Project:
    folder: Path
    dependencies: Installation
    python: PythonVersion
    application: Application
    django: Django | None
    processes: tuple[Process, ...]
    """Of the Procfile: the web process is served, the others may be wanted under supervisord."""
    environment_names: tuple[EnvironmentName, ...]
    system_packages: SystemPackages
    """Libraries that the dependencies need at run time and that no wheel brings along."""
    node: tuple[NodeBuild, ...]
    services: Services
    fixed_secret_key: str
    """File and line of a key that is in the code; "" if there is none."""
    debug_in_code: str
    """The same of a DEBUG in Django's settings that is on for good."""
    debug_switches: tuple[DebugSwitch, ...]
    """Variables that switch DEBUG."""
    lacks_hosts: bool
    """Whether Django's settings allow no host as soon as DEBUG is off."""
    local_name: str
    """The name of this machine under which Django's settings let the site answer."""
    settings_examples: tuple[tuple[str, str], ...]
    """Examples of settings, and the modules that they are for, which do not exist."""
    migrations: Migrations | None
    """Alembic's own; those of Django and of Flask-Migrate are found by the release."""
    first_start: FirstStart | None
    """The command that creates the database, if nothing else does."""
    upload_folders: tuple[Path, ...]
    """Of uploads, as far as they are there, relative to the project."""
    upload_field: str
    """File and line of what takes files from visitors; "" if nothing does."""

    @property
    def root(self) -> str:
        """The folder that the application is imported from, relative to the project."""
        return relative(self.application.root, self.folder)

    @property
    def work_folder(self) -> str:
        """Where its commands and the server run, relative to the project: manage.py's folder, or the application's.

        One for all, because a relative path in the settings has to mean the same file to each of them.
        """
        return relative(self.django.root, self.folder) if self.django else self.root

    @property
    def paths(self) -> tuple[str, ...]:
        """The folders for PYTHONPATH, relative to the project."""
        places = [self.root, relative(self.django.root, self.folder) if self.django else "."]
        if (self.folder / "src").is_dir():
            places.append("src")
        return tuple(dict.fromkeys((*places, ".")))


def look(folder: Path, environment: Mapping[str, str]) -> Project:
    """Reads the folder and runs nothing of it. Raises KitError for what is wrong, missing or ambiguous: what was found,
    and the line to add."""
    found_django = django.find(folder, environment)
    dependencies = manifests.find(folder, environment)
    listed = manifests.direct_requirements(dependencies, folder)
    served = application.find(folder, environment, found_django, asgi.listed(listed, dependencies.file))
    files = _served_modules(folder, served, found_django)
    read = environment_names.parse(files)
    settings = (
        django.settings_files(found_django.root, served.settings.module) if found_django and served.settings else []
    )
    key = django.fixed_secret_key(settings) if found_django else fixed_keys.find(files)
    debug = django.debug_in_code(settings)
    unused = django.other_settings(files, settings)
    databases = database_names.find(read, [name_of(each) for each in dependencies.requirements], unused)
    names = environment_names.find(read, folder, unused, databases)
    processes = tuple(procfile.processes(folder))
    sources = services.Sources(
        folder,
        listed,
        dependencies.file,
        read,
        names,
        settings,
        processes,
    )
    found_migrations = None if found_django else migrations.find(folder, served.root)
    uploads = upload_fields.find(files)
    has_migrations = bool(found_django or found_migrations or migrations.is_flask_migrate(served.root))
    return Project(
        folder=folder,
        dependencies=dependencies,
        python=python_version.find(folder, dependencies.base),
        application=served,
        django=found_django,
        processes=processes,
        environment_names=names,
        system_packages=packages.needed((*dependencies.requirements, *listed)),
        node=node.find(folder),
        services=services.find(sources, files),
        fixed_secret_key=f"{relative(key[0], folder)}:{key[1]}" if key else "",
        debug_in_code=f"{relative(debug[0], folder)}:{debug[1]}" if debug else "",
        debug_switches=debug_switch.find({path: read[path] for path in read if path not in unused}, folder),
        lacks_hosts=bool(found_django) and debug_switch.lacks_hosts(settings),
        local_name=debug_switch.local_name(settings),
        settings_examples=tuple(examples.find(folder, application.DEPTH)),
        migrations=found_migrations,
        first_start=first_start.find(folder, served.root, served.value, has_migrations=has_migrations),
        upload_folders=tuple(upload_folders.find(files, found_django.root if found_django else served.root, folder)),
        upload_field=f"{relative(uploads[0], folder)}:{uploads[1]}" if uploads else "",
    )


def _served_modules(folder: Path, served: Application, found_django: Django | None) -> list[Path]:
    """The modules that the server or manage.py can import: those of a project in a folder of its own have nothing to do
    with the scripts beside that folder."""
    roots = {served.root, *([found_django.root] if found_django else [])}
    return [path for path in modules(folder, application.DEPTH) if any(path.is_relative_to(root) for root in roots)]
