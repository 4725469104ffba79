import type { Decision } from "../compat/decision.ts";

/** Exit codes are a contract; 64, 69, 75 and 78 are those of sysexits.h, the rest follows `nova-status upgrade check`. */
export const EXIT = { accept: 0, warnings: 1, reject: 2, unknown: 3, usage: 64, config: 78, bug: 255 } as const;

/** Of `novacompat serve`, besides usage and config: stopped, crashed (a bug), and by a second SIGINT or SIGTERM. */
export const SERVE_EXIT = { stopped: 0, crashed: 70, interrupted: 130, terminated: 143 } as const;

/** Those of `novacompat call`, besides usage, config and bug. A timeout is 3 as well: whether the method ran is unknown. */
export const CALL_EXIT = { result: 0, failed: 2, timeout: 3, nobody: 69, noBroker: 75 } as const;

/** Those of `novacompat doctor`, besides usage, config and bug, as `nova-status upgrade check` has them. */
export const DOCTOR_EXIT = { good: 0, warnings: 1, problem: 2 } as const;

/** Those of `novacompat replay`, besides usage and bug; without a broker it is that of `call`. `differs` too where nothing could be compared. */
export const REPLAY_EXIT = { same: 0, differs: 1 } as const;

/** Those of `novacompat policy diff`, besides usage, config and bug; `flips` too where a decision cannot be made again. */
export const POLICY_DIFF_EXIT = { same: 0, flips: 1 } as const;

/** `accept` counts as clean only without warnings. */
export function exitCodeOf({ verdict, reasons }: Decision): number {
	if (verdict === "accept") return reasons.length === 0 ? EXIT.accept : EXIT.warnings;
	return verdict === "conditional" ? EXIT.warnings : EXIT[verdict];
}

/** Of several targets the best one counts. */
export function bestExitCode(codes: readonly number[]): number {
	const order: readonly number[] = [EXIT.accept, EXIT.warnings, EXIT.unknown, EXIT.reject];
	return order.find((code) => codes.includes(code)) ?? EXIT.reject;
}

/** What the command line asks for cannot be done; the message says what was expected. */
export class UsageError extends Error {
	override readonly name = "UsageError";
}
