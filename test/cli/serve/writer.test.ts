import { execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { temporaryDirectory } from "../../support/temporary.ts";

const PATIENCE = { timeout: 30_000, interval: 20 };

const WRITER = fileURLToPath(new URL("../../../dist/src/cli/serve/writer.js", import.meta.url));
const IMPORT = `import { standardError, writerTo } from ${JSON.stringify(WRITER)};`;
const RUN = '"$0" --input-type=module --eval "$1"';

/** What arrives on standard error of a program that has the writer as `write`. */
async function arrives(program: string, shell = RUN): Promise<string> {
	const script = `${IMPORT} const { write } = standardError(() => undefined); ${program}`;
	const options = { timeout: 20_000, maxBuffer: 32 * 1024 * 1024 };
	return (await promisify(execFile)("sh", ["-c", shell, process.execPath, script], options)).stderr;
}

describe("the writer of the log", () => {
	test.each([
		["goes on", "for (const n of [1, 2, 3]) write(n + '\\n');", "1\n2\n3\n"],
		["writes from time to time", "for (const n of [1, 20, 40]) setTimeout(() => write(n + '\\n'), n);", "1\n20\n40\n"],
		["ends at once", "for (const n of [1, 2, 3]) write(n + '\\n'); process.exit(0);", "1\n2\n3\n"],
		["writes nothing", "", ""],
	])("brings all lines in their order when the program %s", async (_name, program, expected) => {
		expect(await arrives(program)).toBe(expected);
	});

	test("drops whole lines while nobody reads", async () => {
		const flood = `
			const line = "x".repeat(1023) + "\\n";
			let rounds = 0;
			const more = () => {
				for (let n = 0; n < 64; n++) write(line);
				if (++rounds < 200) setTimeout(more, 6);
			};
			more();`;
		const lines = (await arrives(flood, `${RUN} 2>&1 >/dev/null | { sleep 4; cat >&2; }`)).split("\n");
		expect(lines.pop()).toBe("");
		expect(lines.length).toBeGreaterThan(64);
		expect(lines.length).toBeLessThan(64 * 200);
		expect(lines.every((line) => line.length === 1023)).toBe(true);
	});

	const OFTEN = "setInterval(() => write('x\\n'), 5);";
	test.each([
		["nobody reads what it writes", OFTEN, "2>&1 >/dev/null | true"],
		["the disk is full for what it writes", OFTEN, "2>/dev/full"],
		["nobody reads its last line", "", "2>&1 >/dev/null | true"],
		["the disk is full for its last line", "", "2>/dev/full"],
	])("does not keep a program that ends when %s", async (_what, work, to) => {
		const program = `${work} setTimeout(() => { write('x\\n'); process.exit(0); }, 500);`;
		expect(await arrives(program, `${RUN} ${to}`)).toBe("");
	});

	test("does not keep a program that ends when the disk is full for the file of another writer", async () => {
		const program = `const file = writerTo({ dest: "/dev/full" }, {});
			setInterval(() => file.write("x\\n"), 5);
			setTimeout(() => process.exit(0), 500);`;
		expect(await arrives(program, `exec ${RUN}`)).toBe("");
	});

	/** Numbered lines, more than there is room for, and then one from time to time. */
	const FLOOD = `
		const log = standardError((dropped) => log.write("lost " + dropped + "\\n"));
		let number = 0;
		const next = () => log.write(String(++number).padEnd(1023) + "\\n");
		const flood = () => {
			for (let n = 0; n < 64; n++) next();
			if (number < 6400) setTimeout(flood, 6);
			else setInterval(next, 20);
		};
		process.stdout.write("ready");
		process.stdin.once("data", flood);
		setInterval(() => log.dropped > 0 && process.stdout.write("dropped"), 20);`;

	test("goes on when somebody reads again, and says once how many lines were lost", async () => {
		const fifo = join(temporaryDirectory(), "log");
		execFileSync("mkfifo", [fifo]);
		const gone = spawn("cat", [fifo], { stdio: "ignore" });
		const stderr = openSync(fifo, "w");
		const options = ["--input-type=module", "--eval", IMPORT + FLOOD];
		const child = spawn(process.execPath, options, { stdio: ["pipe", "pipe", stderr] });
		onTestFinished(() => void child.kill("SIGKILL"));
		closeSync(stderr);
		let said = "";
		child.stdout?.on("data", (chunk) => {
			said += chunk;
		});
		await expect.poll(() => said, PATIENCE).toContain("ready");
		gone.kill("SIGKILL");
		await once(gone, "exit");
		child.stdin?.write("now");
		await expect.poll(() => said, PATIENCE).toContain("dropped");
		const reader = spawn("cat", [fifo], { stdio: ["ignore", "pipe", "ignore"] });
		onTestFinished(() => void reader.kill("SIGKILL"));
		let log = "";
		reader.stdout.on("data", (chunk) => {
			log += chunk;
		});
		await expect.poll(() => log, PATIENCE).toMatch(/^lost .*\n\d+ *\n(.*\n){20}/m);
		const lines = log.split("\n");
		const told = lines.filter((line) => line.startsWith("lost "));
		expect(told).toHaveLength(1);
		const before = lines.indexOf(told[0] ?? "");
		expect(Number(told[0]?.slice(5))).toBe(Number(lines[before + 1]) - 1 - before);
	});
});
