import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";

const WRITER = fileURLToPath(new URL("../../dist/src/cli/writer.js", import.meta.url));
const RUN = '"$0" --input-type=module --eval "$1"';

/** What arrives on standard error of a program that has the writer as `write`. */
async function arrives(program: string, shell = RUN): Promise<string> {
	const script = `import { standardError } from ${JSON.stringify(WRITER)}; const write = standardError(); ${program}`;
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
});
