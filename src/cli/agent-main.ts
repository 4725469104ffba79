#!/usr/bin/env node
import { agent } from "./agent/agent.ts";
import { exitCodeOfFault } from "./faults.ts";

// What nobody takes is lost, and the exit code is the same.
process.stderr.on("error", () => undefined);

// `novacompat agent` without the packages that only other commands need: a compute node loads xmldom and yaml.
try {
	await agent(process.argv.slice(2));
} catch (error) {
	process.exitCode = exitCodeOfFault(error);
}
