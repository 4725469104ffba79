import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { InvalidTransportUrl } from "../../../src/messaging/errors.ts";
import { parseTransportUrl, type TransportHost } from "../../../src/messaging/rabbit/transport-url.ts";
import { askPython } from "../../support/python.ts";

const HOST: TransportHost = { hostname: "h", port: 5672, username: "guest", password: "guest" };

/** P24: url, its hosts as far as they differ from HOST, its virtual host (oslo.messaging tests/test_urls.py). */
const URLS: readonly (readonly [url: string, hosts: readonly Partial<TransportHost>[], vhost: string])[] = [
	// Nothing given is guest@localhost, and localhost is never ::1.
	["rabbit://", [{ hostname: "127.0.0.1" }], "/"],
	["rabbit:///nova", [{ hostname: "127.0.0.1" }], "nova"],
	["rabbit://u:p@/nova", [{ hostname: "127.0.0.1", username: "u", password: "p" }], "nova"],
	["rabbit://localhost", [{ hostname: "127.0.0.1" }], "/"],
	["rabbit://LocalHost:5673", [{ hostname: "127.0.0.1", port: 5673 }], "/"],
	["rabbit://h", [{}], "/"],
	["kombu://h", [{}], "/"],
	["RABBIT://h", [{}], "/"],
	// The port is 5672, also when it is empty or 0.
	["rabbit://h:5671", [{ port: 5671 }], "/"],
	["rabbit://h:", [{}], "/"],
	["rabbit://h:0", [{}], "/"],
	// The virtual host is decoded once, and "/" when there is none.
	["rabbit://h/", [{}], "/"],
	["rabbit://h//", [{}], "/"],
	["rabbit://h/%2F", [{}], "/"],
	["rabbit://h/%2f", [{}], "/"],
	["rabbit://h/nova", [{}], "nova"],
	["rabbit://h/a%2Fb", [{}], "a/b"],
	["rabbit://h/a/b", [{}], "a/b"],
	["rabbit://h/nova%20cell1", [{}], "nova cell1"],
	["rabbit://h/v#fragment", [{}], "v"],
	["rabbit://h#fragment", [{}], "/"],
	["rabbit://h?", [{}], "/"],
	// Credentials: the last "@", then the first ":", both parts decoded; "+" is a plus.
	["rabbit://u:p@h", [{ username: "u", password: "p" }], "/"],
	["rabbit://u@h", [{ username: "u" }], "/"],
	["rabbit://u:@h", [{ username: "u" }], "/"],
	["rabbit://:p@h", [{ password: "p" }], "/"],
	["rabbit://@h", [{}], "/"],
	["rabbit://user@dom:pass@h", [{ username: "user@dom", password: "pass" }], "/"],
	["rabbit://u:p:q@h", [{ username: "u", password: "p:q" }], "/"],
	["rabbit://u%40d:p%3A%40%2F%25@h", [{ username: "u@d", password: "p:@/%" }], "/"],
	["rabbit://u:a+b@h", [{ username: "u", password: "a+b" }], "/"],
	["rabbit://u:%C3%A9@h", [{ username: "u", password: "é" }], "/"],
	["rabbit://u%24:p%26@h:1234/%24", [{ port: 1234, username: "u$", password: "p&" }], "$"],
	// What is not percent-encoded is taken as it is.
	["rabbit://u:100%@h/50%", [{ username: "u", password: "100%" }], "50%"],
	["rabbit://u:a%zz@h", [{ username: "u", password: "a%zz" }], "/"],
	["rabbit://u:%C3x@h", [{ username: "u", password: "\ufffdx" }], "/"],
	// Several hosts: credentials belong to one host, in the order of the URL; empty items are skipped.
	["rabbit://u:p@h,b", [{ username: "u", password: "p" }, { hostname: "b" }], "/"],
	[
		"rabbit://u1:p1@a:1,u2:p2@b:2/v",
		[
			{ hostname: "a", port: 1, username: "u1", password: "p1" },
			{ hostname: "b", port: 2, username: "u2", password: "p2" },
		],
		"v",
	],
	["rabbit://,h,,b,", [{}, { hostname: "b" }], "/"],
	["rabbit://h,\nb,\n\tc/v", [{}, { hostname: "b" }, { hostname: "c" }], "v"],
	[
		"rabbit://u:p@[ffff::1]:1,h2:2/bar",
		[
			{ hostname: "ffff::1", port: 1, username: "u", password: "p" },
			{ hostname: "h2", port: 2 },
		],
		"bar",
	],
	// Host names are lower-cased; an IPv6 address has brackets.
	["rabbit://Ctrl-01.Example", [{ hostname: "ctrl-01.example" }], "/"],
	["rabbit://[::1]", [{ hostname: "::1" }], "/"],
	["rabbit://[2001:DB8::1]:5673/v", [{ hostname: "2001:db8::1", port: 5673 }], "v"],
	["rabbit://u:p@[::ffff:192.0.2.1]", [{ hostname: "::ffff:192.0.2.1", username: "u", password: "p" }], "/"],
];

/** url, its options; all are options of [oslo_messaging_rabbit], whose values rabbit-options.test.ts is about */
const QUERIES: readonly (readonly [url: string, query: Readonly<Record<string, string>>])[] = [
	["rabbit://h/v?ssl=1", { ssl: "1" }],
	["rabbit://h?ssl=true&rabbit_quorum_queue=False", { ssl: "true", rabbit_quorum_queue: "False" }],
	["rabbit://u:p@h,b/v?heartbeat_timeout_threshold=10", { heartbeat_timeout_threshold: "10" }],
	// Keys that are there more than once are joined, without a value they are not there.
	["rabbit://h/?kombu_compression=gzip&kombu_compression=bz2", { kombu_compression: "gzip,bz2" }],
	["rabbit://h/?kombu_compression=gzip&kombu_compression=", { kombu_compression: "gzip" }],
	["rabbit://h/?ssl=&foo=&bar&", {}],
	["rabbit://h/?kombu_compression=a=b", { kombu_compression: "a=b" }],
	["rabbit://h/?kombu_compression=a;ssl=1?", { kombu_compression: "a;ssl=1?" }],
	["rabbit://h/?ssl_ca_file=/a/b+c%2Bd%40e", { ssl_ca_file: "/a/b c+d@e" }],
	["rabbit://h/?ssl%5Fca_file=/a#ssl=0", { ssl_ca_file: "/a" }],
	["rabbit://h/?rabbit_qos_prefetch_count=%2010", { rabbit_qos_prefetch_count: " 10" }],
];

const parsed = (hosts: readonly Partial<TransportHost>[], vhost: string, query: Readonly<Record<string, string>>) => ({
	driver: "rabbit",
	hosts: hosts.map((host) => ({ ...HOST, ...host })),
	vhost,
	query: new Map(Object.entries(query)),
});

test.each(URLS)("P24: %j", (url, hosts, vhost) => {
	expect(parseTransportUrl(url)).toEqual(parsed(hosts, vhost, {}));
});

/** Refused by oslo.messaging before 15.0; without brackets all of it is the address. */
const BARE: typeof URLS = [
	["rabbit://::1", [{ hostname: "::1" }], "/"],
	["rabbit://u:p@FD00::1/v", [{ hostname: "fd00::1", username: "u", password: "p" }], "v"],
	["rabbit://u:p@fd00::1:5673", [{ hostname: "fd00::1:5673", username: "u", password: "p" }], "/"],
	["rabbit://fd00::1,[fd00::2]:1", [{ hostname: "fd00::1" }, { hostname: "fd00::2", port: 1 }], "/"],
];

test.each(BARE)("an IPv6 address without brackets: %j", (url, hosts, vhost) => {
	expect(parseTransportUrl(url)).toEqual(parsed(hosts, vhost, {}));
});

test.each(QUERIES)("P24: the options of %s", (url, query) => {
	expect(parseTransportUrl(url).query).toEqual(new Map(Object.entries(query)));
});

test("memory:// is the broker inside this process", () => {
	expect(parseTransportUrl("memory://").driver).toBe("memory");
});

/** url, what its error says */
const REFUSED: readonly (readonly [url: string, says: RegExp])[] = [
	["", /no driver/],
	["h:5672", /no driver/],
	["//h", /no driver/],
	// AMQP 1.0, which is another protocol, and was removed.
	["amqp://h", /driver "amqp"/],
	["amqps://h", /driver "amqps"/],
	["fake://", /driver "fake"/],
	// kombu's own names of transports, some of which are TLS.
	["rabbit+ssl://h", /driver "rabbit\+ssl", .*; for TLS set ssl/],
	["kombu+amqps://h", /driver "kombu\+amqps", .*; for TLS set ssl/],
	["kombu+memory://", /driver "kombu\+memory"/],
	// Names that every JavaScript object has.
	["constructor://h", /driver "constructor"/],
	["rabbit://u:p@h:port/v", /the address "h:port", expected host:port/],
	["rabbit://h:port", /an address, expected host:port/],
	["rabbit://h:65536", /an address, expected host:port/],
	["rabbit://h:-1", /an address, expected host:port/],
	["rabbit://h:1:2", /an address, expected host:port/],
	["rabbit://u:p%40h", /an address, expected host:port/],
	["rabbit://u%40h", /an address, expected host:port/],
	["rabbit://::1%lo", /an address, expected host:port/],
	["rabbit://::1::2", /an address, expected host:port/],
	["rabbit://[::1", /an address, expected host:port/],
	["rabbit://[::1]x", /an address, expected host:port/],
	["rabbit://[evil]:1", /an address, expected host:port/],
	// A name that is not one of an option, or is one no more.
	["rabbit://h?foo=1", /the option foo, expected an option of \[oslo_messaging_rabbit\]/],
	["rabbit://h?rabbit_use_ssl=1", /the option rabbit_use_ssl, expected an option/],
	["rabbit://h?constructor=1", /the option constructor, expected an option/],
	["rabbit://h?ssl=maybe", /the option ssl, expected true or false/],
	["rabbit://h?ssl=%20true", /the option ssl, expected true or false/],
	["rabbit://h?ssl=1;foo=2", /the option ssl, expected true or false/],
	["rabbit://h?ssl=1&ssl=1", /the option ssl, expected true or false/],
	["rabbit://h?rabbit_qos_prefetch_count=5&rabbit_qos_prefetch_count=6", /expected a whole number up to 65535/],
	["rabbit://h?rabbit_transient_queues_ttl=-1", /expected a whole number from 0 up to 4294967/],
	["rabbit://h?rabbit_login_method=plain", /expected AMQPLAIN or PLAIN or EXTERNAL/],
	// Python takes these, with a virtual host or an option of that name: they are more likely pieces of a password.
	["rabbit://h/a@b", /"@" behind the hosts, expected %40/],
	["rabbit://h?ssl_ca_file=a@b", /"@" behind the hosts, expected %40/],
];

test.each(REFUSED)("%j is refused", (url, says) => {
	expect(() => parseTransportUrl(url)).toThrow(InvalidTransportUrl);
	expect(() => parseTransportUrl(url)).toThrow(says);
});

/** Matrix row 16: passwords that nobody encoded, so that pieces of them are where other parts should be. */
const LEAKY: readonly string[] = [
	"rabbit://nova:s3cr3t/s3cr3t@h/v",
	"rabbit://nova:1/s3cr3t@h/v",
	"rabbit://nova:s3cr3t?s3cr3t@h/v",
	"rabbit://nova:1?s3cr3t=1@h/v",
	"rabbit://nova:1#s3cr3t=1@h/v",
	"rabbit://nova:x@1?s3cr3t=1@h/v",
	"rabbit://nova:s3cr3t,x@h/v",
	"rabbit://nova:x@s3cr3t:x/x@h",
	"rabbit://nova:x,s3cr3t:x@h/v",
	"rabbit://nova:x,nova:s3cr3t,x@h:x",
	"rabbit://nova:s3cr3t@h:port/v",
	"rabbit://nova:s3cr3t@h?ssl=s3cr3t",
	"rabbit://nova:s3cr3t@h?foo=s3cr3t",
	"amqp://nova:s3cr3t@h/v",
	"nova:s3cr3t@h/v",
	"rabbit//nova:s3cr3t@h",
];

test.each(LEAKY)("the error about %s shows no piece of the password", (url) => {
	const error = (() => {
		try {
			return parseTransportUrl(url);
		} catch (caught) {
			return caught;
		}
	})();
	expect(error).toBeInstanceOf(InvalidTransportUrl);
	expect(String(error instanceof Error ? [error.stack, error.cause] : error)).not.toContain("s3cr3t");
});

describe("oslo.messaging and kombu read the same", () => {
	/** What a connection of theirs is made with; null for what they refuse. */
	const ASK = `
from kombu import Connection
from oslo_config import cfg
from oslo_messaging import TransportHost, TransportURL
from oslo_messaging._drivers import impl_rabbit

conf = cfg.ConfigOpts()
conf([])
rabbit = impl_rabbit.Connection.__new__(impl_rabbit.Connection)

def connection(url, host):
    info = Connection(rabbit._transform_transport_url(url, host, default_hostname="localhost")).info()
    # kombu/transport/pyamqp.py, establish_connection
    hostname = "127.0.0.1" if info["hostname"] == "localhost" else info["hostname"]
    return {"hostname": hostname, "port": info["port"], "username": info["userid"], "password": info["password"],
            "vhost": info["virtual_host"]}

def read(text):
    try:
        url = TransportURL.parse(conf, text)
        scheme = url.transport
        url.transport = "rabbit"
        connections = [connection(url, host) for host in url.hosts or [TransportHost("")]]
        return {"scheme": scheme, "connections": connections, "query": url.query}
    except Exception:
        return None

answer([read(text) for text in question])`;

	/** It looks into a host name that is not there, and writes the "/" of a password into a URL as it is. */
	const PYTHON_BREAKS = ["rabbit://u:p@/nova", "rabbit://u%40d:p%3A%40%2F%25@h"];

	const ours = (url: string) => {
		const { driver, hosts, vhost, query } = parseTransportUrl(url);
		return { driver, connections: hosts.map((host) => ({ ...host, vhost })), query: Object.fromEntries(query) };
	};
	const theirs = (urls: readonly string[]) =>
		(askPython(ASK, urls) as ({ scheme: string } | null)[]).map((answer) => {
			if (answer === null) return null;
			const { scheme, ...rest } = answer;
			return { driver: scheme.replace("kombu", "rabbit"), ...rest };
		});

	test("what the tables above have", () => {
		const urls = [...URLS, ...QUERIES].map(([url]) => url);
		const answers = theirs(urls);
		expect(urls.filter((_url, index) => answers[index] === null)).toEqual(PYTHON_BREAKS);
		expect(answers).toEqual(urls.map((url) => (PYTHON_BREAKS.includes(url) ? null : ours(url))));
	});

	test("what is made of pieces, unless we refuse it", () => {
		const many = (pieces: readonly string[], longest: number) =>
			fc.array(fc.constantFrom(...pieces), { maxLength: longest }).map((chosen) => chosen.join(""));
		const url = fc
			.tuple(
				many(["u", "p", ":", "@", ",", "h", "B", "[::1]", "localhost", ":5", "%40", "%25", "%", "+", "é", "\n"], 8),
				fc.constantFrom("", "/"),
				many(["v", "%2F", "%20", ".", "%C3%A9", "-"], 3),
				fc.constantFrom("", "?", "?ssl=1", "#"),
				many(["&", "ssl=1", "ssl=", "ssl_ca_file=a", "+", "%2B", "#", "="], 4),
			)
			.map((parts) => `rabbit://${parts.join("")}`);
		const urls = fc.sample(url, { seed: 24, numRuns: 3_000 });
		const accepted = urls.flatMap((text) => {
			try {
				return [[text, ours(text)] as const];
			} catch (error) {
				expect(error).toBeInstanceOf(InvalidTransportUrl);
				return [];
			}
		});
		expect(accepted.length).toBeGreaterThan(500);
		const answers = theirs(accepted.map(([text]) => text));
		const different = accepted.flatMap(([url, read], index) => {
			const answer = answers[index];
			return answer === null || isDeepStrictEqual(answer, read) ? [] : [{ url, read, answer }];
		});
		expect(different).toEqual([]);
		expect(answers.filter((answer) => answer !== null).length).toBeGreaterThan(500);
	});
});
