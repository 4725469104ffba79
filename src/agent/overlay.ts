import { fitsOne } from "../compat/device-class.ts";
import type { SnapshotDevice } from "../snapshot/snapshot.ts";

/** What one file adds to which devices, and who says so. */
export interface Overlay {
	/** Its name in the directory. */
	readonly file: string;
	/** Where the values come from, and when that was looked at. */
	readonly source: string;
	readonly date: string;
	readonly devices: readonly OverlayEntry[];
}

export interface OverlayEntry {
	/** Patterns by attribute, of which one must match; `*` is any text. `kind`, `id` and `parent` are those of the device. */
	readonly match: Readonly<Record<string, readonly string[]>>;
	readonly attributes: Readonly<Record<string, string>>;
}

/** An overlay that cannot be used; every problem has its place as `file:line:column`. */
export class OverlayError extends Error {
	override readonly name = "OverlayError";
}

/** An attribute that an overlay would have given a device that has it already: what is there stays. */
interface Ignored {
	readonly file: string;
	readonly device: string;
	readonly attribute: string;
	/** Who has it: `host`, or the file that came before. */
	readonly from: string;
}

/** The devices with what overlays add, and what they could not add. */
export interface Overlaid {
	readonly devices: readonly SnapshotDevice[];
	readonly ignored: readonly Ignored[];
}

/**
 * Adds attributes that no kernel tells. An overlay never overwrites: what the host says, even that it cannot be read, goes
 * before every overlay, and of two overlays the first by name goes before the other. What a device matches is looked for in
 * what the host says, so that the order of overlays changes nothing else.
 */
export function applyOverlays(devices: readonly SnapshotDevice[], overlays: readonly Overlay[]): Overlaid {
	const ignored: Ignored[] = [];
	if (overlays.length === 0) return { devices, ignored };
	const entries = overlays
		.flatMap((by) => by.devices.map((entry) => ({ by, ...entry })))
		.map(({ by, match, attributes }, order) => {
			return { by, order, match: Object.entries(match), attributes: Object.entries(attributes) };
		});
	const entriesFor = entriesById(entries);
	return { devices: devices.map((device) => overlay(device, entriesFor(device.id), ignored)), ignored };
}

/** Taken apart once, not for each device: there may be thousands of both. */
interface Entry {
	readonly by: Overlay;
	/** Among all. */
	readonly order: number;
	readonly match: readonly (readonly [name: string, patterns: readonly string[]])[];
	readonly attributes: readonly (readonly [name: string, value: string])[];
}

/** Those that may be for a device, in their order. An entry that names its devices is looked at for no other: each VF may have one. */
function entriesById(entries: readonly Entry[]): (id: string) => readonly Entry[] {
	const named = new Map<string, Entry[]>();
	const others: Entry[] = [];
	for (const entry of entries) {
		const [, ids = ["*"]] = entry.match.find(([name]) => name === "id") ?? [];
		if (ids.some((id) => id.includes("*"))) {
			others.push(entry);
			continue;
		}
		for (const id of new Set(ids)) {
			const own = named.get(id);
			if (own) own.push(entry);
			else named.set(id, [entry]);
		}
	}
	return (id) => {
		const own = named.get(id);
		return own === undefined ? others : [...others, ...own].sort((a, b) => a.order - b.order);
	};
}

function overlay(device: SnapshotDevice, entries: readonly Entry[], ignored: Ignored[]): SnapshotDevice {
	const added = new Map<string, { readonly value: string; readonly by: Overlay }>();
	for (const { by, match, attributes } of entries) {
		if (!matches(device, match)) continue;
		for (const [attribute, value] of attributes) {
			const from = isKnown(device, attribute) ? "host" : added.get(attribute)?.by.file;
			if (from === undefined) added.set(attribute, { value, by });
			else ignored.push({ file: by.file, device: device.id, attribute, from });
		}
	}
	if (added.size === 0) return device;
	const given = [...added];
	return {
		...device,
		attributes: { ...device.attributes, ...Object.fromEntries(given.map(([name, { value }]) => [name, value])) },
		overlaid: Object.fromEntries(given.map(([name, { by }]) => [name, `${by.file} (${by.source}, ${by.date})`])),
	};
}

function matches(device: SnapshotDevice, match: Entry["match"]): boolean {
	return match.every(([name, patterns]) => {
		const text = textOf(device, name);
		return text !== undefined && fitsOne(name, text, patterns);
	});
}

function textOf({ id, kind, parent, attributes }: SnapshotDevice, name: string): string | undefined {
	if (name === "id") return id;
	if (name === "kind") return kind;
	if (name === "parent") return parent;
	return Object.hasOwn(attributes, name) ? attributes[name] : undefined;
}

function isKnown({ attributes, unreadable }: SnapshotDevice, name: string): boolean {
	return Object.hasOwn(attributes, name) || Object.hasOwn(unreadable, name);
}
