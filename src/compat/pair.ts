import { attributeOf, type Candidate, type Device, errnoOf, overlayOf, says } from "./device.ts";
import type { DeviceClass, Policy } from "./policy.ts";
import { type Reason, type ReasonCode, reason } from "./reason.ts";

/** One device of the source beside one candidate of the target: all that a format or a rule may look at. */
export interface Pair {
	readonly source: Device;
	readonly target: Candidate;
	/** Host names, for messages only. */
	readonly source_host: string;
	readonly target_host: string;
	/** For the source's class: its rules are in place of the general ones. */
	readonly policy: Policy;
	readonly device_class?: DeviceClass | undefined;
	/** Attributes of the source that cannot be read, without which nobody can tell its class. */
	readonly doubtful?: readonly string[];
}

/** What a format or a rule has to say about a pair. An attribute that is covered is judged by nobody after it. */
export interface Judgement {
	readonly covers: readonly string[];
	readonly reasons: readonly Reason[];
	/** Set when nothing was asked of either side by what is covered: it is no declaration of what can migrate. */
	readonly idle?: boolean;
}

/**
 * The judgements of both sides' declarations as one: covered is what both cover, or one side would speak for the other. Of what has
 * been told nobody shall tell again.
 */
export function together(judgements: readonly Judgement[]): Judgement {
	const reasons = judgements.flatMap((one) => one.reasons);
	const isCovered = (name: string) =>
		judgements.every(({ covers }) => covers.includes(name)) || reasons.some(({ attribute }) => attribute === name);
	return {
		covers: judgements.flatMap(({ covers }) => covers).filter(isCovered),
		reasons,
		idle: judgements.some(({ idle }) => idle),
	};
}

export function sourceName({ source_host, source }: Pair): string {
	return `${source_host} ${source.id}`;
}

export function targetName({ target_host, target }: Pair): string {
	return `${target_host} ${target.id}`;
}

/** Every attribute that either device has or has but cannot show. */
export function attributeNames({ source, target }: Pair): readonly string[] {
	const names = [source.attributes, source.unreadable, target.attributes, target.unreadable].flatMap(Object.keys);
	return [...new Set(names)];
}

/** Whether either side says anything by the attribute. */
export function isSaid({ source, target }: Pair, attribute: string): boolean {
	return says(source, attribute) || says(target, attribute);
}

interface ReasonDetails extends Partial<Pick<Reason, "severity" | "source" | "target">> {
	/** What else the reason rests on: the attributes in which a side says what it accepts or offers. */
	readonly beside?: Beside;
}

/** Names of attributes by the side that has them. */
export type Beside = Readonly<Partial<Record<"source" | "target", readonly string[]>>>;

/** A reason about one attribute of the pair, with both values as the hosts gave them; it says which of them an overlay gave. */
export function attributeReason(
	pair: Pair,
	code: ReasonCode,
	attribute: string,
	rule: string,
	message: string,
	{ beside = {}, ...details }: ReasonDetails = {},
): Reason {
	const source = attributeOf(pair.source, attribute);
	const target = attributeOf(pair.target, attribute);
	const source_overlay = overlayOf(pair.source, [attribute, ...(beside.source ?? [])]);
	const target_overlay = overlayOf(pair.target, [attribute, ...(beside.target ?? [])]);
	return reason(code, rule, message + overlayNote(source_overlay, target_overlay), {
		device: pair.source.id,
		candidate: pair.target.id,
		attribute,
		...(source === undefined ? {} : { source }),
		...(target === undefined ? {} : { target }),
		...(source_overlay === undefined ? {} : { source_overlay }),
		...(target_overlay === undefined ? {} : { target_overlay }),
		...details,
	});
}

/** ` (source by overlay mlx5.yaml)`: the file is enough for a message, the reason has its source and date too. */
function overlayNote(source: string | undefined, target: string | undefined): string {
	if (source !== undefined && source === target) return ` (both by overlay ${overlayFile(source)})`;
	const sides = [
		...(source === undefined ? [] : [`source by overlay ${overlayFile(source)}`]),
		...(target === undefined ? [] : [`target by overlay ${overlayFile(target)}`]),
	];
	return sides.length === 0 ? "" : ` (${sides.join(", ")})`;
}

/** The file of an overlay, which its description begins with. */
export function overlayFile(overlay: string): string {
	return show(overlay.replace(/\s.*$/s, ""));
}

/**
 * Both values of an attribute; or the reason why there is no pair of values; or undefined when neither device has it.
 * Absent and unreadable are different things: an absent attribute is an answer, an unreadable one leaves the pair unknown.
 */
export function bothValues(
	pair: Pair,
	attribute: string,
	rule: string,
): { readonly source: string; readonly target: string } | { readonly reason: Reason } | undefined {
	const unreadable =
		unreadableReason(pair, pair.source, attribute, rule) ?? unreadableReason(pair, pair.target, attribute, rule);
	if (unreadable) return { reason: unreadable };
	const source = attributeOf(pair.source, attribute);
	const target = attributeOf(pair.target, attribute);
	if (source !== undefined && target !== undefined) return { source, target };
	if (source !== undefined) {
		const message = `${targetName(pair)} has no ${attribute}; ${sourceName(pair)} has ${show(source)}`;
		return { reason: attributeReason(pair, "attribute.missing_target", attribute, rule, message) };
	}
	if (target !== undefined) {
		const message = `${sourceName(pair)} has no ${attribute}; ${targetName(pair)} has ${show(target)}`;
		return { reason: attributeReason(pair, "attribute.missing_source", attribute, rule, message) };
	}
	return undefined;
}

/**
 * The source's value of one attribute beside the target's value of another: what the source uses, what the target offers.
 * A source that uses nothing asks for nothing, whatever is offered.
 */
export function usedAndOffered(
	pair: Pair,
	used: string,
	offered: string,
	rule: string,
): { readonly source: string; readonly target: string } | { readonly reason: Reason } | undefined {
	const unreadable = unreadableReason(pair, pair.source, used, rule);
	if (unreadable) return { reason: unreadable };
	const source = attributeOf(pair.source, used);
	if (source === undefined) return undefined;
	const hidden = unreadableReason(pair, pair.target, offered, rule);
	if (hidden) return { reason: hidden };
	const target = attributeOf(pair.target, offered);
	if (target !== undefined) return { source, target };
	const message = `${targetName(pair)} has no ${offered}; ${sourceName(pair)} has ${used} ${show(source)}`;
	return {
		reason: attributeReason(pair, "attribute.missing_target", used, rule, message),
	};
}

export function unreadableReason(pair: Pair, device: Device, attribute: string, rule: string): Reason | undefined {
	const errno = errnoOf(device, attribute);
	if (errno === undefined) return undefined;
	const name = device === pair.source ? sourceName(pair) : targetName(pair);
	return attributeReason(
		pair,
		"attribute.unreadable",
		attribute,
		rule,
		`${attribute} of ${name} cannot be read (${errno})`,
	);
}

/** A value in a sentence: as it is, unless it is empty or would run into the words around it. */
export function show(value: string): string {
	return /^[\x21-\x7e]{1,120}$/.test(value)
		? value
		: JSON.stringify(value.length > 120 ? `${value.slice(0, 117)}...` : value);
}

const MAX_NAMED = 3;

/** Names in a sentence: the first ones, and how many more there are. */
export function few(names: readonly string[]): string {
	const more = names.length > MAX_NAMED ? ` and ${names.length - MAX_NAMED} more` : "";
	return names.slice(0, MAX_NAMED).join(", ") + more;
}
