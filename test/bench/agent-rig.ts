import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Certificate, TestCa } from "../support/certificates.ts";
import { unitOptions } from "../support/units.ts";

export const ROOT = join(import.meta.dirname, "../../..");
export const MAIN = join(ROOT, "dist/src/cli/main.js");
export const SCAN_CHILD = join(ROOT, "dist/src/agent/scan-child.js");
const AGENT_MAIN = join(ROOT, "dist/src/cli/agent-main.js");
const POLL = join(import.meta.dirname, "poll.js");
const BARE_SERVER = join(import.meta.dirname, "bare-server.js");

/** The Nova host name of the agent. */
const HOST = "bench";

/** Everything that mTLS needs, of both sides. */
export interface Mutual {
	readonly ca: string;
	readonly agent: Certificate;
	readonly client: Certificate;
}

export function mutual(ca: TestCa): Mutual {
	return { ca: ca.ca, agent: ca.issue(HOST, `DNS:${HOST}`), client: ca.issue("service", "DNS:service") };
}

export interface Running {
	readonly url: string;
	/** Resident memory in MB. */
	rss(): number;
	stop(): Promise<void>;
}

/** The agent as its unit starts it, once it has scanned; `before` is a program that starts it. */
export async function startAgent(
	host: { readonly sysfs: string; readonly libvirt: string },
	interval: number,
	{ tls, before = [] }: { readonly tls?: Mutual; readonly before?: readonly string[] } = {},
): Promise<Running> {
	const files = tls && { "tls-cert": tls.agent.cert, "tls-key": tls.agent.key, "tls-client-ca": tls.ca };
	const options = {
		host: HOST,
		listen: "127.0.0.1:0",
		"scan-interval": String(interval),
		"sysfs-root": host.sysfs,
		"libvirt-dir": host.libvirt,
		...files,
	};
	const words = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
	const [program = "", ...rest] = [...before, process.execPath, ...unitOptions("agent", ROOT), AGENT_MAIN, ...words];
	const child = spawn(program, rest, { stdio: ["ignore", "ignore", "pipe"] });
	let log = "";
	child.stderr.on("data", (chunk: Buffer) => {
		log += chunk.toString();
	});
	while (!log.includes("scan done")) {
		if (child.exitCode !== null) throw new Error(`the agent ended with ${child.exitCode}: ${log}`);
		await sleep(20);
	}
	const [url = ""] = /https?:\/\/\S+/.exec(log) ?? [];
	return {
		url,
		rss: () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))?.[1]) / 1024,
		async stop() {
			child.kill();
			await once(child, "exit");
		},
	};
}

/** The same bytes from a server that does nothing else: what of a time is Node's and the machine's. */
export async function startBareServer(file: string): Promise<Pick<Running, "url" | "stop">> {
	const child = spawn(process.execPath, [BARE_SERVER, file], { stdio: ["ignore", "pipe", "inherit"] });
	const [url] = (await once(child.stdout, "data")) as [Buffer];
	return {
		url: url.toString().trim(),
		async stop() {
			child.kill();
			await once(child, "exit");
		},
	};
}

/** Milliseconds of so many answers over one connection, whole and not modified. */
export function poll(url: string, count: number, tls?: Mutual) {
	const files = tls ? [HOST, tls.ca, tls.client.cert, tls.client.key] : [];
	const polled = execFileSync(process.execPath, [POLL, url, String(count), ...files], { encoding: "utf8" });
	return JSON.parse(polled) as { readonly full: readonly number[]; readonly unchanged: readonly number[] };
}
