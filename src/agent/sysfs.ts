import { type BigIntStats, lstatSync, readdirSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join, resolve, sep } from "node:path";
import { attempt, isGone, PAGE_BYTES, readInto } from "./bounded-file.ts";
import { type Reading, readingOf } from "./reading.ts";

/** A path that is more than one name. */
const HAS_STEPS = /\/|^\.\.?$/;

/** Up to the bus of the last PCI function in a path. */
const BUS = /^.*\/[0-9a-f]{4}:[0-9a-f]{2}:(?=[01][0-9a-f]\.[0-7]\/)/;

/** The tree cannot be read at all; one unreadable attribute is a `Reading`, not this. */
export class SysfsError extends Error {
	override readonly name: string = "SysfsError";
}

/** One directory of the tree is there and cannot be listed. */
export class UnlistableError extends SysfsError {
	override readonly name = "UnlistableError";
	readonly errno: string;

	constructor(path: string, errno: string) {
		super(`sysfs directory ${path} cannot be listed: ${errno}`);
		this.errno = errno;
	}
}

/** Who looks after a scan: a read of sysfs can take as long as the driver behind it likes. */
export interface ScanWatch {
	/**
	 * Real paths of attributes that a read did not come back from: they are unreadable, `ETIMEDOUT`, and so is what has the same
	 * name elsewhere on the same bus. The driver of a board hangs for each of its functions, and each would cost a scan.
	 */
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
	/** What the path of everything below the root begins with. */
	readonly prefix: string;
	readonly watch: ScanWatch;
	/** What `watch.stuck` stands for, by `onItsBus`. */
	readonly stuck: ReadonlySet<string>;
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
	return opened(path, watch);
}

/**
 * Opens what the kernel tells of the same host in its other tree: `/proc` beside `/sys`, `<host>/proc` beside `<host>/sys`;
 * undefined where there is none, or where the sysfs tree has another name and so stands beside nothing of its host.
 */
export function openProc(sysfsRoot: string, watch = UNWATCHED): Sysfs | undefined {
	if (basename(resolve(sysfsRoot)) !== "sys") return undefined;
	const path = attempt(() => realpathSync.native(join(sysfsRoot, "../proc")));
	return typeof path === "string" && lstatSync(path).isDirectory() ? opened(path, watch) : undefined;
}

function opened(path: string, watch: ScanWatch): Sysfs {
	const buffer = Buffer.allocUnsafe(PAGE_BYTES + 1);
	const prefix = path.endsWith(sep) ? path : path + sep;
	const stuck = new Set([...watch.stuck].map(onItsBus));
	const tree = { root: path, prefix, watch, stuck, dropped: [], buffer, walked: new Set<string>() };
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
	/** Why nothing in it can be reached; `#real` may have links in it then. */
	readonly #closed: { readonly errno: string } | undefined;
	#names: readonly string[] | undefined;

	/** Use `openSysfs` and `directory`, which check that `real` lies below the root and holds no link. */
	constructor(tree: Tree, real: string, inode: bigint, closed?: { readonly errno: string }) {
		this.#tree = tree;
		this.#real = real;
		this.#inode = inode;
		this.#closed = closed;
	}

	/** Where the directory really is, below the root: `devices/pci0000:3a/0000:3a:00.0/0000:3b:10.0`. */
	get path(): string {
		return this.#real.slice(this.#tree.prefix.length);
	}

	/** What has been given up in this tree so far. */
	get dropped(): readonly Dropped[] {
		return this.#tree.dropped;
	}

	drop(reason: string): void {
		this.#tree.dropped.push({ path: this.path, reason });
	}

	/**
	 * The directory at `path` below this one, links followed; undefined when absent, no directory or outside the tree. Should
	 * the kernel not tell (`EACCES`, `EIO`), everything in it is unreadable by that errno.
	 */
	directory(path: string): Sysfs | undefined {
		if (this.#closed || HAS_STEPS.test(path)) return this.#openedOr(path, this.#closed ?? this.#contained(path));
		const own = `${this.#real}/${path}`;
		// Most are no links, or not there: an error for each would cost more than a look.
		const status = statusOf(own);
		if (status === undefined || "errno" in status || !status.isSymbolicLink()) return this.#opened(path, own, status);
		const target = attempt(() => readlinkSync(own));
		if (typeof target !== "string") return this.#openedOr(path, target);
		// Where a walk has led before, none is needed: 4,096 VFs stand below a few bridges.
		const direct = resolve(this.#real, target);
		const known = this.#tree.walked.has(dirname(direct)) ? this.#openedOr(path, direct) : undefined;
		return known ?? this.#openedOr(path, this.#contained(path));
	}

	/** Names in this directory when first asked, sorted by code unit; none when it had vanished. @throws {UnlistableError} */
	list(): readonly string[] {
		if (this.#closed) throw new UnlistableError(this.#real, this.#closed.errno);
		this.#names ??= listed(this.#real);
		return this.#names;
	}

	/** The text of the attribute `name`, without one trailing newline and trailing NULs. */
	read(name: string): Reading {
		if (this.#closed) return this.#closed;
		let content = this.#attribute(`${this.#real}/${name}`);
		if ("errno" in content && content.errno === "ELOOP") {
			const real = this.#contained(name);
			content = typeof real === "string" ? this.#attribute(real) : real;
		}
		if (!("errno" in content)) return readingOf(content);
		// ENODEV is not "gone": a driver may answer so for a device that is still there.
		return content.errno === "ENOENT" || content.errno === "ENOTDIR" ? undefined : content;
	}

	/**
	 * The last name in the target of the link `name`: a driver, a PCI address. The target itself may be absent, as it is
	 * while a device is being unbound; its name is known all the same.
	 */
	link(name: string): Reading {
		if (this.#closed) return this.#closed;
		const target = attempt(() => readlinkSync(`${this.#real}/${name}`));
		if (typeof target !== "string") return isGone(target.errno) ? undefined : target;
		const path = resolve(this.#real, target);
		return this.#isBelowRoot(path) ? { value: basename(path) } : { errno: "EXDEV" };
	}

	/** Equal for two `Sysfs` of the same directory that saw the same names in it; a device plugged anew differs. */
	stamp(): string {
		return `${this.#real} ${this.#inode}/${this.list().join("/")}`;
	}

	#attribute(real: string): Buffer | { readonly errno: string } {
		const { watch, stuck, buffer } = this.#tree;
		if (stuck.size > 0 && stuck.has(onItsBus(real))) return { errno: "ETIMEDOUT" };
		watch.alive();
		return readInto(buffer, real);
	}

	/** `real` has no link in it, unless its last name is one, which is no directory. */
	#openedOr(path: string, real: string | { readonly errno: string }): Sysfs | undefined {
		return typeof real === "string" ? this.#opened(path, real, statusOf(real)) : this.#opened(path, "", real);
	}

	#opened(path: string, real: string, status: ReturnType<typeof statusOf>): Sysfs | undefined {
		if (status === undefined) return undefined;
		if ("errno" in status) {
			const isNone = isGone(status.errno) || status.errno === "EXDEV" || status.errno === "ELOOP";
			return isNone ? undefined : new Sysfs(this.#tree, join(this.#real, path), 0n, status);
		}
		return status.isDirectory() ? new Sysfs(this.#tree, real, status.ino) : undefined;
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
		const { root, prefix } = this.#tree;
		return path === root || path.startsWith(prefix);
	}
}

/** The same for files of one name on one PCI bus; a path without one stands for itself. */
function onItsBus(path: string): string {
	const [bus] = BUS.exec(path) ?? [];
	return bus === undefined ? path : `${bus} ${basename(path)}`;
}

/** Of the file itself, should it be a link; undefined when there is none. */
function statusOf(path: string): BigIntStats | undefined | { readonly errno: string } {
	return attempt(() => lstatSync(path, { bigint: true, throwIfNoEntry: false }));
}

function listed(path: string): readonly string[] {
	const names = attempt(() => readdirSync(path).sort());
	if (!("errno" in names)) return names;
	if (isGone(names.errno)) return [];
	throw new UnlistableError(path, names.errno);
}
