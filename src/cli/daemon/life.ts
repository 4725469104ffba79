import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "../../log/logger.ts";
import { SERVE_EXIT } from "../exit-codes.ts";
import { untilSignal } from "./signals.ts";
import { serviceManager } from "./systemd.ts";

/** Longer than a check lasts as a rule; a unit's TimeoutStopSec is longer still. */
const DRAIN_MS = 10_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export interface Life {
	/** Resolves when the service does its work. */
	readonly start: () => Promise<unknown>;
	/** Takes nothing new, and resolves when all is done. */
	readonly stop: () => Promise<unknown>;
	/** SIGHUP. */
	readonly reload: () => void;
	/** SIGUSR2. */
	readonly report: () => void;
	readonly log: Logger;
}

/** What nobody has caught is a bug: the process ends with a line of the log, and systemd starts another one. */
export function endOnCrash(log: Logger): void {
	// With --unhandled-rejections=strict, the default, those are here too.
	process.on("uncaughtException", (error: unknown) => {
		log.exception("crashed", error);
		process.exit(SERVE_EXIT.crashed);
	});
}

/** A service from its start to the exit of the process, as operators and systemd know it. Returns only by throwing. */
export async function live({ start, stop, reload, report, log }: Life): Promise<never> {
	endOnCrash(log);
	process.on("SIGHUP", reload);
	process.on("SIGUSR2", report);
	const stopped = untilSignal();
	// Waiting for a signal does not keep a process, and a bus in memory has no socket that would.
	setInterval(() => undefined, LONGEST_TIMER_MS);
	const manager = serviceManager(process.env, (text) => log.warning(text));
	await Promise.race([start().then(manager.ready), stopped]);
	const signal = await stopped;
	log.info(`stopping on ${signal}: finishing what is in flight`);
	manager.stopping();
	const isDrained = await Promise.race([stop().then(() => true), sleep(DRAIN_MS, false)]);
	if (!isDrained) log.warning(`not finished in ${DRAIN_MS / 1000} s: the broker hands out again what is not answered`);
	process.exit(SERVE_EXIT.stopped);
}
