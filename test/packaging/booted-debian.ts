import { type SpawnSyncReturns, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { CleanDebian, ENVIRONMENT } from "./clean-debian.ts";

const BOOT = fileURLToPath(new URL("boot.sh", import.meta.url));
const PATIENCE_MS = 60_000;

/** The same with systemd as its process 1, in namespaces of its own, once it has been booted. */
export class BootedDebian extends CleanDebian {
	readonly #group = join(cgroups(), `novacompat-${process.pid}`);
	/** With the last process inside. */
	#ended: Promise<unknown> = Promise.resolve();

	constructor() {
		super("systemd");
	}

	/** Resolves when everything that is enabled has been started. */
	async boot(): Promise<void> {
		mkdirSync(this.#group);
		const outside = spawn("sh", [BOOT, this.root, this.#group], { stdio: ["ignore", "ignore", "inherit"] });
		this.#ended = once(outside, "exit");
		for (const giveUp = performance.now() + PATIENCE_MS; performance.now() < giveUp; await sleep(100)) {
			if (outside.exitCode !== null) throw new Error(`systemd ended with ${outside.exitCode}`);
			if (this.#init !== undefined && /^(running|degraded)$/m.test(this.run("systemctl", "is-system-running").stdout)) {
				return;
			}
		}
		throw new Error(`systemd is not up after ${PATIENCE_MS / 1000} s`);
	}

	/** Its process 1, as it is known here; undefined before systemd has made its own cgroup. */
	get #init(): string | undefined {
		const processes = join(this.#group, "init.scope/cgroup.procs");
		return existsSync(processes) ? readFileSync(processes, "utf8").split("\n")[0] || undefined : undefined;
	}

	override run(...command: readonly string[]): SpawnSyncReturns<string> {
		if (this.#init === undefined) return super.run(...command);
		const words = [`--target=${this.#init}`, "--mount", "--pid", "--uts", "--ipc", "--root", "--wd", ...command];
		return spawnSync("nsenter", words, { encoding: "utf8", env: ENVIRONMENT });
	}

	async shutDown(): Promise<void> {
		if (existsSync(this.#group)) writeFileSync(join(this.#group, "cgroup.kill"), "1");
		await this.#ended;
		for (; existsSync(this.#group); await sleep(100)) removeGroup(this.#group);
		this.remove();
	}
}

/** Where version 2 is mounted. */
function cgroups(): string {
	const [, path] = /^\S+ (\S+) cgroup2 /m.exec(readFileSync("/proc/mounts", "utf8")) ?? [];
	if (path === undefined) throw new Error("systemd needs cgroups v2, and there are none");
	return path;
}

/** As far as processes have left it. */
function removeGroup(path: string): void {
	for (const entry of readdirSync(path, { withFileTypes: true })) {
		if (entry.isDirectory()) removeGroup(join(path, entry.name));
	}
	try {
		rmdirSync(path);
	} catch (error) {
		if (!(error instanceof Error && "code" in error && error.code === "EBUSY")) throw error;
	}
}
