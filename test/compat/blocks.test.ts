import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Block, evaluate, MalformedBlocks, parseBlocks, StepBudget } from "../../src/compat/blocks.ts";
import { leastCpu } from "../support/least-cpu.ts";

function blockOf(fields: string): Block {
	const [block] = parseBlocks(`COMPATIBLE:\n${fields}`).compatible;
	if (!block || "problem" in block) throw new Error(`void: ${block?.problem}`);
	return block;
}

/** The fewest mismatches over every assignment, by enumeration. */
function bruteForce(block: Block, self: ReadonlyMap<string, string>): number {
	let assignments: ReadonlyMap<string, string>[] = [new Map()];
	for (const { name, values } of block.variables.values()) {
		assignments = assignments.flatMap((one) => values.map((value) => new Map(one).set(name, value)));
	}
	const wrong = assignments.map(
		(bindings) =>
			block.fields.filter(({ key, template: { parts, divisor } }) => {
				const have = self.get(key) ?? "";
				if (parts.length === 0) return have !== "";
				const [part] = parts;
				if (parts.length === 1 && typeof part === "object" && block.variables.get(part.variable)?.kind === "int") {
					return !/^\d+$/.test(have) || Number(have) !== Number(bindings.get(part.variable)) / divisor;
				}
				return have !== parts.map((one) => (typeof one === "string" ? one : bindings.get(one.variable))).join("");
			}).length,
	);
	return Math.min(...wrong);
}

const small = fc.constantFrom("1", "2", "3", "4");
const field = fc.constantFrom("{x}", "{y}", "{x}/2", "t{x}", "{x}-{y}", "1", "t2", '""', "{z}", "{z}{x}");
const world = fc.record({
	x: fc.uniqueArray(small, { minLength: 1 }),
	y: fc.uniqueArray(small, { minLength: 1 }),
	z: fc.uniqueArray(fc.constantFrom("a", "t"), { minLength: 1 }),
	fields: fc.array(field, { maxLength: 5 }),
	self: fc.array(fc.constantFrom("", "1", "2", "02", "t1", "t2", "1-2", "a", "t", "a1", "t3"), {
		minLength: 8,
		maxLength: 8,
	}),
});

test("the fewest mismatching fields are those of enumerating the variables", () => {
	fc.assert(
		fc.property(world, ({ x, y, z, fields, self }) => {
			const definitions = [`dx={x:int:${x}}`, `dy={y:int:${y}}`, `dz={z:string:${z.map((one) => `"${one}"`)}}`];
			const block = blockOf([...definitions, ...fields.map((text, index) => `f${index}=${text}`)].join("\n"));
			const keys = ["dx", "dy", "dz", "f0", "f1", "f2", "f3", "f4"];
			const values = new Map(keys.map((key, index) => [key, self[index] ?? ""]));
			expect(evaluate(block, values, new StepBudget())).toHaveLength(bruteForce(block, values));
		}),
		{ numRuns: 1000 },
	);
});

describe("files", () => {
	type Texts = Readonly<Record<string, string>>;
	/** what it has, which block begins without a header, the text, the fields of SELF, those of each COMPATIBLE block */
	const FILES: readonly (readonly [
		what: string,
		headless: "SELF" | "COMPATIBLE" | undefined,
		text: string,
		self: Texts | undefined,
		compatible: readonly Texts[],
	])[] = [
		["nothing", undefined, "", undefined, []],
		["SELF without fields", undefined, "SELF:\n", {}, []],
		["SELF without fields before a block", undefined, "SELF:\nCOMPATIBLE:\na=1", {}, [{ a: "1" }]],
		["no SELF", undefined, "COMPATIBLE:\na=1", undefined, [{ a: "1" }]],
		[
			"lines that end as DOS ends them",
			undefined,
			"SELF: # x\r\na=1 # y\r\n# z\r\nCOMPATIBLE:\r\na=2\r\n",
			{ a: "1" },
			[{ a: "2" }],
		],
		[
			"quotes around a whole value or within",
			undefined,
			'SELF:\na="x y"\nb="x" y\nc=x "y"',
			{ a: "x y", b: '"x" y', c: 'x "y"' },
			[],
		],
		["keys in any case", undefined, "SELF:\nMdev_Type=T", { mdev_type: "T" }, []],
		["no header, but SELF", "SELF", "a=1", { a: "1" }, []],
		["no header, but a block", "COMPATIBLE", "a=1", undefined, [{ a: "1" }]],
		["a header where none is needed", "SELF", "SELF:\na=1", { a: "1" }, []],
		[
			"an empty block where no header is needed",
			"COMPATIBLE",
			"COMPATIBLE:\nCOMPATIBLE:\na=1",
			undefined,
			[{}, { a: "1" }],
		],
		["an empty SELF where no header is needed", "SELF", "SELF:\nCOMPATIBLE:\na=1", {}, [{ a: "1" }]],
		["a block before the first header", "COMPATIBLE", "a=1\nCOMPATIBLE:\nb=2", undefined, [{ a: "1" }, { b: "2" }]],
	];
	test.each(FILES)("with %s", (_what, headless, text, self, compatible) => {
		const read = parseBlocks(text, headless);
		expect(read.self && Object.fromEntries(read.self)).toEqual(self);
		const fields = read.compatible.map((block) =>
			"problem" in block ? block : Object.fromEntries(block.fields.map((one) => [one.key, one.text])),
		);
		expect(fields).toEqual(compatible);
	});

	/** text, what is wrong with it */
	test.each([
		["a=1", "line 1: a field before SELF: or COMPATIBLE:"],
		["COMPATIBLE:\nSELF:", "line 2: SELF must come once and first"],
		["SELF:\na=1\nA=2", "line 3: a is given twice in one block"],
		["SELF:\nx SELF:", "line 2: expected SELF:, COMPATIBLE: or key=value"],
		["SELF: a=1", "line 1: expected SELF:, COMPATIBLE: or key=value"],
		["SELF:\n?a=1", "line 2: expected SELF:, COMPATIBLE: or key=value"],
		["SELF:\na", "line 2: expected SELF:, COMPATIBLE: or key=value"],
		["SELF:\na=1\rb=2", "line 2: expected SELF:, COMPATIBLE: or key=value"],
	])("%j is malformed: %s", (text, problem) => {
		expect(() => parseBlocks(text)).toThrow(new MalformedBlocks(problem));
	});

	test('an empty text among those of a variable is "absent or empty", too (D6)', () => {
		const block = blockOf('a={v:string:"","x"}');
		expect(evaluate(block, new Map([["a", "x"]]), new StepBudget())).toEqual([]);
		expect(evaluate(block, new Map(), new StepBudget())).toEqual([]);
		expect(evaluate(block, new Map([["a", ""]]), new StepBudget())).toEqual([]);
		expect(evaluate(block, new Map([["a", "y"]]), new StepBudget())).toMatchObject([{ key: "a" }]);
	});
});

test("of equally good assignments the one in which the earlier fields fit (worked example, row 26)", () => {
	const block = blockOf("mdev_type=V5_{v:int:1,2,4,8}\naggregator={v}/2");
	const self = new Map([
		["mdev_type", "V5_4"],
		["aggregator", "1"],
	]);
	expect(evaluate(block, self, new StepBudget())).toMatchObject([{ key: "aggregator" }]);
});

describe("ids and APIs are the same in any spelling, however a block has them (2.1, D18)", () => {
	/** the field of a block, the same of a SELF that fits */
	test.each([
		['device_api="vfio_pci"', 'device_api="vfio_pci"'],
		['device_api={api:string:"vfio_ccw","vfio_pci"}', "device_api=vfio-pci"],
		['device_api=vfio_{bus:string:"ccw","pci"}', "device_api=vfio_pci"],
		['device_id="0x8086591D"', "device_id=8086591d"],
		['device_id={id:string:"8086591D","0x8086591E"}', "device_id=8086591e"],
		['device_id=8086591{last:string:"D","E"}', "device_id=0x8086591D"],
	])("%s fits %s", (field, own) => {
		const { self = new Map() } = parseBlocks(`SELF:\n${own}`);
		expect(evaluate(blockOf(field), self, new StepBudget())).toEqual([]);
	});
});

describe("hostile files", () => {
	const list = Array.from({ length: 64 }, (_value, index) => index).join(",");
	const heavy = `a={a:int:${list}}\nb={b:int:${list}}\n${Array.from({ length: 40 }, (_value, index) => `f${index}={a}x{b}`).join("\n")}\n`;
	test("a file that would cost too much is given up in bounded time", () => {
		const text = `COMPATIBLE:\n${heavy}`.repeat(20);
		const self = new Map([["a", "x"]]);
		const work = () => {
			const budget = new StepBudget();
			const results = parseBlocks(text).compatible.map((block) =>
				"problem" in block ? block : evaluate(block, self, budget),
			);
			expect(results.at(-1)).toBeUndefined();
		};
		expect(leastCpu(work, 4_000)).toBeLessThan(4_000);
	});

	test("more than 64 KiB, and more than 1024 lines, are refused", () => {
		expect(parseBlocks("#".repeat(65_536)).compatible).toEqual([]);
		expect(() => parseBlocks("#".repeat(65_537))).toThrow("more than 65536 characters");
		expect(parseBlocks("\n".repeat(1023)).compatible).toEqual([]);
		expect(() => parseBlocks("\n".repeat(1024))).toThrow("more than 1024 lines");
	});

	test("all blocks of a file may cost 10,000 steps together", () => {
		const budget = new StepBudget();
		expect(budget.spend(9_999)).toBe(true);
		expect(budget.spend(1)).toBe(true);
		expect(budget.spend(1)).toBe(false);
	});

	test("no text makes the parser throw anything else", () => {
		const soup = fc.array(
			fc.constantFrom("SELF:", "COMPATIBLE:", "a=1", 'b="x"', "c={v:int:1,2}", "d={v}/2", "# c", "", "x", "=", 'e="'),
			{ maxLength: 12 },
		);
		fc.assert(
			fc.property(
				soup.map((lines) => lines.join("\n")),
				(text) => {
					try {
						parseBlocks(text);
					} catch (error) {
						expect(error).toBeInstanceOf(MalformedBlocks);
					}
				},
			),
			{ numRuns: 1000 },
		);
	});
});
