"""A controller that knows nothing of why threads wait: it takes a step, and the next one back if less was finished."""

from ropewalk.threads.controller import Controller, _Tuned

WORSE = 0.98  # of the rate before: less than this is taken for less


class Climber(Controller):
    def __init__(self, floor, ceiling, measures):
        super().__init__(floor, ceiling, measures)
        self._rate = 0.0
        self._step = 1

    def _tune(self, last, now):
        rate = (now.finished - last.finished) / (now.wall - last.wall)
        if rate < self._rate * WORSE:
            self._step = -self._step
        self._rate = rate
        self._tuned = _Tuned(now.wall, 0.0, now.finished)
        self.limit = min(max(self.limit + self._step, self.floor), self._ceiling)


CONTROLLERS = {"climber": Climber}
