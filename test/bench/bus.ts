import { availableParallelism, cpus } from "node:os";
import { parseArgs } from "node:util";
import { cpuSeconds } from "./children.ts";
import { Rig, type Server } from "./rig.ts";
import { median, quantile, table } from "./statistics.ts";

// How many calls a second does our messaging answer, and how many checks the service, beside a Python oslo.messaging server
// that does nothing? Same broker, same load, in turns. Absolute numbers are about one machine in one hour; only the ratios
// of one round travel.

/**
 * One run of one server. Times in milliseconds; `cpu` and `broker`: seconds of processor time that the server and the broker
 * took for 1,000 calls; `generator`: the percentage of the time in which the load generator was busy, near 100 it measures
 * itself; `idle`: the percentage of all processors that nobody wanted, near 0 the machine is the limit, not the server.
 */
type Figures = Readonly<Record<"rate" | "p50" | "p99" | "cpu" | "broker" | "generator" | "idle", number>>;

interface Measured extends Figures {
	readonly faults: Readonly<Record<"wrong" | "lost" | "stray", number>>;
}

/** The runs of one server at one load, by round. */
interface Series {
	readonly name: string;
	readonly server: Server;
	readonly inFlight: number;
	readonly runs: Measured[];
}

interface Target {
	readonly of: string;
	readonly to: string;
	readonly inFlight: number;
	readonly figure: keyof Figures;
	readonly atLeast?: number;
	readonly atMost?: number;
}

const ECHO = { ours: "echo: ours", minimal: "echo: minimal", python: "echo: Python" };
const CHECK = { ours: "check: novacompat serve", python: "check: Python, decides nothing" };
const NOTHING = "None: Python";
const LOADS = [1, 16, 64, 256];

const TARGETS: readonly Target[] = [
	{ of: ECHO.ours, to: ECHO.python, inFlight: 16, figure: "rate", atLeast: 6 },
	{ of: ECHO.ours, to: ECHO.python, inFlight: 64, figure: "rate", atLeast: 8 },
	{ of: ECHO.ours, to: ECHO.python, inFlight: 256, figure: "rate", atLeast: 8 },
	...[16, 64, 256].map((inFlight) => {
		return { of: ECHO.ours, to: ECHO.minimal, inFlight, figure: "rate", atLeast: 0.85 } as const;
	}),
	{ of: ECHO.ours, to: ECHO.minimal, inFlight: 64, figure: "p99", atMost: 1.25 },
	{ of: ECHO.ours, to: ECHO.python, inFlight: 64, figure: "cpu", atMost: 1 / 8 },
	...[16, 64, 256].map((inFlight) => {
		return { of: CHECK.ours, to: CHECK.python, inFlight, figure: "rate", atLeast: 5 } as const;
	}),
	{ of: CHECK.ours, to: NOTHING, inFlight: 1, figure: "p50", atMost: 1 },
];

const { values: flags } = parseArgs({
	options: { rounds: { type: "string", default: "5" }, seconds: { type: "string", default: "2" } },
});
const [rounds, seconds] = [Number(flags.rounds), Number(flags.seconds)];
if (!Number.isInteger(rounds) || rounds < 1 || !(seconds > 0)) {
	process.stderr.write("usage: bus.js [--rounds N] [--seconds N], both greater than 0\n");
	process.exit(64);
}

const rig = await Rig.start();
const service = await rig.startService();
const python = await rig.startPython(service.result);
const servers: readonly (readonly [name: string, server: Server, loads: readonly number[]])[] = [
	[ECHO.ours, await rig.startEcho("echo-server"), LOADS],
	[ECHO.minimal, await rig.startEcho("minimal-server"), LOADS],
	[ECHO.python, python.echo, LOADS],
	[CHECK.ours, service, LOADS],
	[CHECK.python, python.check, LOADS],
	[NOTHING, python.nothing, [1]],
];
const results = await measureAll();
process.stdout.write(`${heading()}\n\n${table([header(), ...results.map(row)])}\n`);
process.stdout.write(TARGETS.map(verdict).join(""));
process.stdout.write("Only wrong, lost or stray answers make this program fail, a missed target does not.\n");
const faulty = results.some(({ runs }) => runs.some(({ faults }) => faults.wrong + faults.lost + faults.stray > 0));
process.exit(faulty ? 1 : 0);

/** All servers in turns, at one load after the other, so that those which are compared run next to each other. */
async function measureAll(): Promise<readonly Series[]> {
	process.stderr.write("warming up\n");
	for (const [, server] of servers) await rig.load.run(server, { inFlight: 64, seconds });
	const series = servers
		.flatMap(([name, server, loads]) => loads.map((inFlight): Series => ({ name, server, inFlight, runs: [] })))
		.sort((a, b) => a.inFlight - b.inFlight);
	for (let round = 1; round <= rounds; round++) {
		process.stderr.write(`round ${round} of ${rounds}\n`);
		// Every other round goes backwards: nobody always runs after the same one.
		for (const { server, inFlight, runs } of round % 2 === 1 ? series : series.toReversed()) {
			runs.push(await measure(server, inFlight));
		}
	}
	return series;
}

async function measure(server: Server, inFlight: number): Promise<Measured> {
	const spent = () => ({
		cpu: server.pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0),
		broker: cpuSeconds(rig.brokerPid),
	});
	const [before, processors, busy] = [spent(), processorTimes(), performance.eventLoopUtilization()];
	const { rate, latencies, ...faults } = await rig.load.run(server, { inFlight, seconds });
	const [after, later] = [spent(), processorTimes()];
	const perThousand = (who: keyof typeof after) => ((after[who] - before[who]) * 1000) / latencies.length;
	return {
		rate,
		p50: quantile(latencies, 0.5),
		p99: quantile(latencies, 0.99),
		cpu: perThousand("cpu"),
		broker: perThousand("broker"),
		generator: performance.eventLoopUtilization(busy).utilization * 100,
		idle: ((later.idle - processors.idle) / (later.all - processors.all)) * 100,
		faults,
	};
}

/** Of all processors together since the machine started, in milliseconds. */
function processorTimes(): Readonly<Record<"idle" | "all", number>> {
	const times = cpus().map((cpu) => cpu.times);
	const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
	return { idle: sum(times.map(({ idle }) => idle)), all: sum(times.flatMap((time) => Object.values(time))) };
}

function heading(): string {
	const [echo, check] = [python.echo, python.check].map(
		({ request, reply }) => `request ${request.bytes.length}, reply ${reply.bytes.length} bytes`,
	);
	return (
		`Node ${process.versions.node}, oslo.messaging ${python.echo.child.ready}, RabbitMQ ${rig.load.brokerVersion}, ` +
		`${availableParallelism()} cores; ${rounds} rounds of ${seconds} s\necho: ${echo}; check: ${check}`
	);
}

function header(): readonly string[] {
	const figures = ["calls/s", "p50 ms", "p99 ms", "CPU s/1000", "broker s/1000"];
	return [
		"server",
		"in flight",
		...figures,
		"x Python [min..max]",
		"x minimal [min..max]",
		"wrong",
		"lost",
		"stray",
		"generator %",
		"idle %",
	];
}

function row(series: Series): readonly string[] {
	const { name, inFlight, runs } = series;
	const typical = (figure: keyof Figures, digits: number) => median(runs.map((run) => run[figure])).toFixed(digits);
	const sum = (fault: keyof Measured["faults"]) => String(runs.reduce((total, { faults }) => total + faults[fault], 0));
	const speed = (baseline: string | undefined) => {
		const other = baseline === undefined || baseline === name ? undefined : find(baseline, inFlight);
		return other ? spread(ratios(series, other, "rate")) : "-";
	};
	const isEcho = Object.values(ECHO).includes(name);
	return [
		name,
		String(inFlight),
		typical("rate", 0),
		typical("p50", 1),
		typical("p99", 1),
		typical("cpu", 3),
		typical("broker", 3),
		speed(isEcho ? ECHO.python : CHECK.python),
		speed(isEcho ? ECHO.minimal : undefined),
		sum("wrong"),
		sum("lost"),
		sum("stray"),
		typical("generator", 0),
		typical("idle", 0),
	];
}

function verdict({ of, to, inFlight, figure, atLeast = 0, atMost = Number.POSITIVE_INFINITY }: Target): string {
	const [ours, theirs] = [find(of, inFlight), find(to, inFlight)];
	if (ours === undefined || theirs === undefined) throw new Error(`${of} or ${to} is not measured at ${inFlight}`);
	const measured = ratios(ours, theirs, figure);
	const ratio = median(measured);
	const bound = atLeast > 0 ? `at least ${atLeast}` : `at most ${atMost}`;
	const outcome = ratio >= atLeast && ratio <= atMost ? "PASS" : "FAIL";
	return `${outcome}  ${figure} at ${inFlight} in flight, ${of} / ${to}: ${spread(measured)}, target ${bound}\n`;
}

function find(name: string, inFlight: number): Series | undefined {
	return results.find((series) => series.name === name && series.inFlight === inFlight);
}

/** Round by round. */
function ratios(ours: Series, theirs: Series, figure: keyof Figures): readonly number[] {
	return ours.runs.map((run, round) => run[figure] / (theirs.runs[round]?.[figure] ?? Number.NaN));
}

function spread(values: readonly number[]): string {
	return `${median(values).toFixed(2)} [${Math.min(...values).toFixed(2)}..${Math.max(...values).toFixed(2)}]`;
}
