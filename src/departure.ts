import { failures, type Usable } from "./attempt.ts";
import { isKnownKind } from "./compat/device.ts";
import { once } from "./compat/once.ts";
import { type Reason, reason } from "./compat/reason.ts";
import type { Snapshot, SnapshotDevice } from "./snapshot/snapshot.ts";
import { SnapshotError } from "./snapshot/source.ts";

/** Which instance shall leave which host. */
export interface Departure {
	readonly instance_uuid: string;
	readonly source_host: string;
	/** Device ids on the source; left out, what the source's snapshot says the instance uses. */
	readonly devices?: readonly string[] | undefined;
	readonly ports: readonly Port[];
	/** Devices that stay attached of which Nova knows. */
	readonly announced: Announced;
}

/** What Nova's message tells of devices that stay attached. */
interface Announced {
	readonly count: number;
	/** How many of them are PCI functions, each of a flavor alias; the others are mdevs. Not in the journal of an earlier build. */
	readonly pci?: number | undefined;
	/** In which words. */
	readonly names: string;
	/** Whether there can be no others. */
	readonly complete: boolean;
}

/** A Neutron port that has a device of its own on the source. */
export interface Port {
	readonly id: string | undefined;
	readonly vnic_type: string | undefined;
	/** Of its PCI function. */
	readonly address: string | undefined;
	/** Unplugged before the migration, and plugged in again after it. */
	readonly isReplugged: boolean;
}

/** Whether nothing can stay attached, so that there is nobody to ask. */
export function hasNothingButPorts({ devices, announced }: Departure): boolean {
	return !devices && announced.count === 0 && announced.complete;
}

/** The devices that must continue; or what can be said whatever the destination has. */
export function outsetOf(
	source: Usable | SnapshotError,
	departure: Departure,
):
	| { readonly devices: readonly SnapshotDevice[] }
	| { readonly verdict: "accept" | "unknown"; readonly reasons: readonly Reason[] } {
	if (source instanceof SnapshotError) return { verdict: "unknown", reasons: failures(source) };
	const devices = devicesThatStay(source.snapshot, departure);
	const missing = missingDevices(source.snapshot, departure, devices);
	if (missing.length > 0) return { verdict: "unknown", reasons: missing };
	const foreign = foreignDevices(source.snapshot.host, devices);
	if (foreign.length > 0) return { verdict: "unknown", reasons: foreign };
	if (devices.length > 0) return { devices };
	if (isUnseen(source.snapshot, departure)) return { verdict: "unknown", reasons: [notSeen(departure)] };
	return { verdict: "accept", reasons: [nothingStays(departure)] };
}

/** It runs, so the host was looked at before it began, or libvirt was not: no device of it is no answer. An agent before 1.2 does not tell. */
function isUnseen({ instances }: Snapshot, { devices, instance_uuid }: Departure): boolean {
	return !devices && instances !== undefined && !instances.includes(instance_uuid);
}

/** What an instance uses and keeps: a Neutron port is unplugged before the migration and plugged in again after it. */
function devicesThatStay(source: Snapshot, departure: Departure): readonly SnapshotDevice[] {
	const { instance_uuid, devices, ports } = departure;
	if (devices) {
		const named = source.devices.filter(({ id }) => devices.includes(id));
		// One that several instances keep is there for each of them.
		const own = named.filter(({ instance }) => instance === instance_uuid);
		return [...new Map([...named, ...own].map((device) => [device.id, device])).values()];
	}
	// What is kept for one that was shut off a moment ago need not be what it runs with.
	if (isUnseen(source, departure)) return [];
	const isPort = (id: string) => ports.some(({ address }) => address === id);
	return source.devices.filter(({ id, instance, port }) => instance === instance_uuid && !port && !isPort(id));
}

function missingDevices(source: Snapshot, request: Departure, found: readonly SnapshotDevice[]): readonly Reason[] {
	const { devices, announced, instance_uuid } = request;
	if (devices) {
		const ids = new Set(found.map(({ id }) => id));
		return devices
			.filter((id) => !ids.has(id))
			.map((id) =>
				reason("device.not_found", "precheck", `${source.host} has no device ${JSON.stringify(id)}`, { device: id }),
			);
	}
	if (!isShort(announced, found)) return [];
	const stay = announced.count === 1 ? "1 device that stays" : `${announced.count} devices that stay`;
	const message =
		`Nova knows of ${stay} attached to instance ${instance_uuid} (${announced.names}), ` +
		`the agent of ${source.host} sees ${found.length} in use by it`;
	const kinds = found.length < announced.count ? "" : `, of another kind (${found.map(({ id }) => id).join(", ")})`;
	return [reason("device.unaccounted", "precheck", message + kinds)];
}

/** Nova does not know of every device: none stands for one of another kind. What only a newer agent knows may be of either. */
function isShort({ count, pci }: Announced, found: readonly SnapshotDevice[]): boolean {
	if (pci === undefined) return found.length < count;
	const missing = (wanted: number, is: string) => Math.max(wanted - found.filter(({ kind }) => kind === is).length, 0);
	const unknown = found.filter(({ kind }) => !isKnownKind(kind)).length;
	return missing(pci, "pci") + missing(count - pci, "mdev") > unknown;
}

/** What an agent tells of devices that are compared with nothing; other devices of its host can be. */
export function foreignDevices(host: string, devices: readonly SnapshotDevice[]): readonly Reason[] {
	return devices
		.filter(({ kind }) => !isKnownKind(kind))
		.map(({ id: device, kind }) => {
			const message = `${host} ${device} is ${JSON.stringify(kind)}, a kind of device that novacompat does not know in this version`;
			return reason("agent.bad_reply", "snapshot", message, { device });
		});
}

function notSeen({ instance_uuid, source_host }: Departure): Reason {
	const message = `the agent of ${source_host} does not see instance ${instance_uuid} run, so it cannot tell which devices stay attached`;
	return reason("instance.not_found", "precheck", message);
}

function nothingStays({ instance_uuid, source_host }: Departure): Reason {
	return reason(
		"device.none",
		"precheck",
		`instance ${instance_uuid} on ${source_host} has no device that stays attached`,
	);
}

/** What the target can give: nothing that an instance has already. */
export const freeDevices = once((target: Snapshot): readonly SnapshotDevice[] =>
	target.devices.filter(({ instance, port }) => instance === undefined && !port),
);
