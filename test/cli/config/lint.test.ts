import { expect, test } from "vitest";
import { lintConfig } from "../../../src/cli/config/lint.ts";
import { Config } from "../../../src/config.ts";

const SOUND = {
	transport_url: "rabbit://novacompat:secret@192.0.2.21:5672/",
	agents: { "cmp-01": "https://192.0.2.11:9301" },
	agent_tls: { ca: "ca.pem", cert: "service.pem", key: "service.key" },
};
const HTTP = { "cmp-01": "http://192.0.2.11:9301" };
const TEMPLATE = { agents: {}, agent_url_template: "https://{host}.example.org:9301" };
const shadow = (transport_url: string, more = {}) => ({ shadow: { cell1: { transport_url, ...more } } });
const ssl = (options = {}) => ({ oslo_messaging_rabbit: { ssl: true, ...options } });
const anyName = (options = {}) => ssl({ ssl_enforce_hostname_verification: false, ...options });

/** what differs from a sound configuration, where and what is said */
const ROWS: readonly (readonly [Readonly<Record<string, unknown>>, ...(readonly [path: string, message: RegExp])[]])[] =
	[
		[{}],
		[{ transport_url: "rabbit://127.0.0.1/" }],
		[{ transport_url: "rabbit://guest:other@192.0.2.21/" }],
		[{ transport_url: "rabbit://u:p@h1,h2/" }, ["transport_url", /^h2 is asked as guest/]],
		[{ transport_url: "memory://" }, ["transport_url", /nobody can ask/]],
		[ssl({ ssl_ca_file: "/ca.pem" })],
		[ssl()],
		[ssl({ ssl_verify: false }), ["transport_url", /^ssl_verify is false: whoever answers gets the password/]],
		[
			anyName(),
			["transport_url", /^ssl_enforce_hostname_verification is false: .* of any authority .* gets the password$/],
		],
		[
			anyName({ ssl_ca_file: "/ca.pem" }),
			["transport_url", /is false: who has a certificate of \/ca\.pem gets the password$/],
		],
		[anyName({ ssl_verify: false }), ["transport_url", /^ssl_verify is false/]],
		[anyName({ ssl: false })],
		[{ transport_url: "rabbit://u:p@h/?ssl=1&ssl_verify=0" }, ["transport_url", /^ssl_verify is false/]],
		[
			{ ...shadow("rabbit://u:p@h/", ssl({ ssl_verify: false })) },
			["shadow.cell1.transport_url", /^ssl_verify is false/],
		],
		[{ ...shadow("rabbit://u:p@h/"), ...ssl({ ssl_ca_file: "/ca.pem" }) }],
		[shadow("rabbit://h/"), ["shadow.cell1.transport_url", /^h is asked as guest/]],
		[{ stand_in_hosts: ["cmp-01"] }, ["stand_in_hosts", /for harnesses/]],
		[{ recording: { file: "x" } }, ["recording", /for harnesses/]],
		[{ agents: HTTP, allow_insecure: true, agent_tls: undefined }, ["allow_insecure", /in use for cmp-01: .* forge/]],
		[{ allow_insecure: true }, ["allow_insecure", /not needed/]],
		[{ agents: HTTP, allow_insecure: true }, ["allow_insecure", /in use/], ["agent_tls", /not used/]],
		[{ agents: {}, agent_tls: undefined }, ["agents", /neither agents nor agent_url_template/]],
		[
			{ agents: { a: "https://h:1", b: "https://h:2", c: "https://h:1/" } },
			["agents.c", /^https:\/\/h:1\/ is the agent of a too/],
		],
		[{ ...TEMPLATE, agent_hosts: ["cmp-*"] }],
		[{ ...TEMPLATE, agent_hosts: ["gpu-07", "*"] }, ["agent_hosts.1", /^agent_hosts \* without agent_networks/]],
		[{ ...TEMPLATE, agent_hosts: ["*"], agent_networks: ["192.0.2.0/24"] }],
		[{ agent_timeout: 15 }, ["agent_timeout", /no time of max_check_time \(15 s\)/]],
		[
			{ snapshot_max_age: 5, snapshot_stale_after: 4 },
			["snapshot_max_age", /more than snapshot_stale_after \(4 s\), beyond which the agent is asked again/],
		],
	];

test.each(ROWS.map(([changes, ...expected]) => ({ changes, expected })))("$changes", ({ changes, expected }) => {
	const findings = lintConfig(Config.parse({ ...SOUND, ...changes }));
	expect(findings.map(({ path }) => path.join("."))).toEqual(expected.map(([path]) => path));
	for (const [index, [, message]] of expected.entries()) expect(findings[index]?.message).toMatch(message);
	for (const { message } of findings) expect(message).not.toContain("secret");
});
