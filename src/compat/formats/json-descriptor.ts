import { attributeOf } from "../device.ts";
import { canonicalJson } from "../digest.ts";
import { isHexadecimal, normalise } from "../normalise.ts";
import { attributeReason, type Judgement, type Pair, show, sourceName, targetName, together } from "../pair.ts";
import type { Reason, ReasonCode } from "../reason.ts";
import { isJson } from "./migration-version.ts";

/**
 * Formats B and C: JSON instead of an opaque text. B is a list of descriptors, of which any pair may fit (Alex Williamson,
 * 14 July 2020); C says what the device is (`self`) and lists what it accepts (`compatible`) (Yan Zhao, 16 July 2020).
 * The mails name no file of their own: the text stands in `migration_version`.
 */
const RULE = "json-descriptor";
const ATTRIBUTE = "migration_version";
/** The mails have one or two; each of the source is compared with each of the target. */
const MAX_DESCRIPTORS = 32;

/** A descriptor without any of these does not say what it describes. */
const COMPARED = ["device_api", "vendor", "version", "vendor_fields"] as const;

/** What has a rule of its own; every other field of a descriptor must be the same: nobody vouches for what is not compared. */
const JUDGED: ReadonlySet<string> = new Set(["device_api", "vendor", "version", "mdev_attrs"]);

/** A string, in which nothing is a number, or a number. One that does not end is taken to the end, or each quote in it would be looked at. */
const TOKEN = /"(?:[^"\\]|\\.)*"?|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/gs;

type Fields = Readonly<Record<string, unknown>>;
/** What one descriptor of B says against another, or one entry of C's list against `self`. */
type Finding = readonly [code: ReasonCode, attribute: string, message: string];

export function jsonDescriptor(pair: Pair): Judgement {
	const [source, target] = [attributeOf(pair.source, ATTRIBUTE), attributeOf(pair.target, ATTRIBUTE)];
	if (source === undefined || target === undefined || !isJson(source) || !isJson(target))
		return { covers: [], reasons: [] };
	const [ours, theirs] = [parse(source), parse(target)];
	const malformed = [
		...(ours === undefined ? [`${ATTRIBUTE} of ${sourceName(pair)}`] : []),
		...(theirs === undefined ? [`${ATTRIBUTE} of ${targetName(pair)}`] : []),
	];
	if (ours === undefined || theirs === undefined) {
		const message = `${malformed.join(" and ")} is no JSON of the thread: expected a list of 1 to ${MAX_DESCRIPTORS} descriptors, or self and compatible`;
		return { covers: [ATTRIBUTE], reasons: [attributeReason(pair, "rule.malformed", ATTRIBUTE, RULE, message)] };
	}
	if (!("self" in ours) && !("self" in theirs)) return descriptors(pair, ours, theirs);
	if ("self" in ours && "self" in theirs) return selfAndCompatible(pair, ours, theirs);
	const message = `${ATTRIBUTE} of ${sourceName(pair)} and of ${targetName(pair)} have different forms of JSON`;
	return { covers: [ATTRIBUTE], reasons: [attributeReason(pair, "opaque.differs", ATTRIBUTE, RULE, message)] };
}

interface SelfAndCompatible {
	readonly self: Fields;
	readonly compatible: readonly Fields[];
}

/** A number that JavaScript would round is compared as the text that it is. */
function unrounded(token: string): string {
	const isExact = token.startsWith('"') || Math.abs(Number(token)) <= Number.MAX_SAFE_INTEGER;
	return isExact ? token : JSON.stringify(token);
}

/** Strict JSON only: what lacks a comma or has a comment is not repaired. */
function parse(text: string): readonly Fields[] | SelfAndCompatible | undefined {
	let value: unknown;
	try {
		value = JSON.parse(text.replace(TOKEN, unrounded));
	} catch {
		return undefined;
	}
	if (isFieldsList(value)) {
		const isDescribed = value.length > 0 && value.every((one) => COMPARED.some((name) => one[name] !== undefined));
		return isDescribed && value.length <= MAX_DESCRIPTORS ? value : undefined;
	}
	if (!isFields(value)) return undefined;
	const { self, compatible } = value;
	const [only, ...more] = isFieldsList(self) ? self : [];
	return only && more.length === 0 && isFieldsList(compatible) ? { self: only, compatible } : undefined;
}

/** B: any descriptor of the source may fit any of the target; the pair that comes closest is reported. */
function descriptors(pair: Pair, ours: readonly Fields[], theirs: readonly Fields[]): Judgement {
	const findings = ours.flatMap((source) => theirs.map((target) => compareDescriptors(pair, source, target)));
	const errors = (list: readonly Finding[]) => list.filter(([code]) => code !== "dynamic.set").length;
	const [closest = []] = findings.sort((a, b) => errors(a) - errors(b) || a.length - b.length);
	// The mail's own example pairs foo-1 with foo-3, so that types are covered by being left out.
	const hasApi = [...ours, ...theirs].every((one) => one["device_api"] !== undefined);
	const covers = [ATTRIBUTE, ...(hasApi ? ["device_api"] : []), "mdev_type"];
	return { covers, reasons: toReasons(pair, closest) };
}

function compareDescriptors(pair: Pair, source: Fields, target: Fields): readonly Finding[] {
	const api = source["device_api"];
	const findings: Finding[] = [];
	const differs = (code: ReasonCode, name: string, a: unknown, b: unknown) => {
		const message = `${name} ${text(a)} of ${sourceName(pair)} differs from ${text(b)} of ${targetName(pair)}`;
		findings.push([code, name, message]);
	};
	if (!same("device_api", api, target["device_api"]))
		differs("device_api.mismatch", "device_api", api, target["device_api"]);
	if (!same("vendor", source["vendor"], target["vendor"]))
		differs("attribute.differs", "vendor", source["vendor"], target["vendor"]);
	for (const finding of versionFindings(source["version"], target["version"])) differs(...finding);
	const sections = [...Object.keys(source), ...Object.keys(target)].filter((name) => !JUDGED.has(name));
	for (const section of new Set(sections)) {
		const [a, b] = [flat(source, section, `${section}.`), flat(target, section, `${section}.`)];
		for (const name of new Set([...a.keys(), ...b.keys()])) {
			if (!same(name, a.get(name), b.get(name))) differs("attribute.differs", name, a.get(name), b.get(name));
		}
	}
	const [wanted, has] = [flat(source, "mdev_attrs"), flat(target, "mdev_attrs")];
	for (const [name, value] of wanted) {
		if (same(name, value, has.get(name))) continue;
		findings.push(["dynamic.set", name, `set ${name}=${text(value)} when creating the mdev on ${targetName(pair)}`]);
	}
	return findings;
}

/** C: one side's list must have an object equal to the other side's `self`. */
function selfAndCompatible(pair: Pair, source: SelfAndCompatible, target: SelfAndCompatible): Judgement {
	const { direction } = pair.policy;
	const [ours, theirs] = [sourceName(pair), targetName(pair)];
	const judge = (self: Fields, list: readonly Fields[], selfName: string, ownerName: string): Judgement => {
		const reasons = toReasons(pair, listed(self, list, selfName, ownerName));
		const covers = Object.keys(self).map((key) => key.replaceAll("-", "_"));
		// A self without fields says nothing, and an object without fields is equal to it.
		return { covers, reasons, idle: covers.length === 0 && reasons.length === 0 };
	};
	const judgement = together([
		...(direction !== "source-declares" ? [judge(source.self, target.compatible, ours, theirs)] : []),
		...(direction !== "target-accepts" ? [judge(target.self, source.compatible, theirs, ours)] : []),
	]);
	return { ...judgement, covers: [ATTRIBUTE, ...judgement.covers] };
}

function listed(self: Fields, list: readonly Fields[], selfName: string, ownerName: string): readonly Finding[] {
	const differences = list.map((entry) =>
		[...new Set([...Object.keys(self), ...Object.keys(entry)])]
			.filter((key) => !same(key, self[key], entry[key]))
			.map((key) => [key, entry[key]] as const),
	);
	const [closest] = differences.sort((a, b) => a.length - b.length);
	if (closest === undefined)
		return [["block.none", ATTRIBUTE, `${ownerName} accepts nothing: its list "compatible" is empty`]];
	return closest.map(([key, wanted]) => [
		"attribute.differs",
		key.replaceAll("-", "_"),
		`${key} ${text(self[key])} of ${selfName} is not ${text(wanted)}, which ${ownerName} accepts`,
	]);
}

function toReasons(pair: Pair, findings: readonly Finding[]): readonly Reason[] {
	const beside = { source: [ATTRIBUTE], target: [ATTRIBUTE] };
	return findings.map(([code, attribute, message]) =>
		attributeReason(pair, code, attribute, RULE, message, { beside }),
	);
}

/** The rule of format H (2.6), for the two numbers that a descriptor has. */
function versionFindings(
	source: unknown,
	target: unknown,
): readonly (readonly [ReasonCode, string, unknown, unknown])[] {
	if (source === undefined && target === undefined) return [];
	if (source === undefined) return [["attribute.missing_source", "version", source, target]];
	if (target === undefined) return [["attribute.missing_target", "version", source, target]];
	const [want, have] = [versionOf(source), versionOf(target)];
	if (!want || !have)
		return same("version", source, target) ? [] : [["version.unparseable", "version", source, target]];
	if (have.major !== want.major) return [["version.major_mismatch", "version.major", want.major, have.major]];
	if (have.minor < want.minor) return [["version.minor_downgrade", "version.minor", want.minor, have.minor]];
	return [];
}

function versionOf(value: unknown): { readonly major: number; readonly minor: number } | undefined {
	const { major, minor = 0 } = isFields(value) ? value : {};
	const isNumber = (part: unknown) => /^\d{1,10}$/.test(String(part));
	return isNumber(major) && isNumber(minor) ? { major: Number(major), minor: Number(minor) } : undefined;
}

/**
 * `{k: v}` and `[{k: v}, ...]` alike, as the mail has both: of several values of one name all. What is neither is compared as a
 * whole, by the name of its field.
 */
function flat(fields: Fields, field: string, prefix = ""): ReadonlyMap<string, unknown> {
	const value = fields[field];
	const objects = isFieldsList(value) ? value : isFields(value) ? [value] : undefined;
	const values = new Map<string, unknown>();
	if (objects === undefined) return value === undefined ? values : values.set(field, value);
	for (const [key, one] of objects.flatMap((object) => Object.entries(object))) {
		const name = prefix + key;
		values.set(name, values.has(name) ? [values.get(name), one] : one);
	}
	return values;
}

/**
 * An id is hexadecimal as a text, in any case and with or without `0x`, or a number; everything else is what it is, but that
 * `0x10` is the number 16, too, and `vfio_pci` as a device_api `vfio-pci`. `name`: of the field, with its section or without.
 */
function same(name: string, a: unknown, b: unknown): boolean {
	const isMixed = typeof a !== typeof b;
	const attribute = name.slice(name.lastIndexOf(".") + 1);
	const spelled = (value: unknown) => (typeof value === "string" ? normalise(attribute, value) : plain(value));
	const read = isHexadecimal(attribute)
		? idOf
		: (value: unknown) => (isMixed && isHex(value) ? String(Number(value)) : spelled(value));
	return read(a) === read(b);
}

function idOf(value: unknown): string | undefined {
	if (typeof value === "number") return value.toString(16);
	return typeof value === "string" ? value.toLowerCase().replace(/^(?:0x)?0*(?=[0-9a-f]+$)/, "") : plain(value);
}

function isHex(value: unknown): boolean {
	return typeof value === "string" && /^0x[0-9a-f]{1,13}$/i.test(value);
}

function plain(value: unknown): string | undefined {
	return value === undefined ? undefined : canonicalJson(value);
}

/** A value in a sentence. */
function text(value: unknown): string {
	if (value === undefined) return "(absent)";
	return typeof value === "string" ? show(value) : JSON.stringify(value);
}

function isFields(value: unknown): value is Fields {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isFieldsList(value: unknown): value is readonly Fields[] {
	return Array.isArray(value) && value.every(isFields);
}
