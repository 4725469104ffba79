import type { EventEmitter } from "node:events";

/** As much of a connection of amqplib as is needed while it connects. */
interface Connecting extends EventEmitter {
	open: (...args: unknown[]) => unknown;
	step(take: (error: Error | null, frame: Frame | null) => void): void;
}

interface Frame {
	readonly fields?: { readonly replyCode?: number; readonly replyText?: string };
}

const ends = new WeakMap<object, Error>();

/** Why a connection of amqplib has ended, if it has. */
export function endOf(connection: object): Error | undefined {
	return ends.get(connection);
}

/**
 * With the welcome amqplib reads what came with it, before anybody can listen: of a goodbye in it nobody was told, and a fault was an
 * exception that ends the process. Its class listens to itself from the beginning. It hands over what a broker says that refuses us after
 * the login, too - the virtual host, a limit - which amqplib drops.
 */
export function listenFromTheBeginning(Connection: { readonly prototype: Connecting }): void {
	const { open } = Connection.prototype;
	Connection.prototype.open = function (this: Connecting, ...args: unknown[]) {
		const { step } = this;
		this.step = (take) => step.call(this, (error, frame) => take(error ?? refusalIn(frame), frame));
		for (const event of ["error", "close"]) {
			this.on(event, (error?: Error) => ends.set(this, error ?? new Error("closed by the broker")));
		}
		return open.apply(this, args);
	};
}

function refusalIn(frame: Frame | null): Error | null {
	const { replyCode, replyText } = frame?.fields ?? {};
	return replyCode === undefined ? null : new Error(`refused: ${replyCode} (${replyText})`);
}
