"""Where ours may differ from Python, and why. What no rule explains fails the test."""

import dataclasses
import json
import re
import typing

ANSWERED_OR_NOT = r"settled|executed|answers( count)?"
FAILURE = r"answers\.0\.failure\.(class|module|message|args)"


@dataclasses.dataclass(frozen=True)
class Rule:
    name: str
    why: str
    # The field that differs, as `differences` names it.
    path: str
    # Names of requests or replies; without any, the rule holds for all of them.
    cases: frozenset = frozenset()
    holds: typing.Callable = lambda python, ours: True
    # Holds for nearly every row, so that naming it there would say nothing.
    silent: bool = False

    def explains(self, case, path, python, ours):
        return ((not self.cases or case in self.cases) and re.fullmatch(self.path, path) is not None
                and self.holds(python, ours))


def differences(python, ours, path=""):
    """{path: (Python's, ours)} of all fields that are not the same; 1, 1.0 and -0.0 are not."""
    if isinstance(python, dict) and isinstance(ours, dict) and "result" not in path and path != "value":
        found = {}
        for key in {**python, **ours}:
            found |= differences(python.get(key), ours.get(key), f"{path}.{key}".lstrip("."))
        return found
    if path in ("answers", "heartbeat") and len(python or []) == len(ours or []):
        found = {}
        for index, pair in enumerate(zip(python or [], ours or [])):
            found |= differences(*pair, f"{path}.{index}")
        return found
    if path in ("answers", "heartbeat"):
        common = min(len(python or []), len(ours or []))
        return {f"{path} count": (python, ours),
                **differences((python or [])[:common], (ours or [])[:common], path)}
    return {} if _text(python) == _text(ours) else {path: (python, ours)}


def _text(value):
    return json.dumps(value, sort_keys=True)


def explain(case, python, ours, rules):
    """The rules that explain the differences of one row, and the differences that none explains."""
    used, unexplained = [], {}
    for path, pair in differences(python, ours).items():
        rule = next((rule for rule in rules if rule.explains(case, path, *pair)), None)
        if rule is None:
            unexplained[path] = pair
        elif rule not in used:
            used.append(rule)
    return used, unexplained


def _without_class(text):
    return re.sub(r"^\w+\.", "", text)


def _same_but_for_class(python, ours):
    if isinstance(python, list):
        return [_without_class(item) for item in python] == ours
    return _without_class(str(python)) == ours


def _same_number(python, ours):
    return isinstance(python, float) and python == ours


def _without_client_timeout(python, ours):
    return {**python, "client_timeout": 0} == {**ours, "client_timeout": 0}


STRICT_VERSION = "A version is two or three numbers in plain digits, the envelope's is `2.0`. Python takes whatever its " \
    "`int()` takes, and no more than the first three parts; no peer writes such versions."
BODY_LIMIT = "A body of more than 4 MiB is refused before it is read; a request of Nova has 5 to 20 kB."
DEPTH_LIMIT = "JSON that is nested more than 64 deep is refused before it is read. Python stops at its recursion limit."
KEYS_LIMIT = "JSON with an object of more than 4,096 keys is refused; an Instance of Nova has 70."
ONE_NUMBER_TYPE = "JavaScript has one type of number: `1.0` is `1` and `-0.0` is `0`. Nova's fields convert either."

REQUEST_RULES = [
    Rule("no-traceback", "`tb` of a failure is empty: a traceback tells strangers about the host, and it is in our log.",
         r"answers\.\d+\.failure\.tb", holds=lambda python, ours: python == "lines" and ours == [], silent=True),
    Rule("message-id", "Our messages have the property `message_id`, by which a returned message is told from a "
         "delivered one. Python sets and reads none.", r"(answers|heartbeat)\.\d+\.properties\.message_id",
         holds=lambda python, ours: python is None and ours == "an id", silent=True),
    Rule("bare-name", "Since Python 3.10 a TypeError names the class of the method as well; we have no class there.",
         r"answers\.0\.failure\.(message|args)", holds=_same_but_for_class),
    Rule("strict-version", STRICT_VERSION, rf"{ANSWERED_OR_NOT}|{FAILURE}|answers\.0\.(result|failure)", frozenset({
        "envelope 2.0.0", "version with a space", "version 1.-5", "version 1.5.0.0", "version in Arabic digits"})),
    Rule("utf-8-only", "A body is UTF-8, whatever `content_encoding` says: no version of oslo.messaging sends another.",
         ANSWERED_OR_NOT, frozenset({"content_encoding latin-1, truly so"})),
    Rule("objects-only", "A body that is no JSON object is rejected. Python asks `dict()`, which also takes an "
         "empty array and an array of pairs.", ANSWERED_OR_NOT,
         frozenset({"body is an empty array", "body is an array of pairs"})),
    Rule("gzip-and-bz2", "`kombu_compression` may be gzip or bz2; other compressions of kombu are refused.",
         ANSWERED_OR_NOT, frozenset({"compression lzma"})),
    Rule("truly-compressed", "A body that is not what its header says is rejected. Python takes what it cannot decompress "
         "as it is.", ANSWERED_OR_NOT, frozenset({"compression said, body plain"})),
    Rule("exposed-only", "What is not the name of a method that was exposed is NoSuchMethod. Python shows what its "
         "`getattr` or the call of an attribute ended with.", FAILURE, frozenset({
             "method missing", "method null", "method a number", "method an object",
             "method is an attribute, no function", "method target"})),
    Rule("args-are-an-object", "What is called with something else than an object of arguments is no method. Python shows "
         "that it found no `items`.", FAILURE, frozenset({"args null", "args an array", "args a string"})),
    Rule("clean-version", "What is no version is UnsupportedVersion. Python shows the exception that its parser ended "
         "with.", FAILURE, frozenset({"version an array", "version empty", "version a number", "version 1", "version one.two"})),
    Rule("no-self", "Our methods have no parameters `self` and `ctxt` that an argument could collide with; both "
         "servers refuse it.", r"answers\.0\.failure\.(message|args)", frozenset({"argument self", "argument ctxt"})),
    Rule("monitor-is-no-context", "Python adds the call monitor's time to the context as `client_timeout`; our methods "
         "see an abort signal instead.", r"answers\.0\.result", frozenset({"context"}), _without_client_timeout),
    Rule("one-number-type", ONE_NUMBER_TYPE, r"answers\.0\.result", holds=_same_number),
    Rule("body-limit", BODY_LIMIT, ANSWERED_OR_NOT, frozenset({"string of 5 MB"})),
    Rule("depth-limit", DEPTH_LIMIT, ANSWERED_OR_NOT, frozenset({"200 arrays nested"})),
    Rule("keys-limit", KEYS_LIMIT, ANSWERED_OR_NOT, frozenset({"object of 5,000 keys"})),
    Rule("always-answer", "A result that cannot be sent is a failure. Python logs it, and the caller waits until its "
         "timeout.", r"answers count",
         frozenset({"returns a list that contains itself", "returns what is no JSON"})),
    Rule("internal-error", "An exception that was not meant for the caller becomes InternalError, its text stays in our "
         "log: it may hold a secret.", FAILURE, frozenset({"raises: unexpected"})),
    Rule("half-the-time", "A call is answered in half of the time that its `expiration` gives it, with a failure if need "
         "be: how long it was in the queue is unknown. Python's methods go on when nobody waits any more.",
         r"answers\.0\.(result|failure)", frozenset({"expiration 4000, method of 2.5 s"})),
    Rule("no-heartbeat-after-failure", "Python's heartbeats go on after NoSuchMethod, until the reply queue is gone. "
         "Nobody waits for them.", r"heartbeats after the answer|heartbeat count",
         frozenset({"_timeout 2, unknown method"})),
    Rule("duplicate-window", "A duplicate is known among the last 4,096 messages of a minute, Python's among the last "
         "16.", r"executed|answers count", frozenset({"again after 16 others"})),
    Rule("text-ids", "A `_msg_id` is text; a call that has another kind is not answered. No peer sends one.",
         r"answers count", frozenset({"_msg_id a number"})),
    Rule("reply-queue-name", "A reply goes to `reply_...` only. The caller names the queue: it must not be able to have "
         "us write into those of others.", r"answers count", frozenset({"_reply_q that is no reply_..."})),
]
REPLY_RULES = [
    Rule("strict-version", STRICT_VERSION, r"kind|value", frozenset({"envelope 2.0.0"})),
    Rule("body-limit", BODY_LIMIT, r"kind|value", frozenset({"string of 5 MB"})),
    Rule("one-number-type", ONE_NUMBER_TYPE, r"value", holds=_same_number),
    Rule("no-crash", "The caller of Python gets the accident of its client (KeyError, AttributeError, TypeError, "
         "JSONDecodeError); ours what can be made of the reply, or a timeout.", r"kind|value|class|module|message",
         frozenset({"failure missing", "ending missing, result null", "message null", "tb null", "tb of numbers",
                    "failure is not JSON", "failure is JSON null", "failure is an array", "failure is an object",
                    "heartbeat that nobody asked for, then a reply", "rebuilt, its constructor raises"})),
    Rule("class-unknown", "A failure without class is one of the class `unknown`; Python has no name for it at all.",
         r"class", frozenset({"class missing", "class null"})),
    Rule("failure-ends", "A failure ends the call. Python waits for a message with `ending` until its timeout.",
         r"kind|class|module|message", frozenset({"failure without end"})),
]
