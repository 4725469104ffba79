import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { SCAN_OPTIONS } from "../../src/agent/scan-process.ts";
import { REPOSITORY } from "../support/cli.ts";

/** What a process of Node.js needs besides its old objects. */
const NODE_MEGABYTES = 50;

/** Unit, and what it starts. */
const UNITS = [
	["novacompat-agent.service", "agent-main.js --config-file /etc/novacompat/agent.yaml"],
	["novacompat-serve.service", "main.js serve --config-file /etc/novacompat/novacompat.yaml"],
] as const;

describe.each(UNITS)("%s", (name, program) => {
	const unit = `${REPOSITORY}config/${name}`;
	const lines = readFileSync(unit, "utf8").split("\n");

	test("starts the program with a configuration file, and again when it fails, unless the file is why", () => {
		expect(lines.find((line) => line.startsWith("ExecStart="))).toMatch(new RegExp(`/dist/src/cli/${program}$`));
		expect(lines).toContain("Restart=on-failure");
		expect(lines).toContain("RestartPreventExitStatus=78");
	});

	test("is watched by systemd, which waits longer than it takes to stop", () => {
		expect(lines.join("\n")).toMatch(/^Type=notify\n(#.*\n)*NotifyAccess=all$/m);
		expect(lines).toContain("WatchdogSec=30");
		expect(lines).toContain("TimeoutStopSec=15");
	});

	test("bounds descriptors, and the heap below the memory that it may have", () => {
		expect(lines.some((line) => /^LimitNOFILE=\d+$/.test(line))).toBe(true);
		const [, heap] = /^ExecStart=.* --max-old-space-size=(\d+) /m.exec(lines.join("\n")) ?? [];
		const [, memory] = /^MemoryMax=(\d+)M$/m.exec(lines.join("\n")) ?? [];
		const [scan = 0] = SCAN_OPTIONS.flatMap((option) => /^--max-old-space-size=(\d+)$/.exec(option)?.slice(1) ?? []);
		const processes = name === "novacompat-agent.service" ? [Number(heap), Number(scan)] : [Number(heap)];
		const needed = processes.reduce((sum, megabytes) => sum + megabytes + NODE_MEGABYTES, 0);
		expect(needed).toBeLessThan(Number(memory));
	});

	test("lets V8 compile", () => {
		expect(lines.some((line) => line.startsWith("MemoryDenyWriteExecute="))).toBe(false);
	});

	test.skipIf(!existsSync("/usr/bin/systemd-analyze"))("is exposed less than 3.0, as systemd counts", () => {
		const { stdout } = spawnSync("systemd-analyze", ["security", "--offline=true", unit], { encoding: "utf8" });
		const [, exposure] = /Overall exposure level for \S+: ([\d.]+)/.exec(stdout) ?? [];
		expect(Number(exposure)).toBeLessThan(3);
	});
});

test("systemd takes the exit codes of the service for what they are", () => {
	const unit = readFileSync(`${REPOSITORY}config/novacompat-serve.service`, "utf8");
	expect(unit).toMatch(/^SuccessExitStatus=130 143$/m);
});
