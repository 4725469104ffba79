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
	return source.snapshot.devices
		.filter(({ instance, port }) => instance === instance_uuid && port)
		.map(({ id }) =>
			told(`${id} is the device of a port: unless that is macvtap, it is unplugged for the migration`, id),
		);
}
