import sqlite3

import click
from flask import current_app


def connect():
    return sqlite3.connect(current_app.config["DATABASE"])


@click.command("init-db")
def create_tables():
    """Empties the database and creates its tables."""
    with current_app.open_resource("schema.sql") as file, connect() as connection:
        connection.executescript(file.read().decode())
