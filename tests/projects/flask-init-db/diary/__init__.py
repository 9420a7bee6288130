import os

from flask import Flask


def create_app():
    app = Flask(__name__, instance_relative_config=True)
    app.config.from_mapping(SECRET_KEY="dev", DATABASE=os.path.join(app.instance_path, "diary.sqlite"))
    os.makedirs(app.instance_path, exist_ok=True)

    from . import db, pages

    app.cli.add_command(db.create_tables)
    app.register_blueprint(pages.pages)
    return app
