import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { AGENT_OPTIONS, readAgentOptions } from "../src/cli/agent/options.ts";
import { DEFAULT_POLICY } from "../src/compat/policy.ts";
import { REASON_CODES } from "../src/compat/reason.ts";
import { Config, readConfig } from "../src/config.ts";
import { RabbitOptions } from "../src/messaging/rabbit/options.ts";
import { readNovaConf } from "../src/nova-conf.ts";
import { PolicyFile, readPolicy } from "../src/policy/policy.ts";
import { Snapshot } from "../src/snapshot/snapshot.ts";
import { ConfigError } from "../src/yaml.ts";
import { configSample, uncommented } from "./support/config-sample.ts";

const CONFIG = `${import.meta.dirname}/../config`;
const directory = mkdtempSync(join(tmpdir(), "novacompat-"));
afterAll(() => rmSync(directory, { recursive: true }));

function file(text: string): string {
	const path = join(directory, "file.yaml");
	writeFileSync(path, text);
	return path;
}

test("the sample configuration loads, and names the sample policy", () => {
	const config = readConfig(`${CONFIG}/novacompat.yaml`);
	expect(config.transport_url).toMatchObject({ driver: "rabbit", vhost: "/" });
	expect(Object.keys(config.agents)).toEqual(["cmp-01", "cmp-02"]);
	expect(readPolicy(config.policy_file ?? "")).toEqual(DEFAULT_POLICY);
});

test("config/snapshot.schema.json is the schema of the snapshot (vitest -u writes it anew)", async () => {
	const schema = { $id: "urn:novacompat:snapshot:1", ...z.toJSONSchema(Snapshot, { unrepresentable: "any" }) };
	await expect(`${JSON.stringify(schema, null, 2)}\n`).toMatchFileSnapshot(`${CONFIG}/snapshot.schema.json`);
});

const FORMATS = {
	log_date_format: "%Y-%m-%d %H:%M:%S",
	logging_context_format_string: "%(asctime)s.%(msecs)03d %(levelname)s [%(request_id)s] %(instance)s%(message)s",
	logging_default_format_string: "%(asctime)s.%(msecs)03d %(levelname)s %(instance)s%(message)s",
};

describe("the samples with every option (vitest -u writes them anew)", () => {
	const novacompat = configSample(
		"Configuration of `novacompat serve`: every option with its default, or an example where there is none.",
		"Options of `novacompat serve`",
		Object.keys(Config.shape),
		{
			transport_url: "rabbit://novacompat:secret@192.0.2.21:5672,novacompat:secret@192.0.2.22:5672/",
			shadow: { cell1: { transport_url: "rabbit://novacompat-tap:secret@192.0.2.21:5672/cell1" } },
			oslo_messaging_rabbit: { ssl: true, ssl_ca_file: "/etc/novacompat/rabbit-ca.pem" },
			host: "ctl-01",
			agents: { "cmp-01": "https://192.0.2.11:9301" },
			agent_url_template: "https://{host}.example.org:9301",
			agent_hosts: ["cmp-*"],
			agent_networks: ["192.0.2.0/24"],
			agent_tls: { ca: "agents-ca.pem", cert: "service.pem", key: "service.key" },
			stand_in_hosts: ["cmp-99"],
			policy_file: "policy.yaml",
			versioned_notifications_topics: ["versioned_notifications"],
			journal: { directory: "/var/lib/novacompat/journal", max_file_size: 32, max_files: 16 },
			recording: { file: "/var/lib/novacompat/recording.jsonl", max_file_size: 32 },
			http: { listen: "127.0.0.1:9876", status_page: false },
			...FORMATS,
		},
	);
	const agent = configSample(
		"Configuration of `novacompat agent`: every option with its default, or an example where there is none.",
		"Options of `novacompat agent`",
		AGENT_OPTIONS,
		{
			host: "cmp-01",
			metrics_listen: "192.0.2.11:9302",
			tls_cert: "agent.pem",
			tls_key: "agent.key",
			tls_client_ca: "service-ca.pem",
			...FORMATS,
		},
	);

	test("config/novacompat.yaml.sample", async () => {
		await expect(novacompat).toMatchFileSnapshot(`${CONFIG}/novacompat.yaml.sample`);
		const { transport_url, host, agents: _, ...defaults } = Config.parse({ transport_url: "memory://" });
		const config: Readonly<Record<string, unknown>> = readConfig(file(uncommented(novacompat)));
		const set = Object.entries(defaults).filter(([, value]) => typeof value !== "object" || value === null);
		for (const [option, value] of set) expect(config[option], option).toEqual(value);
		expect(Object.keys(config).sort()).toEqual(Object.keys(Config.shape).sort());
	});

	test("config/agent.yaml.sample", async () => {
		await expect(agent).toMatchFileSnapshot(`${CONFIG}/agent.yaml.sample`);
		const path = file(uncommented(agent));
		const [defaults, options] = [readAgentOptions([]), readAgentOptions(["--config-file", path])];
		const tls = { tls_cert: "agent.pem", tls_key: "agent.key", tls_client_ca: "service-ca.pem" };
		const paths = Object.entries(tls).map(([name, value]) => [name, join(directory, value)]);
		const places = { host: "cmp-01", metrics_listen: { address: "192.0.2.11", port: 9302 } };
		expect(options).toEqual(Object.assign({}, defaults, places, Object.fromEntries(paths), FORMATS));
	});

	test.each([novacompat, agent])("nothing is in force as long as nobody takes the # away", (sample) => {
		expect(parse(sample)).toBe(null);
	});
});

describe("config/README.md", () => {
	const text = readFileSync(`${CONFIG}/README.md`, "utf8");
	const documented = [...Object.keys(Config.shape), ...Object.keys(PolicyFile.shape), ...Object.keys(REASON_CODES)];
	test.each(documented)("describes %s", (name) => expect(text).toContain(`| \`${name}\` |`));

	const presets: Readonly<Record<string, unknown>> = RabbitOptions.parse({});
	test.each(Object.keys(RabbitOptions.shape))("describes %s of RabbitMQ with its default", (name) => {
		const preset = name === "hostname" ? "the machine's host name" : `\`${presets[name]}\``;
		if (presets[name] === undefined) expect(text).toMatch(new RegExp(`^\\| .*\`${name}\`.* \\|`, "m"));
		else expect(text).toContain(`| \`${name}\` | ${preset} |`);
	});
});

describe("the bus is configured once", () => {
	const novaConf = (text: string) => {
		const path = join(directory, "nova.conf");
		writeFileSync(path, text);
		return readNovaConf([path]);
	};
	const NOVA_CONF = `[DEFAULT]
transport_url = rabbit://u:p@h/v
control_exchange = cell2
rpc_ping_enabled = true
[oslo_messaging_rabbit]
rabbit_quorum_queue = true
heartbeat_timeout_threshold = 60
`;

	test("what nova.conf says needs no saying again", () => {
		expect(readConfig(file(""), novaConf(NOVA_CONF))).toMatchObject({
			transport_url: { vhost: "v" },
			control_exchange: "cell2",
			rpc_ping_enabled: true,
			oslo_messaging_rabbit: { rabbit_quorum_queue: "true", heartbeat_timeout_threshold: "60" },
			ack: "after",
		});
	});

	test("what the configuration says goes before nova.conf, option by option", () => {
		const text =
			"transport_url: rabbit://h2/w\nrpc_ping_enabled: false\noslo_messaging_rabbit: { heartbeat_timeout_threshold: 5 }\n";
		expect(readConfig(file(text), novaConf(NOVA_CONF))).toMatchObject({
			transport_url: { hosts: [{ hostname: "h2" }], vhost: "w" },
			control_exchange: "cell2",
			rpc_ping_enabled: false,
			oslo_messaging_rabbit: { rabbit_quorum_queue: "true", heartbeat_timeout_threshold: 5 },
		});
	});

	test("without nova.conf, Nova's default exchange and no ping", () => {
		expect(readConfig(file("transport_url: memory://\n"))).toMatchObject({
			control_exchange: "nova",
			rpc_ping_enabled: false,
			oslo_messaging_rabbit: {},
		});
	});

	test("an option that is wrong by itself is told once", () => {
		const path = file("transport_url: memory://\noslo_messaging_rabbit:\n  ssl: maybe\n");
		expect(() => readConfig(path)).toThrow(
			new ConfigError(`${path}:3:8: oslo_messaging_rabbit.ssl: expected true or false, got "maybe"`),
		);
	});

	test("options that contradict each other, one in each file", () => {
		const path = file("oslo_messaging_rabbit:\n  rabbit_ha_queues: true\n");
		expect(() => readConfig(path, novaConf(NOVA_CONF))).toThrow(
			`${path}:2:3: oslo_messaging_rabbit: rabbit_ha_queues is set, expected neither`,
		);
	});
});

test("http is off, listens on loopback when it is on, and elsewhere only if the operator means it", () => {
	const httpOf = (http: string) => readConfig(file(`transport_url: memory://\n${http}`)).http;
	expect(httpOf("")).toBeUndefined();
	expect(httpOf("http: {}\n")).toEqual({
		listen: { address: "127.0.0.1", port: 9876 },
		status_page: false,
		detailed: false,
		allow_insecure: false,
	});
	expect(httpOf('http: { listen: "[::]:80", allow_insecure: true }\n')?.listen).toEqual({ address: "::", port: 80 });
});

describe("a mistake in the configuration is named with its place", () => {
	/** text, line and column, what is said */
	const MISTAKES: readonly (readonly [string, string, RegExp])[] = [
		["transport_ulr: memory://\n", "1:1", /unknown option "transport_ulr"/],
		[
			"transport_url: memory://\nagents:\n  cmp-01: ftp://x\n",
			"3:11",
			/agents\.cmp-01: got "ftp:\/\/x", expected https:\/\/host:port or http:/,
		],
		[
			"transport_url: memory://\nagents:\n  cmp-01: http://cmp-01:9301\n",
			"3:11",
			/agents\.cmp-01: http:\/\/ is only for loopback addresses; expected https:\/\/, or allow_insecure: true/,
		],
		[
			"transport_url: memory://\nagents:\n  cmp-01: http://localhost:9301\n",
			"3:11",
			/agents\.cmp-01: http:\/\/ is only for loopback addresses/,
		],
		[
			"transport_url: memory://\nagents:\n  cmp-01: https://cmp-01:9301\n",
			"3:11",
			/agents\.cmp-01: https needs agent_tls with ca, cert and key/,
		],
		[
			"transport_url: memory://\nagent_url_template: https://cmp:9301\n",
			"2:21",
			/agent_url_template: got "https:\/\/cmp:9301", expected https:\/\/\{host\}\.domain:port/,
		],
		[
			"agent_url_template: https://{host}:9301\ntransport_url: memory://\nagent_tls: { ca: a, cert: b, key: c }\n",
			"1:1",
			/agent_hosts: expected agent_url_template together with agent_hosts/,
		],
		[
			"transport_url: memory://\nagent_networks: [192.0.2.0]\n",
			"2:18",
			/agent_networks\.0: expected a network such as 192\.0\.2\.0\/24, got "192\.0\.2\.0"$/m,
		],
		["transport_url: memory://\nagent_tls: { ca: a, cert: b }\n", "2:12", /agent_tls\.key/],
		[
			"transport_url: memory://\nagent_networks: [192.0.2.0/24]\nagents:\n  a: http://127.1:1\n",
			"4:6",
			/agents\.a: 127\.0\.0\.1 is outside of agent_networks, expected one in 192\.0\.2\.0\/24/,
		],
		[
			"transport_url: memory://\nagents:\n  a: http://127.0.0.1:1\n  b: 'http://[::1]:1'\nagent_networks: [127.0.0.0/8, '2001:db8::/32']\n",
			"4:6",
			/agents\.b: ::1 is outside of agent_networks, expected one in 127\.0\.0\.0\/8, 2001:db8::\/32/,
		],
		["transport_url: memory://\nagents:\n  -cmp: http://h:1\n", "3:3", /agents\.-cmp: .*expected a Nova host name/],
		["transport_url: memory://\nmax_check_time: soon\n", "2:17", /max_check_time: expected a number, got "soon"/],
		["transport_url: memory://\nmax_check_time: 0\n", "2:17", /max_check_time/],
		["transport_url: memory://\nstand_in_hosts: [a, 5]\n", "2:21", /stand_in_hosts\.1/],
		[
			`transport_url: memory://\nstand_in_hosts: [${"a, ".repeat(1_000)}a]\n`,
			"2:17",
			/stand_in_hosts: expected at most 1000 hosts: each takes two of the 2047 channels of a connection/,
		],
		["transport_url: amqp://u:secret@h/\n", "1:16", /driver "amqp", expected rabbit/],
		["transport_url: rabbit://u:secret@h:99999/\n", "1:16", /address "h:99999", expected host:port/],
		["debug: true\n", "1:1", /transport_url: expected rabbit:.*, here or in a --nova-conf; or a section of shadow$/],
		["transport_url: rabbit://u:secret@h/?foo=1\n", "1:16", /transport_url has the option foo, expected an option of/],
		["transport_url: memory://\nack: never\n", "2:6", /ack: .*"after"\|"before".*, got "never"/],
		[
			"transport_url: memory://\nrpc_ping_enabled: pong\n",
			"2:19",
			/rpc_ping_enabled: .*expected true or false.*, got "pong"/,
		],
		["transport_url: memory://\noslo_messaging_rabbit: [ssl]\n", "2:24", /oslo_messaging_rabbit: .*expected a mapping/],
		["oslo_messaging_rabbit: null\ntransport_url: memory://\n", "1:24", /oslo_messaging_rabbit: .*expected a mapping/],
		[
			"transport_url: memory://\noslo_messaging_rabbit:\n  ssl: maybe\n",
			"3:8",
			/oslo_messaging_rabbit.ssl: expected true or false, got "maybe"/,
		],
		[
			"transport_url: memory://\noslo_messaging_rabbit: { rabbit_use_ssl: true }\n",
			"2:42",
			/rabbit_use_ssl: expected an option of \[oslo_messaging_rabbit\]/,
		],
		[
			"oslo_messaging_rabbit: { rabbit_ha_queues: true }\ntransport_url: rabbit://h?rabbit_quorum_queue=1\n",
			"1:24",
			/oslo_messaging_rabbit: rabbit_ha_queues is set, expected neither rabbit_quorum_queue/,
		],
		[
			"transport_url: memory://\nversioned_notifications_topics: [a b]\n",
			"2:34",
			/topics\.0: expected a topic.*, got "a b"/,
		],
		[
			"shadow: { c: { transport_url: 'rabbit://h' } }\nversioned_notifications_topics: [a]\n",
			"2:33",
			/versioned_notifications_topics: expected transport_url too/,
		],
		["shadow: { cell1: {} }\n", "1:18", /shadow\.cell1\.transport_url: expected rabbit:\/\//],
		[
			"shadow:\n  cell1: { transport_url: 'memory://' }\n",
			"2:27",
			/shadow\.cell1\.transport_url: expected rabbit:\/\//,
		],
		[
			"shadow:\n  cell1: { transport_url: rabbit://u:secret@h:99999/ }\n",
			"2:27",
			/shadow\.cell1\.transport_url: .*address "h:99999"/,
		],
		["shadow:\n  cell 1: { transport_url: rabbit://h }\n", "2:3", /shadow\.cell 1: expected a name of letters/],
		[
			"oslo_messaging_rabbit: { rabbit_ha_queues: true }\nshadow:\n  c: { transport_url: 'rabbit://h', oslo_messaging_rabbit: { rabbit_quorum_queue: 1 } }\n",
			"3:60",
			/shadow\.c\.oslo_messaging_rabbit: rabbit_ha_queues is set, expected neither/,
		],
		[
			"transport_url: memory://\nhttp:\n  listen: 0.0.0.0:9876\n",
			"3:11",
			/http\.listen: others can reach this address, and there is no TLS: expected a loopback address, or allow_insecure: true/,
		],
		["transport_url: memory://\nhttp:\n  listen: 9876\n", "3:11", /http\.listen: expected address:port/],
		[
			"transport_url: memory://\nhttp:\n  listen: localhost\n",
			"3:11",
			/http\.listen: got "localhost", expected address:port/,
		],
		[
			"transport_url: memory://\nlog_date_format: '%Y %Q'\n",
			"2:18",
			/log_date_format: %Q: expected one of %Y, %m, %d, /,
		],
		[
			"transport_url: memory://\nlogging_default_format_string: '%(x)s'\n",
			"2:32",
			/logging_default_format_string: %\(x\): expected one of asctime, /,
		],
		["transport_url: memory://\nhttp: { page: true }\n", "2:9", /unknown option "page"/],
		[
			"shadow: { cell1: rabbit://u:secret@h/ }\n",
			"1:18",
			/shadow\.cell1: .*expected a mapping.*, got "rabbit:\/\/\*\*\*@h\/"$/m,
		],
		["oslo_messaging_rabbit: rabbit://u:s/secret@h/\n", "1:24", /expected a mapping.*, got "rabbit:\/\/\*\*\*@h\/"$/m],
		["shadow: { c: { rabbit://u:secret@h/ } }\n", "1:16", /unknown option "rabbit:\/\/\*\*\*@h\/"$/m],
		[
			"oslo_messaging_rabbit: { rabbit_password: secret }\n",
			"1:43",
			/rabbit_password: expected an option of \[oslo_messaging_rabbit\]$/m,
		],
		[
			"transport_url: memory://\nagents:\n  a: https://u:secret@h:1\n",
			"3:6",
			/agents\.a: has "@", expected https:\/\/host:port/,
		],
		["agent_url_template: https://u:secret@{host}:1\n", "1:21", /has "@", expected https/],
		["journal: {} }\ntransport_url: rabbit://u:secret@h/\n", "1:13", /Unexpected flow-map-end token in YAML stream$/m],
		[
			"agent_hosts: [*.example.org]\n",
			"1:15",
			/\*\.example\.org is an alias of nothing: a text that begins with \* wants quotes/,
		],
		[`a: &a [1]\nb: &b [${"*a,".repeat(11)}]\nc: [${"*b,".repeat(11)}]\n`, "1:1", /Excessive alias count/],
		[
			"agent_tls:\n  ca: a\n  cert: b\n  key: |\n    -----BEGIN PRIVATE KEY-----\n    secret\n",
			"4:8",
			/agent_tls\.key: expected the path of a file$/m,
		],
		[
			"agent_tls: |\n  -----BEGIN PRIVATE KEY-----\n  secret\n",
			"1:12",
			/expected a mapping.*, got "-----BEGIN \*\*\*"$/m,
		],
		[
			"oslo_messaging_rabbit:\n  ssl_key_file: |\n    -----BEGIN PRIVATE KEY-----\n    secret\n",
			"2:17",
			/ssl_key_file: expected the path of a file, got "-----BEGIN \*\*\*"$/m,
		],
		["transport_url: [\n", "2:1", /./],
		["a: 1\na: 2\n", "2:1", /unique/],
		["- 1\n", "1:1", /expected a mapping/],
	];
	test.each(MISTAKES)("%j at %s", (text, place, message) => {
		const path = file(text);
		const mistake = (() => {
			try {
				return readConfig(path);
			} catch (error) {
				return error;
			}
		})();
		expect(mistake).toMatchObject({ name: "ConfigError", message: expect.stringMatching(message) });
		expect((mistake as Error).message).toContain(`${path}:${place}: `);
		expect((mistake as Error).message).not.toContain("secret");
	});

	test("what is missing is called that", () => {
		expect(() => readConfig(file("agent_tls: { ca: a, cert: b }\n"))).toThrow(
			/agent_tls\.key: is missing, expected a text$/m,
		);
	});

	test("names are the text that stands there, also where YAML reads a number", () => {
		const text = "transport_url: memory://\nagents: { 0010: 'http://127.0.0.1:1', 1e3: 'http://127.0.0.1:2' }\n";
		expect(Object.keys(readConfig(file(text)).agents)).toEqual(["0010", "1e3"]);
	});

	test.each([
		["host: 0010\n", "1:7: host: expected a text, got 0010, which wants quotes"],
		["host:\n", "1:6: host: expected a text, got nothing"],
		["host: [a]\n", "1:7: host: expected a text, got a list"],
		["agents: [a]\n", "1:9: agents: expected a mapping, got a list"],
		["agents: { a: { b: c } }\n", "1:14: agents.a: expected a text, got a mapping"],
		["ack: [after]\n", '1:6: ack: Invalid option: expected one of "after"|"before", got a list'],
		["journal: true\n", "1:10: journal: expected a mapping, got true"],
		["agent_hosts: cmp-*\n", '1:14: agent_hosts: expected a list, got "cmp-*"'],
		["debug: yes\n", '1:8: debug: expected true or false, got "yes"'],
		["agent_timeout: .nan\n", "1:16: agent_timeout: expected a number, got .nan"],
		["executor_thread_pool_size: 2.5\n", "1:28: executor_thread_pool_size: expected a whole number, got 2.5"],
		["transport_url:rabbit://u:secret@h/\n", "1:1: expected a mapping, option: value with a blank behind the colon"],
		["debug: true\n...\nhost: a\n", "3:1: expected nothing behind the end of the document, ... or a second ---"],
		["host: {{ name }}\n", "1:8: expected a name before the colon: a text with braces wants quotes"],
		["? [a]\n: b\n", "1:3: expected a name before the colon: a text with braces wants quotes"],
	])("%j is told in words of YAML", (text, told) => {
		expect(() => readConfig(file(text))).toThrow(`/file.yaml:${told}`);
		expect(() => readConfig(file(text))).not.toThrow("secret");
	});

	test("a file that is not there", () => {
		expect(() => readConfig(`${directory}/none.yaml`)).toThrow(/none.yaml: ENOENT/);
	});

	test("a policy says so too", () => {
		expect(() => readPolicy(file("rules:\n  - { attribute: a, kind: equals }\n"))).toThrow(
			/file\.yaml:2:27: rules\.0\.kind/,
		);
	});
});
