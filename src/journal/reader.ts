import { statSync } from "node:fs";
import type { Policy } from "../compat/policy.ts";
import type { Asked, Basis } from "../precheck.ts";
import type { Snapshot, SnapshotDevice } from "../snapshot/snapshot.ts";
import { SnapshotError } from "../snapshot/source.ts";
import { z } from "../zod.ts";
import { CannotBeMadeAgain } from "./cannot-be-made-again.ts";
import { type DecisionEntry, Entry, type SnapshotEntry } from "./entry.ts";
import { journalFiles } from "./files.ts";
import { DamagedLine, openLine } from "./line.ts";
import { linesIn } from "./lines.ts";

/** A decision of a journal. */
export interface JournalEntry extends DecisionEntry {
	/** `file:line`. */
	readonly place: string;
	/** What it was made of; throws CannotBeMadeAgain, with the place, when a line that it refers to is lost, or no check came to it. */
	readonly basis: () => Basis;
}

/**
 * The decisions of journals in the order in which they were written; a path is a file or a directory of them. What is
 * damaged is told, as `file:line: what is wrong`, and left out.
 */
export function* readJournal(
	paths: readonly string[],
	damaged: (text: string) => void,
): Generator<JournalEntry, void, undefined> {
	for (const path of paths) {
		const files = statSync(path).isDirectory() ? journalFiles(path) : [path];
		for (const file of files) {
			const lines = new JournalLines(damaged);
			let number = 0;
			for (const line of linesIn(file)) {
				number++;
				const entry = line.length > 0 ? lines.read(line, `${file}:${number}`) : undefined;
				if (entry) yield entry;
			}
		}
	}
}

/** The lines of one file in their order, with what they have told so far. */
export class JournalLines {
	readonly #damaged: (text: string) => void;
	readonly #devices = new Map<string, SnapshotDevice>();
	readonly #hosts = new Map<string, SnapshotEntry["snapshot"]>();
	readonly #snapshots = new Map<string, Snapshot>();
	readonly #policies = new Map<string, Policy>();

	constructor(damaged: (text: string) => void) {
		this.#damaged = damaged;
	}

	/** The decision on the line, if there is one. `place`: `file:line`. */
	read(line: Buffer, place: string): JournalEntry | undefined {
		const entry = this.#read(line, place);
		if (entry?.type === "decision") return { ...entry, place, basis: () => this.#basisOf(entry, place) };
		if (entry) this.#keep(entry);
		return undefined;
	}

	#read(line: Buffer, place: string): Entry | undefined {
		try {
			const result = Entry.safeParse(openLine(line));
			if (result.success) return result.data;
			this.#damaged(`${place}: no entry of a journal: ${z.prettifyError(result.error).replaceAll("\n", " ")}`);
		} catch (error) {
			if (!(error instanceof DamagedLine)) throw error;
			this.#damaged(`${place}: ${error.message}`);
		}
		return undefined;
	}

	#keep(entry: Exclude<Entry, DecisionEntry>): void {
		if (entry.type === "device") this.#devices.set(entry.digest, entry.device);
		else if (entry.type === "snapshot") this.#hosts.set(entry.digest, entry.snapshot);
		else if (entry.type === "policy") this.#policies.set(entry.digest, entry.policy);
	}

	#basisOf({ source, target, policy: digest, unchecked, decision }: DecisionEntry, place: string): Basis {
		if (unchecked) {
			const why = decision.reasons.map(({ code }) => code).join(", ");
			throw new CannotBeMadeAgain(place, `no check came to it (${why})`);
		}
		try {
			const policy = this.#policies.get(digest);
			if (!policy) throw new DamagedLine(`the line of policy ${digest} is damaged`);
			return { source: this.#askedOf(source), target: this.#askedOf(target), policy };
		} catch (error) {
			if (!(error instanceof DamagedLine)) throw error;
			throw new CannotBeMadeAgain(place, error.message);
		}
	}

	#askedOf({ snapshot: digest, error, age }: DecisionEntry["source"]): Asked {
		const snapshot = digest === undefined ? undefined : this.#snapshotOf(digest);
		if (error) {
			const stale = snapshot && age !== undefined ? { stale: { snapshot, age } } : {};
			return new SnapshotError(error.code, error.message, stale);
		}
		return snapshot ?? "not asked";
	}

	/** The same object for the same digest: the engine looks at it once. */
	#snapshotOf(digest: string): Snapshot {
		const known = this.#snapshots.get(digest);
		if (known) return known;
		const host = this.#hosts.get(digest);
		if (!host) throw new DamagedLine(`the line of snapshot ${digest} is damaged`);
		const devices = host.devices.map((one) => {
			const device = this.#devices.get(one);
			if (!device) throw new DamagedLine(`the line of device ${one} of ${host.host} is damaged`);
			return device;
		});
		const snapshot = { ...host, devices };
		this.#snapshots.set(digest, snapshot);
		return snapshot;
	}
}
