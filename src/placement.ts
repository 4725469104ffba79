import { type Attempt, attempt, type Checked, failures, usable, withVersions } from "./attempt.ts";
import { decide } from "./compat/decide.ts";
import { annotate, conclude, type Decision } from "./compat/decision.ts";
import type { Policy } from "./compat/policy.ts";
import { reason } from "./compat/reason.ts";
import { worst } from "./compat/settle.ts";
import { foreignDevices } from "./departure.ts";
import type { Snapshot, SnapshotDevice } from "./snapshot/snapshot.ts";
import { type FetchOptions, SnapshotError, type SnapshotSource } from "./snapshot/source.ts";

/** What Nova has chosen: which device of the source becomes which one of the destination. */
interface Placement {
	readonly source_host: string;
	readonly dest_host: string;
	/** Device id -> device id, as in Nova's `target_mdevs` and `pci_dev_map_src_dst`. */
	readonly mapping: Readonly<Record<string, string>>;
}

export type CheckPlacement = (placement: Placement, options: FetchOptions) => Promise<Checked>;

/** The pre-check's question asked again when there is nothing left to choose: each device fits exactly there, or it does not. */
export function createPlacementCheck(snapshots: SnapshotSource, policy: () => Policy): CheckPlacement {
	return async (placement, options) => {
		const { source_host, dest_host } = placement;
		const [source, target] = await Promise.all([
			attempt(snapshots, source_host, options),
			attempt(snapshots, dest_host, options),
		]);
		return withVersions(check(placement, source, target, policy()), [source, target]);
	};
}

function check(placement: Placement, ofSource: Attempt, ofTarget: Attempt, policy: Policy): Decision {
	const [source, target] = [usable(ofSource, policy), usable(ofTarget, policy)];
	if (source instanceof SnapshotError || target instanceof SnapshotError) {
		const reasons = failures(source, target);
		return conclude("unknown", reasons, policy, [placement, reasons.map(({ code }) => code)]);
	}
	const { source_host, dest_host, mapping } = placement;
	const pairs = Object.entries(mapping).map(([device, candidate]) => {
		const [from, to] = [deviceOf(source.snapshot, device), deviceOf(target.snapshot, candidate)];
		if (!from || !to) return notFound(placement, { device, candidate }, from, policy);
		const foreign = [...foreignDevices(source_host, [from]), ...foreignDevices(dest_host, [to])];
		if (foreign.length > 0) return conclude("unknown", foreign, policy, [placement, foreign]);
		return decidePair(placement, from, to, policy);
	});
	const decisions = [...pairs, ...shared(placement, policy)];
	const reasons = decisions.flatMap((decision) => decision.reasons);
	const decision = conclude(worst(decisions), reasons, policy, [placement, decisions.map(({ id }) => id)], mapping);
	return annotate(decision, [...source.notes, ...target.notes]);
}

/** Whoever uses it: Nova has claimed the one, and the instance may have arrived there and left the other. */
function deviceOf({ devices }: Snapshot, id: string): SnapshotDevice | undefined {
	return devices.find((device) => device.id === id);
}

function decidePair(
	{ source_host, dest_host: target_host }: Placement,
	device: SnapshotDevice,
	candidate: SnapshotDevice,
	policy: Policy,
): Decision {
	const candidates = [{ ...candidate, capacity: 1 }];
	return decide({ source_host, target_host, devices: [device], candidates, policy });
}

/** What several devices would become, whichever of them fits. */
function shared({ dest_host, mapping }: Placement, policy: Policy): readonly Decision[] {
	return [...new Set(Object.values(mapping))].flatMap((candidate) => {
		const devices = Object.keys(mapping).filter((device) => mapping[device] === candidate);
		if (devices.length === 1) return [];
		const message = `Nova has chosen ${dest_host} ${candidate} for ${devices.length} devices (${devices.join(", ")})`;
		const exhausted = reason("capacity.exhausted", "placement", message, { candidate });
		return [conclude("reject", [exhausted], policy, [candidate, devices])];
	});
}

function notFound(
	{ source_host, dest_host }: Placement,
	pair: { readonly device: string; readonly candidate: string },
	from: SnapshotDevice | undefined,
	policy: Policy,
): Decision {
	const [host, id] = from ? [dest_host, pair.candidate] : [source_host, pair.device];
	const message = `${host} has no device ${JSON.stringify(id)}, which Nova has chosen`;
	return conclude("unknown", [reason("device.not_found", "placement", message, pair)], policy, pair);
}
