import type { Attributes } from "../compat/device.ts";
import type { SnapshotDevice } from "../snapshot/snapshot.ts";
import type { Reading } from "./reading.ts";
import type { Sysfs } from "./sysfs.ts";

/** What a directory says of itself: text by attribute name, and the errno of what is there but cannot be read. */
export interface Collected {
	readonly attributes: Attributes;
	readonly unreadable: Readonly<Record<string, string>>;
	/** Path or command that an attribute comes from, unless it is the file of that name in the directory. */
	readonly sources: Readonly<Record<string, string>>;
}

/** What is being found out about one device. A name is an attribute or unreadable, never both; what is absent is in neither. */
export class Findings implements Collected {
	readonly attributes: Record<string, string> = {};
	readonly unreadable: Record<string, string> = {};
	readonly sources: Record<string, string> = {};
	/** Told and never compared: where the device is, what it is doing. */
	readonly facts: Record<string, string> = {};
	readonly #node: Sysfs;
	readonly #path: string;

	/** `node`: the directory of the device. */
	constructor(node: Sysfs) {
		this.#node = node;
		this.#path = node.path;
	}

	has(name: string): boolean {
		return Object.hasOwn(this.attributes, name) || Object.hasOwn(this.unreadable, name);
	}

	/** Takes the attribute from a file; `shape` turns its text into the one that a snapshot has, undefined is `EBADMSG`. */
	read(
		name: string,
		directory: Sysfs,
		file = name,
		shape: (text: string) => string | undefined = (text) => text,
	): void {
		const reading = directory.read(file);
		if (reading === undefined) return;
		const shaped = "value" in reading ? valueOr(shape(reading.value)) : reading;
		const isOwnFile = directory === this.#node && file === name;
		this.record(name, shaped, isOwnFile ? undefined : `${directory.path}/${file}`);
	}

	/** Takes an attribute from elsewhere; `source` says where. Nothing is recorded for an absent one. */
	record(name: string, reading: Reading, source?: string): void {
		if (reading === undefined) return;
		if ("value" in reading) this.attributes[name] = reading.value;
		else this.unreadable[name] = reading.errno;
		if (source !== undefined && source !== `${this.#path}/${name}`) this.sources[name] = source;
	}

	/** Takes what is not known yet: the device's own attributes win over those of its type, even where they cannot be read. */
	inherit(type: Findings): void {
		const own = new Set([...Object.keys(this.attributes), ...Object.keys(this.unreadable)]);
		for (const [name, value] of Object.entries(type.attributes)) {
			if (!own.has(name)) this.record(name, { value }, type.#sourceOf(name));
		}
		for (const [name, errno] of Object.entries(type.unreadable)) {
			if (!own.has(name)) this.record(name, { errno }, type.#sourceOf(name));
		}
	}

	fact(name: string, reading: Reading): void {
		if (reading !== undefined && "value" in reading && reading.value !== "") this.facts[name] = reading.value;
	}

	#sourceOf(name: string): string {
		return this.sources[name] ?? `${this.#path}/${name}`;
	}

	/** The device as a snapshot has it. */
	device(identity: Pick<SnapshotDevice, "id" | "kind" | "parent" | "capacity">): SnapshotDevice {
		const { attributes, unreadable, sources, facts } = this;
		return {
			...identity,
			path: this.#path,
			attributes,
			unreadable,
			...(Object.keys(sources).length > 0 && { sources }),
			...(Object.keys(facts).length > 0 && { facts }),
		};
	}
}

function valueOr(value: string | undefined): Reading {
	return value === undefined ? { errno: "EBADMSG" } : { value };
}
