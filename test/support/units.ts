import { readFileSync } from "node:fs";
import { REPOSITORY } from "./cli.ts";

/** What the unit of a program has systemd start Node.js with. */
export function unitOptions(unit: "agent" | "serve"): readonly string[] {
	const text = readFileSync(`${REPOSITORY}config/novacompat-${unit}.service`, "utf8");
	const [, options] = /^ExecStart=\/usr\/bin\/node (--.*) \/usr\/lib\//m.exec(text) ?? [];
	if (options === undefined) throw new Error(`novacompat-${unit}.service starts no Node.js with options`);
	return options.split(" ");
}
