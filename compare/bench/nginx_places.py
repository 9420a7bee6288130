"""Where nginx keeps bodies, if it is not started as a system's service."""

MODULES_WITH_FILES = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def temporary_files(folder: str) -> str:
    """Directives of the block `http` that put all temporary files into a folder."""
    return "".join(f"{name}_temp_path {folder};\n" for name in MODULES_WITH_FILES)
