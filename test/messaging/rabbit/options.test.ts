import { hostname } from "node:os";
import { describe, expect, test } from "vitest";
import { InvalidRabbitOptions } from "../../../src/messaging/errors.ts";
import { problemOfOption, RabbitOptions, rabbitOptions } from "../../../src/messaging/rabbit/options.ts";
import { askPython } from "../../support/python.ts";

const NO_QUERY = new Map<string, string>();

test("nothing set: oslo's defaults, but for three", () => {
	expect(rabbitOptions({}, NO_QUERY)).toMatchObject({
		ssl: false,
		ssl_enforce_hostname_verification: true,
		amqp_durable_queues: false,
		rabbit_quorum_queue: false,
		rabbit_transient_queues_ttl: 1800,
		hostname: hostname(),
		rabbit_qos_prefetch_count: 0,
		rabbit_login_method: "AMQPLAIN",
		kombu_failover_strategy: "round-robin",
		direct_mandatory_flag: true,
		// 60, 60 and the name of the program in Python.
		heartbeat_timeout_threshold: 5,
		kombu_missing_consumer_retry_timeout: 10,
		processname: "novacompat",
	});
});

/** option, text, what it means */
const TEXTS: readonly (readonly [option: keyof RabbitOptions, text: string, value: unknown])[] = [
	["ssl", "true", true],
	["ssl", "True", true],
	["ssl", "YES", true],
	["ssl", "on", true],
	["ssl", "1", true],
	["direct_mandatory_flag", "False", false],
	["direct_mandatory_flag", "no", false],
	["direct_mandatory_flag", "off", false],
	["direct_mandatory_flag", "0", false],
	["rabbit_quorum_delivery_limit", "7", 7],
	["rabbit_quorum_delivery_limit", " +07 ", 7],
	["rabbit_quorum_delivery_limit", "1_000", 1000],
	["rabbit_quorum_max_memory_bytes", "4294967296", 4_294_967_296],
	["rabbit_transient_queues_ttl", "60", 60],
	["ssl_ca_file", "/etc/ssl/ca.pem", "/etc/ssl/ca.pem"],
	["rabbit_login_method", "EXTERNAL", "EXTERNAL"],
	["kombu_failover_strategy", "shuffle", "shuffle"],
	["kombu_compression", "gzip", "gzip"],
	["hostname", "cmp-01", "cmp-01"],
];

test.each(TEXTS)("%s = %j is %j, from an ini file and from a URL", (option, text, value) => {
	expect(rabbitOptions({ [option]: text }, NO_QUERY)[option]).toEqual(value);
	expect(rabbitOptions({}, new Map([[option, text]]))[option]).toEqual(value);
});

/** option, value in YAML, what it means */
const VALUES: readonly (readonly [option: keyof RabbitOptions, written: unknown, value: unknown])[] = [
	["ssl", true, true],
	["ssl", 1, true],
	["ssl", 0, false],
	["rabbit_qos_prefetch_count", 64, 64],
	["ssl_key_file", "", undefined],
	["rabbit_quorum_delivery_limit", "-1", -1],
	// Less than nothing is nothing: Python only asks for more than 0.
	["heartbeat_timeout_threshold", "-1", 0],
	["rabbit_transient_queues_ttl", 0, 0],
];

test.each(VALUES)("%s: %j is %j", (option, written, value) => {
	expect(rabbitOptions({ [option]: written }, NO_QUERY)[option]).toEqual(value);
});

/** option, value, what is expected instead */
const MISTAKES: readonly (readonly [option: string, value: unknown, expected: string])[] = [
	["ssl", "maybe", "expected true or false"],
	["ssl", "", "expected true or false"],
	["ssl", " true", "expected true or false"],
	["ssl", "2", "expected true or false"],
	["ssl", [1], "expected true or false"],
	["ssl", null, "expected true or false"],
	["rabbit_qos_prefetch_count", "10.0", "expected a whole number up to 65535"],
	["rabbit_qos_prefetch_count", "0x10", "expected a whole number up to 65535"],
	["rabbit_qos_prefetch_count", "1__0", "expected a whole number up to 65535"],
	["rabbit_qos_prefetch_count", "5,6", "expected a whole number up to 65535"],
	["rabbit_qos_prefetch_count", 65_536, "expected a whole number up to 65535"],
	["rabbit_qos_prefetch_count", 1.5, "expected a whole number up to 65535"],
	["rabbit_qos_prefetch_count", true, "expected a whole number up to 65535"],
	["rabbit_transient_queues_ttl", "", "expected a whole number from 0 up to 4294967"],
	["rabbit_transient_queues_ttl", -1, "expected a whole number from 0 up to 4294967"],
	["rabbit_transient_queues_ttl", 4_294_968, "expected a whole number from 0 up to 4294967"],
	["rabbit_login_method", "plain", "expected AMQPLAIN or PLAIN or EXTERNAL"],
	["rabbit_login_method", "RABBIT-CR-DEMO", "expected AMQPLAIN or PLAIN or EXTERNAL"],
	["kombu_failover_strategy", "", "expected round-robin or shuffle"],
	["ssl_ca_file", true, "expected the path of a file"],
	["hostname", "", "expected a name of 1 to 90 letters, digits, dots, dashes and underscores"],
	["processname", "nova compute", "expected a name of 1 to 90 letters, digits, dots, dashes and underscores"],
	["processname", "x".repeat(91), "expected a name of 1 to 90 letters, digits, dots, dashes and underscores"],
	["rabbit_quorum", "true", "expected an option of [oslo_messaging_rabbit]"],
	["toString", "true", "expected an option of [oslo_messaging_rabbit]"],
];

test.each(MISTAKES)("%s: %j is an error: %s", (option, value, expected) => {
	expect(problemOfOption(option, value)).toBe(expected);
	expect(() => rabbitOptions({ [option]: value }, NO_QUERY)).toThrow(
		new InvalidRabbitOptions(`${option}: ${expected}`),
	);
});

test("the query goes before the section", () => {
	const section = { ssl: true, rabbit_quorum_queue: true };
	expect(rabbitOptions(section, new Map([["ssl", "0"]]))).toMatchObject({ ssl: false, rabbit_quorum_queue: true });
});

/** options, what their error says */
const CONTRADICTIONS: readonly (readonly [options: Readonly<Record<string, unknown>>, says: RegExp])[] = [
	[{ rabbit_ha_queues: true, rabbit_quorum_queue: true }, /rabbit_ha_queues is set, expected neither rabbit_quorum/],
	[{ rabbit_ha_queues: true, rabbit_transient_quorum_queue: true }, /rabbit_ha_queues is set, expected neither/],
	[
		{ rabbit_stream_fanout: true, rabbit_qos_prefetch_count: 1 },
		/rabbit_stream_fanout is set, expected rabbit_transient/,
	],
	[
		{ rabbit_stream_fanout: true, rabbit_transient_quorum_queue: true },
		/rabbit_stream_fanout is set, expected rabbit_qos_prefetch_count to be more than 0/,
	],
	[{ ssl: true, ssl_key_file: "/key" }, /ssl_key_file is set, expected ssl_cert_file too/],
];

test.each(CONTRADICTIONS)("%j is a contradiction, also when half of it is in the URL", (options, says) => {
	expect(() => rabbitOptions(options, NO_QUERY)).toThrow(InvalidRabbitOptions);
	expect(() => rabbitOptions(options, NO_QUERY)).toThrow(says);
	const [[first, value] = ["", ""], ...rest] = Object.entries(options);
	expect(() => rabbitOptions(Object.fromEntries(rest), new Map([[first, String(value)]]))).toThrow(says);
});

test.each([
	{ rabbit_stream_fanout: true, rabbit_transient_quorum_queue: true, rabbit_qos_prefetch_count: 1 },
	{ rabbit_quorum_queue: true, rabbit_transient_quorum_queue: true, amqp_durable_queues: true },
	{ ssl: true, ssl_cert_file: "/both.pem" },
	{ ssl: false, ssl_key_file: "/key" },
])("%j is none", (options) => {
	expect(rabbitOptions(options, NO_QUERY)).toMatchObject(options);
});

describe("oslo.messaging", () => {
	const ASK = `
from oslo_messaging._drivers import amqp, base, impl_rabbit

options = {option.name: option for option in impl_rabbit.rabbit_opts + amqp.amqp_opts + base.base_opts}

def read(name, text):
    try:
        return [options[name].type(text)]
    except ValueError:
        return None

answer({"names": sorted(options), "read": [read(name, text) for name, text in question if name in options]})`;

	/** Those that the installed release, 14.0.3, does not know by this name. */
	const LATER = ["rabbit_quorum_max_memory_bytes", "rabbit_quorum_max_memory_length", "hostname"];

	test("has no option that is unknown here, and reads the texts alike", () => {
		const texts = TEXTS.filter(([option]) => !LATER.includes(option));
		const mistakes = MISTAKES.filter(
			([option, value]) =>
				Object.hasOwn(RabbitOptions.shape, option) && typeof value === "string" && !LATER.includes(option),
		);
		const question = [...texts, ...mistakes].map(([option, text]) => [option, text]);
		const { names, read } = askPython(ASK, question) as { names: string[]; read: unknown[] };
		const misspelled = ["rabbit_quroum_max_memory_bytes", "rabbit_quroum_max_memory_length"];
		expect(names.filter((name) => !Object.hasOwn(RabbitOptions.shape, name))).toEqual(misspelled);
		expect(read.slice(0, texts.length)).toEqual(texts.map(([, , value]) => [value]));
		const taken = mistakes.filter((_mistake, index) => read[texts.length + index] !== null);
		expect(taken.map(([option, text]) => `${option} = ${text}`)).toEqual([
			// None, which Python cannot compare with a number later.
			"rabbit_transient_queues_ttl = ",
			// A challenge of the broker that amqplib does not know.
			"rabbit_login_method = RABBIT-CR-DEMO",
			// It makes names of reply queues with it that are none to us.
			"processname = nova compute",
			`processname = ${"x".repeat(91)}`,
		]);
	});
});
