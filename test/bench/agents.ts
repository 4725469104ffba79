import { parseArgs } from "node:util";
import { type AgentsLoad, startAgentsLoad } from "./agents-load.ts";
import { Children } from "./children.ts";
import { quantile, table } from "./statistics.ts";

// How long does a check take among 1,000 hosts, when the agents of 500 of them hang? Everything begins cold: no agent has
// answered yet, and nobody knows which of them hang. The bus is in memory; what it costs is in bench:bus.

const COUNT = 1_000;
const TARGETS = [
	["healthy hosts, hanging ones asked too", 0.99, 1_000],
	["the same pair again (cached)", 0.5, 5],
] as const;

const { values: flags } = parseArgs({ options: { seconds: { type: "string", default: "15" } } });
const seconds = Number(flags.seconds);
if (!(seconds > 0)) {
	process.stderr.write("usage: agents.js [--seconds N], greater than 0\n");
	process.exit(64);
}

const children = new Children();
const load = await startAgentsLoad(children, COUNT);
const results = await measure(load);
await load.stop();
const milliseconds = (value: number) => value.toFixed(value < 10 ? 2 : 0);
const rows = [...results].map(([name, times]) => [
	name,
	String(times.length),
	milliseconds(quantile(times, 0.5)),
	milliseconds(quantile(times, 0.99)),
	milliseconds(Math.max(...times)),
]);
process.stdout.write(`Node ${process.versions.node}, ${COUNT} agents, of which ${COUNT / 2} hang, ${seconds} s\n\n`);
process.stdout.write(`${table([["", "checks", "p50 ms", "p99 ms", "max ms"], ...rows])}\n`);
for (const [name, share, bound] of TARGETS) {
	const value = quantile(results.get(name) ?? [], share);
	const verdict = value < bound ? "PASS" : "FAIL";
	process.stdout.write(`${verdict}  ${name}: p${share * 100} below ${bound} ms\n`);
}
process.exit();

async function measure({
	healthy,
	hanging,
	rankings,
	cached,
}: AgentsLoad): Promise<ReadonlyMap<string, readonly number[]>> {
	const [well, ill, ranked] = await Promise.all([healthy(seconds, 100), hanging(seconds, 32), rankings(seconds)]);
	return new Map([
		["healthy hosts, hanging ones asked too", well],
		["hanging hosts", ill],
		["rankings of all hosts", ranked],
		["healthy hosts alone", await healthy(seconds / 3, 100)],
		["the same pair again (cached)", await cached(2_000)],
	]);
}
