import { readFileSync } from "node:fs";
import { REPOSITORY } from "./cli.ts";

/** What the unit of a program has systemd start Node.js with; what is built is not beside the units, and says where they are. */
export function unitOptions(unit: "agent" | "serve", repository = REPOSITORY): readonly string[] {
	const text = readFileSync(`${repository}/config/novacompat-${unit}.service`, "utf8");
	const [, options] = /^ExecStart=\/usr\/bin\/node (--.*) \/usr\/lib\//m.exec(text) ?? [];
	if (options === undefined) throw new Error(`novacompat-${unit}.service starts no Node.js with options`);
	return options.split(" ");
}
