import { createHash } from "node:crypto";
import type { Decision } from "../compat/decision.ts";
import { canonicalJson } from "../compat/digest.ts";
import { once } from "../compat/once.ts";
import type { Policy } from "../compat/policy.ts";
import { PolicyFile } from "../policy/policy.ts";
import type { Asked, MadeCheck, PrecheckRequest, UnmadeCheck } from "../precheck.ts";
import { Snapshot, type SnapshotDevice } from "../snapshot/snapshot.ts";
import { SnapshotError } from "../snapshot/source.ts";
import { z } from "../zod.ts";

/** 128 bits of SHA-256: what a device or a policy is called in a journal. */
const Digest = z.string().regex(/^[0-9a-f]{32}$/);

const ErrorCode = z.templateLiteral([z.enum(["agent", "snapshot"]), ".", z.string()]) as unknown as z.ZodType<
	SnapshotError["code"]
>;

/** One host's part in a check: its snapshot, or why there was none and which older one there was; nothing, when it was not asked. */
const Part = z.object({
	snapshot: Digest.optional(),
	error: z.object({ code: ErrorCode, message: z.string() }).optional(),
	/** Seconds since the older snapshot was collected. */
	age: z.number().optional(),
});
type Part = z.infer<typeof Part>;

/** What a host says, its devices by digest: of many that stay the same none is written twice. */
const SnapshotLine = Snapshot.omit({ devices: true, dropped: true }).extend({ devices: z.array(Digest) });

/** What a request that could not be read does not name. */
const Name = z.string().default("-");

/** The checksum says that it is what was written: only what names a check is looked at. */
const Request = z.looseObject({
	instance_uuid: Name,
	source_host: Name,
	dest_host: Name,
}) as unknown as z.ZodType<PrecheckRequest>;

const DecisionSchema = z.looseObject({
	id: z.string(),
	verdict: z.enum(["accept", "conditional", "reject", "unknown"]),
	allowed: z.boolean(),
	mapping: z.record(z.string(), z.string()),
	reasons: z.array(z.looseObject({ code: z.string(), severity: z.enum(["error", "warning"]), message: z.string() })),
	text: z.string(),
}) as unknown as z.ZodType<Decision>;

/**
 * What is on the lines of a journal. A line refers to earlier ones of the same file only, so every file can be read alone.
 * Names are a contract; a reader ignores fields that it does not know.
 */
export const Entry = z.discriminatedUnion("type", [
	/** The first line of a file, and of every start of the service. */
	z.object({ type: z.literal("journal"), schema_version: z.string().regex(/^1\.\d+$/, "expected 1.x") }),
	z.object({ type: z.literal("device"), digest: Digest, device: Snapshot.shape.devices.element }),
	z.object({ type: z.literal("snapshot"), digest: Digest, snapshot: SnapshotLine }),
	z.object({ type: z.literal("policy"), digest: Digest, policy: PolicyFile as z.ZodType<Policy> }),
	z.object({
		type: z.literal("decision"),
		time: z.iso.datetime(),
		request_id: z.string().optional(),
		global_request_id: z.string().optional(),
		request: Request,
		source: Part,
		target: Part,
		policy: Digest,
		duration_ms: z.number(),
		decision: DecisionSchema,
		/** Since 1.2: no check came to it, because of the request or for want of time. */
		unchecked: z.literal(true).optional(),
		/** Of a check in the shadow, since 1.1: on which bus, what Nova did, and what is said of the devices that it chose. */
		shadow: z
			.object({ cell: z.string(), nova: z.enum(["accepted", "refused", "unseen"]), exact: DecisionSchema.optional() })
			.optional(),
	}),
]);
export type Entry = z.infer<typeof Entry>;
export type DecisionEntry = Extract<Entry, { readonly type: "decision" }>;
export type SnapshotEntry = Extract<Entry, { readonly type: "snapshot" }>;

export const JOURNAL_ENTRY: Entry = { type: "journal", schema_version: "1.2" };

const digestOf = (value: unknown) =>
	createHash("sha256")
		.update(canonicalJson(value))
		.digest("hex")
		.slice(0, 2 * 16);

const deviceEntry = once((device: SnapshotDevice) => ({ type: "device", digest: digestOf(device), device }) as const);
const policyEntry = once((policy: Policy) => ({ type: "policy", digest: digestOf(policy), policy }) as const);
/** By which the journal knows a policy. */
export const policyDigest = (policy: Policy): string => policyEntry(policy).digest;
const snapshotEntry = once(({ dropped, ...host }: Snapshot) => {
	const snapshot = { ...host, devices: host.devices.map((device) => deviceEntry(device).digest) };
	return { type: "snapshot", digest: digestOf(snapshot), snapshot } as const;
});

/** All that is kept of a check. */
export type KeptCheck = Omit<MadeCheck, "options"> & { readonly options: Omit<MadeCheck["options"], "signal"> };

/** A check as entries: what it refers to, in order, then the decision. */
export function entriesOf(kept: KeptCheck | UnmadeCheck): readonly Entry[] {
	const { request, decision, options, at } = kept;
	const { request_id, global_request_id } = options;
	const { snapshots: _, ...decided } = decision;
	const isChecked = "basis" in kept;
	const { source, target, policy: inForce } = isChecked ? kept.basis : { ...NOBODY_ASKED, policy: kept.policy };
	const policy = policyEntry(inForce);
	return [
		...snapshotEntries(source),
		...snapshotEntries(target),
		policy,
		{
			type: "decision",
			time: new Date(at).toISOString(),
			...(request_id !== undefined && { request_id }),
			...(global_request_id !== undefined && { global_request_id }),
			request,
			source: partOf(source),
			target: partOf(target),
			policy: policy.digest,
			duration_ms: isChecked ? Math.round(kept.duration * 1000) / 1000 : 0,
			decision: decided,
			...(isChecked ? kept.shadow && { shadow: kept.shadow } : { unchecked: true }),
		} as DecisionEntry,
	];
}

const NOBODY_ASKED = { source: "not asked", target: "not asked" } as const;

function snapshotOf(asked: Asked): Snapshot | undefined {
	if (asked === "not asked") return undefined;
	return asked instanceof SnapshotError ? asked.stale?.snapshot : asked;
}

function snapshotEntries(attempt: Asked): readonly Entry[] {
	const snapshot = snapshotOf(attempt);
	return snapshot ? [...snapshot.devices.map(deviceEntry), snapshotEntry(snapshot)] : [];
}

function partOf(attempt: Asked): Part {
	const snapshot = snapshotOf(attempt);
	return {
		...(snapshot && { snapshot: snapshotEntry(snapshot).digest }),
		...(attempt instanceof SnapshotError && {
			error: { code: attempt.code, message: attempt.message },
			...(attempt.stale && { age: attempt.stale.age }),
		}),
	};
}
