import { setTimeout as sleep } from "node:timers/promises";
import { type AgentDirectory, agentUrl } from "./agent-address.ts";
import type { AgentHttp, AgentReply, AgentRequest } from "./agent-http.ts";
import { Breaker, type Failing } from "./breaker.ts";
import { NoSnapshot, readSnapshot } from "./read-snapshot.ts";
import type { Snapshot } from "./snapshot.ts";
import { type CheckIds, NO_WITNESS, SnapshotError, type SnapshotWitness } from "./source.ts";
import { MADE_ROOM, type Request, Turns } from "./turns.ts";

/** Milliseconds, see specification reliability 1.0.2. */
const TRY = 3_000;
const TRIES = 2;
/** Between two tries, when the agent does not say. */
const PAUSE = 200;
/** What is not worth beginning a try with. */
const LEAST = 500;
/** How many agents are asked at once, and when one that is silent makes room: the first time, and at last. */
const IN_FLIGHT = 64;
const PATIENCE = 250;
const MAX_PATIENCE = 1_000;
const MAX_SKEW = 5 * 60_000;
/** Of one host, to remember. */
const MAX_BOOTS = 8;
/** Agents of this version of the schema read their host for each answer, and say no age. */
const AGELESS = "1.0";

/** A snapshot as an agent gave it. */
export interface Collected {
	readonly snapshot: Snapshot;
	readonly etag: string | undefined;
	/** Size of the answer. */
	readonly bytes: number;
	/** On the clock of `performance.now()`: when the agent had read its host. */
	readonly collectedAt: number;
}

interface Question extends CheckIds {
	/** What is known already, so that the agent need not send it again. */
	readonly known?: Collected | undefined;
	/** Stands for who asks: what asks for many hosts takes turns with what asks for few. */
	readonly asker?: object | undefined;
}

/** What a cache needs of the agents. */
export interface Agents {
	/** The failure that is known of a host whose agent is not to be asked again yet. */
	refusal(host: string): SnapshotError | undefined;
	/** One more waits for the answer of a host: it need not wait for the turn of who asked first. */
	join(host: string, asker: object): void;
	/** Throws SnapshotError, and nothing else. One question to a host at a time. */
	ask(host: string, question: Question): Promise<Collected>;
	/** Those that have not answered since they failed. */
	failing(): readonly Failing[];
}

export interface AgentSourceOptions {
	readonly http: AgentHttp;
	readonly directory: AgentDirectory;
	/** Seconds for one answer, with all tries. */
	readonly timeout: number;
	readonly warn: (text: string) => void;
	readonly witness?: SnapshotWitness;
}

/** Snapshots from the agents on the compute nodes. */
export class AgentSource implements Agents {
	readonly #options: AgentSourceOptions;
	readonly #breaker = new Breaker();
	readonly #turns = new Turns(IN_FLIGHT);
	/** Hosts whose clock was told to be wrong. */
	readonly #skewed = new Set<string>();
	/** Boot ids by host, the present one last. */
	readonly #boots = new Map<string, readonly string[]>();

	constructor(options: AgentSourceOptions) {
		this.#options = options;
	}

	refusal(host: string): SnapshotError | undefined {
		return this.#breaker.refusal(host);
	}

	join(host: string, asker: object): void {
		this.#turns.join(host, asker);
	}

	failing(): readonly Failing[] {
		return this.#breaker.failing();
	}

	async ask(host: string, question: Question): Promise<Collected> {
		const { witness = NO_WITNESS } = this.#options;
		const started = performance.now();
		const told = (outcome: Parameters<SnapshotWitness["asked"]>[0]) =>
			witness.asked(outcome, (performance.now() - started) / 1000);
		try {
			const collected = await this.#ask(host, question);
			told("ok");
			return collected;
		} catch (error) {
			if (error instanceof SnapshotError) told(error.code);
			throw error;
		}
	}

	async #ask(host: string, { known, asker = {}, ...ids }: Question): Promise<Collected> {
		const request = { host, url: agentUrl(host, this.#options.directory), etag: known?.etag, ...ids };
		const end = performance.now() + this.#options.timeout * 1000;
		for (let tries = 1; ; tries++) {
			try {
				const asked = await this.#get(asker, request, end);
				const collected = read(host, asked, known);
				this.#compareBoots(host, collected.snapshot);
				this.#breaker.answered(host);
				this.#compareClocks(host, asked.reply);
				return collected;
			} catch (error) {
				if (!(error instanceof SnapshotError)) throw error;
				const isOpen = this.#breaker.failed(host, error);
				const pause = pauseAfter(error);
				if (pause === undefined || isOpen || tries === TRIES || performance.now() + pause + LEAST > end) throw error;
				await sleep(pause);
			}
		}
	}

	/** One try, when it is its turn; anew after it had to make room for others, which is no failure of the agent. */
	async #get(asker: object, request: Unsent, end: number): Promise<Asked> {
		for (let patience = PATIENCE; ; patience = Math.min(2 * patience, MAX_PATIENCE)) {
			const over = new AbortController();
			try {
				return await this.#getInTurn({ name: request.host, asker, over, patience }, request, end);
			} catch (error) {
				if (over.signal.reason !== MADE_ROOM) throw error;
			}
		}
	}

	async #getInTurn(turn: Request, request: Unsent, end: number): Promise<Asked> {
		const abort = () => turn.over.abort();
		let timer = setTimeout(abort, end - performance.now());
		try {
			const asked = await this.#turns.run(turn, async (heard) => {
				const sentAt = performance.now();
				clearTimeout(timer);
				timer = setTimeout(abort, Math.min(TRY, end - sentAt));
				return { reply: await this.#options.http.get({ ...request, heard, signal: turn.over.signal }), sentAt };
			});
			if (asked) return asked.result;
			throw new SnapshotError("agent.timeout", `the agent of ${request.host} did not answer in time`);
		} finally {
			clearTimeout(timer);
		}
	}

	/** A boot that another one has followed does not come back: then two machines answer by the name of the host. */
	#compareBoots(host: string, { boot_id }: Snapshot): void {
		const boots = this.#boots.get(host) ?? [];
		const present = boots.at(-1);
		if (boot_id === undefined || boot_id === present) return;
		if (boots.includes(boot_id)) {
			const message = `the agent of ${host} answers from boot ${boot_id} again, which boot ${present} had followed: two machines say that they are ${host}`;
			throw new SnapshotError("agent.identity", message);
		}
		if (present !== undefined) this.#options.warn(`${host} has been rebooted: boot ${boot_id} follows ${present}`);
		this.#boots.set(host, [...boots, boot_id].slice(-MAX_BOOTS));
	}

	/** Nothing is decided by the clocks of the hosts; who reads their logs wants to know. */
	#compareClocks(host: string, { headers }: AgentReply): void {
		const skew = Date.parse(String(headers["date"])) - Date.now();
		if (!(Math.abs(skew) > MAX_SKEW)) this.#skewed.delete(host);
		else if (!this.#skewed.has(host)) {
			this.#skewed.add(host);
			const minutes = Math.round(Math.abs(skew) / 60_000);
			this.#options.warn(`the clock of ${host} is ${minutes} min ${skew > 0 ? "ahead" : "behind"}`);
		}
	}
}

type Unsent = Omit<AgentRequest, "signal" | "heard">;

interface Asked {
	readonly reply: AgentReply;
	/** On the clock of `performance.now()`. */
	readonly sentAt: number;
}

/** An agent that is busy, as it says itself. */
class Unavailable extends SnapshotError {
	/** Milliseconds. */
	readonly retryAfter: number;

	constructor(host: string, status: number, retryAfter: number) {
		super("agent.unavailable", `the agent of ${host} answered with status ${status}`);
		this.retryAfter = retryAfter;
	}
}

/** Milliseconds until another try may help; undefined when it would not. */
function pauseAfter(error: SnapshotError): number | undefined {
	if (error instanceof Unavailable) return error.retryAfter;
	return error.code === "agent.unreachable" || error.code === "agent.timeout" ? PAUSE : undefined;
}

function read(host: string, { reply, sentAt }: Asked, known: Collected | undefined): Collected {
	const { status, headers, body } = reply;
	const badReply = (problem: string) =>
		new SnapshotError("agent.bad_reply", `the agent of ${host} answered with ${problem}`);
	if (status !== 200 && status !== 304) throw new Unavailable(host, status, retryAfter(headers["retry-after"]));
	const age = headers["collected-age-ms"];
	if (status === 304) {
		if (known === undefined) throw badReply("status 304, although it was asked for everything");
		const { snapshot, etag, bytes } = known;
		const about = headers["etag"];
		if (typeof about === "string" && weak(about) !== weak(etag ?? ""))
			throw badReply(`status 304 for ETag ${JSON.stringify(about)}, expected ${JSON.stringify(etag)}`);
		const collectedAt = sentAt - readAge(age, badReply);
		// Not spread: that has a hidden class of its own, and what checks do with it would be compiled anew for each answer.
		return { snapshot, etag, bytes, collectedAt };
	}
	const type = String(headers["content-type"] ?? "");
	if (!/^application\/json\b/.test(type)) throw badReply(`${JSON.stringify(type)}, expected application/json`);
	const encoding = headers["content-encoding"] ?? "identity";
	if (encoding !== "identity") throw badReply(`content encoding ${JSON.stringify(encoding)}, expected none`);
	const etag = typeof headers["etag"] === "string" ? headers["etag"] : undefined;
	const snapshot = readBody(body, badReply);
	const isAgeless = age === undefined && snapshot.schema_version === AGELESS;
	const collectedAt = sentAt - (isAgeless ? 0 : readAge(age, badReply));
	if (snapshot.host === host) return { snapshot, etag, bytes: body.length, collectedAt };
	const name = JSON.stringify(snapshot.host);
	throw new SnapshotError("agent.identity", `the agent of ${host} says that it is ${name}`);
}

/** As RFC 9110, 8.8.3.2 compares them for If-None-Match: what stands in between may have made it weak. */
function weak(etag: string): string {
	return etag.replace(/^W\//, "");
}

/** Milliseconds. Without it an agent that is stuck would be fresh for ever. */
function readAge(header: unknown, badReply: (problem: string) => SnapshotError): number {
	if (typeof header === "string" && /^\d{1,15}$/.test(header)) return Number(header);
	const value = header === undefined ? "no Collected-Age-Ms" : `Collected-Age-Ms ${JSON.stringify(header)}`;
	throw badReply(`${value}, expected milliseconds`);
}

function readBody(body: Buffer, badReply: (problem: string) => SnapshotError): Snapshot {
	try {
		return readSnapshot(body);
	} catch (error) {
		if (error instanceof NoSnapshot) throw badReply(error.message);
		throw error;
	}
}

/** Milliseconds; a date would depend on both clocks. */
function retryAfter(header: unknown): number {
	return typeof header === "string" && /^\d{1,6}$/.test(header) ? Number(header) * 1000 : PAUSE;
}
