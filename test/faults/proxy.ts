import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** What is wrong with the network at the moment; every field may be changed while connections are open. */
export interface Faults {
	/** Milliseconds that each byte is late, each way. */
	latency: number;
	/** Each way. */
	bytesPerSecond: number;
	/** Directions in which nothing arrives until this ends. TCP sends it again then, unless a side has given up. */
	lost: readonly Direction[];
	/** New connections are reset. */
	refuse: boolean;
}
export type Direction = "to-server" | "to-client";

/** Where a connection is reset: after so many bytes or frames from the server. */
export interface Cut {
	readonly bytes?: number;
	readonly frames?: number;
}

const HEALTHY: Faults = { latency: 0, bytesPerSecond: Number.POSITIVE_INFINITY, lost: [], refuse: false };
const MAX_WAITING_BYTES = 256 * 1024;
const FRAME_HEADER = 7;

/** Lies between a client and a server on loopback, and fails as a network does. */
export class FaultProxy {
	readonly port: number;
	readonly #target: number;
	readonly #server: ReturnType<typeof createServer>;
	readonly #sockets = new Set<Socket>();
	readonly #cuts: Cut[] = [];
	readonly #attempts: number[] = [];
	#faults = HEALTHY;
	#onChange: (() => void)[] = [];

	static async start(target: number): Promise<FaultProxy> {
		const server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
		await once(server, "listening");
		const address = server.address();
		if (address === null || typeof address === "string") throw new Error("no port");
		return new FaultProxy(server, address.port, target);
	}

	private constructor(server: ReturnType<typeof createServer>, port: number, target: number) {
		this.#server = server.on("connection", (client) => this.#accept(client));
		this.port = port;
		this.#target = target;
	}

	/** When clients have connected, by `performance.now()`. */
	get attempts(): readonly number[] {
		return this.#attempts;
	}

	/** What is not named is healthy. */
	set(faults: Partial<Faults>): void {
		this.#faults = { ...HEALTHY, ...faults };
		for (const wake of this.#onChange.splice(0)) wake();
	}

	heal(): void {
		this.set({});
	}

	/** Resets every connection. */
	cut(): void {
		for (const socket of this.#sockets) socket.resetAndDestroy();
	}

	/** Ends what the server says, as a load balancer in maintenance does; the other direction stays open. */
	halfClose(): void {
		for (const socket of this.#sockets) socket.end();
	}

	/** The next connections, one for each, are reset there. */
	cutNext(...cuts: readonly Cut[]): void {
		this.#cuts.push(...cuts);
	}

	close(): void {
		this.cut();
		this.#server.close();
		this.heal();
	}

	#accept(client: Socket): void {
		this.#attempts.push(performance.now());
		if (this.#faults.refuse) return void client.on("error", () => undefined).resetAndDestroy();
		const server = connect({ port: this.#target, host: "127.0.0.1", allowHalfOpen: true });
		this.#carry(client, server, "to-server", countdown({}));
		this.#carry(server, client, "to-client", countdown(this.#cuts.shift() ?? {}));
	}

	#carry(from: Socket, to: Socket, direction: Direction, passing: ReturnType<typeof countdown>): void {
		const waiting: { readonly chunk: Buffer; readonly due: number }[] = [];
		let bytes = 0;
		let busy = false;
		const pump = async () => {
			if (busy) return;
			busy = true;
			for (let next = waiting.shift(); next; next = waiting.shift()) {
				const { chunk, due } = next;
				await this.#arrives(direction);
				if (due > performance.now()) await sleep(due - performance.now());
				const { passed, over } = passing(chunk);
				if (to.writable) to.write(passed);
				if (over) setImmediate(() => to.resetAndDestroy());
				bytes -= chunk.length;
				if (bytes < MAX_WAITING_BYTES) from.resume();
				const { bytesPerSecond } = this.#faults;
				if (Number.isFinite(bytesPerSecond)) await sleep((chunk.length / bytesPerSecond) * 1000);
			}
			busy = false;
			await this.#arrives(direction);
			if (from.readableEnded && to.writable) to.end();
		};
		from.setNoDelay(true);
		from.on("data", (chunk: Buffer) => {
			waiting.push({ chunk, due: performance.now() + this.#faults.latency });
			bytes += chunk.length;
			if (bytes > MAX_WAITING_BYTES) from.pause();
			pump().catch(() => from.destroy());
		});
		from.on("end", () => pump().catch(() => from.destroy()));
		from.on("error", () => undefined);
		this.#sockets.add(from);
		from.once("close", (failed) => {
			this.#sockets.delete(from);
			if (from.readableEnded && !failed) return;
			// The other side does not hear of it while nothing arrives there.
			this.#arrives(direction)
				.then(() => to.resetAndDestroy())
				.catch(() => undefined);
		});
	}

	async #arrives(direction: Direction): Promise<void> {
		while (this.#faults.lost.includes(direction)) {
			await new Promise<void>((resolve) => {
				this.#onChange.push(resolve);
			});
		}
	}
}

/** What of a chunk may pass, and whether it is the last that does. An AMQP frame is a type, a channel, a size, so many bytes and an end mark. */
function countdown(cut: Cut): (chunk: Buffer) => { readonly passed: Buffer; readonly over: boolean } {
	let { bytes = Number.POSITIVE_INFINITY, frames = Number.POSITIVE_INFINITY } = cut;
	/** Bytes of the frame that has begun which are still to come; its header may be split. */
	let header = Buffer.alloc(0);
	let rest = 0;
	return (chunk) => {
		let end = 0;
		while (frames > 0 && Number.isFinite(frames) && end < chunk.length) {
			if (rest === 0) {
				const more = chunk.subarray(end, end + FRAME_HEADER - header.length);
				header = Buffer.concat([header, more]);
				end += more.length;
				if (header.length < FRAME_HEADER) break;
				rest = header.readUInt32BE(3) + 1;
				header = Buffer.alloc(0);
			}
			const more = Math.min(rest, chunk.length - end);
			[rest, end] = [rest - more, end + more];
			if (rest === 0) frames--;
		}
		if (!Number.isFinite(frames)) end = chunk.length;
		const passed = chunk.subarray(0, Math.min(end, bytes));
		bytes -= passed.length;
		return { passed, over: bytes <= 0 || frames <= 0 };
	};
}
