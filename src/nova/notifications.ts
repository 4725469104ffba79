import type { Decision } from "../compat/decision.ts";
import type { Reason } from "../compat/reason.ts";
import type { Notifier } from "../messaging/notifier.ts";
import type { PrecheckRequest } from "../precheck.ts";
import type { RequestContext } from "./context.ts";

export type NotifyCheck = (request: PrecheckRequest, decision: Decision, context: RequestContext) => void;

/** Versions of the payloads: a new field is another minor version. */
const NAMESPACE = "migration_compat";
const VERSION = "1.0";

/**
 * Tells of every check, in the form of Nova's versioned notifications (nova/notifications/objects/base.py): that it has ended
 * with a decision, or that it has not, because the verdict is unknown.
 */
export function checkNotifications(notifier: Notifier): NotifyCheck {
	return ({ instance_uuid, source_host, dest_host }, decision, context) => {
		if (notifier.isOff) return;
		const { traceparent: _, ...ids } = context;
		const { id, verdict, allowed, mapping, text, reasons } = decision;
		const isUnknown = verdict === "unknown";
		notifier.notify({
			event_type: `migration_compat.check.${isUnknown ? "error" : "end"}`,
			priority: isUnknown ? "ERROR" : "INFO",
			payload: payload("CheckPayload", {
				instance_uuid,
				source_host,
				dest_host,
				decision_id: id,
				verdict,
				allowed,
				mapping,
				text,
				reasons: reasons.map(reasonPayload),
			}),
			context: ids,
		});
	};
}

function reasonPayload({ code, severity, message, device, candidate, attribute }: Reason) {
	const about = { device: device ?? null, candidate: candidate ?? null, attribute: attribute ?? null };
	return payload("ReasonPayload", { code, severity, message, ...about });
}

function payload(name: string, data: Readonly<Record<string, unknown>>) {
	return {
		"nova_object.name": name,
		"nova_object.namespace": NAMESPACE,
		"nova_object.version": VERSION,
		"nova_object.data": data,
	};
}
