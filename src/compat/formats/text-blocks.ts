import {
	type Block,
	evaluate,
	MalformedBlocks,
	parseBlock,
	parseBlocks,
	type Self,
	StepBudget,
	unquote,
	type VoidBlock,
} from "../blocks.ts";
import { attributeOf, type Device, overlayOf } from "../device.ts";
import { normalise } from "../normalise.ts";
import {
	attributeReason,
	type Beside,
	type Judgement,
	type Pair,
	show,
	sourceName,
	targetName,
	together,
	unreadableReason,
} from "../pair.ts";
import type { Reason, ReasonCode } from "../reason.ts";
import { softwareVersion } from "./software-version.ts";

/**
 * Formats D and F1-F3: what a device is (SELF) and what it accepts (COMPATIBLE blocks with variables), as one file
 * `migration_compatible`, as files `migration/self` and `migration/compatible`, or as directories of that name with one
 * file a field. Yan Zhao, 29 July, 5 and 20 August 2020; ambiguities D1-D18 of the specification.
 */
const RULE = "text-blocks";
const FILE = "migration_compatible";
const SELF = "migration/self";
const MAX_FILES = 1024;
const PATH = /^migration\/(self|compatible\d*)(?:\/([A-Za-z][A-Za-z0-9_]*))?$/;
/** D16: versions of the migration stream need not be listed; where they are not, format H judges them. */
const UNLISTED = "software_version";

/** What one device says in this format; `files` are the attributes that it says it in. */
interface Declaration {
	readonly files: readonly string[];
	readonly self: Self | undefined;
	readonly compatible: readonly (Block | VoidBlock)[];
	/** Why the files are no declaration. */
	readonly problem?: string;
}

export function textBlocks(pair: Pair): Judgement {
	const source = readDeclaration(pair.source);
	const target = readDeclaration(pair.target);
	const files = [...new Set([...source.files, ...target.files])];
	if (files.length === 0) return { covers: [], reasons: [] };
	const { direction } = pair.policy;
	const judgement = together([
		...(direction !== "source-declares" ? [judge(pair, target, source, "target")] : []),
		...(direction !== "target-accepts" ? [judge(pair, source, target, "source")] : []),
	]);
	return { ...judgement, covers: [...files, ...judgement.covers] };
}

function readDeclaration(device: Device): Declaration {
	const names = [...Object.keys(device.attributes), ...Object.keys(device.unreadable)];
	const files = names.filter((name) => name === FILE || PATH.test(name));
	try {
		const file = attributeOf(device, FILE);
		if (file !== undefined) return { files, ...parseBlocks(file) };
		const self = attributeOf(device, SELF);
		const flat = files.filter((name) => /^migration\/compatible\d*$/.test(name));
		const { self: selfFolder, ...blocks } = folders(device, files);
		return {
			files,
			self: self === undefined ? selfFolder && unquoted(selfFolder) : parseBlocks(self, "SELF").self,
			compatible: [
				...flat.flatMap((name) => parseBlocks(attributeOf(device, name) ?? "", "COMPATIBLE").compatible),
				...Object.values(blocks).map((fields, index) => parseBlock(index + 1, inDefinitionOrder(fields))),
			],
		};
	} catch (error) {
		if (error instanceof MalformedBlocks) return { files, self: undefined, compatible: [], problem: error.message };
		throw error;
	}
}

/** The fields of `migration/<directory>/<field>` by directory, of which each but `self` is a block (D17). */
function folders(device: Device, files: readonly string[]): Readonly<Record<string, Map<string, string>>> {
	const found: Record<string, Map<string, string>> = {};
	if (files.length > MAX_FILES) throw new MalformedBlocks(`more than ${MAX_FILES} files`);
	for (const file of [...files].sort()) {
		const [, directory, name] = file.split("/").map((part) => part.toLowerCase());
		if (directory === undefined || name === undefined) continue;
		found[directory] ??= new Map();
		found[directory].set(name, normalise(name, attributeOf(device, file) ?? ""));
	}
	return found;
}

function unquoted(fields: Self): Self {
	return new Map([...fields].map(([key, text]) => [key, normalise(key, unquote(text))]));
}

/** Files have no order, so a variable's definition goes before its uses; without variables, commas separate values (D17). */
function inDefinitionOrder(fields: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
	const defines = (text: string) => /\{[^{}:]*:/.test(text);
	const texts = [...fields].map(
		([key, text]) => [key, text.includes("{") || !text.includes(",") ? text : anyOf(key, text)] as const,
	);
	return new Map([...texts.filter(([, text]) => defines(text)), ...texts.filter(([, text]) => !defines(text))]);
}

/** Nothing between two commas is a mistake, and no empty text: that is `""`. A comma in quotes is one of the text. */
function anyOf(key: string, list: string): string {
	const items = list
		.replace(/("[^"]*")|,/g, (_whole, quoted?: string) => quoted ?? "\0")
		.split("\0")
		.map((item) => item.trim() && `"${item.trim().replaceAll('"', "")}"`);
	return `{one_of_${key}:string:${items.join(",")}}`;
}

/** Judges one side's SELF by the other side's blocks. What the block that fits does not name is left to the policy. */
function judge(pair: Pair, owner: Declaration, judged: Declaration, declaring: "source" | "target"): Judgement {
	const [ownerName, judgedName] =
		declaring === "target" ? [targetName(pair), sourceName(pair)] : [sourceName(pair), targetName(pair)];
	const [ownerDevice, judgedDevice] = declaring === "target" ? [pair.target, pair.source] : [pair.source, pair.target];
	const attribute = String([...owner.files, ...judged.files][0]);
	const beside = { [declaring]: owner.files, [declaring === "target" ? "source" : "target"]: judged.files };
	const found = (code: ReasonCode, message: string) =>
		attributeReason(pair, code, attribute, RULE, message, { beside });

	const unreadable = [
		...owner.files.map((file) => unreadableReason(pair, ownerDevice, file, RULE)),
		...judged.files.map((file) => unreadableReason(pair, judgedDevice, file, RULE)),
	].filter((one) => one !== undefined);
	const covers = owner.compatible.flatMap(keysOf);
	if (unreadable.length > 0) return { covers, reasons: unreadable };
	const malformed = [
		...(owner.problem === undefined ? [] : [found("rule.malformed", `${attribute} of ${ownerName}: ${owner.problem}`)]),
		...(judged.problem === undefined
			? []
			: [found("rule.malformed", `${attribute} of ${judgedName}: ${judged.problem}`)]),
	];
	if (malformed.length > 0) return { covers, reasons: malformed };
	const { self } = judged;
	if (self === undefined) {
		const code = declaring === "target" ? "attribute.missing_source" : "attribute.missing_target";
		const message = `${judgedName} does not say what it is (SELF); ${ownerName} has a list of what it accepts`;
		return { covers, reasons: [found(code, message)] };
	}
	if (owner.compatible.length === 0)
		return { covers, reasons: [found("block.none", `${ownerName} accepts nothing: it has no COMPATIBLE block`)] };

	const budget = new StepBudget();
	const results = owner.compatible.map((block) => match(pair, block, self, budget));
	const compared = results.filter((result) => "missing" in result).sort((a, b) => total(a) - total(b));
	const problems = results.filter((result) => "problem" in result);
	const hasVersion = [self, owner.self].some((one) => one?.has(UNLISTED));
	const fitting = compared
		.filter((result) => total(result) === 0)
		.map(({ block }) => ({
			covers: [...keysOf(block), ...(hasVersion ? [UNLISTED] : [])],
			reasons: unlistedVersion(pair, self, owner.self, block, { declaring, beside }),
		}));
	const accepted = fitting.find(({ reasons }) => reasons.every(({ severity }) => severity !== "error")) ?? fitting[0];
	// A block without fields accepts nothing but a SELF that says nothing.
	if (accepted) return { ...accepted, idle: accepted.covers.length === 0 };
	const [closest] = compared;
	const voided = problems.map(({ line, problem }) =>
		found("rule.malformed", `${attribute} of ${ownerName}, block at line ${line}: ${problem}`),
	);
	const differing = closest ? mismatches(pair, closest, self, { ownerName, judgedName, declaring, beside }) : [];
	// Of what has been told as a mismatch nobody shall tell again.
	return { covers: [...covers, ...self.keys()], reasons: [...differing, ...voided] };
}

function keysOf(block: Block | VoidBlock): readonly string[] {
	return "fields" in block ? block.fields.map(({ key }) => key) : [];
}

interface Match {
	readonly block: Block;
	/** Fields of the block that SELF does not fit, and fields of SELF that the block does not mention (D8). */
	readonly missing: Block["fields"];
	readonly uncovered: readonly (readonly [key: string, value: string])[];
}

function total({ missing, uncovered }: Match): number {
	return missing.length + uncovered.length;
}

function match(pair: Pair, block: Block | VoidBlock, self: Self, budget: StepBudget): Match | VoidBlock {
	if ("problem" in block) return block;
	const missing = evaluate(block, self, budget);
	if (missing === undefined) return { line: block.line, problem: "too many combinations to try" };
	const named = new Set(block.fields.map(({ key }) => key));
	const ignored = new Set(pair.policy.rules.filter(({ kind }) => kind === "ignore").map(({ attribute }) => attribute));
	const uncovered = [...self].filter(
		([key, value]) => value !== "" && key !== UNLISTED && !named.has(key) && !ignored.has(key),
	);
	return { block, missing, uncovered };
}

interface Side {
	readonly declaring: "source" | "target";
	/** The attributes that hold the blocks. */
	readonly beside: Beside;
}

function mismatches(
	pair: Pair,
	{ missing, uncovered }: Match,
	self: Self,
	{ ownerName, judgedName, declaring, beside }: Side & { readonly ownerName: string; readonly judgedName: string },
): readonly Reason[] {
	const judgedSide = declaring === "target" ? "source" : "target";
	const differing = missing.map(({ key, text: wanted }) => {
		const value = self.get(key);
		const details = { [declaring]: wanted, ...(value !== undefined && { [judgedSide]: value }), beside };
		const absent = declaring === "target" ? "attribute.missing_source" : "attribute.missing_target";
		const message = `${key} ${value === undefined ? "(absent)" : show(value)} of ${judgedName} does not fit ${show(wanted)} of ${ownerName}`;
		return attributeReason(pair, value === undefined ? absent : "attribute.differs", key, RULE, message, details);
	});
	const unknown = uncovered.map(([key, value]) => {
		const message = `${key} ${show(value)} of ${judgedName} is not mentioned in any block of ${ownerName} that fits otherwise`;
		return attributeReason(pair, "attribute.not_covered", key, RULE, message, { [judgedSide]: value, beside });
	});
	return [...differing, ...unknown];
}

/** D16: a version that the block does not list is judged by format H. */
function unlistedVersion(
	pair: Pair,
	judged: Self,
	owner: Self | undefined,
	{ fields }: Block,
	{ declaring, beside }: Side,
): readonly Reason[] {
	if (fields.some(({ key }) => key === UNLISTED)) return [];
	const version = (self: Self | undefined, device: Device, files: readonly string[] = []) => {
		const value = self?.get(UNLISTED);
		const overlay = overlayOf(device, files);
		return {
			attributes: value === undefined ? {} : { [UNLISTED]: value },
			unreadable: {},
			overlaid: overlay === undefined ? {} : { [UNLISTED]: overlay },
		};
	};
	const [source, target] = declaring === "target" ? [judged, owner] : [owner, judged];
	const versions: Pair = {
		...pair,
		source: { ...pair.source, ...version(source, pair.source, beside.source) },
		target: { ...pair.target, ...version(target, pair.target, beside.target) },
	};
	return softwareVersion(versions, new Set()).reasons;
}
