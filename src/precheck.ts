import { conclude, type Decision, decide } from "./compat/decide.ts";
import type { Policy } from "./compat/policy.ts";
import { type Reason, reason } from "./compat/reason.ts";
import type { Snapshot, SnapshotDevice } from "./snapshot/snapshot.ts";
import { type FetchOptions, SnapshotError, type SnapshotSource } from "./snapshot/source.ts";

/** Nova's question: may this instance move from here to there? */
export interface PrecheckRequest {
	readonly instance_uuid: string;
	readonly source_host: string;
	readonly dest_host: string;
	/** Device ids on the source; left out, what the source's snapshot says the instance uses. */
	readonly devices?: readonly string[] | undefined;
	/** PCI addresses on the source that are Neutron ports. */
	readonly ports: readonly string[];
	/** How many devices that stay attached Nova knows of, and in which words. */
	readonly announced: { readonly count: number; readonly names: string };
}

export type Precheck = (request: PrecheckRequest, options: FetchOptions) => Promise<Decision>;

/** The use case: take both snapshots, pick the devices and what is free for them, decide. */
export function createPrecheck(snapshots: SnapshotSource, policy: () => Policy): Precheck {
	return async (request, options) => {
		const { source_host, dest_host } = request;
		const [source, target] = await Promise.all([
			attempt(snapshots, source_host, options),
			attempt(snapshots, dest_host, options),
		]);
		if (source instanceof SnapshotError) return conclude("unknown", failures(source, target), policy());

		const devices = devicesThatStay(source, request);
		const missing = missingDevices(source, request, devices);
		if (missing.length > 0) return conclude("unknown", missing, policy());
		if (devices.length === 0) return conclude("accept", [nothingStays(request)], policy());
		if (target instanceof SnapshotError) return conclude("unknown", failures(target), policy());
		return withoutComparisons(
			decide({ source_host, target_host: dest_host, devices, candidates: freeDevices(target), policy: policy() }),
		);
	};
}

/** What an instance uses and keeps: a Neutron port is unplugged before the migration and plugged in again after it. */
function devicesThatStay(
	source: Snapshot,
	{ instance_uuid, devices, ports }: PrecheckRequest,
): readonly SnapshotDevice[] {
	if (devices) return source.devices.filter(({ id }) => devices.includes(id));
	return source.devices.filter(({ id, instance, port }) => instance === instance_uuid && !port && !ports.includes(id));
}

/** What the target can give: nothing that an instance has already. */
export function freeDevices(target: Snapshot): readonly SnapshotDevice[] {
	return target.devices.filter(({ instance, port }) => instance === undefined && !port);
}

function missingDevices(
	source: Snapshot,
	request: PrecheckRequest,
	found: readonly SnapshotDevice[],
): readonly Reason[] {
	const { devices, announced, instance_uuid } = request;
	if (devices) {
		const ids = new Set(found.map(({ id }) => id));
		return devices
			.filter((id) => !ids.has(id))
			.map((id) =>
				reason("device.not_found", "precheck", `${source.host} has no device ${JSON.stringify(id)}`, { device: id }),
			);
	}
	if (found.length >= announced.count) return [];
	const message =
		`Nova knows of ${announced.count} device${announced.count === 1 ? "" : "s"} of instance ${instance_uuid} that stay attached (${announced.names}), ` +
		`the agent of ${source.host} sees ${found.length} in use by it`;
	return [reason("device.unaccounted", "precheck", message)];
}

function nothingStays({ instance_uuid, source_host }: PrecheckRequest): Reason {
	return reason(
		"device.none",
		"precheck",
		`instance ${instance_uuid} on ${source_host} has no device that stays attached`,
	);
}

async function attempt(
	snapshots: SnapshotSource,
	host: string,
	options: FetchOptions,
): Promise<Snapshot | SnapshotError> {
	try {
		return await snapshots.fetch(host, options);
	} catch (error) {
		if (error instanceof SnapshotError) return error;
		throw error;
	}
}

function failures(...results: readonly (Snapshot | SnapshotError)[]): readonly Reason[] {
	return results
		.filter((result) => result instanceof SnapshotError)
		.map(({ code, message }) => reason(code, "snapshot", message));
}

function withoutComparisons({ comparisons: _comparisons, ...decision }: ReturnType<typeof decide>): Decision {
	return decision;
}
