import { expect, test } from "vitest";
import { InvalidTransportUrl } from "../../src/messaging/errors.ts";
import { parseTransportUrl, type TransportHost } from "../../src/messaging/transport-url.ts";

const HOST: TransportHost = { hostname: "h", port: 5672, username: "guest", password: "guest" };

/** P24: url, its hosts as far as they differ from HOST, its virtual host (oslo.messaging tests/test_urls.py). */
const URLS: readonly (readonly [url: string, hosts: readonly Partial<TransportHost>[], vhost: string])[] = [
	// Nothing given is guest@localhost, and localhost is never ::1.
	["rabbit://", [{ hostname: "127.0.0.1" }], "/"],
	["rabbit:///nova", [{ hostname: "127.0.0.1" }], "nova"],
	["rabbit://u:p@/nova", [{ hostname: "127.0.0.1", username: "u", password: "p" }], "nova"],
	["rabbit://localhost", [{ hostname: "127.0.0.1" }], "/"],
	["rabbit://LocalHost:5673", [{ hostname: "127.0.0.1", port: 5673 }], "/"],
	// The driver is the scheme up to "+".
	["rabbit://h", [{}], "/"],
	["kombu://h", [{}], "/"],
	["RABBIT://h", [{}], "/"],
	["rabbit+ssl://h", [{}], "/"],
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
	// Host names are lower-cased; an IPv6 address has brackets.
	["rabbit://Ctrl-01.Example", [{ hostname: "ctrl-01.example" }], "/"],
	["rabbit://[::1]", [{ hostname: "::1" }], "/"],
	["rabbit://[2001:DB8::1]:5673/v", [{ hostname: "2001:db8::1", port: 5673 }], "v"],
	["rabbit://u:p@[::ffff:192.0.2.1]", [{ hostname: "::ffff:192.0.2.1", username: "u", password: "p" }], "/"],
];

test.each(URLS)("P24: %s", (url, hosts, vhost) => {
	expect(parseTransportUrl(url)).toEqual({
		driver: "rabbit",
		hosts: hosts.map((host) => ({ ...HOST, ...host })),
		vhost,
	});
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
	// Names that every JavaScript object has.
	["constructor://h", /driver "constructor"/],
	["rabbit://u:p@h:port/v", /the address "h:port", expected host:port/],
	["rabbit://h:port", /an address, expected host:port/],
	["rabbit://h:65536", /an address, expected host:port/],
	["rabbit://h:-1", /an address, expected host:port/],
	["rabbit://h:1:2", /an address, expected host:port/],
	["rabbit://::1", /an address, expected host:port/],
	["rabbit://[::1", /an address, expected host:port/],
	["rabbit://[::1]x", /an address, expected host:port/],
	["rabbit://[evil]:1", /an address, expected host:port/],
	["rabbit://h/%", /virtual host/],
	["rabbit://h/%C3", /virtual host/],
	["rabbit://h?ssl=true", /options/],
];

test.each(REFUSED)("%j is refused", (url, says) => {
	expect(() => parseTransportUrl(url)).toThrow(InvalidTransportUrl);
	expect(() => parseTransportUrl(url)).toThrow(says);
});

/** Matrix row 16: passwords that nobody encoded, so that pieces of them are where other parts should be. */
const LEAKY: readonly string[] = [
	"rabbit://nova:s3cr3t%zz@h/v",
	"rabbit://nova:s3cr3t/s3cr3t@h/v",
	"rabbit://nova:s3cr3t?s3cr3t@h/v",
	"rabbit://nova:s3cr3t,x@h/v",
	"rabbit://nova:x@s3cr3t:x/x@h",
	"rabbit://nova:x,s3cr3t:x@h/v",
	"rabbit://nova:x,nova:s3cr3t,x@h:x",
	"rabbit://nova:s3cr3t@h:port/v",
	"rabbit://nova:s3cr3t@h/%",
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
