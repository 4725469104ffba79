import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { logFormat, problemOfFormat } from "../../src/log/format.ts";
import { createLogger } from "../../src/log/logger.ts";
import { osloLine } from "../../src/log/oslo-line.ts";
import type { LogContext, LogRecord } from "../../src/log/record.ts";
import { dateFormat, problemOfDateFormat } from "../../src/log/strftime.ts";
import { osloJson } from "../support/log.ts";
import { askPython } from "../support/python.ts";

const REQUEST = "req-3b7e9f7c-5b0e-4b6e-9f3e-0d7a3c1a5f42";
const GLOBAL = "req-11f7afc4-8f0e-4b0e-9d3e-5d7a3c1a5f42";
const TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE = { trace_id: "4bf92f3577b34da6a3ce929d0e0e4736", span_id: "00f067aa0ba902b7" };
const INSTANCE = "0002587c-b09d-468a-9995-53d16eeb8a15";
const CREATED = Date.UTC(2026, 7, 21, 14, 3, 9, 7);

const record = (context: LogContext, more: Partial<LogRecord> = {}): LogRecord => ({
	name: "novacompat.serve",
	level: "info",
	message: "live migration a -> b: accept [fb42b4f2f40e]",
	context,
	extra: {},
	created: CREATED,
	...more,
});

const RECORDS: readonly (readonly [what: string, record: LogRecord])[] = [
	["no context", record({})],
	["no context, instance", record({ instance: INSTANCE })],
	["request id alone", record({ request_id: REQUEST })],
	["all ids", record({ request_id: REQUEST, global_request_id: GLOBAL, user_id: "u1", project_id: "p1" })],
	["all ids, instance", record({ request_id: REQUEST, global_request_id: GLOBAL, user_id: "u1", instance: INSTANCE })],
	["other ids without request id", record({ user_id: "u1", project_id: "p1" })],
	["in a trace", record({ request_id: REQUEST, traceparent: TRACEPARENT })],
	["WARNING", record({ request_id: REQUEST }, { level: "warning" })],
	["ERROR", record({}, { level: "error" })],
	["CRITICAL", record({ request_id: REQUEST }, { level: "critical" })],
	["DEBUG", record({ request_id: REQUEST }, { level: "debug" })],
	["a message with quotes, percent signs and other scripts", record({}, { message: '100 % "größer" 中文 🙂' })],
	["on the second", record({}, { created: Date.UTC(2026, 0, 1) })],
];

/** What oslo.log's formatters make of the same records: `line` by the default options, `json` by use_json. */
const OSLO = `
import logging, os, time
from oslo_config import cfg
from oslo_context import context as oslo_context
from oslo_log import formatters, log
conf = cfg.ConfigOpts()
log.register_options(conf)
conf([], default_config_files=[], default_config_dirs=[])
# The one difference: where in the code a line of DEBUG is from.
conf.set_override("logging_debug_format_suffix", "")
for option, text in question.get("formats", {}).items():
    conf.set_override(option, text)
line = formatters.ContextFormatter(datefmt=conf.log_date_format, config=conf)
json_formatter = formatters.JSONFormatter(datefmt=conf.log_date_format)
class Error(Exception): pass
def python_record(asked):
    # A context is that of the thread until another one is.
    oslo_context._request_store.__dict__.clear()
    ids = asked["context"]
    level = logging.getLevelName(asked["level"].upper())
    made = logging.LogRecord(
        asked["name"], level, "(unknown file)", 0, asked["message"], (), None, "(unknown function)")
    made.created = asked["created"] / 1000
    made.msecs = asked["created"] % 1000
    made.process = question["pid"]
    if ids.get("instance"):
        # As KeywordArgumentAdapter does for LOG.info(..., instance=...).
        made.instance = {"uuid": ids["instance"]}
    if ids.get("request_id"):
        made.context = oslo_context.RequestContext(
            request_id=ids["request_id"], global_request_id=ids.get("global_request_id"),
            user_id=ids.get("user_id"), project_id=ids.get("project_id"), auth_token="s3cr3t")
    made.extra = asked["extra"]
    if asked.get("traceback"):
        made.exc_info = (Error, Error("x"), None)
        # In the place of what Python would say of its own code.
        formatters.traceback.print_exception = lambda *args: args[4].write("\\n".join(asked["traceback"]))
    return made
def both(asked):
    return {"line": line.format(python_record(asked)), "json": json_formatter.format(python_record(asked))}
answer([both(asked) for asked in question["records"]])`;

const DEFAULTS = { use_json: false, log_date_format: "%Y-%m-%d %H:%M:%S" };

const ZONE = process.env["TZ"];
afterEach(() => {
	if (ZONE === undefined) delete process.env["TZ"];
	else process.env["TZ"] = ZONE;
});

describe("oslo.log says the same of the same record", () => {
	const oslo = (zone: string, records: readonly LogRecord[], formats: Readonly<Record<string, string>> = {}) => {
		process.env["TZ"] = zone;
		const answer = askPython(OSLO, { records, formats, pid: process.pid }) as { line: string; json: string }[];
		return answer.map(({ line, json }) => ({ line, json: JSON.parse(json) as Record<string, unknown> }));
	};

	test.each(["UTC", "Asia/Kolkata", "America/St_Johns"])("its default line, byte for byte, in %s", (zone) => {
		const expected = oslo(
			zone,
			RECORDS.map(([, one]) => one),
		);
		expect(RECORDS.map(([what, one]) => [what, osloLine(one)])).toEqual(
			RECORDS.map(([what], index) => [what, expected[index]?.line]),
		);
	});

	test("an exception, with where it was on lines of their own", () => {
		const traceback = ["    at check (precheck.js:20:3)", "    at async serve (server.js:90:1)"];
		const error = { traceback, errorSummary: "Error: x" };
		const records = [
			record({ request_id: REQUEST, instance: INSTANCE }, { level: "error", message: "failed", ...error }),
			record({}, { level: "error", message: "crashed", ...error }),
			record({}, { level: "error", message: "no exception" }),
		];
		const plain = oslo("Asia/Kolkata", records);
		expect(records.map(osloLine)).toEqual(plain.map(({ line }) => line));
		expect(records.map((one) => JSON.parse(osloJson(one)).error_summary)).toEqual(
			plain.map(({ json }) => json["error_summary"]),
		);
		expect(records.map((one) => JSON.parse(osloJson(one)).message)).toEqual(plain.map(({ json }) => json["message"]));
		expect(records.map((one) => JSON.parse(osloJson(one)).traceback)).toEqual([traceback, traceback, null]);
		for (const logging_default_format_string of [
			"%(levelname)s %(message)s",
			"%(levelname)s (%(error_summary)s) %(message)s",
			"%(levelname)s %(error_summary)12s",
		]) {
			const formats = { logging_default_format_string };
			const formed = oslo("Asia/Kolkata", records, formats);
			expect(records.map(logFormat({ ...DEFAULTS, ...formats }))).toEqual(formed.map(({ line }) => line));
		}
	});

	const ALL =
		"%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(name)s [%(global_request_id)s %(request_id)s %(user_identity)s] %(instance)s%(message)s";
	/** of a request, of others */
	const FORMATS: readonly (readonly [string, string])[] = [
		[ALL, "%(asctime)s.%(msecs)03d %(process)d %(levelname)s %(name)s [-] %(instance)s%(message)s"],
		["%(levelname)-8s|%(levelname)3s|%(msecs)5d|%(msecs)s 100%% %(message)s", "%(levelno)03d %(name)30s: %(message)s"],
		["<%(user)s %(project)s %(request_id)s> %(message)s", "%(process)010d%%%(message)s"],
	];
	test.each(FORMATS)("lines of the form %j and %j", (logging_context_format_string, logging_default_format_string) => {
		const formats = { logging_context_format_string, logging_default_format_string };
		expect([logging_context_format_string, logging_default_format_string].map(problemOfFormat)).toEqual([
			undefined,
			undefined,
		]);
		const records = RECORDS.map(([, one]) => one);
		const line = logFormat({ ...DEFAULTS, ...formats });
		expect(records.map(line)).toEqual(oslo("UTC", records, formats).map((one) => one.line));
		// Left out, each is the default.
		expect(records.map(logFormat(DEFAULTS))).toEqual(records.map(osloLine));
	});

	const EVERY = "%a %d %b %y %Y-%m-%dT%H:%M:%S%z %Z %j 100%%";
	/** date format, zone: quarters of an hour, a winter that is the exception, names that are numbers, a summer of two hours */
	const DATES: readonly (readonly [string, string])[] = [
		[EVERY, "UTC"],
		[EVERY, "America/St_Johns"],
		[EVERY, "Europe/Dublin"],
		[EVERY, "Asia/Kathmandu"],
		[EVERY, "Antarctica/Troll"],
		[EVERY, "Australia/Lord_Howe"],
		["größer %Y", "Asia/Kolkata"],
	];
	test.each(DATES)("dates of the form %j in %s", (log_date_format, zone) => {
		const records = [...Array(12).keys()].map((month) => record({}, { created: Date.UTC(2024, month, 29, 23, 59, 7) }));
		const theirs = oslo(zone, records, { log_date_format });
		expect(records.map(logFormat({ ...DEFAULTS, log_date_format }))).toEqual(theirs.map(({ line }) => line));
		const ours = records.map(logFormat({ use_json: true, log_date_format })).map((line) => JSON.parse(line));
		expect(ours.map(({ asctime }) => asctime)).toEqual(theirs.map(({ json }) => json["asctime"]));
		const logging_default_format_string = "%(asctime)30s|%(message)s";
		const formats = { log_date_format, logging_default_format_string };
		expect(records.map(logFormat({ ...DEFAULTS, ...formats }))).toEqual(
			oslo(zone, records, formats).map(({ line }) => line),
		);
	});

	test("the fields of its JSON, their order and values", () => {
		const records = RECORDS.map(([, one]) => ({ ...one, extra: { check_id: "fb42b4f2f40e", reason_codes: ["a.b"] } }));
		const expected = oslo("Asia/Kolkata", records);
		for (const [index, one] of records.entries()) {
			const ours = JSON.parse(osloJson(one));
			const theirs = { ...expected[index]?.json };
			expect(Object.keys(ours)).toEqual(Object.keys(theirs));
			// Of another process: its threads, and how long it has been running.
			const { context, extra, thread, relative_created, ...rest } = ours;
			expect(theirs).toMatchObject(rest);
			expect([typeof thread, typeof relative_created]).toEqual(["number", "number"]);
			// Nothing in the context but what its own has too, with the same value.
			expect(theirs["context"]).toMatchObject(context);
			const { instance, traceparent } = one.context;
			const ids = { ...(instance && { instance }), ...(traceparent && TRACE) };
			expect(extra).toEqual({ ...ids, ...(theirs["extra"] as object) });
		}
		expect(JSON.parse(osloJson(records[3] ?? record({}))).context).toEqual({
			request_id: REQUEST,
			global_request_id: GLOBAL,
			user: "u1",
			project: "p1",
			project_id: "p1",
			user_identity: "u1 p1 - - -",
		});
	});
});

test("a form may have the trace and the span, which oslo.log does not know", () => {
	const line = logFormat({
		...DEFAULTS,
		logging_context_format_string: "%(trace_id)s %(span_id)s: %(message)s",
		logging_default_format_string: "%(span_id)17s",
	});
	const [inTrace, inNone] = [{ request_id: REQUEST, traceparent: TRACEPARENT }, { request_id: REQUEST }];
	expect([record(inTrace), record(inNone), record({ traceparent: TRACEPARENT })].map(line)).toEqual([
		`${TRACE.trace_id} ${TRACE.span_id}: ${record({}).message}`,
		`None None: ${record({}).message}`,
		` ${TRACE.span_id}`,
	]);
});

/** format, what is wrong with it */
const MISTAKES: readonly (readonly [string, RegExp])[] = [
	["%(colour)s", /^%\(colour\): expected one of asctime, msecs, /],
	["%(constructor)s", /^%\(constructor\): expected one of /],
	["%(message)d", /^%\(message\)d: expected %\(message\)s/],
	["100 %", /^a % that begins neither/],
	["%s", /^a % that begins neither/],
	["%(message)f", /^a % that begins neither/],
];
test.each(MISTAKES)("a form that cannot be used: %j", (text, says) => expect(problemOfFormat(text)).toMatch(says));

/** format of a date, what is wrong with it */
const WRONG_DATES: readonly (readonly [string, string])[] = [
	["", "expected a format such as %H:%M:%S"],
	["%Y-%Q", "%Q: expected one of %Y, %m, %d, %H, %M, %S, %z, %Z, %j, %y, %b, %a, %%"],
	["%f", "%f: expected one of "],
	["%-d", "%-: expected one of "],
	["%constructor", "%c: expected one of "],
	["100 %", "%: expected one of "],
	["%🙂", "%🙂: expected one of "],
	["%\n", "%\n: expected one of "],
];
test.each(WRONG_DATES)("a format of a date that cannot be used: %j", (text, says) =>
	expect(problemOfDateFormat(text)).toContain(says),
);

test.each(["%%", "%Y", "%%Q", "T"])("a format of a date that can be used: %j", (text) =>
	expect(problemOfDateFormat(text)).toBe(undefined),
);

/** TZ, what stands for %Z on a day of January and of July */
const ZONES: readonly (readonly [string, string, string])[] = [
	["Europe/Berlin", "CET", "CEST"],
	[":Europe/Berlin", "CET", "CEST"],
	["Asia/Tehran", "+0330", "+0330"],
	// Node.js goes by UTC then.
	["EST5EDT,M3.2.0,M11.1.0", "+0000", "+0000"],
	["no such zone", "+0000", "+0000"],
	["UTC", "UTC", "UTC"],
	["", "UTC", "UTC"],
];
test.each(ZONES)("the zone %j is called %s and %s", (zone, winter, summer) => {
	process.env["TZ"] = zone;
	const name = dateFormat("%Z");
	expect([0, 6].map((month) => name(Date.UTC(2026, month, 9)))).toEqual([winter, summer]);
});

test("lines of one second, of the next, of one before, and on both sides of a change of the clock", () => {
	process.env["TZ"] = "Europe/Berlin";
	const change = Date.UTC(2026, 9, 25, 1);
	const times = [0, 999, 1_000, 1_001, 500, -1, 0, 86_400_000, 999].map((after) =>
		record({}, { created: change + after }),
	);
	expect(times.map(logFormat(DEFAULTS))).toEqual(times.map(osloLine));
});

describe("whatever a message holds", () => {
	const anything = fc.record({
		message: fc.string({ unit: "binary" }),
		instance: fc.string({ unit: "binary" }),
		text: fc.string({ unit: "binary" }),
	});

	test.each([
		["a line of text", osloLine],
		[
			"a line of another form",
			logFormat({
				use_json: false,
				logging_default_format_string: "%(asctime)s%(instance)s%(message)-9s\u001b[2J",
				log_date_format: "%Y\u001b[1m",
			}),
		],
		["a line of JSON", osloJson],
	])("%s stays one line without control characters", (_, format) => {
		fc.assert(
			fc.property(anything, ({ message, instance, text }) => {
				const line = format(record({ instance }, { message, extra: { text } }));
				expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
			}),
		);
	});

	test("an exception makes no line that looks like another record", () => {
		fc.assert(
			fc.property(anything, ({ message, instance }) => {
				const written: string[] = [];
				const log = createLogger("novacompat.serve", false, (text) => written.push(text));
				log.exception("failed", new Error(message), { instance });
				const [first = "", ...frames] = written.join("").trimEnd().split("\n");
				expect(first).toMatch(/ ERROR novacompat\.serve \[-\] (\[instance: .*\] )?failed: Error/);
				expect(frames.length).toBeGreaterThan(0);
				for (const frame of frames) expect(frame).toMatch(/ ERROR novacompat\.serve (\[instance: .*\] )? {4}at /);
				expect(frames.join("")).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
			}),
		);
	});

	test("what is escaped in JSON is there again when it is read", () => {
		fc.assert(
			fc.property(anything, ({ message }) => {
				expect(JSON.parse(osloJson(record({}, { message }))).message).toBe(message);
			}),
		);
	});
});

test("the level may change at any time", () => {
	const lines: string[] = [];
	const log = createLogger(
		"novacompat.test",
		false,
		(line) => lines.push(line),
		({ message }) => message,
	);
	log.debug("one");
	log.level = "debug";
	log.debug("two");
	log.level = "info";
	log.debug("three");
	log.info("four");
	expect(lines).toEqual(["two\n", "four\n"]);
});
