"""The requests: what a server may find in its queues, from the ordinary to what no honest peer sends.

A row is (name, publications, expected number of answers); a publication is built for one server at a time, because each
has its own reply queue. `call(...)` overrides or removes (...) fields of an ordinary call.
"""

import bz2
import dataclasses
import json
import lzma
import uuid
import zlib

from conformance.messages import RAW, Publication, envelope, nested


@dataclasses.dataclass
class Request:
    section: str
    name: str
    build: object  # Address -> list of Publication
    answers: int


def fields_of(address, fields):
    message = {"method": "echo", "args": {"value": 7}, "version": "1.5", "_msg_id": address.msg_id,
               "_reply_q": address.reply_queue, "_timeout": None, "_unique_id": address.unique_id,
               "_context_case": address.case, **fields}
    return {name: value for name, value in message.items() if value is not ...}


def call(raw=None, seal=envelope, fanout=False, times=1, properties=None, **fields):
    """A call with other fields; `raw` is JSON text for where RAW stands in them; `seal` makes the body of the text."""
    def build(address):
        inner = json.dumps(fields_of(address, fields)).replace(json.dumps(RAW), raw or "null")
        return [Publication(seal(inner), properties or {}, fanout)] * times
    return build


def cast(**fields):
    return call(_msg_id=..., _reply_q=..., _timeout=..., **fields)


def echo(text):
    """A value as JSON text, so that it is on the wire as it stands here."""
    return call(raw=text, args={"value": RAW})


def body(data, **properties):
    return lambda address: [Publication(data, properties)]


def probe(method):
    """What Kubernetes health probes send: four fields."""
    return call(method=method, args=..., version=..., _unique_id=..., _context_case=...)


def repeated_after(others):
    """The same message again, with others in between."""
    def build(address):
        [first] = call()(address)
        between = [call(method="note", args={}, _msg_id=..., _reply_q=..., _unique_id=uuid.uuid4().hex,
                        _context_case="between")(address)[0] for _ in range(others)]
        return [first, *between, first]
    return build


def without_headers(address):
    [publication] = call()(address)
    return [dataclasses.replace(publication, properties={"application_headers": None})]


def compressed(compress, name):
    return call(seal=lambda inner: compress(envelope(inner)),
                properties={"application_headers": {"compression": name}})


def latin1(inner):
    return envelope(inner).decode().replace("caf@", "caf\u00e9").encode("latin-1")


def pairs(inner):
    """The message as the list of its items, of which Python's dict() makes an object again."""
    return json.dumps(list(json.loads(inner).items())).encode()


ENVELOPES = [
    ("no envelope", call(seal=str.encode), 1),
    ("envelope with spaces around", call(seal=lambda inner: b" \n" + envelope(inner) + b"\r\n\t"), 1),
    ("envelope with a member more", call(seal=lambda inner: envelope(inner)[:-1] + b', "x": 1}'), 1),
    ("envelope 1.0", call(seal=lambda inner: envelope(inner, "1.0")), 0),
    ("envelope 2.5", call(seal=lambda inner: envelope(inner, "2.5")), 0),
    ("envelope 3.0", call(seal=lambda inner: envelope(inner, "3.0")), 0),
    ("envelope 2", call(seal=lambda inner: envelope(inner, "2")), 0),
    ("envelope 2.0.0", call(seal=lambda inner: envelope(inner, "2.0.0")), 1),
    ("envelope version null", call(seal=lambda inner: envelope(inner, None)), 0),
    ("envelope version a number", call(seal=lambda inner: envelope(inner, 2.0)), 0),
    ("envelope without its version", call(seal=lambda inner: json.dumps({"oslo.message": inner}).encode()), 0),
    ("envelope without its message", body(b'{"oslo.version": "2.0"}'), 0),
    ("inner message not in a string", call(seal=lambda inner: b'{"oslo.version": "2.0", "oslo.message": '
                                           + inner.encode() + b"}"), 0),
    ("inner message is not JSON", body(envelope("{")), 0),
    ("inner message is an array", body(envelope("[1]")), 0),
    ("inner message is null", body(envelope("null")), 0),
    ("body is empty", body(b""), 0),
    ("body is not JSON", body(b"]"), 0),
    ("body is an empty array", body(b"[]"), 0),
    ("body is an array", body(b"[1]"), 0),
    ("body is an array of pairs", call(seal=pairs), 1),
    ("body is null", body(b"null"), 0),
    ("body is a number", body(b"7"), 0),
    ("body is an empty object", body(b"{}"), 0),
    ("body is not UTF-8", body(b'{"a": "\xff\xfe"}'), 0),
    ("body with a byte order mark", call(seal=lambda inner: b"\xef\xbb\xbf" + envelope(inner)), 0),
    ("JSON with a trailing comma", call(seal=lambda inner: envelope(inner)[:-1] + b",}"), 0),
]
PROPERTIES = [
    ("headers missing", without_headers, 1),
    ("content_type missing", call(properties={"content_type": None}), 0),
    ("content_type with charset", call(properties={"content_type": "application/json; charset=utf-8"}), 0),
    ("content_type text/plain", call(properties={"content_type": "text/plain"}), 0),
    ("content_type Application/JSON", call(properties={"content_type": "Application/JSON"}), 0),
    ("content_type pickle", body(b"cos\nsystem\n.", content_type="application/x-python-serialize",
                                 content_encoding="binary"), 0),
    ("content_encoding missing", call(properties={"content_encoding": None}), 1),
    ("content_encoding binary", call(properties={"content_encoding": "binary"}), 1),
    ("content_encoding UTF-8 in capitals", call(properties={"content_encoding": "UTF-8"}), 1),
    ("content_encoding unknown", call(properties={"content_encoding": "x-rot13"}), 1),
    ("content_encoding latin-1, truly so", call(
        args={"value": "caf@"}, seal=latin1, properties={"content_encoding": "latin-1"}), 1),
    ("expiration 60000", call(properties={"expiration": "60000"}), 1),
    ("expiration 4000, method of 2.5 s", call(method="slow", args={"seconds": 2.5},
                                              properties={"expiration": "4000"}), 1),
    ("expiration of 49 days", call(properties={"expiration": "4233600000"}), 1),
    ("transient, with a priority", call(properties={"delivery_mode": 1, "priority": 9}), 1),
    ("with reply_to and correlation_id", call(properties={"reply_to": "nobody", "correlation_id": "7"}), 1),
    ("unknown headers", call(properties={"application_headers": {"x": 1, "y": {"z": [True]}}}), 1),
    ("compression gzip (zlib format)", compressed(zlib.compress, "application/x-gzip"), 1),
    ("compression bz2", compressed(bz2.compress, "application/x-bz2"), 1),
    ("compression lzma", compressed(lzma.compress, "application/x-lzma"), 1),
    ("compression said, body plain", compressed(bytes, "application/x-gzip"), 1),
    ("compression unknown", compressed(zlib.compress, "application/x-evil"), 0),
    ("compression empty", compressed(bytes, ""), 1),
]
METHODS = [
    ("plain call", call(), 1),
    ("unknown method", call(method="nomethod"), 1),
    ("method missing", call(method=...), 1),
    ("method null", call(method=None), 1),
    ("method a number", call(method=7), 1),
    ("method an object", call(method={"a": 1}), 1),
    ("method empty", call(method=""), 1),
    ("method with a space", call(method="echo "), 1),
    ("method not ASCII", call(method="\u00e9cho"), 1),
    ("method _private, which exists", call(method="_private", args={}), 1),
    ("method __init__", call(method="__init__", args={}), 1),
    ("method __class__", call(method="__class__", args={}), 1),
    ("method is an attribute, no function", call(method="attribute", args={}), 1),
    ("method target", call(method="target", args={}), 1),
    ("method constructor", call(method="constructor", args={}), 1),
    ("method toString", call(method="toString", args={}), 1),
    ("method __proto__", call(method="__proto__", args={}), 1),
    ("method hasOwnProperty", call(method="hasOwnProperty", args={}), 1),
    ("method of 10,000 letters", call(method="m" * 10_000, args={}), 1),
    ("health probe: unknown method", probe("pod_health_probe_method_ignore_errors"), 1),
    ("health probe: ping", probe("oslo_rpc_server_ping"), 1),
    ("baseapi ping", call(method="ping", namespace="baseapi", version="1.1", args={"arg": "x"}), 1),
    ("namespaced method", call(method="hello", namespace="named"), 1),
    ("namespaced method, no arguments", call(method="hello", namespace="named", args={}), 1),
]
VERSIONS = [
    ("version missing", call(version=...), 1),
    ("version null", call(version=None), 1),
    ("version a number", call(version=1.5), 1),
    ("version an array", call(version=[]), 1),
    ("version empty", call(version=""), 1),
    ("version 1", call(version="1"), 1),
    ("version 0.9", call(version="0.9"), 1),
    ("version 1.0", call(version="1.0"), 1),
    ("version 1.4.9", call(version="1.4.9"), 1),
    ("version 1.5.1", call(version="1.5.1"), 1),
    ("version 1.6: only the other endpoint, which lacks it", call(version="1.6"), 1),
    ("version 1.9", call(method="newer", args={}, version="1.9"), 1),
    ("version 1.10 is more than 1.9", call(method="newer", args={}, version="1.10"), 1),
    ("version 2.0", call(version="2.0"), 1),
    ("version one.two", call(version="one.two"), 1),
    ("version 01.05", call(version="01.05"), 1),
    ("version with a space", call(version=" 1.5"), 1),
    ("version 1.-5", call(version="1.-5"), 1),
    ("version 1.5.0.0", call(version="1.5.0.0"), 1),
    ("version in Arabic digits", call(version="\u0661.\u0665"), 1),
    ("namespace null", call(namespace=None), 1),
    ("namespace empty", call(namespace=""), 1),
    ("namespace unknown", call(namespace="nope"), 1),
    ("namespace a number", call(namespace=7), 1),
    ("namespace an object", call(namespace={}), 1),
    ("namespace of another endpoint", call(namespace="named"), 1),
    ("namespace right, version wrong", call(method="hello", namespace="named", version="1.6", args={}), 1),
]
ARGUMENTS = [
    ("args missing", call(method="note", args=...), 1),
    ("args missing, needed", call(args=...), 1),
    ("args null", call(method="note", args=None), 1),
    ("args an array", call(method="note", args=[]), 1),
    ("args a string", call(method="note", args="x"), 1),
    ("argument missing", call(args={}), 1),
    ("argument unexpected", call(args={"value": 7, "zz": 1}), 1),
    ("argument missing and one unexpected", call(args={"zz": 1}), 1),
    ("argument self", call(args={"value": 7, "self": 1}), 1),
    ("argument ctxt", call(args={"value": 7, "ctxt": 1}), 1),
    ("argument without name", call(args={"value": 7, "": 1}), 1),
    ("argument constructor", call(args={"value": 7, "constructor": 1}), 1),
    ("argument __proto__", call(raw='{"value": 7, "__proto__": {"value": 8}}', args=RAW), 1),
    ("argument only in __proto__", call(raw='{"__proto__": {"value": 8}}', args=RAW), 1),
    ("argument twice", call(raw='{"value": 7, "value": 8}', args=RAW), 1),
    ("optional argument left out", call(method="add", args={"a": 1}), 1),
    ("optional argument", call(method="add", args={"a": 1, "b": 41}), 1),
    ("field twice", call(raw='"note", "method": "echo"', method=RAW), 1),
    ("unknown fields", call(x=1, _y={"z": []}), 1),
    ("context", call(method="context", args={}, _context_a=None, _context_b={"c": [1]}, _context_=2), 1),
]
VALUES = [
    ("null", echo("null"), 1),
    ("1.0", echo("1.0"), 1),
    ("-0.0", echo("-0.0"), 1),
    ("-0", echo("-0"), 1),
    ("NaN", echo("NaN"), 1),
    ("Infinity", echo("[Infinity, -Infinity]"), 1),
    ("1e400", echo("1e400"), 1),
    ("2^53+1", echo("9007199254740993"), 1),
    ("2^70", echo("1180591620717411303424"), 1),
    ("-2^63", echo("-9223372036854775808"), 1),
    ("5e-324", echo("5e-324"), 1),
    ("1e22", echo("1e22"), 1),
    ("0.1", echo("0.1"), 1),
    ("a number of 400 digits", echo("7" * 400), 1),
    ("a number of 4,000 digits", echo("7" * 4000), 1),
    ("é, escaped", echo('"\\u00e9"'), 1),
    ("é, raw UTF-8", call(raw='"\u00e9"', args={"value": RAW}, seal=lambda inner: json.dumps(
        {"oslo.version": "2.0", "oslo.message": inner}, ensure_ascii=False).encode()), 1),
    ("emoji as a surrogate pair", echo('"\\ud83d\\ude00"'), 1),
    ("lone surrogate", echo('"\\ud800"'), 1),
    ("NUL, U+2028, quotes", echo('"\\u0000\\u2028\\"\\\\"'), 1),
    ("control character raw in a string", echo('"a\tb"'), 0),
    ("NaN in a string", echo('"NaN, -Infinity \\" NaN"'), 1),
    ("key __proto__", echo('{"__proto__": {"x": 1}, "a": 2}'), 1),
    ("key twice", echo('{"a": 1, "a": 2}'), 1),
    ("keys like numbers", echo('{"10": 1, "9": 2, "": 3}'), 1),
    ("kombu's own type marks", echo('{"__type__": "datetime", "__value__": "2026-01-01"}'), 1),
    ("versioned object", echo('{"nova_object.name": "Instance", "nova_object.data": {"x": 1}}'), 1),
    ("60 arrays nested", echo(nested(60)), 1),
    ("200 arrays nested", echo(nested(200)), 1),
    ("100,000 arrays nested", echo(nested(100_000)), 0),
    ("array of 10,000", echo(json.dumps(list(range(10_000)))), 1),
    ("object of 4,096 keys", echo(json.dumps({str(key): 1 for key in range(4_096)})), 1),
    ("object of 5,000 keys", echo(json.dumps({str(key): 1 for key in range(5_000)})), 1),
    ("string of 1 MB", echo(json.dumps("x" * 1_000_000)), 1),
    ("string of 3.9 MB", echo(json.dumps("x" * 3_900_000)), 1),
    ("string of 5 MB", echo(json.dumps("x" * 5_000_000)), 1),
    ("single quotes", echo("'a'"), 0),
    ("number with a leading zero", echo("007"), 0),
]
RESULTS = [
    *((f"returns {kind}", call(method="give", args={"kind": kind}), 1) for kind in [
        "nothing", "false", "zero", "empty text", "empty list", "fraction", "whole float", "NaN", "2^70"]),
    ("returns a list that contains itself", call(method="give", args={"kind": "circle"}), 1),
    ("returns what is no JSON", call(method="give", args={"kind": "no JSON"}), 1),
    *((f"raises: {kind}", call(method="fail", args={"kind": kind}), 1) for kind in [
        "ValueError", "no arguments", "two arguments", "unicode", "lines", "NotImplementedError", "own module",
        "kwargs", "big", "unexpected"]),
]
MONITOR = [
    *((f"_timeout {json.dumps(timeout)}, method of 2.5 s",
       call(method="slow", args={"seconds": 2.5}, _timeout=timeout), 1)
      for timeout in [None, 0, 1, 2, "2", " 2 ", "+2", "0_2", -1, 2.9, 3, "2.9", "x", 10 ** 20, [10 ** 20], True, [], {}]),
    ("_timeout missing, method of 2.5 s", call(method="slow", args={"seconds": 2.5}, _timeout=...), 1),
    ("_timeout 2, unknown method", call(method="nomethod", _timeout=2), 1),
    ("_timeout 2, method fails at once", call(method="fail", args={"kind": "ValueError"}, _timeout=2), 1),
    ("_timeout 2, cast", call(method="slow", args={"seconds": 2.5}, _timeout=2, _msg_id=..., _reply_q=...), 0),
]
ADDRESSES = [
    ("cast", cast(), 0),
    ("cast that fails", cast(method="fail", args={"kind": "ValueError"}), 0),
    ("cast to an unknown method", cast(method="nomethod"), 0),
    ("fanout cast", cast(fanout=True), 0),
    ("fanout with _msg_id", call(fanout=True), 1),
    ("_msg_id without _reply_q", call(_reply_q=...), 0),
    ("_reply_q without _msg_id", call(_msg_id=...), 0),
    ("_msg_id null", call(_msg_id=None), 0),
    ("_msg_id empty", call(_msg_id=""), 0),
    ("_msg_id a number", call(_msg_id=7), 1),
    ("_msg_id of 1,000 letters", call(_msg_id="m" * 1000), 1),
    ("_reply_q null", call(_reply_q=None), 0),
    ("_reply_q empty", call(_reply_q=""), 0),
    ("_reply_q a number", call(_reply_q=7), 0),
    ("_reply_q an object", call(_reply_q={"a": 1}), 0),
    ("_reply_q too long for AMQP", call(_reply_q="reply_" + "x" * 300), 0),
    ("_reply_q that does not exist", call(_reply_q="reply_" + "f" * 32), 0),
    ("_unique_id missing", call(_unique_id=...), 1),
    ("_unique_id null", call(_unique_id=None), 1),
    ("_unique_id a number", call(_unique_id=7), 1),
    ("_unique_id of 1,000 letters", call(_unique_id="u" * 1000), 1),
    ("_unique_id an object", call(_unique_id={"a": 1}), 1),
    ("the same message twice", call(times=2), 1),
    ("again after 3 others", repeated_after(3), 1),
    ("again after 16 others", repeated_after(16), 2),
]


def _foreign(address):
    """The reply queue of a peer that names it otherwise; the runner declares it."""
    return call(_reply_q="answers." + address.reply_queue)(address)


ADDRESSES.append(("_reply_q that is no reply_...", _foreign, 1))

REQUESTS = [Request(section, *row) for section, rows in {
    "Envelope and body": ENVELOPES, "Properties": PROPERTIES, "Method": METHODS, "Version and namespace": VERSIONS,
    "Arguments": ARGUMENTS, "Values, echoed": VALUES, "Results and failures": RESULTS, "Call monitor": MONITOR,
    "Casts, reply addresses, duplicates": ADDRESSES}.items() for row in rows]
