import sqlite3


def connect(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE IF NOT EXISTS note (text TEXT NOT NULL)")
    return connection
