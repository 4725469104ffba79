import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Duplicates } from "../../src/messaging/duplicates.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["performance"] }));
afterEach(() => void vi.useRealTimers());

const replyTo = (id: string) => Buffer.from(`reply to ${id}`);

function answeredOnes(...ids: readonly string[]): Duplicates {
	const duplicates = new Duplicates();
	for (const id of ids) {
		expect(duplicates.take(id)).toBeUndefined();
		duplicates.answered(id, replyTo(id));
	}
	return duplicates;
}

test("a request is new once, then being worked on, then answered", () => {
	const duplicates = new Duplicates();
	expect(duplicates.take("a")).toBeUndefined();
	expect(duplicates.take("a")).toBe("being worked on");
	duplicates.answered("a", replyTo("a"));
	expect(duplicates.take("a")).toEqual({ reply: replyTo("a") });
	expect(duplicates.take("b")).toBeUndefined();
});

test("without an id every request is new", () => {
	const duplicates = new Duplicates();
	duplicates.answered(undefined, replyTo("a"));
	expect([duplicates.take(undefined), duplicates.take(undefined)]).toEqual([undefined, undefined]);
});

test.each([
	["4,096 others", 4_096, true],
	["8,192 others", 8_192, false],
])("after %s", (_name, others, isKnown) => {
	const duplicates = answeredOnes("first", ...Array.from({ length: others }, (_, index) => `other ${index}`));
	expect(duplicates.take("first")).toEqual(isKnown ? { reply: replyTo("first") } : undefined);
});

test.each([
	[59, true],
	[119, true],
	[121, false],
	[100_000, false],
])("%i s later", (seconds, isKnown) => {
	const duplicates = answeredOnes("first");
	vi.advanceTimersByTime(30_000);
	duplicates.take("other");
	vi.advanceTimersByTime((seconds - 30) * 1000);
	expect(duplicates.take("first")).toEqual(isKnown ? { reply: replyTo("first") } : undefined);
});

test("one whose work takes longer than that is answered all the same", () => {
	const duplicates = new Duplicates();
	duplicates.take("slow");
	vi.advanceTimersByTime(70_000);
	duplicates.take("other");
	duplicates.answered("slow", replyTo("slow"));
	expect(duplicates.take("slow")).toEqual({ reply: replyTo("slow") });
});

test("the youngest 16 MiB of replies are kept, whole; whose reply is gone counts as new", () => {
	const duplicates = new Duplicates();
	const sizes = [5, 5, 5, 5, 4].map((mebibytes) => mebibytes * 1024 * 1024);
	for (const [index, size] of sizes.entries()) {
		duplicates.take(`${index}`);
		duplicates.answered(`${index}`, Buffer.alloc(size, index));
	}
	const isKept = (index: number) => {
		const answer = duplicates.take(`${index}`);
		// A matcher would compare millions of bytes one by one.
		return typeof answer === "object" && answer.reply.equals(Buffer.alloc(sizes[index] ?? 0, index));
	};
	expect([isKept(4), isKept(3)]).toEqual([true, true]);
	expect(duplicates.take("0")).toBeUndefined();
	expect(duplicates.take("0")).toBe("being worked on");
});
