import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { scanInProcess } from "../../src/agent/scan-process.ts";
import { temporaryDirectory } from "../support/temporary.ts";

const directory = temporaryDirectory(afterAll);
const task = {
	places: { host: "cmp-01", sysfsRoot: "/sys", libvirtDir: "/nonexistent" },
	before: { generation: 0, digest: "" },
	stuck: [],
};

/** For longer than the watchdog waits for a sign of life. */
const SILENT_MS = 3_500;

/** what the scan does meanwhile, how it ends */
const SILENCE: readonly (readonly [string, string, object])[] = [
	["works, or waits for a processor", "while (Date.now() < end);", { kind: "failed", cause: "told at last" }],
	[
		"waits in the kernel",
		"Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, end - Date.now());",
		{ kind: "overrun" },
	],
];

test.each(SILENCE)("a scan that gives no sign of life because it %s", async (_name, silence, outcome) => {
	const program = join(directory, `${silence.length}.mjs`);
	const told = JSON.stringify(`${JSON.stringify({ error: "told at last" })}\n`);
	writeFileSync(program, `const end = Date.now() + ${SILENT_MS};\n${silence}\nprocess.stdout.write(${told});\n`);
	expect(await scanInProcess(program, task, new AbortController().signal)).toMatchObject(outcome);
});
