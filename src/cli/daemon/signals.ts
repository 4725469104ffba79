import { SERVE_EXIT } from "../exit-codes.ts";

const AT_ONCE = { SIGINT: SERVE_EXIT.interrupted, SIGTERM: SERVE_EXIT.terminated } as const;

/** Resolves with the first SIGTERM or SIGINT; a second one, of either kind, ends the process at once. */
export function untilSignal(): Promise<NodeJS.Signals> {
	// Where nobody listens to it, Node.js opens its debugger to every user of the machine.
	process.on("SIGUSR1", () => undefined);
	return new Promise((resolve) => {
		let isStopping = false;
		for (const signal of ["SIGTERM", "SIGINT"] as const) {
			process.on(signal, () => {
				if (isStopping) process.exit(AT_ONCE[signal]);
				isStopping = true;
				resolve(signal);
			});
		}
	});
}
