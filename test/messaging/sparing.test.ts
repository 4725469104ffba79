import { expect, test } from "vitest";
import { sparing } from "../../src/messaging/sparing.ts";

test.each([
	["the first is said at once", [0], ["0"]],
	["the next ten seconds are silent", [0, 1, 5_000, 9_999], ["0"]],
	[
		"then the next one tells how many were not",
		[0, 1, 2, 10_000],
		["0", "10000 (and 2 more like this since the last such line)"],
	],
	["none was left out", [0, 10_000, 20_000], ["0", "10000", "20000"]],
	[
		"each pause counts from the last line",
		[0, 9_000, 11_000, 20_000, 21_000],
		[
			"0",
			"11000 (and 1 more like this since the last such line)",
			"21000 (and 1 more like this since the last such line)",
		],
	],
])("%s", (_what, times, expected) => {
	const lines: string[] = [];
	let clock = 0;
	const say = sparing(
		(text) => lines.push(text),
		() => clock,
	);
	for (const time of times) {
		clock = time;
		say(String(time));
	}
	expect(lines).toEqual(expected);
});
