import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { SCAN_OPTIONS } from "../../src/agent/scan-process.ts";
import { MAIN, REPOSITORY } from "../support/cli.ts";
import { unitOptions } from "../support/units.ts";

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
		expect(lines).toContain("StartLimitIntervalSec=0");
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

	test("is exposed less than 3.0, as systemd counts", () => {
		const analyze = "/usr/bin/systemd-analyze";
		const { error, stdout } = spawnSync(analyze, ["security", "--offline=true", unit], { encoding: "utf8" });
		if (error) throw new Error("no systemd-analyze: run test/support/install-peers.sh", { cause: error });
		const [, exposure] = /Overall exposure level for \S+: ([\d.]+)/.exec(stdout) ?? [];
		expect(Number(exposure)).toBeLessThan(3);
	});
});

describe("options of Node.js", () => {
	const image = readFileSync(`${REPOSITORY}config/packaging/Containerfile`, "utf8");
	const [, ofImage = ""] = /^ENV NODE_OPTIONS="(.*)"$/m.exec(image) ?? [];

	test("the image has those of the service", () => {
		expect(ofImage.split(" ")).toEqual(unitOptions("serve"));
	});

	test("the image has the threads of the service", () => {
		const unit = readFileSync(`${REPOSITORY}config/novacompat-serve.service`, "utf8");
		const [, threads] = /^Environment=(UV_THREADPOOL_SIZE=\d+)$/m.exec(unit) ?? [];
		expect(image).toContain(`\nENV ${threads}\n`);
	});

	/** Whose, options, program: a scan has the unit's only if it is given them. */
	const processes: readonly [whose: string, options: readonly string[]][] = [
		["serve", unitOptions("serve")],
		["agent", unitOptions("agent")],
		["a scan of the agent", SCAN_OPTIONS],
	];
	test.each(processes)("%s: text is no code, and objects have no __proto__", (_whose, options) => {
		const attack = `
			const codes = [() => eval("1"), () => new Function("return 1"), () => setTimeout.constructor("1")].map((make) => {
				try { make(); return "made"; } catch ({ name }) { return name; }
			});
			console.log(codes.join(), typeof ({}).__proto__)`;
		const { stdout, stderr } = spawnSync(process.execPath, [...options, "--eval", attack], { encoding: "utf8" });
		expect(stdout + stderr).toBe("EvalError,EvalError,EvalError undefined\n");
	});

	test("no validator is made of text", () => {
		// With these options zod does without by itself. It shall be the same validators everywhere, also where tests look.
		const told = "construct: (target, words) => (console.log('code is made of text'), new target(...words))";
		const trap = `globalThis.Function = new Proxy(Function, { ${told} })`;
		const run = (...program: readonly string[]) => {
			const words = [`--import=data:text/javascript,${encodeURIComponent(trap)}`, ...program];
			return spawnSync(process.execPath, words, { cwd: REPOSITORY, encoding: "utf8" });
		};
		expect(run("--eval", "new Function('')").stdout).toBe("code is made of text\n");
		const { stdout } = run(MAIN, "config", "check", "config/novacompat.yaml");
		expect(stdout).toContain("config/novacompat.yaml:");
		expect(stdout).not.toContain("code is made of text");
	});
});

test("systemd takes the exit codes of the service for what they are", () => {
	const unit = readFileSync(`${REPOSITORY}config/novacompat-serve.service`, "utf8");
	expect(unit).toMatch(/^SuccessExitStatus=130 143$/m);
});
