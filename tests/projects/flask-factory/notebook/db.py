import sqlite3

from flask import current_app


def connect():
    connection = sqlite3.connect(current_app.config["DATABASE"])
    connection.execute("CREATE TABLE IF NOT EXISTS note (text TEXT NOT NULL)")
    return connection
