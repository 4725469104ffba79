import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";
import type { Decision } from "../../src/compat/decision.ts";
import { MIGRATION_COMPAT_TOPIC } from "../../src/nova/topic.ts";
import { freePort } from "../support/free-port.ts";
import { GUEST } from "../support/rabbitmq.ts";
import { type Child, Children } from "./children.ts";
import { type Callee, LoadGenerator, type Verified } from "./load.ts";
import { checkRequest, echoed, plainRequest } from "./requests.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const HOSTS = join(ROOT, "config/samples/hosts");
const [SOURCE, DESTINATION] = ["test_compute0", "test_compute1"] as const;
/** The sample hosts refuse the migration of the recording, for two reasons. */
const EXPECTED = ["reject", "version.minor_downgrade", "version.not_in_range"];
/** All load is of one host, and more than one may have. */
const UNLIMITED = { max_checks_per_second_per_host: 0, max_checks_per_second: 0 };
const NOVACOMPAT = join(ROOT, "dist/src/cli/main.js");

/** A method of a running server whose first answer was right. */
export interface Server extends Verified {
	readonly child: Child;
	/** All processes that do its work. */
	readonly pids: readonly number[];
	/** Starts it again after it was stopped, on the same queue. */
	readonly restart: () => Promise<Child>;
}

/** A private RabbitMQ, the load generator, and the servers that it calls. All end with this process. */
export class Rig {
	readonly children: Children;
	readonly load: LoadGenerator;
	readonly brokerPid: number;
	/** What follows the scheme in the URL of the broker. */
	readonly #broker: string;

	static async start(): Promise<Rig> {
		const children = new Children();
		const [port, distPort] = [await freePort(), await freePort()];
		const script = join(ROOT, "test/support/rabbitmq.sh");
		const directory = join(children.directory, "rabbitmq");
		const { pid } = await children.start("rabbitmq", ["sh", script, directory, String(port), String(distPort)]);
		const broker = `${GUEST}@127.0.0.1:${port}/`;
		return new Rig(children, await LoadGenerator.start(`amqp://${broker}`), pid, broker);
	}

	private constructor(children: Children, load: LoadGenerator, brokerPid: number, broker: string) {
		this.children = children;
		this.load = load;
		this.brokerPid = brokerPid;
		this.#broker = broker;
	}

	/** Our messaging, or the least that can take its place. */
	async startEcho(name: "echo-server" | "minimal-server", nodeOptions: readonly string[] = []): Promise<Server> {
		const topic = `bench_${name}`;
		const url = `${name === "echo-server" ? "rabbit" : "amqp"}://${this.#broker}`;
		const script = fileURLToPath(new URL(`${name}.js`, import.meta.url));
		const restart = () => this.children.start(name, [process.execPath, ...nodeOptions, script, url, topic], /(ready)/);
		const child = await restart();
		return { ...(await this.#verifyEcho(topic)), child, pids: [child.pid], restart };
	}

	/** `novacompat serve` and the agents of two hosts as operators run them. */
	async startService(nodeOptions: readonly string[] = []): Promise<Server> {
		const [source, destination] = [await this.#startAgent(SOURCE), await this.#startAgent(DESTINATION)];
		const file = join(this.children.directory, "novacompat.yaml");
		const agents = { [SOURCE]: source.ready, [DESTINATION]: destination.ready };
		writeFileSync(
			file,
			JSON.stringify({ transport_url: `rabbit://${this.#broker}`, host: "bench", agents, ...UNLIMITED }),
		);
		const command = [process.execPath, ...nodeOptions, NOVACOMPAT, "serve", "--config-file", file];
		const restart = () => this.children.start("serve", command, /serving (ready)/);
		const child = await restart();
		const verified = await this.load.verify(checkOn(MIGRATION_COMPAT_TOPIC), (result) => {
			const { verdict, reasons } = result as Decision;
			return isDeepStrictEqual([verdict, ...reasons.map(({ code }) => code)], EXPECTED);
		});
		return { ...verified, child, pids: [child.pid, source.pid, destination.pid], restart };
	}

	/** One Python process for all methods; its check gives the decision of ours, so that nobody sends a byte more. */
	async startPython(decision: unknown): Promise<Readonly<Record<"echo" | "check" | "nothing", Server>>> {
		const topic = "bench_python";
		const script = join(ROOT, "test/bench/python_server.py");
		// Debian's packages belong to this interpreter; another one may be first on the path.
		const command = ["/usr/bin/python3", script, `rabbit://${this.#broker}`, topic, JSON.stringify(decision)];
		const restart = () => this.children.start("python", command, /ready, oslo\.messaging (\S+)/);
		const child = await restart();
		const process = { child, pids: [child.pid], restart };
		const nothing = { topic, fields: plainRequest("nothing") };
		return {
			echo: { ...(await this.#verifyEcho(topic)), ...process },
			check: {
				...(await this.load.verify(checkOn(topic), (result) => isDeepStrictEqual(result, decision))),
				...process,
			},
			nothing: { ...(await this.load.verify(nothing, (result) => result === null)), ...process },
		};
	}

	#startAgent(host: string): Promise<Child> {
		const scan = ["--sysfs-root", join(HOSTS, host, "sys"), "--libvirt-dir", join(HOSTS, host, "libvirt")];
		const command = [process.execPath, NOVACOMPAT, "agent", "--listen", "127.0.0.1:0", "--host", host, ...scan];
		return this.children.start(`agent-${host}`, command, /listening on (\S+)\n/);
	}

	#verifyEcho(topic: string): Promise<Verified> {
		const isEcho = (result: unknown, id: string) => isDeepStrictEqual(result, echoed(id));
		return this.load.verify({ topic, fields: plainRequest("echo") }, isEcho);
	}
}

function checkOn(topic: string): Callee {
	return { topic, fields: checkRequest(SOURCE, DESTINATION) };
}
