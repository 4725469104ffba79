import type { Attributes } from "../compat/device.ts";
import { MAX_VALUE_LENGTH } from "../snapshot/limits.ts";
import type { SnapshotDevice } from "../snapshot/snapshot.ts";
import type { Reading } from "./reading.ts";
import type { Sysfs } from "./sysfs.ts";

/** What a snapshot takes of a fact, in characters: with more in one, the whole snapshot would be refused. */
const MAX_FACT_LENGTH = 1024;

/** What a directory says of itself: text by attribute name, and the errno of what is there but cannot be read. */
export interface Collected {
	readonly attributes: Attributes;
	readonly unreadable: Readonly<Record<string, string>>;
	/** Path or command that an attribute comes from, unless it is the file of that name in the directory. */
	readonly sources: Readonly<Record<string, string>>;
}

/** Readings by name. A name has a value or is unreadable, never both; what is absent is in neither. */
class Readings {
	readonly values: Record<string, string> = {};
	readonly unreadable: Record<string, string> = {};
	readonly sources: Record<string, string> = {};
	readonly #path: string;

	/** `path`: the directory of the device, whose files need no source. */
	constructor(path: string) {
		this.#path = path;
	}

	has(name: string): boolean {
		return Object.hasOwn(this.values, name) || Object.hasOwn(this.unreadable, name);
	}

	record(name: string, reading: Reading, source: string | undefined): void {
		if (reading === undefined) return;
		if ("value" in reading) this.values[name] = reading.value;
		else this.unreadable[name] = reading.errno;
		if (source !== undefined && source !== `${this.#path}/${name}`) this.sources[name] = source;
	}

	inherit(other: Readings): void {
		const own = new Set([...Object.keys(this.values), ...Object.keys(this.unreadable)]);
		for (const [name, value] of Object.entries(other.values)) {
			if (!own.has(name)) this.record(name, { value }, other.#sourceOf(name));
		}
		for (const [name, errno] of Object.entries(other.unreadable)) {
			if (!own.has(name)) this.record(name, { errno }, other.#sourceOf(name));
		}
	}

	#sourceOf(name: string): string {
		return this.sources[name] ?? `${this.#path}/${name}`;
	}
}

/** What is being found out about one device: attributes, and facts, which are told and never compared. */
export class Findings implements Collected {
	readonly #node: Sysfs;
	readonly #path: string;
	readonly #attributes: Readings;
	readonly #facts: Readings;

	/** `node`: the directory of the device. */
	constructor(node: Sysfs) {
		this.#node = node;
		this.#path = node.path;
		this.#attributes = new Readings(this.#path);
		this.#facts = new Readings(this.#path);
	}

	get attributes(): Attributes {
		return this.#attributes.values;
	}

	get unreadable(): Readonly<Record<string, string>> {
		return this.#attributes.unreadable;
	}

	get sources(): Readonly<Record<string, string>> {
		return this.#attributes.sources;
	}

	has(name: string): boolean {
		return this.#attributes.has(name);
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
		this.record(name, shaped, this.#sourceOf(name, directory, file));
	}

	/** Takes an attribute from elsewhere; `source` says where. Nothing is recorded for an absent one. */
	record(name: string, reading: Reading, source?: string): void {
		const isTooLong = reading !== undefined && "value" in reading && reading.value.length > MAX_VALUE_LENGTH;
		this.#attributes.record(name, isTooLong ? { errno: "EFBIG" } : reading, source);
	}

	/** Takes a fact from a file; `shape` turns its text into the one that a snapshot has, "" is none. */
	readFact(name: string, directory: Sysfs, file = name, shape: (text: string) => string = (text) => text): void {
		const reading = directory.read(file);
		if (reading === undefined) return;
		const shaped = "value" in reading ? { value: shape(reading.value) } : reading;
		this.fact(name, shaped, this.#sourceOf(name, directory, file));
	}

	/** Takes a fact from elsewhere; `source` says where, unless it is what has that name in the directory. A blank one is none. */
	fact(name: string, reading: Reading, source?: string): void {
		if (reading === undefined || !("value" in reading)) this.#facts.record(name, reading, source);
		else if (reading.value.length > MAX_FACT_LENGTH) this.#facts.record(name, { errno: "EFBIG" }, source);
		else if (reading.value !== "") this.#facts.record(name, reading, source);
	}

	/** Takes what is not known yet: the device's own attributes win over those of its type, even where they cannot be read. */
	inherit(type: Findings): void {
		this.#attributes.inherit(type.#attributes);
		this.#facts.inherit(type.#facts);
	}

	#sourceOf(name: string, directory: Sysfs, file: string): string | undefined {
		return directory === this.#node && file === name ? undefined : `${directory.path}/${file}`;
	}

	/** The device as a snapshot has it. */
	device(identity: Pick<SnapshotDevice, "id" | "kind" | "parent" | "capacity">): SnapshotDevice {
		const { values: attributes, unreadable, sources } = this.#attributes;
		const told = this.#facts;
		return {
			...identity,
			path: this.#path,
			attributes,
			unreadable,
			...(isAny(sources) && { sources }),
			...(isAny(told.values) && { facts: told.values }),
			...(isAny(told.unreadable) && { unreadable_facts: told.unreadable }),
			...(isAny(told.sources) && { fact_sources: told.sources }),
		};
	}
}

function isAny(texts: Readonly<Record<string, string>>): boolean {
	return Object.keys(texts).length > 0;
}

function valueOr(value: string | undefined): Reading {
	return value === undefined ? { errno: "EBADMSG" } : { value };
}
