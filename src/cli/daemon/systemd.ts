import { execFile } from "node:child_process";

const PROGRAM = "systemd-notify";

export interface ServiceManager {
	/** The service does its work now; from here on systemd is told that the event loop turns. */
	ready(): void;
	stopping(): void;
}

/**
 * Tells systemd how it goes (sd_notify(3)), when it has started us with Type=notify. Node.js has no datagrams on Unix sockets, so
 * systemd's own program sends them: the unit needs NotifyAccess=all.
 * @param warn is told once when systemd cannot be told
 */
export function serviceManager(env: NodeJS.ProcessEnv, warn: (text: string) => void): ServiceManager {
	const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: watchdog } = env;
	if (!socket) return { ready: () => undefined, stopping: () => undefined };
	let isTold = false;
	const notify = (state: string) => {
		const options = { env: { PATH: env["PATH"], NOTIFY_SOCKET: socket }, timeout: 10_000 };
		const ended = (error: Error | null) => {
			if (error && !isTold) warn(`${PROGRAM} ${state}: ${error.message.trim()}`);
			isTold ||= error !== null;
		};
		try {
			execFile(PROGRAM, [state], options, ended);
		} catch (error) {
			// What Node.js has no event for, as ENOMEM.
			ended(error as Error);
		}
	};
	return {
		ready() {
			notify("READY=1");
			// Twice in the time that systemd waits (sd_watchdog_enabled(3)): microseconds to milliseconds, and half.
			if (watchdog) setInterval(() => notify("WATCHDOG=1"), Number(watchdog) / 2_000).unref();
		},
		stopping: () => notify("STOPPING=1"),
	};
}
