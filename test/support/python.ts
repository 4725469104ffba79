import { spawnSync } from "node:child_process";

/** Asks the real Python once: the script finds the question in `question`, and what it calls `answer` with is returned. */
export function askPython(script: string, question: unknown): unknown {
	const source = `import json, sys\nquestion = json.load(sys.stdin)\nanswer = lambda value: json.dump(value, sys.stdout)\n${script}`;
	const { status, stdout, stderr } = spawnSync("/usr/bin/python3", ["-W", "ignore", "-c", source], {
		input: JSON.stringify(question),
		encoding: "utf8",
		env: { ...process.env, PYTHONUTF8: "1" },
	});
	if (status !== 0) throw new Error(`python3 ended with ${status}:\n${stderr}`);
	return JSON.parse(stdout);
}
