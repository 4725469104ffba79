import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { REPOSITORY } from "../support/cli.ts";
import { freePort } from "../support/free-port.ts";
import { startRabbitMq, type TestBroker } from "../support/rabbitmq.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { BootedDebian } from "./booted-debian.ts";

const [AGENT, SERVE] = ["novacompat-agent", "novacompat-serve"] as const;
const BOTH = [AGENT, SERVE] as const;
const PATIENCE = { timeout: 20_000, interval: 200 };
const INSTANCE = "0002587c-b09d-468a-9995-53d16eeb8a15";
/** What only root can read, as libvirt's status files are, and attributes of some drivers. */
const HOST = "/srv/test_compute0";

let debian: BootedDebian;
let broker: TestBroker;

const output = temporaryDirectory(afterAll);

/** One agent stands for the source, and is no destination: its host has another name. */
beforeAll(async () => {
	const file = execFileSync("sh", ["config/packaging/debian/build.sh", output], { cwd: REPOSITORY, encoding: "utf8" });
	broker = await startRabbitMq();
	debian = new BootedDebian();
	debian.take(file.trim(), "novacompat.deb");
	// Not in /tmp, which systemd mounts anew.
	debian.sh(`mv /tmp/novacompat.deb /srv
		dpkg --install /srv/novacompat.deb
		cp -a /usr/lib/novacompat/config/samples/hosts/test_compute0 /srv
		chmod -R go= ${HOST}`);
	const port = await freePort();
	configure("agent.yaml", {
		host: "test_compute0",
		listen: `127.0.0.1:${port}`,
		sysfs_root: `${HOST}/sys`,
		libvirt_dir: `${HOST}/libvirt`,
	});
	configure("novacompat.yaml", {
		// A name, so that the unit lets it be looked up.
		transport_url: broker.url.replace("127.0.0.1", "localhost"),
		host: "ctl-01",
		agents: { test_compute0: `http://127.0.0.1:${port}` },
		policy_file: "policy.yaml",
		journal: {},
	});
	debian.sh("echo 'direction: both' >/etc/novacompat/policy.yaml");
	debian.sh(`systemctl enable ${AGENT}`);
	await debian.boot();
});
afterAll(async () => {
	await debian?.shutDown();
	await broker?.stop();
});

/** In the order of an administrator's day. */
describe("systemd", () => {
	test("has started the agent with the machine; it reads what only root may", async () => {
		expect(property(AGENT, "ActiveState")).toBe("active");
		await expect.poll(() => log(AGENT), PATIENCE).toContain("scan done");
		expect(warnings(AGENT)).toEqual([]);
	});

	test("takes the service for ready when it has been connected to the broker", async () => {
		await broker.kill();
		debian.sh(`systemctl start --no-block ${SERVE}`);
		await expect.poll(() => log(SERVE), PATIENCE).toMatch(/ECONNREFUSED/);
		expect(property(SERVE, "ActiveState")).toBe("activating");
		await broker.start();
		await expect.poll(() => property(SERVE, "ActiveState"), PATIENCE).toBe("active");
		expect(log(SERVE)).toContain("serving ready");
		const words = [INSTANCE, "test_compute0", "test_compute1", "--config-file", "/etc/novacompat/novacompat.yaml"];
		const { status, stdout } = debian.run("novacompat", "precheck", ...words);
		expect({ status, stdout }).toEqual({ status: 3, stdout: expect.stringContaining("agent.unconfigured") });
		expect(stdout).not.toContain("test_compute0 cannot");
		expect(debian.sh("novacompat journal list")).toContain(INSTANCE);
	});

	/** Unit, what is tried in its place, what comes of it. */
	const TRIES: readonly (readonly [typeof AGENT | typeof SERVE, string, RegExp])[] = [
		[AGENT, "id -un && id -Gn", /^novacompat\nnovacompat$/],
		[SERVE, "id -un && id -Gn", /^novacompat\nnovacompat$/],
		[
			AGENT,
			"grep -E '^(NoNewPrivs|CapEff|CapBnd)' /proc/self/status",
			/^CapEff:\t0{15}4\nCapBnd:\t0{15}4\nNoNewPrivs:\t1$/,
		],
		[
			SERVE,
			"grep -E '^(NoNewPrivs|CapEff|CapBnd)' /proc/self/status",
			/^CapEff:\t0{16}\nCapBnd:\t0{16}\nNoNewPrivs:\t1$/,
		],
		[AGENT, "touch /etc/novacompat/new", /Read-only file system/],
		[SERVE, "touch /etc/novacompat/new", /Read-only file system/],
		[AGENT, "touch /var/lib/novacompat/new", /Read-only file system/],
		[SERVE, "touch /var/lib/novacompat/new && echo written", /^written$/],
		[AGENT, "ls /sys/kernel/debug >/dev/null && echo read", /^read$/],
		[SERVE, "ls /sys/kernel/debug", /Permission denied/],
		[AGENT, "cat /proc/1/cmdline", /No such file or directory/],
		[SERVE, "cat /proc/1/cmdline", /No such file or directory/],
		[AGENT, "unshare --user true", /Operation not permitted/],
		[SERVE, "unshare --user true", /Operation not permitted/],
		[AGENT, "dmesg", /Operation not permitted/],
		[SERVE, "dmesg", /Operation not permitted/],
		[AGENT, "ulimit -c", /^0$/],
		[SERVE, "ulimit -c && ulimit -n", /^0\n16384$/],
	];
	test.each(TRIES)("lets %s no further: %s", (unit, script, says) => {
		expect(inPlaceOf(unit, script)).toMatch(says);
	});

	test("reloads the service", async () => {
		const pid = property(SERVE, "MainPID");
		debian.sh(`echo 'direction: source-declares' >/etc/novacompat/policy.yaml && systemctl reload ${SERVE}`);
		await expect.poll(() => log(SERVE), PATIENCE).toMatch(/policy changed from .*configuration reloaded/s);
		expect(property(SERVE, "MainPID")).toBe(pid);
	});

	test.each(BOTH)("starts %s again when it is killed", async (unit) => {
		const pid = property(unit, "MainPID");
		debian.sh(`systemctl kill --kill-whom=main --signal=KILL ${unit}`);
		await expect.poll(() => property(unit, "NRestarts"), PATIENCE).toBe("1");
		await expect.poll(() => property(unit, "ActiveState"), PATIENCE).toBe("active");
		expect(property(unit, "MainPID")).not.toBe(pid);
	});

	test.each(BOTH)("starts %s again however often it fails, as before its address is there", async (unit) => {
		onTestFinished(() => {
			debian.sh(`systemctl revert ${unit} && systemctl reset-failed ${unit} && systemctl restart ${unit}`);
		});
		drop(unit, "ExecStart=\nExecStart=/bin/false\nRestartSec=100ms");
		expect(debian.run("systemctl", "restart", unit).status).toBe(1);
		await expect.poll(() => Number(property(unit, "NRestarts")), PATIENCE).toBeGreaterThan(10);
	});

	test.each(BOTH)("starts %s again when its event loop stands still", { timeout: 60_000 }, async (unit) => {
		drop(unit, "WatchdogSec=3");
		debian.sh(`systemctl restart ${unit}`);
		await sleep(7_000);
		expect(property(unit, "NRestarts")).toBe("0");
		debian.sh(`systemctl kill --kill-whom=main --signal=STOP ${unit}`);
		await expect.poll(() => property(unit, "NRestarts"), PATIENCE).toBe("1");
		await expect.poll(() => property(unit, "ActiveState"), PATIENCE).toBe("active");
		expect(log(unit)).toMatch(/Watchdog timeout/);
		debian.sh(`systemctl revert ${unit}`);
	});

	test.each(BOTH)("does not start %s again and again with a mistake in its configuration", async (unit) => {
		const file = `/etc/novacompat/${unit === AGENT ? "agent" : "novacompat"}.yaml`;
		debian.sh(`cp -a ${file} ${file}.good && echo 'host: [' >${file}`);
		expect(debian.run("systemctl", "restart", unit).status).toBe(1);
		await sleep(3_000);
		expect(debian.sh(`systemctl show -p ActiveState,NRestarts,ExecMainStatus ${unit}`)).toBe(
			"NRestarts=0\nExecMainStatus=78\nActiveState=failed\n",
		);
		debian.sh(`mv ${file}.good ${file} && systemctl start ${unit}`);
	});

	test("restarts what runs when the package is installed again", async () => {
		debian.sh(`systemctl stop ${AGENT}`);
		const pid = property(SERVE, "MainPID");
		debian.sh("dpkg --install /srv/novacompat.deb");
		expect(property(AGENT, "ActiveState")).toBe("inactive");
		expect(property(SERVE, "ActiveState")).toBe("active");
		expect(property(SERVE, "MainPID")).not.toBe(pid);
		debian.sh(`systemctl start ${AGENT}`);
	});

	test.each(BOTH)("stops %s within its time, and takes that for success", async (unit) => {
		const started = performance.now();
		debian.sh(`systemctl stop ${unit}`);
		expect(performance.now() - started).toBeLessThan(12_000);
		expect(debian.sh(`systemctl show -p ActiveState,Result ${unit}`)).toBe("Result=success\nActiveState=inactive\n");
		debian.sh(`systemctl start ${unit}`);
	});

	test("stops both when the package is removed", async () => {
		debian.sh("dpkg --remove novacompat");
		for (const unit of BOTH) expect(property(unit, "ActiveState")).toBe("inactive");
	});
});

function configure(name: string, options: Readonly<Record<string, unknown>>): void {
	writeFileSync(join(debian.root, "etc/novacompat", name), `${JSON.stringify(options)}\n`);
}

/** Options of an operator beside those of the unit. */
function drop(unit: string, options: string): void {
	const directory = join(debian.root, `etc/systemd/system/${unit}.service.d`);
	mkdirSync(directory, { recursive: true });
	writeFileSync(join(directory, "override.conf"), `[Service]\n${options}\n`);
	debian.sh("systemctl daemon-reload");
}

/** Runs a script as the unit would be run, and returns what it writes. */
function inPlaceOf(unit: string, script: string): string {
	const { root } = debian;
	const text = readFileSync(join(root, `lib/systemd/system/${unit}.service`), "utf8")
		.replace(/^(Type|NotifyAccess|WatchdogSec|TimeoutStartSec|Restart|ExecReload)=.*\n/gm, "")
		.replace("[Service]", "StartLimitIntervalSec=0\n[Service]")
		.replace(
			/^ExecStart=.*$/m,
			"ExecStart=/bin/sh /etc/novacompat/try.sh\nType=oneshot\nStandardOutput=truncate:/run/try",
		);
	writeFileSync(join(root, "etc/systemd/system/try.service"), text);
	writeFileSync(join(root, "etc/novacompat/try.sh"), `exec 2>&1\n${script}\n`);
	return debian.sh("systemctl daemon-reload; systemctl start try || true; cat /run/try").trim();
}

function property(unit: string, name: string): string {
	return debian.sh(`systemctl show --value -p ${name} ${unit}`).trim();
}

/** What it has written since it was started last, or what was said of it. */
function log(unit: string): string {
	return debian.sh(`journalctl --output=cat --unit=${unit}`);
}

function warnings(unit: string): readonly string[] {
	return log(unit)
		.split("\n")
		.filter((line) => / (WARNING|ERROR) /.test(line));
}
