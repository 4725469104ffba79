import type { SnapshotDevice } from "../../snapshot/snapshot.ts";
import { collectAttributes } from "../attributes.ts";
import { readWhole } from "../read-whole.ts";
import type { Reading } from "../reading.ts";
import type { Sysfs } from "../sysfs.ts";
import { commandOf, handlesOf, type QuestionName, textOf } from "../tools.ts";
import type { Draft, Host } from "./collector.ts";
import { driverVersions } from "./driver.ts";
import { functionAbove } from "./pci.ts";

/** A name that `vdpa dev add` was given; any other is skipped. */
const VDPA_NAME = /^[A-Za-z0-9_.-]{1,64}$/;

/** attribute or fact, the question whose answer has it under the same name, the key of that answer */
type Row = readonly [name: string, question: QuestionName, key: string];

const ATTRIBUTES: readonly Row[] = [
	["max_vqs", "vdpa dev show", "dev"],
	["negotiated_features", "vdpa dev config show", "config"],
	["dev_features", "vdpa mgmtdev show", "mgmtdev"],
	["max_supported_vqs", "vdpa mgmtdev show", "mgmtdev"],
];

/** How a device was made, and of which classes its management device makes any. */
const FACTS: readonly Row[] = [
	["mtu", "vdpa dev config show", "config"],
	["max_vq_pairs", "vdpa dev config show", "config"],
	["supported_classes", "vdpa mgmtdev show", "mgmtdev"],
];

/**
 * Devices of the vdpa bus (Documentation/ABI/testing/sysfs-bus-vdpa), with what vdpa(8) says of each and of the management
 * device that made it: `max_vqs`, `negotiated_features` (while a guest drives it), `dev_features`, `max_supported_vqs`. Lists
 * have commas. `mtu`, `max_vq_pairs` and `supported_classes` are facts. Its MAC address is left out on purpose. Verified in vdpa-dev(8) and iproute2's vdpa/vdpa.c.
 */
export function collectVdpa(host: Host): SnapshotDevice[] {
	const bus = host.sysfs.directory("bus/vdpa/devices");
	if (bus === undefined) return [];
	const addVersions = driverVersions(host);
	const addTold = toldOf(host);
	return bus
		.list()
		.filter((name) => VDPA_NAME.test(name))
		.map((name) =>
			readWhole(
				() => bus.directory(name),
				(node) => read(name, node),
			),
		)
		.filter((device) => device !== undefined);

	function read(id: string, node: Sysfs): SnapshotDevice {
		const found = collectAttributes(node);
		found.record("driver", node.link("driver"));
		const parent = functionAbove(node);
		addVersions(undefined, found);
		addTold({ id, found });
		const character = node.list().find((name) => /^vhost-vdpa-\d+$/.test(name));
		if (character !== undefined) found.fact("vhost_vdpa", { value: character }, `${node.path}/${character}`);
		return found.device({ id, kind: "vdpa", capacity: 1, ...(parent !== undefined && { parent }) });
	}
}

function toldOf({ told }: Host): (device: Pick<Draft, "id" | "found">) => void {
	const devices = handlesOf(told, "vdpa dev show", "dev");
	const answersTo = (rows: readonly Row[]) =>
		rows.map(([name, question, key]) => ({ name, question, answer: handlesOf(told, question, key) }));
	const [attributes, facts] = [answersTo(ATTRIBUTES), answersTo(FACTS)];
	return ({ id, found }) => {
		if (devices === undefined) return;
		const management = "errno" in devices ? devices : textOf(devices.get(id)?.["mgmtdev"]);
		const handleFor = (question: QuestionName) => (question === "vdpa mgmtdev show" ? management : id);
		for (const { name, question, answer } of attributes) {
			found.record(name, toldValue(name, handleFor(question), answer), commandOf(question));
		}
		for (const { name, question, answer } of facts) {
			found.fact(name, toldValue(name, handleFor(question), answer), commandOf(question));
		}
	};
}

type Failure = { readonly errno: string };

/** Whose handle is not known, because another question failed, is as unreadable as that answer. */
function toldValue(name: string, handle: string | Failure | undefined, answer: ReturnType<typeof handlesOf>): Reading {
	if (answer === undefined || "errno" in answer) return answer;
	if (typeof handle !== "string") return handle;
	const told = answer.get(handle)?.[name];
	if (told === undefined) return undefined;
	const value = name.endsWith("_features") ? featuresOf(told) : textOf(told);
	return value === undefined ? { errno: "EBADMSG" } : { value };
}

/** A bit that has no name in iproute2 is `bit_40` where vdpa(8) prints for people, and a number in JSON (`print_features`). */
function featuresOf(told: unknown): string | undefined {
	return Array.isArray(told) ? textOf(told.map((bit) => (typeof bit === "number" ? `bit_${bit}` : bit))) : undefined;
}
