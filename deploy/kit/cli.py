"""The command line of the kit: `python3 deploy/kit COMMAND`. The targets of make are one-liners onto it."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from kit.commands import COMMANDS
from kit.errors import KitError


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 deploy/kit", description="The commands of the kit; see `make help`.")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        subparser = commands.add_parser(name, help=command.help, description=command.help)
        if command.argument:
            subparser.add_argument("argument", metavar=command.argument.strip("[]"), nargs=occurs(command.argument))
        for option, text in command.options.items():
            value, _, rest = text.partition(" ")
            if value.isupper():
                subparser.add_argument(option, metavar=value, help=rest)
            else:
                subparser.add_argument(option, action="store_true", help=text)
    if arguments[:1] == ["compose"]:  # the rest is not this parser's
        return argparse.Namespace(command="compose", arguments=arguments[1:])
    return parser.parse_args(arguments)


def occurs(argument: str) -> str | None:
    return "?" if argument.startswith("[") else None


def connect() -> None:
    """With HOST, from here on the variables of this process name the server's engine. Raises KitError."""
    from kit.remote import connection, server  # here, since the image's build has this file without that package

    if (found := server.find(os.environ)) is None:
        return
    os.environ.update(server.variables(found, os.environ))
    connection.open_to(found, os.environ)


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    try:
        function = COMMANDS[options.command].function(os.environ)
        if not COMMANDS[options.command].is_local:
            connect()
        status = function(options)
        sys.stdout.flush()
        return status
    except KitError as error:
        print(f"{options.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # `make doctor | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still buffered
        return 128 + signal.SIGPIPE
    except OSError as error:  # a checkout that cannot be written, a full disk
        place = f"{error.filename}: " if error.filename else ""
        print(f"{options.command}: {place}{error.strerror or error}", file=sys.stderr)
        return 2
