import os
import sqlite3

from flask import Flask, redirect, render_template, request

app = Flask(__name__)
os.makedirs(app.instance_path, exist_ok=True)


def connect():
    connection = sqlite3.connect(os.path.join(app.instance_path, "notes.db"))
    connection.execute("CREATE TABLE IF NOT EXISTS note (text TEXT NOT NULL)")
    return connection


@app.get("/")
def index():
    with connect() as connection:
        (rows,) = connection.execute("SELECT count(*) FROM note").fetchone()
    return render_template("index.html", rows=rows)


@app.post("/add")
def add():
    with connect() as connection:
        connection.execute("INSERT INTO note VALUES (?)", (request.form["text"],))
    return redirect("/")


if __name__ == "__main__":
    app.run(debug=True)
