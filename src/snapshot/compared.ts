import type { SnapshotDevice } from "./snapshot.ts";

/** A device without what nobody compares: where it is and where what it says comes from, two thirds of it. */
export function comparedOf(device: SnapshotDevice): SnapshotDevice {
	const { path, sources, facts, unreadable_facts, fact_sources, ...compared } = device;
	return compared;
}
