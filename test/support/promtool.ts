import { spawnSync } from "node:child_process";

/** What the real `promtool check metrics` has to say about a page of metrics; nothing when it is as it should be. */
export function checkMetrics(page: string): string {
	const { error, stdout, stderr } = spawnSync("/usr/bin/promtool", ["check", "metrics"], {
		input: page,
		encoding: "utf8",
	});
	if (error) throw new Error(`no promtool: run test/support/install-peers.sh`, { cause: error });
	return stdout + stderr;
}
