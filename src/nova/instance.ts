import type { Departure } from "../departure.ts";
import { announcedDevices, fieldsOf, networkInfo, portsOf, requiredText } from "./objects.ts";

/** All that is kept of Nova's Instance object: its other fields hold keys, user data, addresses and metadata. */
export function departureOf(primitive: unknown): Departure {
	const instance = fieldsOf(primitive, "Instance");
	const flavor = fieldsOf(instance?.["flavor"], "Flavor");
	const pciRequests = fieldsOf(instance?.["pci_requests"], "InstancePCIRequests");
	return {
		instance_uuid: requiredText(instance, "instance", "uuid"),
		source_host: requiredText(instance, "instance", "host"),
		ports: portsOf(networkInfo(instance?.["info_cache"])),
		announced: announcedDevices(flavor?.["extra_specs"], pciRequests?.["requests"]),
	};
}
