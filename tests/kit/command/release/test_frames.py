"""deploy/kit/release/frames.py: what a migration prints, as a deployment shows it."""

import pytest

from kit.release.frames import WithoutFrames

PRINTED = b"""\
Running migrations:
  Applying shop.0001_initial... OK
  Applying shop.0002_price...Traceback (most recent call last):
  File "manage.py", line 22, in <module>
    main()
    ~~~~^^

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "manage.py", line 22, in <module>

ValueError: no such column
  indented again
release: python manage.py migrate: exit status 1
"""
SHOWN = b"""\
Running migrations:
  Applying shop.0001_initial... OK
  Applying shop.0002_price...Traceback (most recent call last):
The above exception was the direct cause of the following exception:

Traceback (most recent call last):
ValueError: no such column
  indented again
release: python manage.py migrate: exit status 1
"""


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_frames_are_left_out(size):
    pieces = []
    show = WithoutFrames(pieces.append)
    for at in range(0, len(PRINTED), size):
        show(PRINTED[at : at + size])
    assert b"".join(pieces) == SHOWN


def test_line_that_has_begun_is_shown_at_once():
    pieces = []
    WithoutFrames(pieces.append)(b"  Applying shop.0001_initial...")
    assert pieces == [b"  Applying shop.0001_initial..."]
