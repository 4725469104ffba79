"""Keeps calls from waiting, one after another, for a service that is not there."""

import threading
import time


class Breaker:
    """Opens after so many calls in a row without an answer; then one call at a time tries whether that is over."""

    def __init__(self, clock=time.monotonic):
        self._clock = clock
        self._lock = threading.Lock()
        self._unanswered = 0
        self._next_try = None

    def wait(self, reset):
        """Seconds until a call makes sense: 0 is now, and then nobody else is let through for `reset` seconds."""
        with self._lock:
            if self._next_try is None:
                return 0
            now = self._clock()
            if now < self._next_try:
                return self._next_try - now
            self._next_try = now + reset
            return 0

    def answered(self):
        with self._lock:
            self._unanswered = 0
            self._next_try = None

    def unanswered(self, threshold, reset):
        with self._lock:
            self._unanswered += 1
            if self._unanswered >= threshold:
                self._next_try = self._clock() + reset
