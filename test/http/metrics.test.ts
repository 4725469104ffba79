import { execFileSync } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import { countFamily, family, Histogram, processFamilies } from "../../src/http/metrics.ts";
import { checkMetrics } from "../support/promtool.ts";

test("a family has its help, its type and a line for each set of labels", () => {
	expect(
		family("x_total", "counter", "Of x.", [
			[{}, 1],
			[{ a: "b", c: "d" }, 2.5],
		]),
	).toBe('# HELP x_total Of x.\n# TYPE x_total counter\nx_total 1\nx_total{a="b",c="d"} 2.5\n');
	expect(countFamily("x_total", "Of x.", "outcome", { ok: 3, failed: 0 })).toMatch(
		/^x_total\{outcome="ok"\} 3\nx_total\{outcome="failed"\} 0\n/m,
	);
});

test("a histogram counts what is not larger than the upper end of a bucket, in all larger ones too", () => {
	const ages = new Histogram([1, 2.5]);
	for (const age of [0, 1, 1.5, 2.5, 100]) ages.observe(age);
	expect(ages.family("age_seconds", "Ages.")).toBe(
		[
			"# HELP age_seconds Ages.",
			"# TYPE age_seconds histogram",
			'age_seconds_bucket{le="1"} 2',
			'age_seconds_bucket{le="2.5"} 4',
			'age_seconds_bucket{le="+Inf"} 5',
			"age_seconds_sum 105",
			"age_seconds_count 5\n",
		].join("\n"),
	);
});

describe("open files", () => {
	const prlimit = (...words: readonly string[]) =>
		execFileSync("prlimit", ["--pid", String(process.pid), ...words], { encoding: "utf8" }).trim();
	const limit = () => prlimit("--nofile", "--noheadings", "--output", "SOFT");
	const open: number[] = [];
	const close = () => {
		for (const file of open.splice(0)) closeSync(file);
	};
	afterEach(close);
	const metric = (name: string) => new RegExp(`^${name} (\\d+)$`, "m").exec(processFamilies("a test").join(""))?.[1];

	test("are counted, and how many there may be", () => {
		const before = Number(metric("process_open_fds"));
		for (let more = 0; more < 3; more++) open.push(openSync("/dev/null", "r"));
		expect(Number(metric("process_open_fds"))).toBe(before + 3);
		expect(metric("process_max_fds")).toBe(limit());
	});

	test("when none is left to look with, the kernel is not asked, and all else is told", () => {
		const most = limit();
		prlimit("--nofile=256:");
		expect(() => {
			while (true) open.push(openSync("/dev/null", "r"));
		}).toThrow("EMFILE");
		expect([metric("process_open_fds"), metric("process_max_fds")]).toEqual([undefined, undefined]);
		expect(metric("process_resident_memory_bytes")).toBeUndefined();
		expect(processFamilies("a test").join("")).toMatch(/^process_cpu_seconds_total \S+$/m);
		close();
		prlimit(`--nofile=${most}:`);
	});
});

test("promtool accepts them, and refuses what is not as it should be", () => {
	const ages = new Histogram([1]);
	ages.observe(0.5);
	const page = [...processFamilies("a test"), ages.family("x_age_seconds", "Ages.")].join("");
	expect(checkMetrics(page)).toBe("");
	expect(checkMetrics(family("x", "counter", "Of x.", [[{}, 1]]))).toContain("_total");
	expect(checkMetrics("no metrics\n")).not.toBe("");
});
