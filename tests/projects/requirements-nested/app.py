import os

import recording
from flask import Flask, redirect, render_template, request

app = Flask(__name__)
os.makedirs(app.instance_path, exist_ok=True)
DATABASE = os.path.join(app.instance_path, "notes.db")


@app.get("/")
def index():
    with recording.connect(DATABASE) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM note").fetchone()
    return render_template("index.html", rows=rows)


@app.post("/add")
def add():
    with recording.connect(DATABASE) as connection:
        connection.execute("INSERT INTO note VALUES (?)", (request.form["text"],))
    return redirect("/")
