"""Four entries, so that the first visitor does not see an empty log."""

from datetime import timedelta

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.utils import timezone

FIRST_ENTRIES = [
    # (hours ago, kind, vessel, text, signed)
    (52, "arrival", "Barque Hildegard", "In from Lübeck with forty bales of hemp. Berth 3, two days.", "Marta Holm"),
    (31, "notice", "The ropewalk", "Laying three-strand today: keep the long shed clear of carts.", "The master"),
    (20, "departure", "Cutter Svalan", "Out on the ebb for Malmö. New forestay, and a spare one below.", "J. Ek"),
    (3, "arrival", "Schooner Ada", "Anchored in the roads, waiting for the pilot. All well aboard.", "Capt. Byron"),
]


def write(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    entries = apps.get_model("harbour", "Entry").objects.using(schema_editor.connection.alias)
    now = timezone.now().replace(second=0, microsecond=0)
    for hours, kind, vessel, text, signed in FIRST_ENTRIES:
        entry = entries.create(kind=kind, vessel=vessel, text=text, signed=signed)
        # create() would overwrite it: the field is auto_now_add
        entries.filter(pk=entry.pk).update(written_at=now - timedelta(hours=hours))


class Migration(migrations.Migration):
    dependencies = [("harbour", "0001_log_and_papers")]
    operations = [migrations.RunPython(write, migrations.RunPython.noop, elidable=True)]
