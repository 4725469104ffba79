import { test } from "vitest";

/** A line of the table that is printed at the end: a row of the fault matrix and what became of it. */
export interface Row {
	readonly row: string;
	readonly fault: string;
	/** The number to reach. */
	readonly bound: string;
	measured: string;
}

declare module "vitest" {
	interface TaskMeta {
		row?: Row;
	}
}

const TIMEOUT_MS = 480_000;

/** A test for a row of the fault matrix; `measure` fills its column of the table. `timeout`: milliseconds. */
export function row(
	number: string | number,
	fault: string,
	bound: string,
	body: (measure: (text: string) => void) => Promise<void>,
	timeout = TIMEOUT_MS,
): void {
	test(`row ${number}: ${fault}`, { timeout }, async ({ task }) => {
		const line: Row = { row: String(number), fault, bound, measured: "" };
		task.meta.row = line;
		await body((text) => {
			line.measured = line.measured === "" ? text : `${line.measured}; ${text}`;
		});
	});
}

/**
 * The least of a few tries, as few as it takes to be within the bound: what else a machine has to do makes a time longer, never
 * shorter.
 */
export async function leastOf(tries: number, bound: number, once: () => Promise<number>): Promise<number> {
	let least = Number.POSITIVE_INFINITY;
	for (let left = tries; left > 0 && least >= bound; left--) least = Math.min(least, await once());
	return least;
}

/** Milliseconds as the table shows them. */
export function seconds(milliseconds: number): string {
	return `${(milliseconds / 1000).toFixed(milliseconds < 100 ? 3 : 1)} s`;
}
