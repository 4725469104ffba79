import fc from "fast-check";
import { expect, onTestFinished, test, vi } from "vitest";
import { Outage } from "../../src/snapshot/outage.ts";
import type { SnapshotError } from "../../src/snapshot/source.ts";
import { recordingLog } from "../support/log.ts";

type Code = SnapshotError["code"];

function heard(outcomes: Readonly<Record<string, Code | "answer">>) {
	const { log, lines } = recordingLog();
	const outage = new Outage(log);
	const hear = (more: typeof outcomes) => {
		for (const [host, code] of Object.entries(more)) outage.heard(host, code === "answer" ? undefined : code);
	};
	hear(outcomes);
	const told = () => lines.map((line) => line.trimEnd().replace(/^.*? (CRITICAL|INFO) \S+ \[-\] /, "$1 "));
	return { outage, told, hear };
}

const answers = (count: number) =>
	Object.fromEntries(Array.from({ length: count }, (_, index) => [`well-${index}`, "answer"] as const));
const failures = (count: number, code: Code = "agent.tls") =>
	Object.fromEntries(Array.from({ length: count }, (_, index) => [`ill-${index}`, code] as const));

test.each([
	["nobody was asked", 0, 0, false],
	["two fail, whatever their share", 0, 2, false],
	["three fail of three", 0, 3, true],
	["three fail of fifteen: one in five", 12, 3, false],
	["three fail of fourteen", 11, 3, true],
])("%s", (_name, well, ill, systemic) => {
	const { outage } = heard({ ...answers(well), ...failures(ill) });
	expect(outage.state()).toEqual({ asked: well + ill, failing: ill, systemic });
});

test("is told when it begins, with causes, and when it ends, each once", () => {
	const { told, hear } = heard({ ...failures(3), a: "agent.timeout" });
	hear({ ...failures(3), b: "agent.timeout" });
	hear(failures(3));
	hear({ "ill-0": "answer", "ill-1": "answer", "ill-2": "answer" });
	expect(told()).toEqual([
		"CRITICAL systemic outage: 3 of the 3 agents that were asked in the last five minutes give no snapshot (agent.tls 3); checks that need them are unknown",
		"INFO the systemic outage is over: 2 of the 5 agents that were asked in the last five minutes give no snapshot",
	]);
});

test("a host that fails again and again is one host", () => {
	const { outage, hear } = heard({});
	for (let again = 0; again < 10; again++) hear({ cmp: "agent.timeout" });
	expect(outage.state()).toMatchObject({ asked: 1, failing: 1, systemic: false });
});

test("a host that has no agent was not asked: names in requests raise no alarm", () => {
	const { outage, told } = heard(failures(20, "agent.unconfigured"));
	expect(outage.state()).toEqual({ asked: 0, failing: 0, systemic: false });
	expect(told()).toEqual([]);
});

/** A clock that stands still unless it is moved. */
function stoppedClock() {
	let now = performance.now();
	const clock = vi.spyOn(performance, "now").mockImplementation(() => now);
	onTestFinished(() => clock.mockRestore());
	return { now: () => now, move: (milliseconds: number) => (now += milliseconds) };
}

test("what was found out five minutes ago does not count any more", () => {
	const clock = stoppedClock();
	const { outage, told } = heard(failures(3));
	clock.move(300_000);
	expect(outage.state()).toEqual({ asked: 0, failing: 0, systemic: false });
	expect(told()).toHaveLength(2);
});

test("the oldest of more than 4,096 hosts does not count any more", () => {
	const { outage } = heard({ ...failures(1), ...answers(4_096) });
	expect(outage.state()).toEqual({ asked: 4_096, failing: 0, systemic: false });
});

test("whatever is heard in whatever order, the counts are those of the last outcomes", () => {
	const event = fc.record({
		host: fc.constantFrom(..."abcdefgh"),
		code: fc.constantFrom(undefined, "agent.tls", "agent.timeout", "agent.unconfigured"),
		passed: fc.constantFrom(0, 1_000, 60_000, 299_999),
	});
	const clock = stoppedClock();
	fc.assert(
		fc.property(fc.array(event, { maxLength: 60 }), (events) => {
			const { outage } = heard({});
			const last = new Map<string, { code: Code | undefined; at: number }>();
			for (const { host, code, passed } of events) {
				clock.move(passed);
				outage.heard(host, code);
				if (code !== "agent.unconfigured") last.set(host, { code, at: clock.now() });
				const counted = [...last.values()].filter(({ at }) => clock.now() - at < 300_000);
				const failing = counted.filter((one) => one.code !== undefined).length;
				const systemic = failing >= 3 && failing > counted.length / 5;
				expect(outage.state()).toEqual({ asked: counted.length, failing, systemic });
			}
		}),
	);
});
