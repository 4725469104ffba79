import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { memory } from "./children.ts";
import { Rig, type Server } from "./rig.ts";
import { slope, table } from "./statistics.ts";

// Does the memory of our messaging grow with the number of calls, and what does it take when it finds a long queue at its
// start? First a million calls with ids that never come again, then the queue, then the same queue for the real service.

const IN_FLIGHT = 64;
const WARM_UP = 0.2;
const SAMPLES = 100;
/** 1 MB an hour, with 200 calls a second. */
const MAX_GROWTH_MB = 0.139;
/** Calls that wait for the server, after some whose time is up before it comes. */
const QUEUED = { waiting: 5_000, expired: 500 };
const OSLO_TIMEOUT_S = 60;
const MAX_PEAK_MB = 300;
const MIN_CHECKS_PER_SECOND = 500;

const { values: flags } = parseArgs({ options: { calls: { type: "string", default: "1000000" } } });
const calls = Number(flags.calls);
if (!Number.isInteger(calls) || calls < SAMPLES) {
	process.stderr.write(`usage: soak.js [--calls N], at least ${SAMPLES}\n`);
	process.exit(64);
}

let faults = 0;
const rig = await Rig.start();
const echo = await rig.startEcho("echo-server");
await soak(echo);
await backlog("echo", echo);
const checks = await backlog("novacompat serve", await rig.startService());
verdict(checks >= MIN_CHECKS_PER_SECOND, `at least ${MIN_CHECKS_PER_SECOND} checks/s from the queue`);
process.stdout.write("Only wrong, lost or stray answers make this program fail, a missed target does not.\n");
process.exit(faults > 0 ? 1 : 0);

async function soak(server: Server): Promise<void> {
	process.stdout.write(`${calls} calls, ${IN_FLIGHT} in flight\n\n   calls  RSS MB  calls/s\n`);
	const growth: (readonly [hundredThousands: number, megabytes: number])[] = [];
	const each = Math.round(calls / SAMPLES);
	for (let sample = 1; sample <= SAMPLES; sample++) {
		const { rate, wrong, lost, stray } = await rig.load.run(server, { inFlight: IN_FLIGHT, calls: each });
		faults += wrong + lost + stray;
		const { now } = memory(server.child.pid);
		if (sample > SAMPLES * WARM_UP) growth.push([(sample * each) / 100_000, now]);
		if (sample % 10 === 0) {
			const cells = [String(sample * each).padStart(8), now.toFixed(1).padStart(6), rate.toFixed(0).padStart(7)];
			process.stdout.write(`${cells.join("  ")}\n`);
		}
	}
	const perHundredThousand = slope(growth);
	process.stdout.write(
		`\nafter the first fifth: ${perHundredThousand.toFixed(3)} MB per 100,000 calls; faults: ${faults}\n`,
	);
	verdict(perHundredThousand < MAX_GROWTH_MB, `less than ${MAX_GROWTH_MB} MB per 100,000 calls`);
}

/** Fills the queue of a server that is down and starts it; returns the calls per second that it then answers. */
async function backlog(name: string, server: Server): Promise<number> {
	await rig.children.stop(server.child);
	const { waiting, expired } = QUEUED;
	// The broker drops them when they come to the head of the queue.
	const old = await rig.load.run(server, { inFlight: expired, calls: expired, timeout: 0.5 });
	const answers = rig.load.run(server, { inFlight: waiting, calls: waiting, timeout: OSLO_TIMEOUT_S });
	// RabbitMQ counts before it has taken all that came before the question.
	while ((await rig.load.backlog(server.topic)) < waiting) await sleep(50);
	const started = performance.now();
	const child = await server.restart();
	const { latencies, wrong, lost, stray } = await answers;
	const seconds = (performance.now() - started) / 1000;
	// All were sent at once: the difference between the slowest and the quickest is how long the queue took.
	const sorted = latencies.toSorted((a, b) => a - b);
	const rate = (latencies.length * 1000) / ((sorted.at(-1) ?? Number.NaN) - (sorted[0] ?? Number.NaN));
	const { peak } = memory(child.pid);
	faults += wrong + lost + stray + (expired - old.lost);
	const rows = [
		["server", "queued", "answered", "expired", "wrong", "lost", "stray", "drained after s", "calls/s", "peak RSS MB"],
		[
			name,
			...[waiting + expired, latencies.length, old.lost, wrong, lost, stray].map(String),
			seconds.toFixed(1),
			rate.toFixed(0),
			peak.toFixed(0),
		],
	];
	process.stdout.write(`\n${table(rows)}`);
	verdict(peak < MAX_PEAK_MB, `peak RSS below ${MAX_PEAK_MB} MB`);
	return rate;
}

function verdict(isMet: boolean, target: string): void {
	process.stdout.write(`${isMet ? "PASS" : "FAIL"}  ${target}\n`);
}
