import { vi } from "vitest";
import type { Attempt } from "../../src/attempt.ts";
import { conclude } from "../../src/compat/decision.ts";
import { DEFAULT_POLICY, type Policy } from "../../src/compat/policy.ts";
import { reason } from "../../src/compat/reason.ts";
import type { Journal } from "../../src/journal/journal.ts";
import { createPrecheck, type MadeCheck, type PrecheckRequest, type UnmadeCheck } from "../../src/precheck.ts";
import type { Snapshot } from "../../src/snapshot/snapshot.ts";
import { SnapshotError, type SnapshotSource } from "../../src/snapshot/source.ts";
import { mdev } from "./devices.ts";

export const INSTANCE = "0002587c-b09d-468a-9995-53d16eeb8a15";
export const REQUEST: PrecheckRequest = {
	instance_uuid: INSTANCE,
	source_host: "cmp-01",
	dest_host: "cmp-02",
	ports: [],
	announced: { count: 1, names: "alias gpu", complete: true },
};
const BOOT_ID = "6f7a1f6e-6d9b-4f7e-8f0e-1c2d3e4f5a6b";

/** What a host says that has one device of this software version, which the instance uses on cmp-01. */
export function snapshot(host: string, software_version: string, generation = 1): Snapshot {
	const device = { ...mdev(`${host}-gpu`, { software_version }), attributes: { software_version, mdev_type: "t" } };
	const used = host === "cmp-01" ? { instance: INSTANCE } : {};
	return { schema_version: "1.1", host, boot_id: BOOT_ID, generation, devices: [{ ...device, ...used }] };
}

/** Every way in which a check can end, with what it is made of. */
export const WAYS: Readonly<Record<string, { source: Attempt; target: Attempt; policy?: Policy }>> = {
	accept: { source: snapshot("cmp-01", "1.1.0"), target: snapshot("cmp-02", "1.1.0") },
	"accept with warnings": { source: snapshot("cmp-01", "1.1.2"), target: snapshot("cmp-02", "1.1.0") },
	reject: { source: snapshot("cmp-01", "1.1.0"), target: snapshot("cmp-02", "1.0.0") },
	"reject, nothing there": { source: snapshot("cmp-01", "1.1.0"), target: { ...snapshot("cmp-02", ""), devices: [] } },
	"unknown, source": { source: new SnapshotError("agent.timeout", "no answer"), target: snapshot("cmp-02", "1.0.0") },
	"unknown, both": {
		source: new SnapshotError("agent.timeout", "no answer"),
		target: new SnapshotError("agent.unreachable", "not there"),
	},
	"unaccounted devices": { source: { ...snapshot("cmp-01", ""), devices: [] }, target: snapshot("cmp-02", "1.0.0") },
	"an old snapshot": {
		source: snapshot("cmp-01", "1.1.0"),
		target: new SnapshotError("agent.timeout", "no answer", {
			stale: { snapshot: snapshot("cmp-02", "1.1.0"), age: 12.5 },
		}),
		policy: { ...DEFAULT_POLICY, unknown: { "agent.timeout": "accept_stale" } },
	},
};

/** What is told of a request that could not be read: no more is known than the instance and where it shall go. */
export const UNMADE: UnmadeCheck = {
	request: { instance_uuid: INSTANCE, dest_host: "cmp-02" },
	policy: DEFAULT_POLICY,
	decision: conclude(
		"unknown",
		[reason("request.invalid", "nova", "instance.host is missing")],
		DEFAULT_POLICY,
		"instance.host is missing",
	),
	options: { request_id: "req-911e0134-5b0e-4b6e-9f3e-0d7a3c1a5f42" },
	at: Date.parse("2026-11-25T12:00:00Z"),
};

/** Agents that answer so, by host. */
export function answering(attempts: Readonly<Record<string, Attempt>>): SnapshotSource {
	return {
		async fetch(host) {
			const attempt = attempts[host];
			if (!attempt || attempt instanceof SnapshotError) throw attempt;
			return attempt;
		},
	};
}

/** The check as the service makes it. */
export async function makeCheck(
	{ source, target, policy = DEFAULT_POLICY }: { source: Attempt; target: Attempt; policy?: Policy },
	request: PrecheckRequest = REQUEST,
): Promise<MadeCheck> {
	const snapshots = answering({ [request.source_host]: source, [request.dest_host]: target });
	const made: MadeCheck[] = [];
	const precheck = createPrecheck(
		snapshots,
		() => policy,
		(one) => made.push(one),
	);
	const ids = { request_id: "req-3b7e9f7c-5b0e-4b6e-9f3e-0d7a3c1a5f42", global_request_id: "req-1" };
	await precheck(request, { signal: new AbortController().signal, ...ids });
	const [check] = made;
	if (!check) throw new Error("nobody was told of the check");
	return check;
}

/** Closes a journal with all that it was given: `close` by itself waits two seconds for it, which are soon over on a busy machine. */
export async function closeWritten(journal: Journal): Promise<void> {
	const isWritten = () => {
		if (journal.state().waiting > 0) throw new Error("decisions wait to be written");
	};
	await vi.waitFor(isWritten, 30_000);
	await journal.close();
}
