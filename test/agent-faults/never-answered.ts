import { spawn } from "node:child_process";
import { once } from "node:events";
import { onTestFinished } from "vitest";

/** Reads of the file wait until what is returned is called. */
export async function neverAnswered(file: string): Promise<() => Promise<void>> {
	const stuck = spawn("/usr/bin/python3", [`${import.meta.dirname}/stuck_file.py`, file]);
	onTestFinished(() => void stuck.kill("SIGKILL"));
	await once(stuck.stdout, "data");
	return async () => {
		stuck.stdin.end();
		await once(stuck, "exit");
	};
}
