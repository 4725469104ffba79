import { describe, expect, test } from "vitest";
import { MalformedBlocks, parseBlock, parseBlocks } from "../../src/compat/blocks.ts";
import { textBlocks } from "../../src/compat/formats/text-blocks.ts";
import { typeNode } from "../../src/compat/formats/type-node.ts";
import type { Pair } from "../../src/compat/pair.ts";
import { DEFAULT_POLICY } from "../../src/compat/policy.ts";
import { ranked, reason } from "../../src/compat/reason.ts";
import { mdev } from "../support/devices.ts";

const pair = (source: Record<string, string>, target: Record<string, string>, rest: Partial<Pair> = {}): Pair => ({
	source: mdev("s", source),
	target: mdev("t", target),
	source_host: "source",
	target_host: "target",
	policy: DEFAULT_POLICY,
	...rest,
});

describe("devices without an mdev type", () => {
	const pci = (id: string, attributes: Record<string, string>) => ({ ...mdev(id, {}, { kind: "pci" }), attributes });
	test("compatible_type says nothing about them, but a list that fits nothing is told", () => {
		const allow = { ...DEFAULT_POLICY, compatible_type: "allow" } as const;
		const both = pair({}, {}, { policy: allow, source: pci("s", { compatible_type: "a" }), target: pci("t", {}) });
		expect(typeNode(both).reasons).toEqual([]);
		const one = pair(
			{},
			{},
			{ policy: allow, source: mdev("s", { mdev_type: "a" }), target: pci("t", { compatible_type: "b" }) },
		);
		expect(typeNode(one).reasons).toMatchObject([
			{ code: "type.mismatch", message: expect.stringContaining("(none)") },
		]);
	});
});

test("a type on the source has no resources of an instance yet", () => {
	const source = mdev("s", { dynamic_resources: "aggregator" }, { kind: "mdev_type" });
	expect(typeNode(pair({}, { dynamic_resources: "aggregator", aggregator: "4" }, { source })).reasons).toEqual([]);
});

describe("hostile blocks", () => {
	const list = Array.from({ length: 64 }, (_value, index) => index).join(",");
	const fields = Array.from({ length: 40 }, (_value, index) => `f${index}={a}x{b}`).join("\n");
	const block = `COMPATIBLE:\na={a:int:${list}}\nb={b:int:${list}}\n${fields}\n`;

	test("more than 1024 files are malformed", () => {
		const files = Object.fromEntries(
			Array.from({ length: 1025 }, (_value, index) => [`migration/compatible${index}/a`, "1"]),
		);
		expect(textBlocks(pair({ "migration/self/a": "1" }, files)).reasons).toMatchObject([{ code: "rule.malformed" }]);
	});

	test("what would cost too much is malformed, not slow", () => {
		const target = { migration_compatible: `SELF:\na=1\n${block.repeat(20)}` };
		const { reasons } = textBlocks(pair({ migration_compatible: "SELF:\na=x\nb=x\n" }, target));
		expect(reasons.at(-1)).toMatchObject({
			code: "rule.malformed",
			message: expect.stringContaining("too many combinations to try"),
		});
	});
});

describe("a fault of ours is thrown on, it is no answer about a device", () => {
	const broken = new Proxy(new Map<string, string>(), {
		get: () => {
			throw new TypeError("ours");
		},
	});
	test("in a block", () => expect(() => parseBlock(1, broken)).toThrow("ours"));
	test("in a declaration", () => {
		const attributes = Object.defineProperty({}, "migration_compatible", {
			enumerable: true,
			get: () => {
				throw new TypeError("ours");
			},
		});
		expect(() => textBlocks(pair({}, {}, { source: { ...mdev("s", {}), attributes } }))).toThrow("ours");
	});
	test("a malformed file is no fault", () => expect(() => parseBlocks("x")).toThrow(MalformedBlocks));
});

describe("ranked", () => {
	test("reasons alike in all else stand by code, then by candidate, then by attribute", () => {
		const at = (code: "attribute.differs" | "attribute.not_covered", candidate: string, attribute?: string) =>
			reason(code, "r", "m", { device: "d", candidate, ...(attribute && { attribute }) });
		const sorted = [
			at("attribute.differs", "a", "vendor"),
			at("attribute.differs", "a", "x"),
			at("attribute.differs", "b", "x"),
			at("attribute.not_covered", "a", "x"),
		];
		expect(ranked([...sorted].reverse())).toEqual(sorted);
		expect(ranked([at("attribute.differs", "b"), at("attribute.differs", "a")])).toEqual([
			at("attribute.differs", "a"),
			at("attribute.differs", "b"),
		]);
	});
});
