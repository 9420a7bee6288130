from alembic import context
from pyramid.paster import get_appsettings
from sqlalchemy import engine_from_config

settings = get_appsettings(context.config.config_file_name)
with engine_from_config(settings, "sqlalchemy.").connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
