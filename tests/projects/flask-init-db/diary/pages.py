from flask import Blueprint, redirect, render_template, request

from .db import connect

pages = Blueprint("pages", __name__)


@pages.get("/")
def index():
    with connect() as connection:
        (rows,) = connection.execute("SELECT count(*) FROM note").fetchone()
    return render_template("index.html", rows=rows)


@pages.post("/add")
def add():
    with connect() as connection:
        connection.execute("INSERT INTO note (text) VALUES (?)", (request.form["text"],))
    return redirect("/")
