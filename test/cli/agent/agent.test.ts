import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { readAgentOptions } from "../../../src/cli/agent/options.ts";
import { createCa, type TestCa } from "../../support/certificates.ts";
import { AGENT_MAIN, MAIN, novacompat, novacompatWith, REPOSITORY } from "../../support/cli.ts";
import { populateDomain, populatePci, temporaryHost } from "../../support/sysfs.ts";
import { temporaryDirectory } from "../../support/temporary.ts";
import { unitOptions } from "../../support/units.ts";

const SAMPLE = `${REPOSITORY}config/samples/hosts/test_compute0`;
const SCAN = ["--sysfs-root", `${SAMPLE}/sys`, "--libvirt-dir", `${SAMPLE}/libvirt`];

const directory = mkdtempSync(join(tmpdir(), "novacompat-agent-"));
afterAll(() => rmSync(directory, { recursive: true }));

function file(name: string, text: string): string {
	const path = join(directory, name);
	writeFileSync(path, text);
	return path;
}

describe("options", () => {
	const DEFAULTS = {
		host: hostname(),
		listen: { address: "127.0.0.1", port: 9301 },
		sysfs_root: "/sys",
		libvirt_dir: "/run/libvirt/qemu",
		libvirt_config_dir: "/etc/libvirt/qemu",
		overlay_dir: "/etc/novacompat/overlay.d",
		scan_interval: 10,
		allow_insecure: false,
		detailed: false,
		debug: false,
		use_json: false,
		log_date_format: "%Y-%m-%d %H:%M:%S",
	};

	test("without any", () => {
		expect(readAgentOptions([])).toEqual(DEFAULTS);
	});

	test("a flag goes before the file, the file before the default; paths are relative to the file", () => {
		const config = file("agent.yaml", "host: cmp-01\nlisten: '[::1]:0'\nscan_interval: 30\ntls_cert: tls/cert.pem\n");
		expect(readAgentOptions(["--config-file", config, "--host", "cmp-02", "--debug"])).toEqual({
			...DEFAULTS,
			host: "cmp-02",
			listen: { address: "::1", port: 0 },
			scan_interval: 30,
			tls_cert: join(directory, "tls/cert.pem"),
			debug: true,
		});
	});

	test.each(["agent", "snapshot", "doctor"])(
		"the help of %s is the same on every machine: man pages are made of it",
		(command) => {
			const help = novacompat(command, "--help").stdout.replace(/\s+/g, " ");
			expect(help).toContain("(default: the machine's host name)");
		},
	);

	test("help", () => {
		expect(readAgentOptions(["--help"])).toBe("help");
		expect(novacompat("agent", "--help").stdout).toContain("--scan-interval <seconds>");
	});

	test.each([
		["an address that others can reach", "listen: 192.0.2.1:9301\n", "listen is 192.0.2.1, which others can reach"],
		[
			"a key without a certificate",
			"tls_key: agent.key\n",
			"tls_cert, tls_key and tls_client_ca are only used together",
		],
		["certificates that are none", "tls_cert: x\ntls_key: x\ntls_client_ca: x\n", "x cannot be used"],
	])("in a file %s is a mistake of the configuration, after which systemd does not try again", (_what, text, says) => {
		const config = join(directory, "mistake.yaml");
		writeFileSync(config, text);
		const { status, stderr } = novacompatWith({ timeout: 30_000 }, "agent", "--config-file", config, ...SCAN);
		expect(stderr).toContain(says);
		expect(status).toBe(78);
	});

	/** Words, what is said. */
	const words: readonly [words: readonly string[], says: string][] = [
		[["--listen", "9301"], '--listen is "9301", expected address:port'],
		[["--listen", "127.0.0.1:65536"], '--listen is "127.0.0.1:65536", expected address:port'],
		[["--metrics-listen", "9302"], '--metrics-listen is "9302", expected address:port'],
		[["--scan-interval", "0.5"], '--scan-interval is "0.5", expected seconds from 1 to 3600'],
		[["--host", ""], '--host is "", expected a Nova host name'],
		[["--log-date-format", "%F"], '--log-date-format is "%F", %F: expected one of %Y, %m, %d,'],
		[["--logging-default-format-string", "%s"], '--logging-default-format-string is "%s", a % that begins neither'],
		[["--frequency", "1"], "Unknown option '--frequency'"],
		[["cmp-01"], "Unexpected argument 'cmp-01'"],
		[["--listen", "192.0.2.1:9301", ...SCAN], "listen is 192.0.2.1, which others can reach: expected tls_cert,"],
		[["--tls-cert", "cert.pem", ...SCAN], "tls_cert, tls_key and tls_client_ca are only used together"],
		[["--sysfs-root", "/nonexistent"], "sysfs root /nonexistent cannot be used (ENOENT)"],
	];
	test.each(words)("%j is refused with 64", (given, says) => {
		const { status, stderr } = novacompat("agent", ...given);
		expect(stderr).toContain(`novacompat: ${says}`);
		expect(status).toBe(64);
	});

	/** File, what is said behind its name. */
	const files: readonly [text: string, says: string][] = [
		["listen: 9301", ":1:9: listen: expected address:port, got 9301"],
		[
			"tls_key: |\n  -----BEGIN PRIVATE KEY-----\n  MC4CAQAw\n",
			':1:10: tls_key: expected a path, got "-----BEGIN ***"',
		],
		["host: cmp-01\nfrequency: 1", ':2:1: unknown option "frequency"'],
		["debug: 1", ":1:8: debug: expected true or false, got 1"],
		["log_date_format: '%T'", ":1:18: log_date_format: %T: expected one of %Y, %m, %d,"],
		["logging_default_format_string: 1", ":1:32: logging_default_format_string: expected a format string, got 1"],
		[
			'logging_context_format_string: "%(colour)s"',
			":1:32: logging_context_format_string: %(colour): expected one of asctime, msecs,",
		],
		["- host", ":1:1: expected a mapping of options"],
		["host: [", ":1:"],
	];
	test.each(files)("%j is refused with 78", (text, says) => {
		const config = file("wrong.yaml", text);
		const { status, stderr } = novacompat("agent", "--config-file", config);
		expect(stderr).toContain(`novacompat: ${config}${says}`);
		expect(status).toBe(78);
	});

	test.each(["a b", "cmp-01-", "-cmp", `cmp${"-01".repeat(90)}`])(
		"the host %j is none that a service asks about",
		(host) => {
			const says = `expected a Nova host name: letters, digits, ".", "_" and "-", the first and the last a letter or digit`;
			const config = file("host.yaml", `host: ${JSON.stringify(host)}\n`);
			const inFile = novacompatWith({ timeout: 10_000 }, "agent", "--config-file", config);
			expect(inFile.stderr).toContain(`novacompat: ${config}:1:7: host: ${says}, got ${JSON.stringify(host)}`);
			expect(inFile.status).toBe(78);
			expect(novacompat("config", "check", "--agent", config)).toMatchObject({ status: 78, stderr: inFile.stderr });
			const onCommandLine = novacompatWith({ timeout: 10_000 }, "agent", `--host=${host}`);
			expect(onCommandLine.stderr).toContain(`novacompat: --host is ${JSON.stringify(host)}, ${says}`);
			expect(onCommandLine.status).toBe(64);
		},
	);

	test("a file with a sysfs that is none is refused with 78, which systemd does not try again", () => {
		const config = file("sysfs.yaml", "sysfs_root: /nonexistent\n");
		const { status, stderr } = novacompat("agent", "--config-file", config);
		expect(stderr).toContain("novacompat: sysfs root /nonexistent cannot be used (ENOENT)");
		expect(status).toBe(78);
	});

	test("config/README.md has a row for each", () => {
		const readme = readFileSync(`${REPOSITORY}config/README.md`, "utf8");
		const help = novacompat("agent", "--help").stdout.matchAll(/^ {2}--([a-z-]+)/gm);
		const names = Array.from(help, ([, flag = ""]) => flag.replaceAll("-", "_"));
		expect(names.length).toBeGreaterThan(9);
		for (const name of names.filter((option) => !option.startsWith("config_")))
			expect(readme).toContain(`| \`${name}\` |`);
	});
});

/** An agent that has scanned once. */
async function start(command: readonly string[], scanned = /scan done/) {
	const child = spawn(command[0] ?? "", command.slice(1), { stdio: ["ignore", "ignore", "pipe"] });
	onTestFinished(() => void child.kill("SIGKILL"));
	let log = "";
	child.stderr.on("data", (chunk: Buffer) => {
		log += chunk.toString();
	});
	await expect.poll(() => log).toMatch(scanned);
	return { child, log: () => log, url: /listening on (\S+)/.exec(log)?.[1] ?? "" };
}

describe("the running agent", () => {
	let ca: TestCa;
	beforeAll(() => {
		ca = createCa();
	});
	afterAll(() => ca.remove());

	test.each([
		["novacompat-agent as its unit starts it", [...unitOptions("agent"), AGENT_MAIN]],
		["novacompat agent", [MAIN, "agent"]],
	])("%s serves what novacompat snapshot prints, and ends on SIGTERM", async (_name, program) => {
		const { child, url } = await start([
			process.execPath,
			...program,
			"--host",
			"test_compute0",
			"--listen",
			"127.0.0.1:0",
			...SCAN,
		]);
		const { boot_id, generation, ...snapshot } = (await (await fetch(`${url}/v1/snapshot`)).json()) as Record<
			string,
			unknown
		>;
		expect(snapshot).toEqual(JSON.parse(novacompat("snapshot", "--host", "test_compute0", ...SCAN).stdout));
		expect(generation).toBe(1);
		expect(boot_id).toBe(readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim());
		child.kill("SIGTERM");
		expect(await once(child, "exit")).toEqual([0, null]);
	});

	test("SIGHUP takes another log level, says what needs a restart, and takes nothing of a file with a mistake", async () => {
		const file = join(temporaryDirectory(), "agent.yaml");
		const yaml = `listen: 127.0.0.1:0\nhost: cmp-01\n`;
		writeFileSync(file, yaml);
		const { child, log, url } = await start([process.execPath, AGENT_MAIN, "--config-file", file, ...SCAN]);
		const reload = async (text: string) => {
			writeFileSync(file, text);
			const before = log().length;
			child.kill("SIGHUP");
			await expect.poll(() => log().slice(before)).toMatch(/configuration (not )?reloaded.*\n/);
			return log()
				.slice(before)
				.trimEnd()
				.split("\n")
				.filter((line) => !line.includes(" scan done,"))
				.map((line) => line.replace(/^\S+ \S+ \d+ /, "").replaceAll(file, "FILE"));
		};
		const refused = "ERROR novacompat.agent [-] configuration not reloaded, everything stays as it was: ";
		expect(await reload(`${yaml}debug: true\nscan_intervall: 30\n`)).toEqual([
			`${refused}FILE:4:1: unknown option "scan_intervall", expected scan_interval?`,
		]);
		expect(await reload(`${yaml}debug: true\ntls_cert: agent.pem\n`)).toEqual([
			`${refused}tls_cert, tls_key and tls_client_ca are only used together`,
		]);
		await fetch(`${url}/livez`);
		expect(log()).not.toContain(" DEBUG ");
		expect(await reload(`${yaml}debug: true\nscan_interval: 30\n`)).toEqual([
			"WARNING novacompat.agent [-] Ignoring change to immutable option scan_interval: it needs a restart",
			"INFO novacompat.agent [-] Config option debug changed from false to true",
			"INFO novacompat.agent [-] configuration reloaded",
		]);
		await fetch(`${url}/livez`);
		await expect.poll(log).toMatch(/ DEBUG novacompat\.agent .*GET "\/livez" 200/);
	});

	test("SIGHUP takes nothing of a file that an agent would not start with", async () => {
		const file = join(temporaryDirectory(), "agent.yaml");
		writeFileSync(file, "listen: 127.0.0.1:0\n");
		const { child, log } = await start([process.execPath, AGENT_MAIN, "--config-file", file, ...SCAN]);
		writeFileSync(file, "listen: 127.0.0.1:9\nmetrics_listen: 127.0.0.1:9\n");
		child.kill("SIGHUP");
		await expect.poll(log).toMatch(/configuration (not )?reloaded.*\n/);
		expect(log()).toContain("everything stays as it was: metrics_listen is 127.0.0.1:9, where listen is too");
	});

	test("SIGUSR2 reports, and SIGHUP without a configuration ends nothing", async () => {
		const { child, log } = await start([process.execPath, AGENT_MAIN, "--listen", "127.0.0.1:0", ...SCAN]);
		child.kill("SIGHUP");
		await expect.poll(log).toMatch(/ INFO novacompat\.agent \[-\] configuration reloaded\n/);
		child.kill("SIGUSR2");
		await expect.poll(log).toMatch(/ state report: process: node v\d+\S*, uptime_s \d+, rss_mib \d+, /);
		await expect
			.poll(log)
			.toMatch(/ state report: scans: done \d+, failed 0, overrun 0, abandoned 0, generation 1, age_s \d+\n/);
		await expect.poll(log).toMatch(/ state report: reloads: success 1, failure 0, last_success \d+/);
		child.kill("SIGTERM");
		expect(await once(child, "exit")).toEqual([0, null]);
	});

	test("SIGUSR1, which asked for a report once, opens no debugger to everybody on the host", async () => {
		const { child, log } = await start([
			process.execPath,
			"--inspect-port=0",
			AGENT_MAIN,
			"--listen",
			"127.0.0.1:0",
			...SCAN,
		]);
		child.kill("SIGUSR1");
		child.kill("SIGUSR2");
		await expect.poll(log).toContain(" state report: reloads: ");
		child.kill("SIGTERM");
		await once(child, "close");
		expect(log()).not.toMatch(/debugger/i);
	});

	test.each(["throw", "Promise.reject"])("a bug (%s) ends it with 70 and a line of the log", async (how) => {
		const bug = `data:text/javascript,process.once("SIGWINCH",()=>{${how}(new Error("a bug"))})`;
		const { child, log } = await start([
			process.execPath,
			"--import",
			bug,
			AGENT_MAIN,
			"--listen",
			"127.0.0.1:0",
			...SCAN,
		]);
		child.kill("SIGWINCH");
		expect(await once(child, "exit")).toEqual([70, null]);
		expect(log()).toMatch(/ ERROR novacompat\.agent \[-\] crashed: Error: a bug\n.* ERROR novacompat\.agent {5}at /);
	});

	test("use_json: every line is JSON with the fields of oslo.log", async () => {
		const { log } = await start([process.execPath, AGENT_MAIN, "--use-json", "--listen", "127.0.0.1:0", ...SCAN]);
		const lines = log().trimEnd().split("\n");
		expect(lines.map((line) => JSON.parse(line))).toMatchObject([
			{ levelname: "INFO", name: "novacompat.agent", message: expect.stringMatching(/^agent of .* listening on /) },
			{ levelname: "INFO", name: "novacompat.agent", message: "scan done, generation 1" },
		]);
	});

	test("lines have the form that it is told, and the healthcheck says more", async () => {
		const config = file(
			"log.yaml",
			"detailed: true\ndebug: true\nlog_date_format: at %j\nlogging_context_format_string: '%(asctime)s, %(request_id)s: %(message)s'\n",
		);
		const options = ["--config-file", config, "--logging-default-format-string", "<%(levelname)s> %(message)s"];
		const command = [process.execPath, AGENT_MAIN, ...options, "--listen", "127.0.0.1:0", ...SCAN];
		const { url, log } = await start(command, /^<INFO> scan done, generation 1$/m);
		const id = "req-6a9c1d2e-3f40-4a5b-8c6d-7e8f90a1b2c3";
		const headers = { Accept: "application/json", "X-Openstack-Request-Id": id };
		const details = expect.stringMatching(/^last scan: done; last good scan: ended \d s ago; certificate: none$/);
		expect(await (await fetch(`${url}/healthcheck`, { headers })).json()).toEqual({
			detailed: true,
			reasons: [{ class: "HealthcheckResult", reason: "OK", details }],
		});
		await expect.poll(log).toMatch(new RegExp(`^at \\d{3}, ${id}: GET "/healthcheck" 200 in `, "m"));
	});

	test.each(["--listen", "--metrics-listen"])("%s that somebody else has ends it at once", async (option) => {
		const { url, child } = await start([process.execPath, AGENT_MAIN, "--listen", "127.0.0.1:0", ...SCAN]);
		const taken = new URL(url).host;
		const words = option === "--listen" ? [] : ["--listen", "127.0.0.1:0"];
		const { status, stderr } = novacompatWith({ timeout: 30_000 }, "agent", ...words, option, taken, ...SCAN);
		expect(stderr).toContain(`EADDRINUSE: address already in use ${taken}`);
		expect(status).toBe(64);
		child.kill();
	});

	test("--metrics-listen where --listen is ends it at once", () => {
		const words = ["--listen", "127.0.0.1:9", "--metrics-listen", "127.0.0.1:9"];
		expect(novacompatWith({ timeout: 30_000 }, "agent", ...words, ...SCAN)).toMatchObject({
			status: 64,
			stderr: "novacompat: metrics_listen is 127.0.0.1:9, where listen is too (127.0.0.1:9): expected another port\n",
		});
	});

	test("SEC-36: metrics and health are elsewhere too, for whoever has no certificate, and nothing of the host is", async () => {
		const { cert, key } = ca.issue("cmp-01", "DNS:cmp-01");
		const tls = ["--tls-cert", cert, "--tls-key", key, "--tls-client-ca", ca.ca];
		const listen = ["--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"];
		const { url, log, child } = await start([
			process.execPath,
			AGENT_MAIN,
			"--host",
			"cmp-01",
			...listen,
			...tls,
			...SCAN,
		]);
		expect(url).toMatch(/^https:/);
		const [, monitoring] = / INFO novacompat\.agent \[-\] metrics and health of it on (http:\S+)$/m.exec(log()) ?? [];
		const ask = async (path: string) => {
			const response = await fetch(`${monitoring}${path}`);
			return [response.status, await response.text()] as const;
		};
		expect(await ask("/livez")).toEqual([200, "OK"]);
		expect(await ask("/readyz")).toEqual([200, "OK"]);
		expect(await ask("/healthcheck")).toEqual([200, "OK"]);
		const [status, metrics] = await ask("/metrics");
		expect([status, metrics]).toEqual([
			200,
			expect.stringContaining("novacompat_agent_certificate_expiry_timestamp_seconds "),
		]);
		// What it counts is what the agent answers, not how often it was asked for that.
		expect(metrics).not.toContain("novacompat_agent_responses_total{");
		const served = "served are /livez, /readyz, /healthcheck, /metrics";
		for (const path of [
			"/v1/snapshot",
			"/",
			"/v1/instances/0002587c-b09d-468a-9995-53d16eeb8a15/devices",
			"/toString",
		]) {
			const [missing, problem] = await ask(path);
			expect([missing, JSON.parse(problem)]).toEqual([404, expect.objectContaining({ detail: served })]);
		}
		const domain = readFileSync(`${SAMPLE}/libvirt/${readdirSync(`${SAMPLE}/libvirt`)[0]}`, "utf8");
		for (const [word] of domain.matchAll(/[0-9a-f]{8}-[0-9a-f-]{27}|instance-[0-9a-f]{8}/g))
			expect(metrics).not.toContain(word);
		child.kill("SIGTERM");
		expect(await once(child, "exit")).toEqual([0, null]);
	});

	test("plain HTTP that others can reach is warned of", async () => {
		const options = ["--listen", "0.0.0.0:0", "--allow-insecure", ...SCAN];
		const { log } = await start([process.execPath, AGENT_MAIN, ...options]);
		expect(log()).toContain("WARNING novacompat.agent [-] plain HTTP on 0.0.0.0: everybody there can read this");
	});

	test("so are metrics and health", async () => {
		const options = ["--listen", "127.0.0.1:0", "--metrics-listen", "0.0.0.0:0", ...SCAN];
		const { log } = await start([process.execPath, AGENT_MAIN, ...options]);
		const warning = "plain HTTP on 0.0.0.0: everybody there can read metrics and health";
		expect(log().match(/WARNING .*/g)).toEqual([`WARNING novacompat.agent [-] ${warning}`]);
	});

	test("directories that are not there are warned of, once", async () => {
		const { libvirt } = temporaryHost();
		const nowhere = join(libvirt, "nowhere");
		const overlays = join(libvirt, "overlay.d");
		const options = ["--listen", "127.0.0.1:0", "--scan-interval", "1", "--sysfs-root", `${SAMPLE}/sys`];
		const places = ["--libvirt-dir", nowhere, "--libvirt-config-dir", nowhere, "--overlay-dir", overlays];
		const { log, url } = await start([process.execPath, AGENT_MAIN, ...options, ...places]);
		const scans = async () => Number(/outcome="done"} (\d+)/.exec(await (await fetch(`${url}/metrics`)).text())?.[1]);
		await expect.poll(scans, { timeout: 30_000 }).toBeGreaterThanOrEqual(3);
		const warnings = [
			`libvirt directory ${nowhere} is not there: no instance is known to run, and every device looks free\n`,
			`libvirt directory ${nowhere} is not there: the devices of instances that are shut off look free\n`,
			`overlay directory ${overlays} is not there, expected a directory of *.yaml: nothing is added to what the host says\n`,
		];
		for (const warning of warnings) expect(log().split(`WARNING novacompat.agent [-] ${warning}`)).toHaveLength(2);
		const { stderr } = novacompat("snapshot", "--sysfs-root", `${SAMPLE}/sys`, ...places);
		expect(stderr).toBe(warnings.map((warning) => `novacompat: ${warning}`).join(""));
	});

	test.each(["--version", "-V"])("%s says which one it is", (option) => {
		const { version } = JSON.parse(readFileSync(`${REPOSITORY}package.json`, "utf8")) as { version: string };
		for (const command of [[AGENT_MAIN], [MAIN], [MAIN, "agent"]]) {
			expect(execFileSync(process.execPath, [...command, option], { encoding: "utf8" })).toBe(`${version}\n`);
		}
	});

	test("it needs two packages, TLS, configuration file and scans included", { timeout: 60_000 }, async () => {
		const { cert, key } = ca.issue("cmp-01", "DNS:cmp-01");
		const config = file(
			"tls.yaml",
			`host: cmp-01\nlisten: 127.0.0.1:0\ntls_cert: ${cert}\ntls_key: ${key}\ntls_client_ca: ${ca.ca}\n`,
		);
		const trace = join(directory, "trace");
		// With -D the process that the test ends is the agent; a tracer that is killed leaves it behind.
		const strace = ["strace", "-D", "-f", "-qq", "-e", "trace=openat", "-o", trace];
		const { url } = await start([...strace, process.execPath, AGENT_MAIN, "--config-file", config, ...SCAN]);
		expect(url).toMatch(/^https:/);
		const opened = readFileSync(trace, "utf8").matchAll(
			/node_modules\/((?:@[^/"]+\/)?[^/"]+)\/[^"]*", [^\n]* = \d+$/gm,
		);
		expect([...new Set(Array.from(opened, ([, name]) => name))].sort()).toEqual(["@xmldom/xmldom", "yaml"]);
	});
});

describe("config/novacompat-agent.service", () => {
	const unit = readFileSync(`${REPOSITORY}config/novacompat-agent.service`, "utf8");

	/** Those of the unit, on status files as libvirt writes them: 0600, of root. */
	const NOBODY = ["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"];
	const CAPABILITIES = ["inh-caps", "ambient-caps", "bounding-set"];
	test.skipIf(process.getuid?.() !== 0)(
		"has the capability that it needs, and needs it",
		{ timeout: 30_000 },
		async () => {
			const { sysfs, libvirt } = temporaryHost();
			chmodSync(dirname(sysfs), 0o700);
			populatePci(sysfs, { address: "0000:3b:10.0" });
			chmodSync(
				populateDomain(libvirt, { uuid: "0002587c-b09d-468a-9995-53d16eeb8a15", pci: ["0000:3b:10.0"] }),
				0o600,
			);
			const listen = ["--listen", "127.0.0.1:0"];
			const agent = [process.execPath, AGENT_MAIN, ...listen, "--sysfs-root", sysfs, "--libvirt-dir", libvirt];
			expect(unit).toMatch(/^AmbientCapabilities=CAP_DAC_READ_SEARCH$/m);
			const able = CAPABILITIES.map((set) => `--${set}=-all,+dac_read_search`);
			const { url, log } = await start(["setpriv", ...NOBODY, ...able, ...agent]);
			expect(await (await fetch(`${url}/v1/snapshot`)).text()).toContain("0002587c-b09d-468a-9995-53d16eeb8a15");
			expect(log()).not.toContain("libvirt directory");

			chmodSync(dirname(sysfs), 0o755);
			const unable = CAPABILITIES.map((set) => `--${set}=-all`);
			const { url: other } = await start(
				["setpriv", ...NOBODY, ...unable, ...agent],
				/scan failed.*\.xml cannot be read: EACCES/,
			);
			for (const path of ["/v1/snapshot", "/healthcheck"]) {
				const response = await fetch(`${other}${path}`);
				const text = await response.text();
				expect([response.status, text]).toEqual([503, expect.stringContaining("no scan has been good yet")]);
				expect(text).not.toMatch(/xml|EACCES|libvirt/);
			}
		},
	);
});
