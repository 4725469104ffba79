import type { Decision } from "../../compat/decision.ts";
import type { CheckOptions, MadeCheck, PrecheckRequest, UnmadeCheck } from "../../precheck.ts";
import type { Role } from "./state.ts";

/** Of a check, all that is shown to people. */
export interface RecentCheck
	extends Pick<PrecheckRequest, "instance_uuid" | "source_host" | "dest_host">,
		Pick<CheckOptions, "request_id" | "global_request_id">,
		Pick<Decision, "id" | "verdict" | "allowed" | "reasons" | "mapping"> {
	readonly role: Role;
	/** Milliseconds since 1970. */
	readonly at: number;
	/** Milliseconds; undefined where no check was made. */
	readonly duration: number | undefined;
	/** How many reasons there were: no more than a few are kept. */
	readonly reasonCount: number;
}

const COUNT = 100;
const REASONS = 16;

/** The last checks, in memory. */
export class RecentChecks {
	/** The next one takes the place of the oldest. */
	readonly #checks: RecentCheck[] = [];
	#next = 0;

	add(role: Role, check: MadeCheck | UnmadeCheck): void {
		const { request, decision, options } = check;
		const { instance_uuid = "-", source_host = "-", dest_host = "-" } = request;
		const { request_id, global_request_id } = options;
		const { id, verdict, allowed, mapping, reasons } = decision;
		this.#checks[this.#next] = {
			role,
			at: Date.now(),
			duration: "duration" in check ? check.duration : undefined,
			instance_uuid,
			source_host,
			dest_host,
			request_id,
			global_request_id,
			id,
			verdict,
			allowed,
			mapping,
			reasons: reasons.slice(0, REASONS),
			reasonCount: reasons.length,
		};
		this.#next = (this.#next + 1) % COUNT;
	}

	/** The last one first. */
	list(): readonly RecentCheck[] {
		return [...this.#checks.slice(this.#next), ...this.#checks.slice(0, this.#next)].reverse();
	}
}
