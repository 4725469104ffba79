import { readdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type SelfTime, selfTime } from "./cpu-profile.ts";
import { Rig, type Server } from "./rig.ts";
import { table } from "./statistics.ts";

// Where does the time of a call go? The same load on our messaging, on the least that can take its place, and on the real
// service, each with the profiler of Node. Microseconds per call, so that profiles of before and after a change compare.

const TOP = { areas: 24, functions: 15 };
const INTERVAL_US = 200;

const { values: flags } = parseArgs({
	options: { seconds: { type: "string", default: "5" }, "in-flight": { type: "string", default: "64" } },
});
const [seconds, inFlight] = [Number(flags.seconds), Number(flags["in-flight"])];
if (!(seconds > 0) || !Number.isInteger(inFlight) || inFlight < 1) {
	process.stderr.write("usage: profile.js [--seconds N] [--in-flight N], both greater than 0\n");
	process.exit(64);
}

interface Profile extends SelfTime {
	readonly name: string;
	readonly calls: number;
}

const rig = await Rig.start();
const profiles = [
	await profile("echo: ours", (options) => rig.startEcho("echo-server", options)),
	await profile("echo: minimal", (options) => rig.startEcho("minimal-server", options)),
	await profile("check: serve", (options) => rig.startService(options)),
];
process.stdout.write(`us per call at ${inFlight} in flight, without what is called from there\n\n${table(areas())}`);
for (const { name, byFunction, calls } of profiles) {
	const top = ranked(byFunction).slice(0, TOP.functions);
	process.stdout.write(`\n${table([[name, "us"], ...top.map(([key, time]) => [key, perCall(time, calls)])])}`);
}
process.exit(0);

async function profile(name: string, start: (nodeOptions: readonly string[]) => Promise<Server>): Promise<Profile> {
	const directory = join(rig.children.directory, name);
	const interval = ["--cpu-prof-interval", String(INTERVAL_US)];
	const server = await start(["--cpu-prof", ...interval, "--cpu-prof-dir", directory]);
	await rig.load.run(server, { inFlight, seconds: 2 });
	const { latencies } = await rig.load.run(server, { inFlight, seconds });
	await rig.children.stop(server.child);
	const [file] = readdirSync(directory);
	if (file === undefined) throw new Error(`${name} left no profile`);
	return { name, calls: latencies.length, ...selfTime(join(directory, file), seconds) };
}

/** The areas that take most for any of the servers. */
function areas(): readonly (readonly string[])[] {
	const most = new Map<string, number>();
	for (const { byArea, calls } of profiles) {
		for (const [area, time] of byArea) most.set(area, Math.max(most.get(area) ?? 0, time / calls));
	}
	const rows = ranked(most)
		.slice(0, TOP.areas)
		.map(([area]) => [area, ...profiles.map(({ byArea, calls }) => perCall(byArea.get(area) ?? 0, calls))]);
	const busy = profiles.map(({ byArea, calls }) =>
		perCall(
			[...byArea].reduce((sum, [area, time]) => sum + (area === "idle" ? 0 : time), 0),
			calls,
		),
	);
	return [["", ...profiles.map(({ name }) => name)], ...rows, ["all but idle", ...busy]];
}

function ranked(times: ReadonlyMap<string, number>): readonly (readonly [key: string, time: number])[] {
	return [...times].sort(([, a], [, b]) => b - a);
}

function perCall(time: number, calls: number): string {
	return (time / calls).toFixed(1);
}
