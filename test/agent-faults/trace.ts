import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { onTestFinished } from "vitest";
import type { AgentProcess } from "./agent-process.ts";

/** The calls of the agent, of its threads and of the scans that it starts, while `during` runs; strace's lines, descriptors with their paths. */
export async function callsOf(
	agent: AgentProcess,
	calls: string,
	during: () => Promise<unknown>,
): Promise<readonly string[]> {
	const trace = join(mkdtempSync(join(tmpdir(), "novacompat-trace-")), "trace");
	onTestFinished(() => rmSync(dirname(trace), { recursive: true }));
	const strace = spawn("strace", ["-f", "-y", "-o", trace, "-e", `trace=${calls}`, "-p", String(agent.pid)]);
	onTestFinished(() => void strace.kill("SIGKILL"));
	await once(strace.stderr, "data");
	await during();
	strace.kill("SIGINT");
	await once(strace, "exit");
	// Of a call that another thread's came between, the first line has all but the result.
	const lines = readFileSync(trace, "utf8").trimEnd().split("\n");
	return lines.filter((line) => !/^\d+ +<\.\.\. \w+ resumed>/.test(line));
}

/** Those that open something. */
export function opensOf(lines: readonly string[]): readonly string[] {
	return lines.filter((line) => /\bopen(at2?)?\(/.test(line));
}
