import { setTimeout as sleep } from "node:timers/promises";
import type { MadeCheck, UnmadeCheck } from "../precheck.ts";
import { entriesOf, JOURNAL_ENTRY } from "./entry.ts";
import { JournalFiles, type JournalOptions } from "./files.ts";
import { sealLine } from "./line.ts";

/** Checks that wait to be written; their snapshots are held in memory as long. */
const MAX_WAITING = 512;
const RETRY_AFTER_MS = 5_000;
const CLOSE_WITHIN_MS = 2_000;

/** Where it is said what became of the journal. */
interface Log {
	warning(text: string): void;
	info(text: string): void;
}

/**
 * Writes down what was decided and from what, beside the work: no check waits for the disk, and what cannot be written is counted
 * and lost. A snapshot, device or policy that is in the file already is only referred to.
 */
export class Journal {
	readonly #files: JournalFiles;
	readonly #directory: string;
	readonly #log: Log;
	readonly #waiting: (MadeCheck | UnmadeCheck)[] = [];
	/** What the current file has, by digest. */
	readonly #known = new Set<string>();
	#work: Promise<void> | undefined;
	/** On the clock of `performance.now()`. */
	#retryAt = 0;
	/** Decisions, since the last one that was written; said once when it begins and once when it ends. */
	#lost = 0;
	#lostEver = 0;

	constructor(options: JournalOptions, log: Log) {
		this.#files = new JournalFiles(options);
		this.#directory = options.directory;
		this.#log = log;
	}

	/** Never throws and never waits. */
	readonly record = (made: MadeCheck | UnmadeCheck): void => {
		if (performance.now() < this.#retryAt) this.#lose(1, "");
		else if (this.#waiting.length >= MAX_WAITING) this.#lose(1, "the disk is too slow");
		else {
			this.#waiting.push(made);
			this.open();
		}
	};

	/** Begins to write, also when nothing waits: where that is not possible it is said at once, not with the first decision. */
	open(): void {
		this.#work ??= this.#write().finally(() => {
			this.#work = undefined;
			// What came when the last one had just been written.
			if (this.#waiting.length > 0) this.open();
		});
	}

	/** Decisions that wait to be written, and those that were lost since the service started. */
	state() {
		return { waiting: this.#waiting.length, lost: this.#lostEver };
	}

	/** Writes what waits, if that takes no longer than two seconds. */
	async close(): Promise<void> {
		const done = new AbortController();
		const written = this.#idle().then(() => this.#files.leave());
		const late = sleep(CLOSE_WITHIN_MS, undefined, { signal: done.signal }).catch(() => undefined);
		await Promise.race([written, late]);
		done.abort();
	}

	async #idle(): Promise<void> {
		while (this.#work !== undefined) await this.#work;
	}

	async #write(): Promise<void> {
		try {
			if (await this.#files.begin()) this.#known.clear();
			for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
				await this.#append(next);
				this.#waiting.shift();
				if (this.#waiting.length === 0) this.#regained();
			}
		} catch (error) {
			await this.#files.leave();
			const lost = this.#waiting.splice(0).length;
			if (lost > 0) this.#retryAt = performance.now() + RETRY_AFTER_MS;
			this.#lose(lost, error instanceof Error ? error.message : String(error));
		}
	}

	async #append(made: MadeCheck | UnmadeCheck): Promise<void> {
		let written = this.#lines(made);
		if (this.#files.isFullFor(written.text.length)) {
			await this.#files.next();
			this.#known.clear();
			written = this.#lines(made);
		}
		await this.#files.append(written.text);
		for (const digest of written.digests) this.#known.add(digest);
	}

	/** A check with all that it refers to and the file does not have. */
	#lines(made: MadeCheck | UnmadeCheck): { readonly text: Buffer; readonly digests: ReadonlySet<string> } {
		const digests = new Set<string>();
		const lines = this.#known.size === 0 ? [sealLine(JOURNAL_ENTRY)] : [];
		for (const entry of entriesOf(made)) {
			if ("digest" in entry) {
				if (this.#known.has(entry.digest) || digests.has(entry.digest)) continue;
				digests.add(entry.digest);
			}
			lines.push(sealLine(entry));
		}
		return { text: Buffer.from(lines.join("")), digests };
	}

	#lose(count: number, why: string): void {
		if (this.#lost === 0) {
			this.#log.warning(
				`journal ${this.#directory}: ${why}; checks go on, decisions are not written down until it works again`,
			);
		}
		this.#lost += count;
		this.#lostEver += count;
	}

	#regained(): void {
		if (this.#lost === 0) return;
		this.#log.info(`journal ${this.#directory}: works again, ${this.#lost} decisions were lost`);
		this.#lost = 0;
	}
}
