import type { Usable } from "./attempt.ts";
import { type Reason, reason } from "./compat/reason.ts";
import type { Departure } from "./departure.ts";
import { SnapshotError } from "./snapshot/source.ts";

/** What is told of ports and never blocks: Nova's list of them, without one that of the agent, which knows no types. */
export function repluggedPorts(
	request: Departure & { readonly dest_host: string },
	source?: Usable | SnapshotError,
): readonly Reason[] {
	const { ports, instance_uuid, devices, dest_host } = request;
	const told = (what: string, device: string | undefined) =>
		reason("port.replugged", "precheck", `${what}, and plugged in again on ${dest_host}`, device ? { device } : {});
	if (ports.length > 0) {
		return ports
			.filter(({ isReplugged }) => isReplugged)
			.map(({ id, vnic_type, address }) => {
				const name = id === undefined ? "a port" : `port ${id}`;
				const kind = [vnic_type, address].filter((word) => word !== undefined).join(" ");
				return told(`${name} (${kind}) is unplugged for the migration`, address);
			});
	}
	if (devices || !source || source instanceof SnapshotError) return [];
	const own = source.snapshot.devices.filter(({ instance }) => instance === instance_uuid);
	// Of a disk that is a vDPA device the function is in use, and no port.
	const below = new Set(own.filter(({ kind, port }) => kind === "vdpa" && !port).map(({ parent }) => parent));
	return own
		.filter(({ id, port }) => port && !below.has(id))
		.map(({ id }) =>
			told(`${id} is the device of a port: unless that is macvtap, it is unplugged for the migration`, id),
		);
}
