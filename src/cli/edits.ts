import type { Basis } from "../precheck.ts";
import type { Snapshot, SnapshotDevice } from "../snapshot/snapshot.ts";
import { SnapshotError } from "../snapshot/source.ts";
import { UsageError } from "./exit-codes.ts";
import { noDevice } from "./hosts.ts";

const PATH = /^(source|target)\.devices\[([^\]]+)\]\.(attributes|unreadable)\.([^=.\s][^=]*)$/;
const OTHERS = "with target for source, unreadable for attributes, * for every ID";

/** What shall be otherwise: a path, and the text that shall be there; none when nothing shall. */
export interface Edit {
	readonly path: string;
	readonly value: string | undefined;
}

/** `path=value` each of --set, and a path each of --unset. */
export function readEdits(set: readonly string[], unset: readonly string[]): readonly Edit[] {
	const changed = set.map((word) => {
		const [, path, value] = /^([^=]*)=(.*)$/s.exec(word) ?? [];
		if (path !== undefined && value !== undefined) return { path, value };
		throw new UsageError(
			`--set is ${JSON.stringify(word)}, expected source.devices[ID].attributes.NAME=VALUE, ${OTHERS}`,
		);
	});
	return [...changed, ...unset.map((path) => ({ path, value: undefined }))];
}

/** What a check is made of after the edits; a snapshot that was not to be had cannot be edited. */
export function edited(basis: Basis, edits: readonly Edit[]): Basis {
	const { policy } = basis;
	const sides = { source: basis.source, target: basis.target };
	for (const { path, value } of edits) {
		const [, side, id, group, name] = PATH.exec(path) ?? [];
		if (
			(side !== "source" && side !== "target") ||
			(group !== "attributes" && group !== "unreadable") ||
			!id ||
			!name
		) {
			throw new UsageError(
				`${JSON.stringify(path)} is no path, expected source.devices[ID].attributes.NAME, ${OTHERS}`,
			);
		}
		const snapshot = sides[side];
		if (snapshot === "not asked" || snapshot instanceof SnapshotError) {
			const why = snapshot === "not asked" ? snapshot : snapshot.code;
			throw new UsageError(`${path}: there is no snapshot of the ${side} (${why}), give one with --${side}`);
		}
		sides[side] = editedSnapshot(snapshot, id, (device) => editedDevice(device, group, name, value));
	}
	return { ...sides, policy };
}

function editedSnapshot(snapshot: Snapshot, id: string, edit: (device: SnapshotDevice) => SnapshotDevice): Snapshot {
	if (id !== "*" && !snapshot.devices.some((device) => device.id === id)) throw noDevice(snapshot, id);
	const devices = snapshot.devices.map((device) => (id === "*" || device.id === id ? edit(device) : device));
	return { ...snapshot, devices };
}

/** A text that is set can be read, and is no overlay's any more. */
function editedDevice(
	device: SnapshotDevice,
	group: "attributes" | "unreadable",
	name: string,
	value: string | undefined,
): SnapshotDevice {
	const { [name]: _attribute, ...attributes } = device.attributes;
	const { [name]: _errno, ...unreadable } = device.unreadable;
	const { [name]: _overlay, ...overlaid } = device.overlaid ?? {};
	const bare = { ...device, attributes, unreadable, ...(device.overlaid && { overlaid }) };
	return value === undefined ? bare : { ...bare, [group]: { ...bare[group], [name]: value } };
}
