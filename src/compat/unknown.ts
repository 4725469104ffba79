import type { Policy, UnknownPolicy } from "./policy.ts";
import type { Reason } from "./reason.ts";

/** Somebody may be lying: no policy and no override makes an accept of these (specification reliability 1.0.3). */
export const TAMPERING: ReadonlySet<string> = new Set([
	"agent.bad_reply",
	"agent.address",
	"agent.tls",
	"agent.identity",
]);
/** What no word of a policy accepts as it is. An agent that is stuck tells what was; `accept_stale` says for how long that does. */
const NEVER_ACCEPTED: ReadonlySet<string> = new Set([...TAMPERING, "snapshot.stale"]);
/** Where an older snapshot of the host can take the place of what could not be had. */
export const STALE_CAUSES: ReadonlySet<string> = new Set([
	"agent.unreachable",
	"agent.timeout",
	"agent.unavailable",
	"snapshot.stale",
]);

/** Whether a migration may go on despite a reason that nobody can tell: the class of the device is asked first. */
export function isTolerated({ code, device_class }: Reason, policy: Policy): boolean {
	if (NEVER_ACCEPTED.has(code)) return false;
	const ofClass = policy.classes.find(({ name }) => name === device_class)?.unknown ?? {};
	return (mapped(ofClass, code) ?? mapped(policy.unknown, code)) === "accept";
}

/** Whether the last good snapshot of a host does when its agent gives none. No device is known then whose class could be asked. */
export function isStaleAccepted(code: string, policy: Policy): boolean {
	return STALE_CAUSES.has(code) && mapped(policy.unknown, code) === "accept_stale";
}

/** The code itself, then its family, then everything. */
function mapped(unknown: UnknownPolicy, code: string): UnknownPolicy[string] | undefined {
	return [code, familyOf(code), "*"]
		.map((key) => (Object.hasOwn(unknown, key) ? unknown[key] : undefined))
		.find(Boolean);
}

/** `agent.timeout` belongs to `agent.*`. */
export function familyOf(code: string): string {
	return `${code.split(".", 1)[0]}.*`;
}
