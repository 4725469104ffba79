import { readdirSync } from "node:fs";
import { type FileHandle, mkdir, open, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";

export interface JournalOptions {
	readonly directory: string;
	/** Bytes. */
	readonly max_file_size: number;
	readonly max_files: number;
}

export const DEFAULT_JOURNAL_DIR = "/var/lib/novacompat/journal";

const NAME = /^journal-(\d{6,})\.jsonl$/;
const NEWLINE = 0x0a;
/** Between looks at whether the file is still where it was. */
const LOOK_MS = 1_000;
/** What neither the owner of a file nor its group may do with it. */
const FOR_OTHERS = 0o007;

interface OpenFile {
	readonly handle: FileHandle;
	readonly number: number;
	size: number;
}

/** The files of a journal, the oldest first. Their names are numbers, so a place in one stays where it is. */
export function journalFiles(directory: string): readonly string[] {
	return numbersIn(directory).map((number) => join(directory, nameOf(number)));
}

function numbersIn(directory: string): readonly number[] {
	return readdirSync(directory)
		.flatMap((name) => NAME.exec(name)?.[1] ?? [])
		.map(Number)
		.sort((a, b) => a - b);
}

const nameOf = (number: number) => `journal-${String(number).padStart(6, "0")}.jsonl`;

/** Appends to the last file of a directory, and begins a new one when it is full; the oldest ones go. */
export class JournalFiles {
	readonly #options: JournalOptions;
	#file: OpenFile | undefined;
	/** On the clock of `performance.now()`. */
	#lookedAt = 0;

	constructor(options: JournalOptions) {
		this.#options = options;
	}

	/** Whether so many bytes more belong into another file. One that is empty takes anything. */
	isFullFor(bytes: number): boolean {
		return this.#file !== undefined && this.#file.size > 0 && this.#file.size + bytes > this.#options.max_file_size;
	}

	/** Ready to append; true when nothing in the file was written by us, so that nothing may be referred to. */
	async begin(): Promise<boolean> {
		if (this.#file && (await this.#isInPlace(this.#file))) return false;
		await this.leave();
		const { directory, max_file_size } = this.#options;
		await makeDirectory(directory);
		const last = numbersIn(directory).at(-1) ?? 1;
		const size = await sizeOf(join(directory, nameOf(last)));
		await this.#open(size < max_file_size ? last : last + 1);
		return true;
	}

	async append(bytes: Buffer): Promise<void> {
		const file = this.#file;
		if (!file) throw new Error("begin comes before append");
		for (let written = 0; written < bytes.length; ) {
			const { bytesWritten } = await file.handle.write(bytes, written);
			written += bytesWritten;
			file.size += bytesWritten;
		}
	}

	/** Leaves the file, whatever state it is in. */
	async leave(): Promise<void> {
		const file = this.#file;
		this.#file = undefined;
		await file?.handle.close().catch(() => undefined);
	}

	/** Goes on in a new file. */
	async next(): Promise<void> {
		const { number = 0 } = this.#file ?? {};
		await this.leave();
		await this.#open(number + 1);
	}

	/** Somebody may have removed it, moved it away or emptied it: nobody would read there what is written on. */
	async #isInPlace({ handle, number, size }: OpenFile): Promise<boolean> {
		if (performance.now() - this.#lookedAt < LOOK_MS) return true;
		this.#lookedAt = performance.now();
		const ours = await handle.stat();
		const there = await stat(join(this.#options.directory, nameOf(number))).catch(noneIfAbsent);
		const isSame = there?.ino === ours.ino && there.dev === ours.dev;
		return isSame && (ours.size >= size || !ours.isFile());
	}

	async #open(number: number): Promise<void> {
		const { directory, max_files } = this.#options;
		const handle = await open(join(directory, nameOf(number)), "a+", 0o640);
		const { size, mode } = await handle.stat();
		this.#file = { handle, number, size };
		// One that was there may be for all to read: devices and instances of the cloud are in it.
		if ((mode & FOR_OTHERS) !== 0) await handle.chmod(mode & ~FOR_OTHERS & 0o7777);
		// Whoever wrote last may have been killed in the middle of a line, or had no room for it.
		if (!(await endsWithNewline(handle, this.#file.size))) await this.append(Buffer.from("\n"));
		const old = numbersIn(directory).slice(0, -max_files);
		await Promise.all(old.map((one) => rm(join(directory, nameOf(one)), { force: true })));
	}
}

/** As `recursive` does, which tries without end where nothing can be made below a directory that is there, as in /proc. */
async function makeDirectory(directory: string, parentIsThere = false): Promise<void> {
	try {
		await mkdir(directory, 0o750);
	} catch (error) {
		const { code } = error as NodeJS.ErrnoException;
		if (code === "EEXIST") return;
		if (code !== "ENOENT" || parentIsThere) throw error;
		await makeDirectory(dirname(directory));
		await makeDirectory(directory, true);
	}
}

async function sizeOf(file: string): Promise<number> {
	return (await stat(file).catch(noneIfAbsent))?.size ?? 0;
}

function noneIfAbsent(error: unknown): undefined {
	if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
}

async function endsWithNewline(handle: FileHandle, size: number): Promise<boolean> {
	if (size === 0) return true;
	const { buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
	return buffer[0] === NEWLINE;
}
