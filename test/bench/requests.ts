import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { fieldsOf } from "../../src/nova/objects.ts";
import { readRecording } from "../../src/recording/recording.ts";
import { CALL_ID } from "./template.ts";

type Fields = Readonly<Record<string, unknown>>;

const RECORDING = "2026.1.pci-alias-vfio-variant.check_can_live_migrate_destination.request.json";
const RECORDED = fileURLToPath(new URL(`../../../config/samples/recordings/${RECORDING}`, import.meta.url));

/** What Nova sends before a live migration, recorded; without the list of services, which makes it 6 kB. */
const { message } = readRecording(readFileSync(RECORDED, "utf8"));
const common = { ...message, version: "1.0", _context_service_catalog: [] };
const recordedArgs = fieldsOf(message["args"], "args");

/** As large as a decision; every call has another, so that the echo of another call is a wrong answer. */
export function echoed(id: string): Fields {
	return { call: id, migration: recordedArgs?.["migration"] };
}

/** A request of a method that looks at nothing. */
export function plainRequest(method: "echo" | "nothing"): Fields {
	return { ...common, method, args: { value: echoed(CALL_ID), request: recordedArgs?.["instance"] } };
}

/** A check of ours, as large as Nova's: it carries the recorded objects and request context along. */
export function checkRequest(source_host: string, dest_host: string): Fields {
	const instance_uuid = fieldsOf(recordedArgs?.["instance"], "Instance")?.["uuid"];
	const request = { instance_uuid, source_host, dest_host, ...recordedArgs };
	return { ...common, method: "check_live_migration", args: { request } };
}
