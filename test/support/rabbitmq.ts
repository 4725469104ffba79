import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { freePort } from "./free-port.ts";

/** A private broker of one test file: a child process on a port of its own, with nothing in it. */
export interface TestBroker {
	/** As guest, virtual host "/". */
	readonly url: string;
	readonly address: string;
	readonly port: number;
	/** Name of the Erlang node. */
	readonly node: string;
	/** Makes a user with the password of all; returns his URL of the virtual host "/", where he may do nothing yet. */
	addUser(name: string): Promise<string>;
	/** Runs `rabbitmqctl`, and returns what it prints. */
	ctl(...command: readonly string[]): Promise<string>;
	readonly running: boolean;
	/** Ends it as a crash does. Its port stays its own, `start` brings it back there. */
	kill(): Promise<void>;
	/** Does nothing when it runs. */
	start(): Promise<void>;
	/** Hung: connections stay open and nothing answers. */
	pause(): void;
	resume(): void;
	/** Ends it and removes its directory. */
	stop(): Promise<void>;
}

const SCRIPT = fileURLToPath(new URL("rabbitmq.sh", import.meta.url));
/** Of every user of every broker, as rabbitmq.sh has it: it is in no output of any test, .ci/run looks. */
export const PASSWORD = "canary-5b1e-password";
/** What stands before the `@` of a URL. */
export const GUEST = `guest:${PASSWORD}`;
const START_TIMEOUT_MS = 60_000;
const PROBE_TIMEOUT_MS = 1_000;

const ADDRESS = "127.0.0.1";
const RABBITMQCTL = "/usr/lib/rabbitmq/bin/rabbitmqctl";

/** Where a node lives. */
interface Place {
	readonly dir: string;
	readonly port: number;
	readonly distPort: number;
	/** Given for a node of a cluster. */
	readonly address?: string;
}

/** `config`: further lines of rabbitmq.conf. */
export async function startRabbitMq(config = "", plugins: readonly string[] = []): Promise<TestBroker> {
	const dir = mkdtempSync(join(tmpdir(), "novacompat-rabbitmq-"));
	writeFileSync(join(dir, "extra.conf"), config);
	writeFileSync(join(dir, "enabled_plugins"), `[${plugins.join(",")}].\n`);
	return startNode({ dir, port: await freePort(), distPort: await freePort() });
}

/** Brokers that have joined one cluster; each has an address of its own, because without epmd they share the ports. */
export async function startRabbitMqCluster(size: number): Promise<readonly TestBroker[]> {
	const [port, distPort] = [await freePort(), await freePort()];
	const nodes = await Promise.all(
		Array.from({ length: size }, (_, index) => {
			const dir = mkdtempSync(join(tmpdir(), "novacompat-rabbitmq-"));
			writeFileSync(join(dir, ".erlang.cookie"), "novacompat", { mode: 0o400 });
			return startNode({ dir, port, distPort, address: `127.0.0.${index + 2}` });
		}),
	);
	const [first, ...others] = nodes;
	for (const { ctl } of others) {
		await ctl("stop_app");
		await ctl("join_cluster", first?.node ?? "");
		await ctl("start_app");
	}
	return nodes;
}

async function startNode(place: Place): Promise<TestBroker> {
	const { dir, port, distPort, address = ADDRESS } = place;
	const node = `t${port}@${place.address ?? "localhost"}`;
	let broker = await launch(place);
	const isRunning = () => broker.exitCode === null && broker.signalCode === null;
	const kill = async () => {
		if (!isRunning()) return;
		const exited = once(broker, "exit");
		broker.kill("SIGKILL");
		await exited;
	};
	const rabbitmqctl = async (...command: readonly string[]) => {
		const erlang = `-dist_listen false -start_epmd false -erl_epmd_port ${distPort}`;
		const options = ["-q", ...(place.address === undefined ? [] : ["--longnames"]), "-n", node, ...command];
		// One that is cut short would leave a dump where the tests were started.
		const env = { ...process.env, HOME: dir, RABBITMQ_CTL_ERL_ARGS: erlang, ERL_CRASH_DUMP_SECONDS: "0" };
		try {
			return (await promisify(execFile)(RABBITMQCTL, options, { env })).stdout;
		} catch (error) {
			// Its own words have all of the command, and so a password.
			const { stderr } = error as { readonly stderr?: unknown };
			throw new Error(`rabbitmqctl ${command[0]} failed on ${node}: ${stderr}`);
		}
	};
	let commanded: ChildProcess | undefined;
	const ctl = async (...command: readonly string[]) => {
		// It speaks AMQP a moment before it takes commands.
		if (commanded !== broker) await rabbitmqctl("await_startup");
		commanded = broker;
		return rabbitmqctl(...command);
	};
	return {
		url: `rabbit://${GUEST}@${address}:${port}/`,
		address,
		port,
		node,
		async addUser(name) {
			await ctl("add_user", name, PASSWORD);
			return `rabbit://${name}:${PASSWORD}@${address}:${port}/`;
		},
		ctl,
		get running() {
			return isRunning();
		},
		kill,
		async start() {
			if (!isRunning()) broker = await launch(place);
		},
		pause() {
			broker.kill("SIGSTOP");
			// On a busy machine a thread may go on for a moment, and answer.
			while (!isStopped(broker.pid ?? 0));
		},
		resume: () => void broker.kill("SIGCONT"),
		async stop() {
			await kill();
			// Which looks again at every try: a program that the broker has started may still write its cookie.
			await rm(dir, { recursive: true, force: true, maxRetries: 5 });
		},
	};
}

function isStopped(pid: number): boolean {
	const threads = readdirSync(`/proc/${pid}/task`);
	return threads.every((thread) => /\) T /.test(readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8")));
}

/** Resolves when it speaks AMQP; the port is open some seconds before. */
async function launch({ dir, port, distPort, address }: Place): Promise<ChildProcess> {
	const place = [dir, String(port), String(distPort), ...(address === undefined ? [] : [address])];
	const broker = spawn("sh", [SCRIPT, ...place], { stdio: ["ignore", "pipe", "pipe"] });
	let output = "";
	for (const stream of [broker.stdout, broker.stderr]) {
		stream.on("data", (chunk: Buffer) => {
			output = (output + chunk.toString()).slice(-4_000);
		});
	}
	const giveUp = performance.now() + START_TIMEOUT_MS;
	while (!(await speaksAmqp(port, address ?? ADDRESS))) {
		const ended = broker.exitCode !== null || broker.signalCode !== null;
		if (ended || performance.now() > giveUp) {
			broker.kill("SIGKILL");
			throw new Error(`RabbitMQ ${ended ? "ended" : "is silent"} instead of starting:\n${output}`);
		}
		await sleep(50);
	}
	return broker;
}

/** Whether the answer to the protocol header is a method frame: Connection.Start. */
function speaksAmqp(port: number, address: string): Promise<boolean> {
	return new Promise((resolve) => {
		const socket = connect(port, address, () => socket.write("AMQP\0\0\x09\x01"));
		const finish = (answer: boolean) => {
			socket.destroy();
			resolve(answer);
		};
		socket.setTimeout(PROBE_TIMEOUT_MS, () => finish(false));
		socket.once("data", (chunk) => finish(chunk[0] === 1));
		socket.once("error", () => finish(false));
		socket.once("close", () => finish(false));
	});
}
