import type { Publisher } from "./publisher.ts";
import type { Channel, ChannelModel } from "./rabbit.ts";
import type { TransportHost } from "./transport-url.ts";

/** Shared by all sessions of a transport, because a broker that has refused a channel would refuse it again on the next one. */
export interface Redeclaring {
	/** On the clock of `performance.now()`. */
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
	/** Resolves when no subscription redeclares: each takes a channel of its own, of which a connection has only so many. */
	redeclared: Promise<void>;
	readonly redeclaring: Redeclaring;
}

/** What ends it, ends what depends on it. */
export function watch(emitter: ChannelModel | Channel, lost: AbortController): void {
	emitter.on("error", (error: Error) => lost.abort(error));
	emitter.on("close", (error?: Error) => lost.abort(error ?? new Error("closed by the broker")));
}

export function nameOf({ hostname, port }: TransportHost): string {
	return `rabbit ${hostname}:${port}`;
}
