import { expect, test } from "vitest";
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

test("promtool accepts them, and refuses what is not as it should be", () => {
	const ages = new Histogram([1]);
	ages.observe(0.5);
	const page = [...processFamilies("a test"), ages.family("x_age_seconds", "Ages.")].join("");
	expect(checkMetrics(page)).toBe("");
	expect(checkMetrics(family("x", "counter", "Of x.", [[{}, 1]]))).toContain("_total");
	expect(checkMetrics("no metrics\n")).not.toBe("");
});
