import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { MIGRATION_COMPAT_TOPIC } from "../../src/nova/methods.ts";
import { fieldsOf } from "../../src/nova/objects.ts";
import { readRecording } from "../../src/recording/recording.ts";
import { Children, cpuSeconds, freePort } from "./children.ts";
import { connectWhenReady, LoadGenerator, type Run } from "./load.ts";

// How many pre-checks a second does the service answer, beside a Python oslo.messaging server that decides nothing?
// Same broker, same load, in turns. Absolute numbers are about one machine in one hour; only the ratios travel.

interface Server {
	readonly name: string;
	readonly topic: string;
	/** The processes that do its work. */
	readonly pids: readonly number[];
}

/** A run, and the milliseconds of processor time that the server spent on each call. */
type MeasuredRun = Run & { readonly cpu: number };

/** The runs of one server at one load, by round. */
interface Series {
	readonly server: Server;
	readonly inFlight: number;
	readonly runs: MeasuredRun[];
}

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const SAMPLES = join(ROOT, "config/samples");
const RECORDING = "2026.1.pci-alias-vfio-variant.check_can_live_migrate_destination.request.json";
const [SOURCE, DESTINATION] = ["test_compute0", "test_compute1"] as const;
/** The sample hosts refuse the migration of the recording, for two reasons. */
const EXPECTED = /^\{"verdict":"reject",.*"version\.minor_downgrade".*"version\.not_in_range"/;
const IN_FLIGHT = [1, 16, 64];
const WIDTHS = [9, 7, 6, 6, 11, 19, 5, 4];

const { values: flags } = parseArgs({
	options: { rounds: { type: "string", default: "3" }, seconds: { type: "string", default: "2" } },
});
const [rounds, seconds] = [Number(flags.rounds), Number(flags.seconds)];
if (!Number.isInteger(rounds) || rounds < 1 || !(seconds > 0)) {
	process.stderr.write("usage: bus.js [--rounds N] [--seconds N], both greater than 0\n");
	process.exit(64);
}

const children = new Children();
const broker = await startBroker();
const connection = await connectWhenReady(`amqp://${broker}`, 60_000);
const load = await LoadGenerator.start(connection, readRequest());

const service = await startService();
const decision = (await load.ask(service.topic)) ?? "nothing";
if (!EXPECTED.test(decision)) throw new Error(`the service answers ${decision}`);
// The others give the very same answer, so that nobody sends a byte more.
const constant = await startConstantServer();
const { python, osloVersion } = await startPythonServer();
const servers = [service, constant, python];

process.stderr.write("warming up\n");
const warmUps: MeasuredRun[] = [];
for (const server of servers) warmUps.push(await measure(server, 16));
const results = await runRounds();

const head =
	`Node ${process.versions.node}, oslo.messaging ${osloVersion}, RabbitMQ ${load.brokerVersion}, ` +
	`${availableParallelism()} cores; request ${load.requestBytes} bytes, decision ${decision.length} bytes; ` +
	`rounds of ${seconds} s: ${rounds}`;
process.stdout.write(`${[head, "", ...table(results)].join("\n")}\n`);
const failed = [...warmUps, ...results.flatMap(({ runs }) => runs)].some(({ wrong, lost }) => wrong + lost > 0);
process.exit(failed ? 1 : 0);

/** A private RabbitMQ; returns what follows the scheme in its URL. */
async function startBroker(): Promise<string> {
	const [port, distPort] = [await freePort(), await freePort()];
	const script = join(ROOT, "test/support/rabbitmq.sh");
	const directory = join(children.directory, "rabbitmq");
	await children.start("rabbitmq", ["sh", script, directory, String(port), String(distPort)]);
	return `guest:guest@127.0.0.1:${port}/`;
}

/** `novacompat serve` and the agents of two hosts as operators run them: a check fetches two snapshots over HTTP. */
async function startService(): Promise<Server> {
	const novacompat = [process.execPath, join(ROOT, "dist/src/cli/main.js")];
	const [source, destination] = await Promise.all(
		[SOURCE, DESTINATION].map(async (host) => {
			const [sysfs, libvirt] = [join(SAMPLES, "hosts", host, "sys"), join(SAMPLES, "hosts", host, "libvirt")];
			const scan = ["--host", host, "--sysfs-root", sysfs, "--libvirt-dir", libvirt];
			const agent = [...novacompat, "agent", "--listen", "127.0.0.1:0", ...scan];
			return children.start(`agent-${host}`, agent, /listening on (\S+)\n/);
		}),
	);
	if (!source || !destination) throw new Error("there are two hosts");
	const configFile = join(children.directory, "novacompat.yaml");
	const config = {
		transport_url: `rabbit://${broker}`,
		host: "bench",
		agents: { [SOURCE]: source.ready, [DESTINATION]: destination.ready },
	};
	writeFileSync(configFile, JSON.stringify(config));
	const { pid } = await children.start(
		"serve",
		[...novacompat, "serve", "--config-file", configFile],
		/serving (ready)/,
	);
	return { name: "novacompat serve", topic: MIGRATION_COMPAT_TOPIC, pids: [pid, source.pid, destination.pid] };
}

/** Our messaging without the check behind it: the difference to the service is what a check costs. */
async function startConstantServer(): Promise<Server> {
	const topic = "bench_constant";
	const script = fileURLToPath(new URL("constant-server.js", import.meta.url));
	const command = [process.execPath, script, `rabbit://${broker}`, topic, decision];
	const { pid } = await children.start("constant", command, /(ready)/);
	return { name: "our messaging", topic, pids: [pid] };
}

async function startPythonServer(): Promise<{ readonly python: Server; readonly osloVersion: string }> {
	const topic = "bench_python";
	// Debian's packages belong to this interpreter; another one may be first on the path.
	const command = [
		"/usr/bin/python3",
		join(ROOT, "test/bench/python_server.py"),
		`rabbit://${broker}`,
		topic,
		decision,
	];
	const { pid, ready } = await children.start("python", command, /ready, oslo\.messaging (\S+)/);
	return { python: { name: "Python", topic, pids: [pid] }, osloVersion: ready };
}

/** A check of ours, as large as Nova's: it carries the recorded objects and request context along. */
function readRequest(): Readonly<Record<string, unknown>> {
	const { message } = readRecording(readFileSync(join(SAMPLES, "recordings", RECORDING), "utf8"));
	const args = fieldsOf(message["args"], "args");
	const instance_uuid = fieldsOf(args?.["instance"], "Instance")?.["uuid"];
	const request = { instance_uuid, source_host: SOURCE, dest_host: DESTINATION, ...args };
	return { ...message, method: "check_live_migration", version: "1.0", args: { request } };
}

async function runRounds(): Promise<readonly Series[]> {
	const series = IN_FLIGHT.flatMap((inFlight) => servers.map((server): Series => ({ server, inFlight, runs: [] })));
	for (let round = 1; round <= rounds; round++) {
		process.stderr.write(`round ${round} of ${rounds}\n`);
		// Every other round goes backwards: nobody always runs after the same one.
		for (const { server, inFlight, runs } of round % 2 === 1 ? series : series.toReversed()) {
			runs.push(await measure(server, inFlight));
		}
	}
	return series;
}

async function measure({ topic, pids }: Server, inFlight: number): Promise<MeasuredRun> {
	const cpu = () => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
	const before = cpu();
	const run = await load.run({ topic, inFlight, seconds, expected: decision });
	return { ...run, cpu: ((cpu() - before) * 1000) / run.latencies.length };
}

function table(series: readonly Series[]): readonly string[] {
	const header = [
		"server",
		"in flight",
		"calls/s",
		"p50 ms",
		"p99 ms",
		"CPU ms/call",
		"x Python [min..max]",
		"wrong",
		"lost",
	];
	const rows = series.map(({ server, inFlight, runs }) => {
		const baseline = series.find((other) => other.server === python && other.inFlight === inFlight)?.runs ?? [];
		const ratios = runs.map(({ rate }, round) => rate / (baseline[round]?.rate ?? Number.NaN));
		const spread = `[${Math.min(...ratios).toFixed(2)}..${Math.max(...ratios).toFixed(2)}]`;
		const latencies = runs.flatMap((run) => run.latencies);
		return [
			server.name,
			String(inFlight),
			quantile(
				runs.map(({ rate }) => rate),
				0.5,
			).toFixed(0),
			quantile(latencies, 0.5).toFixed(1),
			quantile(latencies, 0.99).toFixed(1),
			quantile(
				runs.map(({ cpu }) => cpu),
				0.5,
			).toFixed(2),
			server === python ? "1" : `${quantile(ratios, 0.5).toFixed(2)} ${spread}`,
			String(runs.reduce((sum, { wrong }) => sum + wrong, 0)),
			String(runs.reduce((sum, { lost }) => sum + lost, 0)),
		];
	});
	return [header, ...rows].map(([name = "", ...cells]) =>
		[name.padEnd(16), ...cells.map((cell, column) => cell.padStart(WIDTHS[column] ?? 0))].join("  "),
	);
}

/** The value that this share of the values does not exceed. */
function quantile(values: readonly number[], share: number): number {
	const sorted = values.toSorted((a, b) => a - b);
	return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}
