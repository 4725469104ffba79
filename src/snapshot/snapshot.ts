import { DEVICE_KINDS } from "../compat/device.ts";
import { z } from "../zod.ts";
import { MAX_ATTRIBUTES, MAX_DEVICES, MAX_VALUE_LENGTH } from "./limits.ts";

const MAX_INSTANCES = 8192;

const MAX_NAME_LENGTH = 256;

/** `z.record` takes four times as long, and a large host has 150,000 texts. JSON Schema has it all the same. */
const texts = (maxLength: number) =>
	z
		.custom<Record<string, string>>()
		.check(({ value, issues }) => {
			const issue = issueIn(value, maxLength);
			if (issue) issues.push({ code: "custom", input: value, ...issue });
		})
		.meta({
			type: "object",
			propertyNames: { type: "string", maxLength: MAX_NAME_LENGTH },
			additionalProperties: { type: "string", maxLength },
		});

function issueIn(value: unknown, maxLength: number): { readonly path: string[]; readonly message: string } | undefined {
	if (typeof value !== "object" || value === null || Array.isArray(value))
		return { path: [], message: "expected an object of texts" };
	const entries = Object.entries(value);
	if (entries.length > MAX_ATTRIBUTES) return { path: [], message: `expected at most ${MAX_ATTRIBUTES} attributes` };
	for (const [name, text] of entries) {
		if (name.length > MAX_NAME_LENGTH || name === "__proto__")
			return { path: [], message: `expected names of at most ${MAX_NAME_LENGTH} characters, and not __proto__` };
		if (typeof text !== "string" || text.length > maxLength)
			return { path: [name], message: `expected a text of at most ${maxLength} characters` };
	}
	return undefined;
}

const SnapshotDevice = z.object({
	id: z.string().min(1).max(256),
	/** One of the examples. A reader must expect others: a newer agent may know more. */
	kind: z
		.string()
		.min(1)
		.max(64)
		.meta({ examples: [...DEVICE_KINDS] }),
	/** The PF of a VF, or the PCI address below which an mdev or mdev type lives. */
	parent: z.string().max(256).optional(),
	/** 1 for a device, `available_instances` for an mdev type. */
	capacity: z.int().min(0),
	/** Uuid of the Nova instance (= libvirt domain) that has the device attached, or, shut off, gets it when it starts. */
	instance: z.guid().optional(),
	/** Attached as a Neutron port, which Nova unplugs before the migration, or the like. It is in use, but not among what must continue. */
	port: z.literal(true).optional(),
	/** What libvirt calls the device in the domain of `instance`, `hostdev0`; since 1.3. */
	alias: z.string().min(1).max(256).optional(),
	/** Where the guest sees it: a PCI address, or `fe.0.0001` on the channel subsystem of s390; since 1.3. */
	guest_address: z.string().min(1).max(256).optional(),
	/** The directory of the device below the sysfs root: `devices/pci0000:3a/0000:3a:00.0/0000:3b:10.0`. */
	path: z.string().max(1024).optional(),
	attributes: texts(MAX_VALUE_LENGTH),
	/** What is there but cannot be read: errno by attribute. An attribute that stands in neither is absent. */
	unreadable: texts(64),
	/** Where an attribute comes from (path or command), unless it is the file of that name in `path`. */
	sources: texts(1024).optional(),
	/** What is told and never compared: where the device is (`numa_node`, `iommu_group`, `vfio_dev`), what it is doing. */
	facts: texts(1024).optional(),
	/** Facts that are there but cannot be read, as `unreadable` has attributes; since 1.3. */
	unreadable_facts: texts(64).optional(),
	/** Where a fact comes from (path or command), unless it is what has that name in `path`; since 1.3. */
	fact_sources: texts(1024).optional(),
	/** Attributes that an overlay of the operator or vendor added: its file, source and date. */
	overlaid: texts(1024).optional(),
});

/**
 * What one host says about its devices: the JSON of `GET /v1/snapshot` and of `novacompat snapshot`.
 * Names are a contract; a reader ignores fields that it does not know and refuses another major version.
 */
export const Snapshot = z.object({
	schema_version: z.string().regex(/^1\.\d+$/, "expected 1.x"),
	/** The Nova host name (`[DEFAULT]host` of nova-compute) that the agent was started with. */
	host: z.string().min(1).max(255),
	/** `/proc/sys/kernel/random/boot_id`: another one means that the host has been rebooted, or is another host. */
	boot_id: z.guid().optional(),
	/** How often what the agent knows has changed since it started. */
	generation: z.int().min(0).optional(),
	/** Devices left out because they could not be read as a whole, and why. */
	dropped: z
		.array(z.object({ id: z.string().max(256), reason: z.string().max(256) }))
		.max(MAX_DEVICES)
		.optional(),
	/** Uuids of the instances that ran when the devices were looked at, also of those without a device; since 1.2. */
	instances: z.array(z.guid()).max(MAX_INSTANCES).optional(),
	/** One that several instances keep, by what libvirt says, is there once for each of them. */
	devices: z.array(SnapshotDevice).max(MAX_DEVICES),
});

export type SnapshotDevice = z.infer<typeof SnapshotDevice>;
export type Snapshot = z.infer<typeof Snapshot>;
