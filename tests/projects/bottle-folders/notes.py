import sqlite3
from pathlib import Path

DATABASE = "notes.db"


def connect():
    connection = sqlite3.connect(DATABASE)
    connection.execute("CREATE TABLE IF NOT EXISTS note (text TEXT NOT NULL)")
    return connection


def count():
    with connect() as connection:
        return connection.execute("SELECT count(*) FROM note").fetchone()[0]


def add(text):
    with connect() as connection:
        connection.execute("INSERT INTO note VALUES (?)", (text,))


def opened(folder, name):
    Path(folder).mkdir(parents=True, exist_ok=True)
    return (Path(folder) / name).open("a")
