import os
import sqlite3

from flask import Flask, redirect, render_template, request

site = Flask(__name__)
os.makedirs(site.instance_path, exist_ok=True)


def connect():
    connection = sqlite3.connect(os.path.join(site.instance_path, "notes.db"))
    connection.execute("CREATE TABLE IF NOT EXISTS note (text TEXT NOT NULL)")
    return connection


@site.get("/")
def index():
    with connect() as connection:
        (rows,) = connection.execute("SELECT count(*) FROM note").fetchone()
    return render_template("index.html", rows=rows)


@site.post("/add")
def add():
    with connect() as connection:
        connection.execute("INSERT INTO note VALUES (?)", (request.form["text"],))
    return redirect("/")
