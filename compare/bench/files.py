"""What the applications of a run read: a folder with a large file, a static file, a database and a certificate."""

from __future__ import annotations

import sqlite3
import subprocess
from pathlib import Path

from bench.servers import CERTIFICATE, KEY, STATIC, find_program

MEBIBYTE = bytes(range(256)) * 4096
FILE_MEBIBYTES = 10
LARGE_FILE = "large"
STATIC_FILE = "style.css"
STATIC_CONTENT = b"".join(b".rule-%04d { color: #%06x }\n" % (number, number * 997) for number in range(670))
"""20 KB of a style sheet."""
PRODUCTS = 1000


def product(key: int) -> dict[str, object]:
    """A row of the table of products."""
    return {"id": key, "name": f"Rope {key}", "price": key * 5}


def make_files(folder: Path) -> None:
    """Fill the folder. Without the program openssl there is no certificate."""
    (folder / LARGE_FILE).write_bytes(MEBIBYTE * FILE_MEBIBYTES)
    (folder / STATIC).mkdir()
    (folder / STATIC / STATIC_FILE).write_bytes(STATIC_CONTENT)
    database = sqlite3.connect(folder / "products.sqlite")
    database.execute("CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price INTEGER NOT NULL)")
    database.executemany("INSERT INTO product VALUES (:id, :name, :price)", map(product, range(PRODUCTS)))
    database.commit()
    database.close()
    openssl = find_program("openssl")
    if openssl is not None:
        command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
        command += ["-out", str(folder / CERTIFICATE), "-keyout", str(folder / KEY)]
        subprocess.run(command, check=True, capture_output=True)
