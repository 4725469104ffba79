"""Differences that no rule justifies and that are not mended yet. Delete a row when it is: the test does not need it."""

from conformance.rules import Rule

# Row names by what is to be mended.
REQUESTS = {}
REPLIES = {}


def as_rules(table):
    return [Rule(f"open: {name}", "", ".*", frozenset(cases)) for name, cases in table.items()]


OPEN_REQUESTS, OPEN_REPLIES = as_rules(REQUESTS), as_rules(REPLIES)
