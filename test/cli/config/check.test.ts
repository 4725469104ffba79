import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Certificate, createCa, type TestCa } from "../../support/certificates.ts";
import { novacompat } from "../../support/cli.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

/** Checks a file with that text, beside other files. */
function check(text: string, others: Readonly<Record<string, string>> = {}, mode = 0o640) {
	const directory = temporaryDirectory();
	for (const [name, content] of Object.entries(others)) writeFileSync(join(directory, name), content);
	const file = join(directory, "novacompat.yaml");
	writeFileSync(file, text);
	chmodSync(file, mode);
	const result = novacompat(
		"config",
		"check",
		file,
		...(others["nova.conf"] ? ["--nova-conf", join(directory, "nova.conf")] : []),
	);
	const say = (written: string) => written.replaceAll(`${directory}/`, "");
	return { status: result.status, stdout: say(result.stdout), stderr: say(result.stderr) };
}

const SOUND = "transport_url: rabbit://u:secret@192.0.2.21/\nagents: { cmp-01: 'http://127.0.0.1:9301' }\n";

describe("novacompat config check", () => {
	test("0: nothing to say", () => {
		expect(check(SOUND)).toEqual({ status: 0, stdout: "novacompat.yaml: ok\n", stderr: "" });
	});

	test("1: what is odd or unsafe, with its place, in the policy too", () => {
		const policy = "rules: [{ attribute: base_type, kind: equal }]\n...\n";
		const text = `${SOUND}policy_file: policy.yaml\nallow_insecure: true\nrecording: { file: x }\n`;
		expect(check(text, { "policy.yaml": policy }, 0o644)).toEqual({
			status: 1,
			stdout: `novacompat.yaml:1:1: the file has mode 0644, expected 0640 or 0600: passwords of brokers stand in it
novacompat.yaml:5:12: recording is for harnesses; what decisions were made of is in the journal
novacompat.yaml:4:17: allow_insecure is not needed: every agent is https or loopback
policy.yaml:1:9: the rule can never fire: base_type is judged as the device's own declaration
`,
			stderr: "",
		});
	});

	test("with nova.conf, as serve is started with it", () => {
		const nova =
			"[DEFAULT]\ntransport_url = rabbit://u:secret@h/\n[oslo_messaging_rabbit]\nssl = true\nssl_verify = no\n";
		const { status, stdout } = check("agents: { cmp-01: 'http://127.0.0.1:9301' }\n", { "nova.conf": nova });
		expect({ status, stdout }).toEqual({
			status: 1,
			stdout: "novacompat.yaml:1:1: ssl_verify is false: whoever answers gets the password\n",
		});
	});

	/** mode of the key of the client certificate for RabbitMQ, files by option, what serve would not start with */
	const KEYS: readonly (readonly [number, () => Readonly<Record<string, string>>, RegExp | undefined])[] = [
		[0o600, () => pair(mine), undefined],
		[0o640, () => pair(mine), undefined],
		[0o644, () => pair(mine), /^ssl_key_file: KEY has mode 0644, expected 0600 or 0640$/],
		[0o660, () => pair(mine), /^ssl_key_file: KEY has mode 0660, expected 0600 or 0640$/],
		[0o600, () => ({ ssl_cert_file: inOne }), undefined],
		[0o644, () => ({ ssl_cert_file: inOne }), /^ssl_key_file: \S+one\.pem has mode 0644, expected 0600 or 0640$/],
		[0o600, () => ({ ssl_cert_file: mine.cert }), /^ssl_key_file: \S+\.pem has mode 0644/],
		[
			0o600,
			() => ({ ...pair(mine), ssl_key_file: other.key }),
			/^ssl_key_file: \S+2\.key is not the key of \S+1\.pem$/,
		],
		[
			0o600,
			() => ({ ...pair(mine), ssl_cert_file: "none" }),
			/^ssl_cert_file: none cannot be used \(ENOENT\), expected a cert/,
		],
		[
			0o600,
			() => ({ ...pair(mine), ssl_key_file: "none" }),
			/^ssl_key_file: none cannot be used \(ENOENT\), expected a private/,
		],
		[
			0o600,
			() => ({ ssl_ca_file: mine.key }),
			/^ssl_ca_file: KEY cannot be used \(ERR_OSSL\w*\), expected certificates in PEM$/,
		],
	];
	let ca: TestCa;
	let mine: Certificate;
	let other: Certificate;
	let old: Certificate;
	let inOne: string;
	beforeAll(() => {
		ca = createCa();
		[mine, other] = [ca.issue("nova", "DNS:nova"), ca.issue("nova", "DNS:nova")];
		old = ca.issue("nova", "DNS:nova", -1);
		inOne = `${mine.cert}.one.pem`;
		writeFileSync(inOne, readFileSync(mine.cert, "utf8") + readFileSync(mine.key, "utf8"));
	});
	afterAll(() => ca?.remove());
	const pair = ({ cert, key }: Certificate) => ({ ssl_cert_file: cert, ssl_key_file: key });
	test.each(KEYS)("with a key for RabbitMQ of mode %o: row %#", (mode, files, says) => {
		for (const file of [mine.key, inOne]) chmodSync(file, mode);
		const { status, stdout, stderr } = check(
			`${SOUND}oslo_messaging_rabbit: ${JSON.stringify({ ssl: true, ...files() })}\n`,
		);
		if (!says) return expect({ status, stdout }).toEqual({ status: 0, stdout: "novacompat.yaml: ok\n" });
		expect(status).toBe(78);
		const [, said = ""] = /^novacompat: novacompat\.yaml:1:16: (.*)\n$/.exec(stderr) ?? [];
		expect(said.replaceAll(mine.key, "KEY")).toMatch(says);
	});

	/** files by option, what is said */
	const EXPIRED: readonly (readonly [() => Readonly<Record<string, string>>, RegExp])[] = [
		[() => ({ ...pair(old), ssl_ca_file: ca.ca }), /^novacompat\.yaml:1:16: ssl_cert_file: OLD has expired on DATE\n$/],
		[
			() => ({ ...pair(mine), ssl_ca_file: old.cert }),
			/^novacompat\.yaml:1:16: ssl_ca_file: OLD has expired on DATE\n$/,
		],
		[() => ({ ca: ca.ca, ...old }), /^novacompat\.yaml:4:12: agent_tls\.cert: OLD has expired on DATE\n$/],
		[() => ({ ...mine, ca: old.cert }), /^novacompat\.yaml:4:12: agent_tls\.ca: OLD has expired on DATE\n$/],
	];
	test.each(EXPIRED)("1: a certificate that has expired, with the date: row %#", (files, says) => {
		chmodSync(mine.key, 0o600);
		const named = JSON.stringify(files());
		const isBroker = named.includes("ssl_");
		const agents = isBroker ? "http" : "https";
		const text = isBroker ? `oslo_messaging_rabbit: {"ssl":true,${named.slice(1)}` : `agent_tls: ${named}`;
		const { status, stdout } = check(`${SOUND.replace("http", agents)}#\n${text}\n`);
		const said = stdout.replaceAll(old.cert, "OLD").replace(/\w{3} [ \d]\d \d\d:\d\d:\d\d \d{4} GMT/, "DATE");
		expect({ status, said }).toEqual({ status: 1, said: expect.stringMatching(says) });
	});

	/** what is added to a sound configuration, other files, what is said */
	const UNUSABLE: readonly (readonly [string, Readonly<Record<string, string>>, RegExp])[] = [
		["debgu: true\n", {}, /^novacompat: novacompat\.yaml:3:1: unknown option "debgu", expected debug\?\n$/],
		["policy_file: none.yaml\n", {}, /^novacompat: none\.yaml: ENOENT/],
		[
			"policy_file: policy.yaml\n",
			{ "policy.yaml": "rulse: []\n" },
			/^novacompat: policy\.yaml:1:1: unknown option "rulse"/,
		],
		["agent_tls: { ca: a, cert: b, key: c }\n", {}, /^novacompat: novacompat\.yaml:3:12: agent_tls\.ca: a: ENOENT\n$/],
		[
			"agent_tls: { ca: a, cert: a, key: a }\n",
			{ a: "no PEM" },
			/^novacompat: novacompat\.yaml:3:12: agent_tls\.key: a has mode 0644, expected 0600 or 0640\n$/,
		],
	];
	test.each(UNUSABLE)("78: with %j serve would not start", (text, others, says) => {
		expect(check(SOUND + text, others)).toMatchObject({ status: 78, stdout: "", stderr: expect.stringMatching(says) });
	});
});

describe("novacompat config check --agent", () => {
	const directory = temporaryDirectory(afterAll);
	const overlays = join(directory, "overlay.d");
	let ca: TestCa;
	beforeAll(() => {
		ca = createCa();
		mkdirSync(overlays);
	});
	afterAll(() => ca?.remove());

	/** Checks a file with these options, which has no overlays beside it. */
	function checkAgent(options: Readonly<Record<string, unknown>>) {
		const file = join(directory, "agent.yaml");
		const lines = Object.entries({ overlay_dir: overlays, host: "cmp-01", ...options }).map((pair) => pair.join(": "));
		writeFileSync(file, `${lines.join("\n")}\n`);
		const { status, stdout, stderr } = novacompat("config", "check", "--agent", file);
		return { status, said: (stdout + stderr).replaceAll(`${directory}/`, "") };
	}
	const tls = ({ cert, key }: Certificate) => ({ tls_cert: cert, tls_key: key, tls_client_ca: ca.ca });
	const OPEN = { listen: "0.0.0.0:9301" };

	/** options, exit code, what is said */
	const ROWS: readonly (readonly [() => Readonly<Record<string, unknown>>, number, RegExp])[] = [
		[() => ({}), 0, /^agent\.yaml: ok\n$/],
		[() => ({ ...OPEN, ...tls(ca.issue("a", "DNS:cmp-01", 90)) }), 0, /^agent\.yaml: ok\n$/],
		[
			() => ({ ...OPEN, ...tls(ca.issue("a", "DNS:cmp-01", 90)), allow_insecure: true }),
			1,
			/^agent\.yaml:7:17: allow_insecure is not needed: there is TLS\n$/,
		],
		[
			() => ({ allow_insecure: true }),
			1,
			/^agent\.yaml:3:17: allow_insecure is not needed: 127\.0\.0\.1 is loopback\n$/,
		],
		[
			() => ({ ...OPEN, allow_insecure: true }),
			1,
			/^agent\.yaml:4:17: allow_insecure is in use: .* reaches 0\.0\.0\.0 can /,
		],
		[() => tls(ca.issue("a", "DNS:cmp-01")), 1, /^agent\.yaml:3:11: the certificate expires on [^\n]+\n$/],
		[
			() => tls(ca.issue("a", "DNS:cmp-02", 90)),
			1,
			/^agent\.yaml:3:11: the certificate has DNS:cmp-02, expected DNS:cmp-01: /,
		],
		[
			() => ({
				...tls(ca.issue("a", "DNS:cmp-01", 90)),
				tls_client_ca: ca.issue("an old authority", "DNS:x", -1).cert,
			}),
			1,
			/^agent\.yaml:5:16: no client is let in: the authority of \S+ has expired on [^\n]+\n$/,
		],
		[() => OPEN, 78, /^novacompat: agent\.yaml:3:9: listen is 0\.0\.0\.0, which others can reach: expected tls_cert/],
		[
			() => ({ tls_key: "k" }),
			78,
			/^novacompat: agent\.yaml:3:10: tls_cert, tls_key and tls_client_ca are only used together/,
		],
		[
			() => ({ ...tls(ca.issue("a", "DNS:cmp-01", 90)), tls_key: "none.key" }),
			78,
			/^novacompat: agent\.yaml:4:10: none\.key cannot be used \(ENOENT\)/,
		],
		[
			() => ({ ...tls(ca.issue("a", "DNS:cmp-01", 90)), tls_client_ca: ca.ca.replace("ca.pem", "ca.key") }),
			78,
			/^novacompat: agent\.yaml:5:16: /,
		],
		[
			() => {
				const issued = ca.issue("a", "DNS:cmp-01", 90);
				chmodSync(issued.key, 0o644);
				return tls(issued);
			},
			78,
			/^novacompat: agent\.yaml:4:10: \S+ has mode 0644, expected 0600, or 0640 where it belongs to root\n$/,
		],
		[
			() => ({ scan_interval: 0 }),
			78,
			/^novacompat: agent\.yaml:3:16: scan_interval: expected seconds from 1 to 3600, got 0\n$/,
		],
		[() => ({ scan_interval: true }), 78, /: scan_interval: expected seconds from 1 to 3600, got true\n$/],
		[() => ({ scan_interval: "[5]" }), 78, /: scan_interval: expected seconds from 1 to 3600, got a list\n$/],
		[() => ({ scan_interval: 60 }), 0, /^agent\.yaml: ok\n$/],
		[() => ({ scan_interval: 61 }), 1, /^agent\.yaml:3:16: scan_interval is 61 s: .*snapshot_stale_after .*60 s/],
	];
	test.each(ROWS)("row %#", (options, status, says) => {
		const checked = checkAgent(options());
		expect(checked.said).toMatch(says);
		expect(checked.status).toBe(status);
	});

	test("overlays are checked, too", () => {
		const overlays = temporaryDirectory();
		writeFileSync(join(overlays, "x.yaml"), "devices: 1\n");
		const { status, said } = checkAgent({ overlay_dir: overlays });
		expect({ status, said }).toEqual({ status: 78, said: expect.stringContaining(`${overlays}/x.yaml`) });
	});

	test("an overlay whose date is still to come is warned of", () => {
		const overlays = temporaryDirectory();
		const device = "devices: [{ match: { kind: pci }, attributes: { a: 1 } }]\n";
		const tomorrow = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);
		writeFileSync(join(overlays, "a.yaml"), `source: x\ndate: 2099-02\n${device}`);
		writeFileSync(join(overlays, "b.yaml"), `source: x\ndate: ${tomorrow}\n${device}`);
		expect(checkAgent({ overlay_dir: overlays })).toEqual({
			status: 1,
			said: `${overlays}/a.yaml: date is 2099-02, which is still to come: expected when the values were looked at\n`,
		});
	});

	test("a directory of overlays that is not there is warned of, but not the default one", () => {
		const { status, said } = checkAgent({ overlay_dir: `${directory}/nowhere` });
		expect({ status, said }).toEqual({
			status: 1,
			said: "agent.yaml:1:14: overlay_dir nowhere is not there: expected a directory of *.yaml\n",
		});
		expect(checkAgent({ overlay_dir: "/etc/novacompat/overlay.d" }).status).toBe(0);
	});

	test("a sysfs that the agent does not start with is refused", () => {
		expect(checkAgent({ sysfs_root: overlays })).toEqual({
			status: 78,
			said: "novacompat: agent.yaml:3:13: sysfs root overlay.d has no bus directory: expected bus/ and devices/ below it, as in /sys\n",
		});
		expect(checkAgent({ sysfs_root: "/sys" }).status).toBe(0);
	});

	test.each(["libvirt_dir", "libvirt_config_dir"])(
		"a %s that is no directory is warned of, but not the default one",
		(option) => {
			for (const named of ["nowhere", "agent.yaml"])
				expect(checkAgent({ [option]: `${directory}/${named}` })).toEqual({
					status: 1,
					said: expect.stringMatching(
						new RegExp(
							`^agent\\.yaml:3:\\d+: ${option} ${named} is no directory: expected one of \\*\\.xml, .* looks? free.*\n$`,
						),
					),
				});
			expect(checkAgent({ [option]: overlays }).status).toBe(0);
		},
	);

	test("metrics that others can read are told of, as at the start", () => {
		expect(checkAgent({ metrics_listen: "0.0.0.0:9302" })).toEqual({
			status: 1,
			said: "agent.yaml:3:17: plain HTTP on 0.0.0.0: everybody there can read metrics and health\n",
		});
		expect(checkAgent({ metrics_listen: "127.0.0.1:9302" }).status).toBe(0);
	});

	test("two servers cannot listen at one place", () => {
		for (const metrics_listen of ["127.0.0.1:9301", "0.0.0.0:9301", "'[::]:9301'"])
			expect(checkAgent({ metrics_listen })).toEqual({
				status: 78,
				said: `novacompat: agent.yaml:3:17: metrics_listen is ${metrics_listen.replaceAll("'", "")}, where listen is too (127.0.0.1:9301): expected another port\n`,
			});
	});

	test.each(["127.0.0.2:9301", "'[::1]:9301'", "127.0.0.1:9302"])("%s is another place", (metrics_listen) => {
		expect(checkAgent({ metrics_listen }).status).toBe(0);
	});

	test("a list is no address", () => {
		expect(checkAgent({ listen: "[127.0.0.1:0]" })).toMatchObject({ status: 78 });
	});

	test("the sample that is shipped", () => {
		const sample = "config/agent.yaml.sample";
		expect(novacompat("config", "check", "--agent", sample)).toMatchObject({ status: 0, stdout: `${sample}: ok\n` });
	});

	test("without it, options of the agent are known for what they are", () => {
		expect(check(`${SOUND}debugg: true\nlisten: 127.0.0.1:0\n`)).toMatchObject({
			status: 78,
			stderr: expect.stringMatching(
				/^novacompat: .*"debugg", expected debug\?\n.*unknown option "listen"\nlisten is an option of the agent: expected --agent\?\n$/,
			),
		});
	});

	test("it has no nova.conf", () => {
		expect(novacompat("config", "check", "--agent", "config/agent.yaml.sample", "--nova-conf", "x").status).toBe(64);
	});
});
