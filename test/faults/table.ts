import type { Reporter, TestCase, TestModule } from "vitest/node";
import type { Row } from "./rows.ts";

const MAX_WIDTH = 60;

/** Prints what became of each row of the fault matrix, when all is done. */
export default class FaultTable implements Reporter {
	onTestRunEnd(modules: readonly TestModule[]): void {
		const lines = modules
			.flatMap((module) => [...module.children.allTests()])
			.flatMap((test) => {
				const { row } = test.meta();
				return row ? [{ ...row, ok: outcomeOf(test) }] : [];
			})
			.sort((a, b) => a.row.localeCompare(b.row, "en", { numeric: true }));
		if (lines.length > 0) process.stdout.write(`\n${render(lines).join("\n")}\n`);
	}
}

function outcomeOf(test: TestCase): string {
	const outcome = OUTCOMES[test.result().state];
	return test.diagnostic()?.flaky ? `${outcome}, the second time` : outcome;
}

const OUTCOMES = { passed: "ok", failed: "FAILED", skipped: "not tried", pending: "FAILED" } as const;

function render(lines: readonly (Row & { readonly ok: string })[]): readonly string[] {
	const columns = ["row", "fault", "bound", "measured", "ok"] as const;
	const header = { row: "row", fault: "fault", bound: "bound", measured: "measured", ok: "" };
	const rows = [header, ...lines].map((line) => columns.map((column) => line[column]));
	const widths = columns.map((_column, index) =>
		Math.min(MAX_WIDTH, Math.max(...rows.map((cells) => cells[index]?.length ?? 0))),
	);
	return rows.map((cells) =>
		cells
			.map((cell, index) => cell.padEnd(widths[index] ?? 0))
			.join("  ")
			.trimEnd(),
	);
}
