import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";

/**
 * Processes that have the script of a program open (`exec 9<$0` in it hands it on to its children), and children of ours that
 * ended and were not waited for; given a moment, for whoever was killed to be gone.
 */
export async function leftOvers(path: string): Promise<readonly string[]> {
	const until = performance.now() + 15_000;
	for (;;) {
		const found = readdirSync("/proc")
			.filter((name) => /^\d+$/.test(name))
			.filter((pid) => holds(pid, path) || isZombieOfOurs(pid));
		if (found.length === 0 || performance.now() > until) return found;
		await sleep(20);
		// On a busy machine a look at all processes takes longer than that: timers alone would leave no turn to whoever reaps them.
		await setImmediate();
	}
}

function holds(pid: string, path: string): boolean {
	try {
		return readdirSync(`/proc/${pid}/fd`).some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === path);
	} catch {
		return false;
	}
}

function isZombieOfOurs(pid: string): boolean {
	try {
		const [, state, parent] = /\) (\w) (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, "latin1")) ?? [];
		return state === "Z" && Number(parent) === process.pid;
	} catch {
		return false;
	}
}
