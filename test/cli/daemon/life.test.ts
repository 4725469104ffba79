import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { createCa } from "../../support/certificates.ts";
import { MAIN } from "../../support/cli.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const PATIENCE = { timeout: 30_000, interval: 20 };
const ca = createCa();
afterAll(() => ca.remove());

/** `novacompat serve` on a bus of its own, once it is ready; `write` writes a file beside its configuration. */
async function serve(files: Readonly<Record<string, string>>) {
	const directory = temporaryDirectory();
	const write = (name: string, text: string) => writeFileSync(join(directory, name), text);
	for (const [name, text] of Object.entries(files)) write(name, text);
	const child = spawn(process.execPath, [MAIN, "serve", "--config-file", join(directory, "serve.yaml")], {
		stdio: ["ignore", "ignore", "pipe"],
	});
	onTestFinished(() => void child.kill("SIGKILL"));
	let log = "";
	child.stderr.on("data", (chunk) => {
		log += chunk;
	});
	const says = (text: string | RegExp) => expect.poll(() => log, PATIENCE).toMatch(text);
	await says("serving ready");
	/** Sends SIGHUP, and returns the lines that it led to. */
	const reload = async () => {
		const before = log.length;
		child.kill("SIGHUP");
		await expect.poll(() => log.slice(before), PATIENCE).toMatch(/configuration (not )?reloaded.*\n/);
		return log
			.slice(before)
			.trimEnd()
			.split("\n")
			.map((line) => line.replace(/^\S+ \S+ \d+ /, "").replaceAll(directory, "DIR"));
	};
	return { child, write, says, reload, log: () => log };
}

const SERVE = "transport_url: memory://\nhost: novacompat-1\n";
const POLICY = "direction: both\n";

test("a directory of the journal that nobody can make is told of, and holds up nothing", {
	timeout: 90_000,
}, async () => {
	// There `mkdir` says ENOENT although the directory above is there, for which Node.js tries again without end.
	const { says } = await serve({ "serve.yaml": `${SERVE}journal: { directory: /proc/novacompat }\n` });
	await says(/WARNING .* journal \/proc\/novacompat: ENOENT.*; checks go on/);
});

describe("SIGHUP", () => {
	test("takes log level and policy, and names what needs a restart", async () => {
		const { write, reload } = await serve({
			"serve.yaml": `${SERVE}policy_file: policy.yaml\n`,
			"policy.yaml": POLICY,
		});
		write("other.yaml", "direction: source-declares\n");
		write("serve.yaml", `${SERVE}debug: true\npolicy_file: other.yaml\nmax_check_time: 5\nrpc_ping_enabled: true\n`);
		expect(await reload()).toEqual([
			expect.stringMatching(
				/^WARNING novacompat.serve \[-\] policy changed from \w{32} to \w{32}: DIR\/other.yaml, owner uid \d+, modified \d{4}-\S+Z$/,
			),
			"WARNING novacompat.serve [-] Ignoring change to immutable option rpc_ping_enabled: it needs a restart",
			"WARNING novacompat.serve [-] Ignoring change to immutable option max_check_time: it needs a restart",
			"INFO novacompat.serve [-] Config option policy_file changed from DIR/policy.yaml to DIR/other.yaml",
			"INFO novacompat.serve [-] Config option debug changed from false to true",
			"INFO novacompat.serve [-] configuration reloaded",
		]);
	});

	test.each([
		[
			"an unknown option",
			{ "serve.yaml": `${SERVE}debugg: true\n` },
			'DIR/serve.yaml:3:1: unknown option "debugg", expected debug?',
		],
		["broken YAML", { "serve.yaml": `${SERVE}debug: [true\n` }, /DIR\/serve\.yaml:4:1: /],
		[
			"a policy that is not there",
			{ "serve.yaml": `${SERVE}debug: true\npolicy_file: nowhere.yaml\n` },
			/DIR\/nowhere\.yaml: ENOENT: no such file or directory, open 'DIR\/nowhere\.yaml'$/,
		],
		["a policy that is none", { "policy.yaml": "direction: up\n" }, /DIR\/policy\.yaml:1:12: direction: /],
		[
			"a policy without its end",
			{ "policy.yaml": "direction: source-declares" },
			"DIR/policy.yaml:1: expected a newline",
		],
		[
			"a policy of no byte",
			{ "policy.yaml": "" },
			"DIR/policy.yaml:1: expected a newline at the end: is the file only half written?",
		],
	])("takes nothing when there is %s", async (_name, files, why) => {
		const { write, reload } = await serve({
			"serve.yaml": `${SERVE}policy_file: policy.yaml\n`,
			"policy.yaml": POLICY,
		});
		write("serve.yaml", `${SERVE}debug: true\npolicy_file: policy.yaml\n`);
		for (const [name, text] of Object.entries(files)) write(name, text);
		const lines = await reload();
		expect(lines).toHaveLength(1);
		expect(lines[0]).toMatch(
			/^ERROR novacompat.serve \[-\] configuration not reloaded, everything stays as it was: DIR/,
		);
		expect(lines[0]).toMatch(why);
	});

	test("takes no file that has lost the `...` at its end: whoever writes it has stopped at the end of a line", async () => {
		const whole = "direction: both\nnewer_source: reject\n...\n";
		const { write, reload } = await serve({
			"serve.yaml": `${SERVE}policy_file: policy.yaml\n...\n`,
			"policy.yaml": whole,
		});
		const refused = (place: string) => [
			`ERROR novacompat.serve [-] configuration not reloaded, everything stays as it was: ${place}: expected "..." at the end as before: is the file only half written?`,
		];
		write("policy.yaml", "direction: both\n");
		expect(await reload()).toEqual(refused("DIR/policy.yaml:2"));
		write("policy.yaml", whole);
		write("serve.yaml", SERVE);
		expect(await reload()).toEqual(refused("DIR/serve.yaml:3"));
		write("serve.yaml", `${SERVE}policy_file: other.yaml\n...\n`);
		write("other.yaml", "direction: both\n");
		expect((await reload()).at(-1)).toBe("INFO novacompat.serve [-] configuration reloaded");
	});

	test("takes certificates, and refuses those that do not go together", async () => {
		const [first, second] = [ca.issue("service", "DNS:service"), ca.issue("service", "DNS:service")];
		const tls = ({ cert, key }: typeof first) => `${SERVE}agent_tls: { ca: ${ca.ca}, cert: ${cert}, key: ${key} }\n`;
		const { write, reload } = await serve({ "serve.yaml": tls(first) });
		write("serve.yaml", tls({ ...first, key: second.key }));
		expect(await reload()).toEqual([expect.stringMatching(/^ERROR .*: agent_tls: .* do not go together/)]);
		write("serve.yaml", tls(second));
		expect(await reload()).toEqual([
			expect.stringMatching(/^INFO .* Config option agent_tls changed from .*1\.pem.* to .*2\.pem/),
			"INFO novacompat.serve [-] configuration reloaded",
		]);
	});

	test("takes nothing when the files for the broker cannot be used at the next connection", async () => {
		const [first, second] = [ca.issue("nova", "DNS:nova"), ca.issue("nova", "DNS:nova")];
		const files = { ssl_ca_file: ca.ca, ssl_cert_file: first.cert, ssl_key_file: first.key };
		const yaml = `${SERVE}oslo_messaging_rabbit: ${JSON.stringify({ ssl: true, ...files })}\n`;
		const { write, reload } = await serve({ "serve.yaml": yaml });
		write("serve.yaml", `${yaml}debug: true\n`);
		const refused = async () => {
			const lines = await reload();
			expect(lines).toHaveLength(1);
			expect(lines[0]).toMatch(/^ERROR .* configuration not reloaded, everything stays as it was: transport_url: ssl_/);
			return lines[0];
		};
		copyFileSync(second.cert, first.cert);
		expect(await refused()).toContain(`ssl_key_file: ${first.key} is not the key of ${first.cert}`);
		copyFileSync(second.key, first.key);
		chmodSync(first.key, 0o604);
		expect(await refused()).toContain(`ssl_key_file: ${first.key} has mode 0604, expected 0600 or 0640`);
		chmodSync(first.key, 0o600);
		expect((await reload()).at(-1)).toBe("INFO novacompat.serve [-] configuration reloaded");
	});

	test("tells of a certificate for the broker that has expired, as the start does", async () => {
		const { cert, key } = ca.issue("nova", "DNS:nova", -1);
		const files = { ssl_ca_file: ca.ca, ssl_cert_file: cert, ssl_key_file: key };
		const yaml = `${SERVE}oslo_messaging_rabbit: ${JSON.stringify({ ssl: true, ...files })}\n`;
		const { reload, log } = await serve({ "serve.yaml": yaml });
		const warning = /WARNING novacompat\.serve \[-\] transport_url: ssl_cert_file: \S+\.pem has expired on .* GMT$/m;
		expect(log()).toMatch(warning);
		expect(await reload()).toEqual([
			expect.stringMatching(warning),
			"INFO novacompat.serve [-] configuration reloaded",
		]);
	});

	test("metrics say when the certificates in use end", async () => {
		const [agents, broker, renewed] = [20, 5, 30].map((days) => ca.issue("service", "DNS:service", days));
		const yaml = (cert = "", key = "") =>
			`${SERVE}http: { listen: "127.0.0.1:0" }\nagent_tls: { ca: ${ca.ca}, cert: ${cert}, key: ${key} }\noslo_messaging_rabbit: ${JSON.stringify({ ssl: true, ssl_cert_file: broker?.cert, ssl_key_file: broker?.key })}\n`;
		const { write, reload, log } = await serve({ "serve.yaml": yaml(agents?.cert, agents?.key) });
		const [, url = ""] = /health and metrics on (\S+)/.exec(log()) ?? [];
		const daysLeft = async () => {
			const page = await (await fetch(`${url}/metrics`)).text();
			const ends = page.matchAll(/^novacompat_certificate_expiry_timestamp_seconds\{peer="(\w+)"\} (\d+)$/gm);
			return Array.from(ends, ([, peer, end]) => [peer, Math.round((Number(end) - Date.now() / 1000) / 86_400)]);
		};
		expect(await daysLeft()).toEqual([
			["agents", 20],
			["broker", 5],
		]);
		write("serve.yaml", yaml(renewed?.cert, renewed?.key));
		expect((await reload()).at(-1)).toContain("configuration reloaded");
		expect(await daysLeft()).toEqual([
			["agents", 30],
			["broker", 5],
		]);
	});

	test("an override of the policy is told with its author, scope and end", async () => {
		const { write, reload } = await serve({
			"serve.yaml": `${SERVE}policy_file: policy.yaml\n`,
			"policy.yaml": POLICY,
		});
		const [created, expires] = [-60_000, 3_600_000].map((ms) => new Date(Date.now() + ms).toISOString());
		write(
			"policy.yaml",
			`overrides:\n  - author: jane@example.org\n    reason: change 4711\n    created: ${created}\n    expires: ${expires}\n    scope: { target_host: cmp-02, code: version.minor_downgrade }\n`,
		);
		expect((await reload())[0]).toBe(
			`WARNING novacompat.serve [-] DIR/policy.yaml: jane@example.org overrides errors of target_host cmp-02, code version.minor_downgrade from ${created} until ${expires}: change 4711`,
		);
	});
});

test("SIGUSR2 reports the state of each part, without hosts and secrets", async () => {
	const { child, says, log } = await serve({
		"serve.yaml": `${SERVE}agents: { cmp-secret: "http://127.0.0.1:9301" }\njournal: { directory: journal }\n`,
	});
	child.kill("SIGUSR2");
	await says(
		/INFO novacompat.serve \[-\] state report: process: node v\d+\S*, uptime_s \d+, rss_mib \d+, .*open_files \d+/,
	);
	await says("state report: bus: connected memory, connections 1, consuming true, blocked false\n");
	await says("state report: requests: in_flight 0\n");
	await says(
		/state report: agents: kept 0, bytes 0, underway 0, asked 0, failing 0, systemic false, breakers \(open 0, quiet 0\)\n/,
	);
	await says(/state report: policy: digest \w{32}, overrides 0\n/);
	await says("state report: journal: waiting 0, lost 0\n");
	await says(/state report: reloads: success 0, failure 0, last_success \d+/);
	expect(log()).not.toContain("cmp-secret");
});

describe("SIGTERM and SIGINT", () => {
	test.each(["SIGTERM", "SIGINT"] as const)("%s ends it with 0", async (signal) => {
		const { child } = await serve({ "serve.yaml": SERVE });
		child.kill(signal);
		expect(await once(child, "exit")).toEqual([0, null]);
	});
});
