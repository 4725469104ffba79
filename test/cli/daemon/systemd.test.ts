import { spawn } from "node:child_process";
import { once } from "node:events";
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { MAIN, REPOSITORY } from "../../support/cli.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

const PATIENCE = { timeout: 30_000, interval: 20 };
const AGENT_MAIN = `${REPOSITORY}dist/src/cli/agent-main.js`;

/** Takes datagrams as systemd does, and prints them. */
const MANAGER = `
import os, socket, sys
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind(sys.argv[1])
print("bound", flush=True)
while True:
    data, fds, flags, address = socket.recv_fds(manager, 4096, 8)
    print(data.decode(), flush=True)
    # BARRIER=1 comes with a descriptor: to close it says that all before it was taken.
    for fd in fds: os.close(fd)`;

/** Name, main file, and the configuration with which it starts anywhere. */
const PROGRAMS = [
	["novacompat serve", [MAIN, "serve"], { transport_url: "memory://", host: "novacompat-1" }],
	["novacompat-agent", [AGENT_MAIN], { host: "cmp-01", listen: "127.0.0.1:0" }],
] as const;

describe.each(PROGRAMS)("%s, started by systemd", (_name, program, config) => {
	/** With what it writes to standard error. */
	function start(env: Readonly<Record<string, string>>) {
		const file = join(temporaryDirectory(), "config.yaml");
		writeFileSync(file, JSON.stringify(config));
		const child = spawn(process.execPath, [...program, "--config-file", file], {
			stdio: ["ignore", "ignore", "pipe"],
			env: { ...process.env, ...env },
		});
		onTestFinished(() => void child.kill("SIGKILL"));
		let log = "";
		child.stderr.on("data", (chunk) => {
			log += chunk;
		});
		return { child, log: () => log };
	}

	test("says when it is ready, that it is alive, and that it stops", async () => {
		const socket = join(temporaryDirectory(), "notify");
		const manager = spawn("/usr/bin/python3", ["-c", MANAGER, socket], { stdio: ["ignore", "pipe", "inherit"] });
		onTestFinished(() => void manager.kill());
		let told = "";
		manager.stdout.on("data", (chunk) => {
			told += chunk;
		});
		await expect.poll(() => told, PATIENCE).toBe("bound\n");
		const { child } = start({ NOTIFY_SOCKET: socket, WATCHDOG_USEC: "400000" });
		const states = () => told.split("\n").filter((state) => /^(READY|STOPPING|WATCHDOG)=1$/.test(state));
		await expect.poll(() => states().length, PATIENCE).toBeGreaterThan(3);
		expect(states()[0]).toBe("READY=1");
		expect(new Set(states().slice(1))).toEqual(new Set(["WATCHDOG=1"]));
		child.kill("SIGSTOP");
		// What it has begun to tell may come yet.
		const more = async () => {
			const before = states().length;
			await sleep(1_000);
			return states().length - before;
		};
		await expect.poll(more, PATIENCE).toBe(0);
		child.kill("SIGCONT");
		child.kill("SIGTERM");
		await expect.poll(() => states(), PATIENCE).toContain("STOPPING=1");
	});

	test("goes on when no process can be started", async () => {
		// Node.js throws this as it throws ENOMEM, which is what happens; it has an event for a few others only.
		const directory = temporaryDirectory();
		symlinkSync("systemd-notify", join(directory, "systemd-notify"));
		const { child, log } = start({ NOTIFY_SOCKET: "/nowhere", PATH: directory });
		await expect.poll(log, PATIENCE).toMatch(/WARNING novacompat\.\w+ \[-\] systemd-notify READY=1: spawn ELOOP\n/);
		child.kill("SIGTERM");
		expect(await once(child, "exit")).toEqual([0, null]);
	});

	test("warns where there is no systemd-notify", async () => {
		const { log } = start({ NOTIFY_SOCKET: "/nowhere", PATH: "/nowhere" });
		await expect
			.poll(log, PATIENCE)
			.toMatch(/WARNING novacompat\.\w+ \[-\] systemd-notify READY=1: spawn systemd-notify ENOENT\n/);
	});
});
