"""What runs in the container of backups: `python3 -I /kit/backup COMMAND`.

    save                  a backup to /backups; its name on standard output
    save -                a backup to standard output
    list                  what is in /backups
    used                  prints a word if the volumes for data and uploads have anything in them
    check [NAME]          restores the newest backup, or NAME, beside the site, and compares it with what was saved
    verify NAME           reads it and checks that it is complete, and what it is of
    restore NAME          replaces the site's data. The application must not run
    environment NAME      prints the files .env and .env.project of a backup as a tar archive
    schedule              saves at the times in BACKUP_AT, until it is stopped

NAME is - for a backup on standard input; BACKUP_NAME is its name then, for messages.
With `save`, standard input has the files .env and .env.project as a tar archive, unless it is a terminal or empty.
Messages go to standard error; the exit status is 1 if something failed, and 2 for a wrong value or usage.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from backup import commands
from backup.errors import BackupError, UsageError


def main(arguments: list[str]) -> int:
    try:
        return commands.run(arguments)
    except UsageError as error:
        commands.say(str(error))
        return 2
    except (BackupError, OSError) as error:
        commands.say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
