import { closeSync, constants, fstatSync, openSync, readSync, statSync } from "node:fs";

/** One page: the most that a sysfs attribute can hold (Documentation/filesystems/sysfs.rst). */
export const PAGE_BYTES = 4096;

/** O_NONBLOCK: opening a FIFO must not wait for a writer. Node adds O_CLOEXEC to every open itself. */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;

/** Reads a regular file of at most `limit` bytes without following a final link and without ever waiting for it. */
export function readBounded(path: string, limit: number): Buffer | { readonly errno: string } {
	return readInto(Buffer.allocUnsafe(limit + 1), path);
}

/** The part of the buffer that the file fills; one that fills it all is too large. */
export function readInto(buffer: Buffer, path: string): Buffer | { readonly errno: string } {
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

/** Node's file system errors as values; any other error is a fault of ours and is thrown on. */
export function attempt<T>(operation: () => T): T | { readonly errno: string } {
	try {
		return operation();
	} catch (error) {
		const code = error instanceof Error && "code" in error ? error.code : undefined;
		if (typeof code === "string" && /^E[A-Z0-9]+$/.test(code)) return { errno: code };
		throw error;
	}
}

/** Whether something is there, or might be: existsSync asks access(2), for which the capability of the unit does not count. */
export function isThere(path: string): boolean {
	return attempt(() => statSync(path, { throwIfNoEntry: false })) !== undefined;
}

/** What is not there, or not any more. */
export function isGone(errno: string): boolean {
	return errno === "ENOENT" || errno === "ENOTDIR" || errno === "ENODEV";
}
