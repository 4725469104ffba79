import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { rabbitOptions } from "../src/messaging/rabbit/options.ts";
import { type NovaConf, readNovaConf } from "../src/nova-conf.ts";
import { OsloConfig } from "../src/oslo-config.ts";
import { ConfigError } from "../src/yaml.ts";
import { askPython } from "./support/python.ts";

const directory = mkdtempSync(join(tmpdir(), "novacompat-"));
afterAll(() => rmSync(directory, { recursive: true }));

let count = 0;
function file(text: string): string {
	const path = join(directory, `${++count}.conf`);
	writeFileSync(path, text);
	return path;
}

const RABBIT = "[oslo_messaging_rabbit]\n";
type Expected = Partial<Omit<NovaConf, "oslo_messaging_rabbit">> & { readonly rabbit?: Record<string, string> };

/** files, the later ones going before, and what they say */
const FILES: readonly (readonly [files: readonly string[], expected: Expected])[] = [
	[[], {}],
	[[""], {}],
	[["[DEFAULT]\nmy_ip = 192.0.2.1\n[libvirt]\nvirt_type = kvm\n"], {}],
	[["[DEFAULT]\ntransport_url = rabbit://u:p@h:5672/v\n"], { transport_url: "rabbit://u:p@h:5672/v" }],
	[["[DEFAULT]\ncontrol_exchange: cell2\nrpc_ping_enabled=Yes"], { control_exchange: "cell2", rpc_ping_enabled: true }],
	[["[DEFAULT]\nrpc_ping_enabled = off\n"], { rpc_ping_enabled: false }],
	// The first "=" or ":" separates; the last assignment counts, also when the section is there twice.
	[["[DEFAULT]\ncontrol_exchange : a=b:c\n"], { control_exchange: "a=b:c" }],
	[["[DEFAULT]\ncontrol_exchange=a\n[x]\n[DEFAULT]\ncontrol_exchange=b\n"], { control_exchange: "b" }],
	[[`${RABBIT}ssl = true\n`, "[DEFAULT]\n", `${RABBIT}ssl = false\n`], { rabbit: { ssl: "false" } }],
	[
		[`${RABBIT}ssl = true\n`, `${RABBIT}rabbit_qos_prefetch_count = 3\n`],
		{ rabbit: { ssl: "true", rabbit_qos_prefetch_count: "3" } },
	],
	// Comments have a line of their own.
	[["# c\n[DEFAULT]\n; c\n#control_exchange = a\ncontrol_exchange = b # c\n"], { control_exchange: "b # c" }],
	// Line ends and white space.
	[["[DEFAULT]  \r\ncontrol_exchange\t=\ta  \r\n\r\n"], { control_exchange: "a" }],
	[["[DEFAULT]\ncontrol_exchange = a\n   \nrpc_ping_enabled = 1"], { control_exchange: "a", rpc_ping_enabled: true }],
	// A continuation keeps its line end; in a transport_url it does not count.
	[["[DEFAULT]\ntransport_url = rabbit://u:p@a,\n\tu:p@b\n  /v\n"], { transport_url: "rabbit://u:p@a,\nu:p@b\n/v" }],
	[["[DEFAULT]\ncontrol_exchange = a\n  # no comment\n"], { control_exchange: "a\n# no comment" }],
	// Quotes around the first line.
	[['[DEFAULT]\ncontrol_exchange = "a b"\n'], { control_exchange: "a b" }],
	[["[DEFAULT]\ncontrol_exchange = ' a '\n"], { control_exchange: " a " }],
	[["[DEFAULT]\ncontrol_exchange = 'a\"\n"], { control_exchange: "'a\"" }],
	[["[DEFAULT]\ncontrol_exchange = 'a'\n  'b'\n"], { control_exchange: "a\n'b'" }],
	// References: to the own section first, then to [DEFAULT], or with a section.
	[["[DEFAULT]\nmy_ip = h\ntransport_url = rabbit://u:p@$my_ip/\n"], { transport_url: "rabbit://u:p@h/" }],
	[[`[DEFAULT]\nmy_ip = h\ntransport_url = rabbit://u:p@\${my_ip}x/\n`], { transport_url: "rabbit://u:p@hx/" }],
	[[`[DEFAULT]\nmy_ip = h\n${RABBIT}hostname = $my_ip\n`], { rabbit: { hostname: "h" } }],
	[
		[`[DEFAULT]\nssl_ca_file = a\n${RABBIT}ssl_ca_file = b\nssl_cert_file = $ssl_ca_file/c\n`],
		{ rabbit: { ssl_ca_file: "b", ssl_cert_file: "b/c" } },
	],
	[
		[`[DEFAULT]\ncontrol_exchange = \${oslo_messaging_rabbit.ssl_ca_file}\n${RABBIT}ssl_ca_file = b\n`],
		{ control_exchange: "b", rabbit: { ssl_ca_file: "b" } },
	],
	[
		["[DEFAULT]\nmy_ip = a\n", "[DEFAULT]\ncontrol_exchange = $my_ip\n", "[DEFAULT]\nmy_ip = c\n"],
		{ control_exchange: "c" },
	],
	[["[DEFAULT]\nmy_ip = $host\nhost = h\ncontrol_exchange = $my_ip\n"], { control_exchange: "h" }],
	// A dollar.
	[["[DEFAULT]\ntransport_url = rabbit://u:a$$b@h/\n"], { transport_url: "rabbit://u:a$b@h/" }],
	[["[DEFAULT]\ntransport_url = rabbit://u:a\\$b@h/\n"], { transport_url: "rabbit://u:a$b@h/" }],
	[[`[DEFAULT]\ntransport_url = rabbit://u:$1\${@h/$\n`], { transport_url: `rabbit://u:$1\${@h/$` }],
	[["[DEFAULT]\nmy_ip = h\ncontrol_exchange = $$my_ip$$$my_ip\\$$my_ip\n"], { control_exchange: "$my_ip$h$h" }],
	// Sections are lower-cased but for [DEFAULT]; options are not, and have no dashes.
	[["[Oslo_Messaging_RABBIT]\nssl = true\n"], { rabbit: { ssl: "true" } }],
	[["[default]\ncontrol_exchange = a\n"], {}],
	[[`${RABBIT}SSL = maybe\nrabbit-quorum-queue = maybe\n`], {}],
	// Former names, in the same file behind today's, in a later file before them.
	[[`${RABBIT}rabbit_use_ssl = 1\n`], { rabbit: { ssl: "1" } }],
	[[`${RABBIT}kombu_reconnect_timeout = 7\n`], { rabbit: { kombu_missing_consumer_retry_timeout: "7" } }],
	[
		[`${RABBIT}kombu_ssl_keyfile = k\nkombu_ssl_certfile = c\nkombu_ssl_ca_certs = a\n`],
		{ rabbit: { ssl_key_file: "k", ssl_cert_file: "c", ssl_ca_file: "a" } },
	],
	[[`${RABBIT}ssl_ca_file = a\nkombu_ssl_ca_certs = b\n`], { rabbit: { ssl_ca_file: "a" } }],
	[[`${RABBIT}ssl_ca_file = a\n`, `${RABBIT}kombu_ssl_ca_certs = b\n`], { rabbit: { ssl_ca_file: "b" } }],
	[
		["[DEFAULT]\nrabbit_login_method = PLAIN\nrabbit_ha_queues = on\namqp_auto_delete = 1\nssl = maybe\n"],
		{ rabbit: { rabbit_login_method: "PLAIN", rabbit_ha_queues: "on", amqp_auto_delete: "1" } },
	],
];

test.each(FILES)("%j", (texts, { rabbit = {}, ...expected }) => {
	expect(readNovaConf(texts.map(file))).toEqual({ ...expected, oslo_messaging_rabbit: rabbit });
});

test("the misspelled options of 14.0", () => {
	const text = `${RABBIT}rabbit_quroum_max_memory_length = 5\nrabbit_quroum_max_memory_bytes = 6\n`;
	expect(readNovaConf([file(text)]).oslo_messaging_rabbit).toEqual({
		rabbit_quorum_max_memory_length: "5",
		rabbit_quorum_max_memory_bytes: "6",
	});
});

test("Nova's processname is not taken: two processes of one name steal each other's replies", () => {
	expect(readNovaConf([file(`${RABBIT}processname = nova-compute\n`)]).oslo_messaging_rabbit).toEqual({});
});

type Mistake = readonly [text: string, line: number, says: RegExp];

/** text, line, what is said; "s3cr3t" is a password, and wherever it is it must not be shown */
const UNREADABLE: readonly Mistake[] = [
	["transport_url = rabbit://u:s3cr3t@h/\n", 1, /expected a \[section\] before/],
	["[DEFAULT]\ntransport_url rabbit//u_s3cr3t@h/\n", 2, /expected \[section\], key = value or a comment/],
	["[DEFAULT]\n= rabbit://u:s3cr3t@h/\n", 2, /expected a key before/],
	["[DEFAULT]\n  transport_url = rabbit://u:s3cr3t@h/\n", 2, /expected no white space before this/],
	["[DEFAULT]\na = 1\n\n  s3cr3t\n", 4, /expected no white space before this/],
	["[DEFAULT]\na = 1\n# c\n  s3cr3t\n", 4, /expected no white space before this/],
	["[DEFAULT] # s3cr3t\n", 1, /expected \[section\] and nothing behind/],
	["[]\n", 1, /expected \[section\] and nothing behind/],
	[
		"[DEFAULT]\ntransport_url = rabbit://u:a$s3cr3t@h/\n",
		2,
		/transport_url refers to an option that these files do not/,
	],
	[`[DEFAULT]\ntransport_url = rabbit://u:a\${s3cr3t}@h/\n`, 2, /expected a value, or \$\$ for a "\$"/],
	[`[DEFAULT]\na = $control_exchange\n\ncontrol_exchange = \${a}\n`, 2, /a refers to itself/],
];

/** The same; a ConfigOpts without oslo.messaging takes them. */
const UNUSABLE: readonly Mistake[] = [
	["[DEFAULT]\na = 1\ntransport_url = rabbit://u:s3cr3t@h:port/\n", 3, /transport_url has the address "h:port"/],
	["[DEFAULT]\ntransport_url = rabbit://u:s3cr3t@h/?foo=s3cr3t\n", 2, /the option foo/],
	["[DEFAULT]\ntransport_url =\n", 2, /no driver/],
	["[DEFAULT]\ncontrol_exchange = ''\n", 2, /control_exchange: expected a name, got ""/],
	["[DEFAULT]\nrpc_ping_enabled = maybe\n", 2, /rpc_ping_enabled: expected true or false, got "maybe"/],
	[`${RABBIT}\nkombu_reconnect_timeout = soon\n`, 3, /kombu_reconnect_timeout: expected a whole .*, got "soon"/],
	[`${RABBIT}rabbit_qos_prefetch_count = many\n  u = s3cr3t\n`, 2, /expected a whole number up to 65535, got "many"/],
	[
		`[DEFAULT]\ntransport_url = rabbit://u:s3cr3t@h/\n${RABBIT}ssl = $transport_url\n`,
		4,
		/ssl: expected true or false, got "\$transport_url"/,
	],
];

test.each([...UNREADABLE, ...UNUSABLE])("%j is a mistake in line %i", (text, line, says) => {
	const path = file(text);
	const mistake = (() => {
		try {
			return readNovaConf([file("[DEFAULT]\n"), path]);
		} catch (error) {
			return error;
		}
	})();
	expect(mistake).toBeInstanceOf(ConfigError);
	const { message, stack } = mistake as ConfigError;
	expect(message).toMatch(says);
	expect(message.startsWith(`${path}:${line}: `)).toBe(true);
	expect(stack).not.toContain("s3cr3t");
});

test("a file that is not there", () => {
	expect(() => readNovaConf([`${directory}/none.conf`])).toThrow(/none.conf: ENOENT/);
});

describe("oslo.config reads the same", () => {
	const ASK = `
from oslo_config import cfg
from oslo_messaging import transport
from oslo_messaging._drivers import amqp, base, impl_rabbit
from oslo_messaging.rpc import dispatcher

group = cfg.OptGroup("oslo_messaging_rabbit")

def load(files):
    conf = cfg.ConfigOpts()
    conf.register_opts(transport._transport_opts + dispatcher._dispatcher_opts)
    conf.register_opts([cfg.StrOpt(name) for name in ("my_ip", "host", "ssl_ca_file", "word")])
    for options in (impl_rabbit.rabbit_opts, amqp.amqp_opts, base.base_opts, [cfg.StrOpt("hostname")]):
        conf.register_opts(options, group=group)
    conf([], default_config_files=files, default_config_dirs=[])
    return conf

def read(case):
    try:
        conf = load(case.pop("files"))
        return {section: {key: (conf if section == "DEFAULT" else conf[section])[key] for key in keys}
                for section, keys in case.items()}
    except Exception:
        return None

answer([read(case) for case in question])`;

	test("what the table above has", () => {
		const cases = FILES.map(([texts, { rabbit = {}, ...rest }]) => {
			const options = rabbitOptions(rabbit, new Map());
			const typed = Object.entries(options).filter(([option]) => Object.hasOwn(rabbit, option));
			return { files: texts.map(file), DEFAULT: rest, oslo_messaging_rabbit: Object.fromEntries(typed) };
		});
		const answers = askPython(ASK, cases) as object[];
		expect(answers).toEqual(cases.map(({ files, ...expected }) => expected));
	});

	test("refuses what it cannot read", () => {
		const cases = UNREADABLE.map(([text]) => ({
			files: [file(text)],
			DEFAULT: { transport_url: "", control_exchange: "" },
		}));
		expect(askPython(ASK, cases)).toEqual(cases.map(() => null));
	});

	/** Whatever it finds in each place, or null when it cannot read the file. */
	const ASK_INI = `
from oslo_config import cfg

def read(file):
    conf = cfg.ConfigOpts()
    for group in (None, "g"):
        conf.register_opts([cfg.StrOpt(name) for name in "abc"], group=group)
    try:
        conf([], default_config_files=[file], default_config_dirs=[])
        return [conf.a, conf.b, conf.c, conf.g.a, conf.g.b, conf.g.c]
    except (Exception, RecursionError):
        return None

answer([read(file) for file in question])`;

	test("files that are made of pieces", () => {
		const set = "[DEFAULT]\na = 1\nb = 2\nc = 3\n[g]\na = 4\nb = 5\nc = 6\n";
		const line = fc.constantFrom(
			...["[DEFAULT]", "[g]", "[G]", "[g] ", " [g]", "[g", "# a = 9", " # a", "", "  ", "a = x", "b=y  ", "c:z = 1"],
			...[
				"a = '$b'",
				'b = "',
				"b = ''",
				"c = $a$",
				`a = \${g.b}`,
				`c = \${b`,
				"a = \\$b$$c",
				"b = $g.c.",
				"  more ",
				"\tq $c",
			],
			...["= 1", "x", "a = '$c\"", "c = $A"],
		);
		const text = fc
			.tuple(fc.array(line, { maxLength: 7 }), fc.constantFrom("\n", "\r\n"))
			.map(([lines, end]) => set + lines.join(end));
		const files = fc.sample(text, { seed: 1, numRuns: 1_000 }).map(file);
		const places = ["DEFAULT", "g"].flatMap((section) => ["a", "b", "c"].map((key) => [section, key] as const));
		const ours = files.map((path) => {
			try {
				const conf = new OsloConfig([path]);
				return places.map((place) => {
					const found = conf.get([place]);
					return found && conf.substituted(found);
				});
			} catch (error) {
				expect(error).toBeInstanceOf(ConfigError);
				return null;
			}
		});
		expect(ours.filter((values) => values !== null).length).toBeGreaterThan(200);
		expect(askPython(ASK_INI, files)).toEqual(ours);
	});
});
