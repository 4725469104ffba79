import type { Publisher } from "./publisher.ts";
import type { Channel, ChannelModel } from "./rabbit.ts";
import type { TransportHost } from "./transport-url.ts";

/** When there may be a look again at what is consumed, on the clock of `performance.now()`: the same for all sessions of a transport. */
export interface Looks {
	notBefore: number;
}

/** Two connections to one broker, because back-pressure on publishing must not stop consuming. */
export interface Session {
	readonly host: TransportHost;
	readonly consuming: ChannelModel;
	readonly publishing: ChannelModel;
	readonly publisher: Publisher;
	/** Aborted with the reason when either connection is lost; ends both. */
	readonly lost: AbortController;
	/** Resolves when nothing is being declared again: each takes a channel of its own, of which a connection has only so many. */
	declaredAgain: Promise<void>;
	readonly looks: Looks;
}

/** What ends it, ends what depends on it. */
export function watch(emitter: ChannelModel | Channel, lost: AbortController): void {
	emitter.on("error", (error: Error) => lost.abort(error));
	emitter.on("close", (error?: Error) => lost.abort(error ?? new Error("closed by the broker")));
}

export function nameOf({ hostname, port }: TransportHost): string {
	return `rabbit ${hostname}:${port}`;
}
