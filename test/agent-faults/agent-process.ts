import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { Agent, get, type IncomingHttpHeaders } from "node:http";
import { get as getTls, Agent as TlsAgent } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import { onTestFinished } from "vitest";
import type { Mutual } from "../bench/agent-rig.ts";
import { cpuSeconds } from "../bench/children.ts";
import type { TestHost } from "../support/sysfs.ts";
import { unitOptions } from "../support/units.ts";

const AGENT_MAIN = `${import.meta.dirname}/../../dist/src/cli/agent-main.js`;
const PATIENCE_MS = 30_000;

export interface Reply {
	readonly status: number;
	readonly headers: IncomingHttpHeaders;
	readonly body: string;
	/** Milliseconds from the request to the last byte. */
	readonly took: number;
}

export interface AgentHost extends Pick<TestHost, "sysfs" | "libvirt"> {
	/** Shell commands that put something elsewhere before it starts, where nobody else sees it: what it asks of this machine has fixed paths. */
	readonly mounts?: string;
}

/** `novacompat-agent` as it is built and as its unit starts it, on a host that is a directory; it ends with the test. */
export class AgentProcess {
	readonly url: string;
	/** All that it has said. */
	readonly log: () => string;
	readonly #child: ChildProcess;
	readonly #connection: Agent;

	static async start(
		{ sysfs, libvirt, mounts = "" }: AgentHost,
		interval = 1,
		name = "cmp-01",
		more: readonly string[] = [],
		tls?: Mutual,
	): Promise<AgentProcess> {
		const material = tls ? ["--tls-cert", tls.agent.cert, "--tls-key", tls.agent.key, "--tls-client-ca", tls.ca] : [];
		const given = [...material, ...more];
		const options = ["--host", name, "--listen", "127.0.0.1:0", "--scan-interval", String(interval), ...given];
		const host = ["--sysfs-root", sysfs, "--libvirt-dir", libvirt];
		const command = [...unitOptions("agent"), AGENT_MAIN, ...options, ...host];
		const inside = ["--mount", "sh", "-c", `${mounts}\nexec "$0" "$@"`, process.execPath, ...command];
		const [program, words] = mounts === "" ? [process.execPath, command] : ["unshare", inside];
		const child = spawn(program, words, { stdio: ["ignore", "ignore", "pipe"] });
		let log = "";
		child.stderr.on("data", (chunk: Buffer) => {
			log += chunk.toString();
		});
		for (const giveUp = performance.now() + PATIENCE_MS; performance.now() < giveUp; await sleep(20)) {
			const [url] = /https?:\/\/\S+/.exec(log) ?? [];
			if (url !== undefined && log.includes("scan done"))
				return new AgentProcess(child, url, () => log, connectionOf(name, tls));
		}
		child.kill("SIGKILL");
		throw new Error(`no agent within ${PATIENCE_MS} ms:\n${log}`);
	}

	private constructor(child: ChildProcess, url: string, log: () => string, connection: Agent) {
		this.log = log;
		this.#connection = connection;
		this.#child = child;
		this.url = url;
		onTestFinished(() => this.stop());
	}

	get pid(): number {
		return this.#child.pid ?? 0;
	}

	get port(): number {
		return Number(new URL(this.url).port);
	}

	/** Processor seconds of the agent and of the scans that have ended. */
	cpu(): number {
		return cpuSeconds(this.pid);
	}

	/** Its scans that run or were abandoned, one line each with the state: `R node`, `D node`. */
	children(): readonly string[] {
		const list = readFileSync(`/proc/${this.pid}/task/${this.pid}/children`, "utf8");
		return list
			.split(" ")
			.filter((pid) => pid !== "")
			.map((pid) => execFileSync("ps", ["-o", "stat=,comm=", "-p", pid], { encoding: "utf8" }).trim());
	}

	ask(path: string): Promise<Reply> {
		const started = performance.now();
		return new Promise((resolve, reject) => {
			// No URL, which would make another path of `..`; and another address than that of who floods the agent.
			const from = { localAddress: "127.0.0.2", agent: this.#connection };
			const asked = this.#connection instanceof TlsAgent ? getTls : get;
			asked({ host: "127.0.0.1", port: this.port, path, ...from }, (response) => {
				const chunks: Buffer[] = [];
				response.on("data", (chunk: Buffer) => chunks.push(chunk));
				response.on("end", () => {
					const { statusCode: status = 0, headers } = response;
					resolve({ status, headers, body: Buffer.concat(chunks).toString(), took: performance.now() - started });
				});
			}).on("error", reject);
		});
	}

	/** The value of a metric, with its labels. */
	async metric(name: string): Promise<number> {
		const line = (await this.ask("/metrics")).body.split("\n").find((text) => text.startsWith(`${name} `));
		return Number(line?.slice(name.length + 1));
	}

	async stop(): Promise<void> {
		this.#connection.destroy();
		if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
		this.#child.kill("SIGTERM");
		await once(this.#child, "exit");
	}
}

/** One connection, over TLS with the certificate of the service. */
function connectionOf(servername: string, tls: Mutual | undefined): Agent {
	const one = { keepAlive: true, maxSockets: 1 };
	if (!tls) return new Agent(one);
	const [ca, cert, key] = [tls.ca, tls.client.cert, tls.client.key].map((file) => readFileSync(file));
	return new TlsAgent({ ...one, servername, ca, cert, key });
}
