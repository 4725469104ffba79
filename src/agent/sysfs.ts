import {
	closeSync,
	constants,
	fstatSync,
	lstatSync,
	openSync,
	readdirSync,
	readlinkSync,
	readSync,
	realpathSync,
	statSync,
} from "node:fs";
import { dirname, join, posix, relative, resolve, sep } from "node:path";

/** One page: the most that a sysfs attribute can hold (Documentation/filesystems/sysfs.rst). */
const PAGE_BYTES = 4096;
const MAX_ATTRIBUTE_BYTES = PAGE_BYTES;

/** O_NONBLOCK: opening a FIFO must not wait for a writer. Node adds O_CLOEXEC to every open itself. */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;

/** A path that is more than one name. */
const HAS_STEPS = /\/|^\.\.?$/;

const ASCII_WITHOUT_NUL = /^[^\0\u0080-\u00ff]*$/;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** The tree cannot be read at all; one unreadable attribute is a `Reading`, not this. */
export class SysfsError extends Error {
	override readonly name = "SysfsError";
}

/**
 * What reading one attribute gave; `undefined` means absent, which is not the same as unreadable.
 *
 * Besides the kernel's own (`EIO`, `ENODEV`, `EACCES`, `EBUSY` ...) `errno` is one of: `EXDEV` a link leads out of the
 * tree, `ELOOP` links run in a circle, `EISDIR` a directory, `EINVAL` not a regular file (FIFO, socket, device node),
 * `EFBIG` more than one page, `EILSEQ` not ASCII text.
 */
export type Reading = { readonly value: string } | { readonly errno: string } | undefined;

/** Who looks after a scan: a read of sysfs can take as long as the driver behind it likes. */
export interface ScanWatch {
	/** Real paths of attributes that a read did not come back from: they are unreadable, `ETIMEDOUT`. */
	readonly stuck: ReadonlySet<string>;
	/** Called before every read. */
	alive(): void;
}

const UNWATCHED: ScanWatch = { stuck: new Set(), alive: () => undefined };

/** A directory that `readWhole` gave up, and why. */
export interface Dropped {
	readonly path: string;
	readonly reason: string;
}

/** What all directories of one tree share. */
interface Tree {
	readonly root: string;
	readonly watch: ScanWatch;
	readonly dropped: Dropped[];
	readonly buffer: Buffer;
	/** Directories without a link in their path: what stands in one of them needs no walk down from the root. */
	readonly walked: Set<string>;
}

/**
 * Opens a sysfs tree: the directory that holds `bus/` and `devices/`, as /sys does.
 * @throws {SysfsError} when there is no such tree
 */
export function openSysfs(root: string, watch = UNWATCHED): Sysfs {
	const path = attempt(() => realpathSync.native(root));
	if (typeof path !== "string")
		throw new SysfsError(`sysfs root ${root} cannot be used (${path.errno}): expected a directory like /sys`);
	const bus = attempt(() => statSync(join(path, "bus")).isDirectory());
	if (bus !== true)
		throw new SysfsError(`sysfs root ${root} has no bus directory: expected bus/ and devices/ below it, as in /sys`);
	const buffer = Buffer.allocUnsafe(MAX_ATTRIBUTE_BYTES + 1);
	const tree = { root: path, watch, dropped: [], buffer, walked: new Set<string>() };
	return new Sysfs(tree, path, lstatSync(path, { bigint: true }).ino);
}

/**
 * One directory of a sysfs tree. Every read of /sys passes here: it stays below the root that the tree was opened with,
 * is bounded in size and never waits. Nothing is ever written.
 */
export class Sysfs {
	readonly #tree: Tree;
	readonly #real: string;
	readonly #inode: bigint;
	#names: readonly string[] | undefined;

	/** Use `openSysfs` and `directory`, which check that `real` lies below the root and holds no link. */
	constructor(tree: Tree, real: string, inode: bigint) {
		this.#tree = tree;
		this.#real = real;
		this.#inode = inode;
	}

	/** Where the directory really is, below the root: `devices/pci0000:3a/0000:3a:00.0/0000:3b:10.0`. */
	get path(): string {
		return relative(this.#tree.root, this.#real).split(sep).join(posix.sep);
	}

	/** What has been given up in this tree so far. */
	get dropped(): readonly Dropped[] {
		return this.#tree.dropped;
	}

	drop(reason: string): void {
		this.#tree.dropped.push({ path: this.path, reason });
	}

	/** The directory at `path` below this one, links followed; undefined when absent, no directory or outside the tree. */
	directory(path: string): Sysfs | undefined {
		if (HAS_STEPS.test(path)) return this.#opened(this.#contained(path));
		const target = attempt(() => readlinkSync(`${this.#real}/${path}`));
		if (typeof target !== "string") {
			return target.errno === "EINVAL" ? this.#opened(`${this.#real}/${path}`) : undefined;
		}
		// Where a walk has led before, none is needed: 4,096 VFs stand below a few bridges.
		const direct = resolve(this.#real, target);
		const known = this.#tree.walked.has(dirname(direct)) ? this.#opened(direct) : undefined;
		return known ?? this.#opened(this.#contained(path));
	}

	/** Names in this directory when first asked, sorted by code unit; none when it had vanished. */
	list(): readonly string[] {
		this.#names ??= listed(this.#real);
		return this.#names;
	}

	/** The text of the attribute `name`, without one trailing newline and trailing NULs. */
	read(name: string): Reading {
		let content = this.#attribute(`${this.#real}/${name}`);
		if ("errno" in content && content.errno === "ELOOP") {
			const real = this.#contained(name);
			content = typeof real === "string" ? this.#attribute(real) : real;
		}
		if (!("errno" in content)) return text(content);
		// ENODEV is not "gone": a driver may answer so for a device that is still there.
		return content.errno === "ENOENT" || content.errno === "ENOTDIR" ? undefined : content;
	}

	/**
	 * The last name in the target of the link `name`: a driver, a PCI address. The target itself may be absent, as it is
	 * while a device is being unbound; its name is known all the same.
	 */
	link(name: string): Reading {
		const target = attempt(() => readlinkSync(`${this.#real}/${name}`));
		if (typeof target !== "string") return isGone(target.errno) ? undefined : target;
		const path = resolve(this.#real, target);
		return this.#isBelowRoot(path) ? { value: posix.basename(path) } : { errno: "EXDEV" };
	}

	/** Equal for two `Sysfs` of the same directory that saw the same names in it; a device plugged anew differs. */
	stamp(): string {
		return `${this.#real} ${this.#inode}/${this.list().join("/")}`;
	}

	#attribute(real: string): Buffer | { readonly errno: string } {
		const { watch, buffer } = this.#tree;
		if (watch.stuck.has(real)) return { errno: "ETIMEDOUT" };
		watch.alive();
		return readInto(buffer, real);
	}

	/** `real` has no link in it, unless its last name is one, which is no directory. */
	#opened(real: string | { readonly errno: string }): Sysfs | undefined {
		if (typeof real !== "string") return undefined;
		const status = lstatSync(real, { bigint: true, throwIfNoEntry: false });
		return status?.isDirectory() ? new Sysfs(this.#tree, real, status.ino) : undefined;
	}

	#contained(path: string): string | { readonly errno: string } {
		const { root, walked } = this.#tree;
		const real = attempt(() => realpathSync.native(`${this.#real}/${path}`));
		if (typeof real !== "string") return real;
		if (!this.#isBelowRoot(real)) return { errno: "EXDEV" };
		if (real !== root) walked.add(dirname(real));
		return real;
	}

	#isBelowRoot(path: string): boolean {
		const { root } = this.#tree;
		return path === root || path.startsWith(root.endsWith(sep) ? root : root + sep);
	}
}

/**
 * Reads one device as a whole: what `read` gives if the directory was the same before and after. A device that changed
 * meanwhile is read once more, then given up: it is better absent from a snapshot than half described.
 */
export function readWhole<T>(open: () => Sysfs | undefined, read: (node: Sysfs) => T | undefined): T | undefined {
	let node = open();
	for (let tries = 0; tries < 2 && node !== undefined; tries++) {
		const before = node.stamp();
		const result = read(node);
		const again = open();
		if (again?.stamp() === before) return result;
		node = again;
	}
	node?.drop("it changed twice while it was read");
	return undefined;
}

/** Reads a regular file of at most `limit` bytes without following a final link and without ever waiting for it. */
export function readBounded(path: string, limit: number): Buffer | { readonly errno: string } {
	return readInto(Buffer.allocUnsafe(limit + 1), path);
}

/** The part of the buffer that the file fills; one that fills it all is too large. */
function readInto(buffer: Buffer, path: string): Buffer | { readonly errno: string } {
	return attempt(() => {
		const descriptor = openSync(path, OPEN_FLAGS);
		try {
			const status = fstatSync(descriptor);
			if (!status.isFile()) return { errno: status.isDirectory() ? "EISDIR" : "EINVAL" };
			let length = 0;
			while (length < buffer.length) {
				const read = readSync(descriptor, buffer, length, buffer.length - length, null);
				length += read;
				// The kernel hands out whole pages, until the last.
				if (read === 0 || read % PAGE_BYTES !== 0) break;
			}
			return length < buffer.length ? buffer.subarray(0, length) : { errno: "EFBIG" };
		} finally {
			closeSync(descriptor);
		}
	});
}

function listed(path: string): readonly string[] {
	const names = attempt(() => readdirSync(path).sort());
	if (!("errno" in names)) return names;
	if (isGone(names.errno)) return [];
	throw new SysfsError(`sysfs directory ${path} cannot be listed: ${names.errno}`);
}

/** NULs inside the text make it unreadable: dropping them could make two different values equal. */
function text(content: Buffer): Reading {
	let end = trimNuls(content, content.length);
	if (content[end - 1] === LINE_FEED) end -= content[end - 2] === CARRIAGE_RETURN ? 2 : 1;
	const kept = content.subarray(0, trimNuls(content, end));
	const value = kept.toString("latin1");
	return ASCII_WITHOUT_NUL.test(value) ? { value } : { errno: "EILSEQ" };
}

function trimNuls(content: Buffer, end: number): number {
	let kept = end;
	while (content[kept - 1] === 0) kept--;
	return kept;
}

function isGone(errno: string): boolean {
	return errno === "ENOENT" || errno === "ENOTDIR" || errno === "ENODEV";
}

/** Node's file system errors as values; any other error is a fault of ours and is thrown on. */
function attempt<T>(operation: () => T): T | { readonly errno: string } {
	try {
		return operation();
	} catch (error) {
		const code = error instanceof Error && "code" in error ? error.code : undefined;
		if (typeof code === "string" && /^E[A-Z0-9]+$/.test(code)) return { errno: code };
		throw error;
	}
}
